"""A web service and a nightly batch on one key: people go first, the batch takes what is left.

    export PACELINE_STORE=redis://localhost:6379
    python service_and_batch.py serve 8000
    python service_and_batch.py batch prompts.txt

Both are processes of their own and share the limits of PACELINE_CONFIG, or of limits.yaml, which has the two lanes.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time

import paceline
import uvicorn
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI
from pydantic import BaseModel

MODEL = os.environ.get("MODEL", "gpt-4o")

limiter = paceline.Limiter(config=os.environ.get("PACELINE_CONFIG", "limits.yaml"))
client = paceline.wrap(AsyncOpenAI(), limiter)
app = FastAPI()


class Question(BaseModel):
    text: str


async def ask(text: str) -> str:
    response = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], max_tokens=200
    )
    return response.choices[0].message.content or ""


@app.post("/ask")
async def answer(question: Question) -> dict[str, str]:
    try:
        with paceline.using(lane="interactive", max_expected_wait=10):
            return {"answer": await ask(question.text)}
    except paceline.Busy as busy:
        wait = str(math.ceil(min(busy.retry_after, 3600)))
        raise HTTPException(429, "too many questions at the moment", headers={"Retry-After": wait}) from busy


async def batch(source: str) -> None:
    started = time.monotonic()
    with open(source) as file:
        prompts = [line.strip() for line in file if line.strip()]
    with paceline.using(lane="batch"):
        answers = await asyncio.gather(*(ask(prompt) for prompt in prompts))
    await limiter.aclose()
    print(f"{len(answers)} answered in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
    else:
        asyncio.run(batch(sys.argv[2]))
