"""Celery workers on one host that share one key, however many processes they are.

    celery -A celery_workers worker --concurrency 8
    python celery_workers.py prompts.txt

REDIS_URL is broker, result store and Paceline's store; the limits are those of PACELINE_CONFIG, or of limits.yaml.
"""

from __future__ import annotations

import functools
import os
import sys
import time

import openai.resources  # the SDK would import this in each worker, at its first call
import paceline
from celery import Celery, group
from openai import OpenAI

MODEL = os.environ.get("MODEL", "gpt-4o")
REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

app = Celery("celery_workers", broker=REDIS_URL, backend=REDIS_URL)
app.conf.worker_prefetch_multiplier = 1  # a process that waits in line keeps no tasks from the others
app.conf.broker_connection_retry_on_startup = True

limiter = paceline.Limiter(config=os.environ.get("PACELINE_CONFIG", "limits.yaml"), store=REDIS_URL)


@functools.cache
def client() -> OpenAI:
    return paceline.wrap(OpenAI(), limiter)  # made in the worker's process: connections do not survive a fork


@app.task(autoretry_for=(paceline.StoreUnavailable,), retry_backoff=True)
def answer(prompt: str) -> int:
    response = client().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=200
    )
    return response.usage.total_tokens


def main(source: str) -> None:
    started = time.monotonic()
    with open(source) as file:
        prompts = [line.strip() for line in file if line.strip()]
    tokens = group(answer.s(prompt) for prompt in prompts)().get(timeout=3600)
    print(f"{len(tokens)} answered, {sum(tokens)} tokens in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1])
