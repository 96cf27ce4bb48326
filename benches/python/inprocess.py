"""The Python doors in process, beside the standard library's semaphores, token-throttle's memory, and the Rust store."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import paceline

HUGE = 1_000_000_000


def limiter() -> paceline.Limiter:
    return paceline.Limiter("bench/model", rpm=HUGE, tpm=HUGE, private=True)


def ours_in_a_thread(pairs: int) -> float:
    mine = limiter()
    started = time.perf_counter()
    for _ in range(pairs):
        with mine.acquire(tokens=20) as permit:
            permit.settle(tokens=10)
    return (time.perf_counter() - started) / pairs * 1e9


def semaphore_in_a_thread(pairs: int) -> float:
    semaphore = threading.Semaphore(10)
    started = time.perf_counter()
    for _ in range(pairs):
        with semaphore:
            pass
    return (time.perf_counter() - started) / pairs * 1e9


def ours_in_a_task(pairs: int) -> float:
    async def run() -> float:
        mine = limiter()
        started = time.perf_counter()
        for _ in range(pairs):
            async with mine.acquire(tokens=20) as permit:
                permit.settle(tokens=10)
        return (time.perf_counter() - started) / pairs * 1e9

    return asyncio.run(run())


def semaphore_in_a_task(pairs: int) -> float:
    async def run() -> float:
        semaphore = asyncio.Semaphore(10)
        started = time.perf_counter()
        for _ in range(pairs):
            async with semaphore:
                pass
        return (time.perf_counter() - started) / pairs * 1e9

    return asyncio.run(run())


def token_throttle(pairs: int) -> float:
    from token_throttle import MemoryBackendBuilder, PerModelConfig, Quota, RateLimiter, UsageQuotas

    async def run() -> float:
        quotas = UsageQuotas([Quota(metric=metric, limit=HUGE, per_seconds=60) for metric in ("requests", "tokens")])
        theirs = RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder())
        started = time.perf_counter()
        for _ in range(pairs):
            capacity = await theirs.acquire_capacity({"requests": 1, "tokens": 20}, model="model")
            await theirs.refund_capacity({"requests": 1, "tokens": 10}, capacity)
        return (time.perf_counter() - started) / pairs * 1e9

    return asyncio.run(run())


def drained(_: int = 0) -> float:
    """Returns the grants a second with which 10,000 tasks that wait are drained by a refill."""
    waiting = 10_000

    async def run() -> float:
        limit = {"metric": "requests", "amount": 60_000_000, "window": "60s", "algorithm": "token_bucket", "burst": 10_000}
        mine = paceline.Limiter(config={"resources": {"model": {"limits": [limit]}}}, private=True)
        # A million requests a second come back, so the debt is paid off once everybody is in line.
        mine.record(requests=2_000_000)
        granted: list[float] = []

        async def one() -> None:
            async with mine.acquire() as permit:
                granted.append(time.perf_counter())
                permit.settle()

        tasks = [asyncio.create_task(one()) for _ in range(waiting)]
        await asyncio.sleep(0)
        assert not granted, "nobody may go before all are in line"
        await asyncio.gather(*tasks)
        return waiting / (granted[-1] - granted[0])

    return asyncio.run(run())


def importing(module: str) -> Callable[[int], float]:
    def measure(_: int) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        return (time.perf_counter() - started) * 1e3

    return measure


def medians(rounds: int, pairs: int, *contenders: Callable[[int], float]) -> list[tuple[float, float, float]]:
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, taken in zip(contenders, times):
            taken.append(contender(pairs))
    spreads = []
    for taken in times:
        lower, middle, upper = statistics.quantiles(taken, n=4) if len(taken) > 1 else (taken[0],) * 3
        spreads.append((lower, middle, upper))
    return spreads


def row(what: str, ours: tuple[float, float, float], floor: tuple[float, float, float], unit: str, mark: str) -> None:
    show = lambda spread: f"{spread[1]:,.0f} ({spread[0]:,.0f}–{spread[2]:,.0f}) {unit}"  # noqa: E731
    print(f"| {what} | {show(ours)} | {show(floor)} | {ours[1] / floor[1]:.2f} | {mark} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--rust", help="the program paceline-benches, for the grants of the Rust store")
    args = parser.parse_args()
    print(f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores, medians and quartiles of {args.rounds} interleaved rounds\n")
    print("| what | paceline | floor | ratio | mark |\n|---|---|---|---|---|")
    ours, floor = medians(args.rounds, args.pairs, ours_in_a_thread, semaphore_in_a_thread)
    row("`with` + settle, 2 limits / `with threading.Semaphore()`", ours, floor, "ns", "≤ 1.5")
    ours, floor = medians(args.rounds, args.pairs, ours_in_a_task, semaphore_in_a_task)
    row("`async with` + settle, 2 limits / `async with asyncio.Semaphore()`", ours, floor, "ns", "≤ 4")
    try:
        ours, floor = medians(args.rounds, 200, ours_in_a_task, token_throttle)
        print(
            f"| pairs a second in process, 2 limits / token-throttle's memory | {1e9 / ours[1]:,.0f} | {1e9 / floor[1]:,.0f} "
            f"| {floor[1] / ours[1]:,.0f} | ≥ 200 |"
        )
    except ImportError:
        print("| pairs a second in process / token-throttle | – | not installed (it takes Python 3.12) | – | ≥ 200 |")
    if args.rust:
        rust = lambda _: float(subprocess.run([args.rust, "drain"], check=True, capture_output=True, text=True).stdout)  # noqa: E731
        ours, floor = medians(min(args.rounds, 7), 0, drained, rust)
        row("10,000 tasks wait, drained by refill / Rust futures", ours, floor, "/s", "≥ 0.3")
    ours, floor = medians(args.rounds, 0, importing("paceline"), importing("asyncio"))
    row("`import paceline` / `import asyncio`, whole processes", ours, floor, "ms", "≤ +60 ms")


if __name__ == "__main__":
    main()
