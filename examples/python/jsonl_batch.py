"""Answers every line of a JSONL file with 200 workers, within the limits of one key.

    python jsonl_batch.py prompts.jsonl answers.jsonl

A line is {"id": ..., "prompt": ...}. The limits are those of PACELINE_CONFIG, or of limits.yaml. With
PACELINE_STORE=redis://localhost:6379 any number of such batches, on any hosts, share them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import paceline
from openai import APIError, AsyncOpenAI

MODEL = os.environ.get("MODEL", "gpt-4o")
WORKERS = int(os.environ.get("WORKERS", "200"))


async def main(source: str, target: str) -> int:
    started = time.monotonic()
    limiter = paceline.Limiter(config=os.environ.get("PACELINE_CONFIG", "limits.yaml"))
    client = paceline.wrap(AsyncOpenAI(), limiter)
    tokens = failed = done = 0

    async def work() -> None:
        nonlocal tokens, failed, done
        for line in lines:  # an iterator that all workers share: each line is taken once
            task = json.loads(line)
            try:
                response = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": task["prompt"]}], max_tokens=200
                )
            except (APIError, paceline.PacelineError) as error:
                failed += 1
                print(f"{task['id']}: {error}", file=sys.stderr)
                continue
            tokens += response.usage.total_tokens
            done += 1
            answer = {"id": task["id"], "answer": response.choices[0].message.content}
            print(json.dumps(answer), file=answers, flush=True)

    with open(source) as lines, open(target, "w") as answers:
        await asyncio.gather(*(work() for _ in range(WORKERS)))
    await client.close()
    await limiter.aclose()
    print(f"{done} answered, {failed} failed, {tokens} tokens in {time.monotonic() - started:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:3])))
