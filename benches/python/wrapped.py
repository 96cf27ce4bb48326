"""Measures a wrapped OpenAI call against the fake provider beside the same call unwrapped.

    python benches/python/wrapped.py [--calls 2000]

The two take turns, so that whatever else the machine does meets both; medians count. Nothing waits: the limits are far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import openai

import paceline

MESSAGES: Any = [{"role": "user", "content": "Say something. " * 20}]
CONFIG = {"openai": {"gpt-4o": {"requests_per_minute": 10_000_000, "tokens_per_minute": 10_000_000_000}}}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=1_000)
    arguments.add_argument("--provider", help="the address of a fake provider that runs already: 127.0.0.1:8088")
    said = arguments.parse_args()
    provider, address = None, said.provider
    if address is None:
        command = [sys.executable, "-m", "paceline", "fake-provider", "--json", "--port", "0"]
        command += ["--latency-ms", "0", "--per-token-us", "0", "--output-tokens", "20"]
        provider = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert provider.stdout is not None
        address = json.loads(provider.stdout.readline())["addr"]
    try:
        limiter = paceline.Limiter(config=CONFIG, private=True)
        sync(f"http://{address}/v1", limiter, said.calls)
        asyncio.run(asynchronous(f"http://{address}/v1", limiter, said.calls))
    finally:
        if provider:
            provider.kill()
            provider.wait()


def sync(url: str, limiter: Any, calls: int) -> None:
    bare = openai.OpenAI(base_url=url, api_key="k")
    wrapped = paceline.wrap(openai.OpenAI(base_url=url, api_key="k"), limiter)
    times: dict[str, list[float]] = {"bare": [], "wrapped": []}
    for number in range(calls + 50):
        for name, client in (("bare", bare), ("wrapped", wrapped)):
            begun = time.perf_counter()
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=20)
            if number >= 50:
                times[name].append(time.perf_counter() - begun)
    show("sync", times)


async def asynchronous(url: str, limiter: Any, calls: int) -> None:
    bare = openai.AsyncOpenAI(base_url=url, api_key="k")
    wrapped = paceline.wrap(openai.AsyncOpenAI(base_url=url, api_key="k"), limiter)
    times: dict[str, list[float]] = {"bare": [], "wrapped": []}
    for number in range(calls + 50):
        for name, client in (("bare", bare), ("wrapped", wrapped)):
            begun = time.perf_counter()
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=20)
            if number >= 50:
                times[name].append(time.perf_counter() - begun)
    show("async", times)


def show(kind: str, times: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) * 1e6 for name, values in times.items()}
    ratio = medians["wrapped"] / medians["bare"]
    print(
        f"{kind:>5}: unwrapped {medians['bare']:.0f} µs, wrapped {medians['wrapped']:.0f} µs, "
        f"{medians['wrapped'] - medians['bare']:.0f} µs more, {ratio:.3f} x (mark: 1.1 x)"
    )


if __name__ == "__main__":
    main()
