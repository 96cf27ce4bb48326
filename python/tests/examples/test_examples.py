"""The examples, each as a user runs it, against a provider that enforces what the limits say."""

from __future__ import annotations

import concurrent.futures
import json
import re
import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from stage import EXAMPLES, until_open


def test_a_jsonl_batch_with_200_workers(stage: Any) -> None:
    source = stage.lines(40, '{"id": {n}, "prompt": "Question {n}?"}')
    answers = stage.folder / "answers.jsonl"
    said = stage.run("jsonl_batch.py", source, str(answers))
    assert re.fullmatch(r"40 answered, 0 failed, \d+ tokens in \d+\.\d s", said), said
    assert sorted(json.loads(line)["id"] for line in answers.read_text().splitlines()) == list(range(40))
    stage.nothing_refused(40)


def test_a_service_and_a_nightly_batch_share_one_key(stage: Any, redis_url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stage.start(sys.executable, "service_and_batch.py", "serve", str(port), PACELINE_STORE=redis_url)
    until_open(port)
    batch = stage.start(
        sys.executable, "service_and_batch.py", "batch", stage.lines(40), PACELINE_STORE=redis_url
    )
    until = time.monotonic() + 30
    while stage.provider.report()["requests"] < 12:  # the batch has a line by then
        assert time.monotonic() < until and batch.poll() is None
        time.sleep(0.02)

    def ask(n: int) -> float:
        began = time.monotonic()
        body = json.dumps({"text": f"Question {n}?"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/ask", data=body, headers={"content-type": "application/json"}
        )
        assert json.load(urllib.request.urlopen(request, timeout=30))["answer"]
        return time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(5) as threads:
        waits = list(threads.map(ask, range(5)))
    assert batch.poll() is None, "people came after the batch"
    out, err = batch.communicate(timeout=60)
    assert re.fullmatch(r"40 answered in \d+\.\d s", out.strip()), err[-3000:]
    assert max(waits) < 10
    stage.nothing_refused(45)


def test_a_langgraph_agent(stage: Any) -> None:
    topics = [f"topic {n}" for n in range(20)]
    said = stage.run("langgraph_agent.py", *topics)
    assert re.fullmatch(r"20 topics, 21 model calls, a report of \d+ characters", said), said
    stage.nothing_refused(21)


# LiteLLM works for a while between its hook and the sending, and the longer the more calls there are at once.
SLOW_TO_LEAVE = """
openai: {gpt-4o: {limits: [{metric: requests, amount: 20, window: 10s, transit: 1s}]}}
openai-eu: {provider: openai, gpt-4o: {limits: [{metric: requests, amount: 20, window: 10s, transit: 1s}]}}
"""


@pytest.mark.parametrize("example_limits", [SLOW_TO_LEAVE])
def test_a_litellm_router_over_two_keys(stage: Any) -> None:
    said = stage.run("litellm_router.py", stage.lines(50))
    shares = re.fullmatch(r"50 answered \((\d+) by openai, (\d+) by openai-eu\) in \d+\.\d s", said)
    assert shares, said
    assert int(shares[1]) + int(shares[2]) == 50
    stage.nothing_refused(50)


def test_celery_workers_on_one_host(stage: Any, redis_url: str) -> None:
    stage.start(
        sys.executable, "-m", "celery", "-A", "celery_workers", "worker", "--concurrency", "4", "--without-mingle",
        REDIS_URL=f"{redis_url}/0",
    )  # fmt: skip
    said = stage.run("celery_workers.py", stage.lines(40), REDIS_URL=f"{redis_url}/0")
    assert re.fullmatch(r"40 answered, \d+ tokens in \d+\.\d s", said), said
    stage.nothing_refused(40)


def test_the_limits_of_the_examples_are_valid() -> None:
    import paceline

    with paceline.Limiter(config=str(EXAMPLES / "limits.yaml"), private=True) as limiter:
        assert limiter.resources == ["openai-eu/gpt-4o", "openai/gpt-4o"]


def test_every_example_is_short_and_run_here() -> None:
    tested = Path(__file__).read_text()
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.name}"' in tested or example.stem in tested, example.name
        assert len(example.read_text().splitlines()) <= 100, example.name
