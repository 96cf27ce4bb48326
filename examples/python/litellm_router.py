"""A LiteLLM router over two keys, each kept inside its own limits.

    python litellm_router.py prompts.txt

The keys are OPENAI_API_KEY and OPENAI_API_KEY_EU; the limits are those of PACELINE_CONFIG, or of limits.yaml, which has an
account for each. A deployment says by `model_info` which resource it draws on.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter

import litellm
import paceline
import paceline.litellm

MODEL = os.environ.get("MODEL", "gpt-4o")

limiter = paceline.Limiter(config=os.environ.get("PACELINE_CONFIG", "limits.yaml"))
litellm.callbacks = [paceline.litellm.Limits(limiter)]


def deployment(account: str, key: str) -> dict[str, object]:
    return {
        "model_name": "chat",
        "litellm_params": {"model": f"openai/{MODEL}", "api_key": os.environ[key]},
        "model_info": {"id": account, "paceline": f"{account}/{MODEL}"},
    }


router = litellm.Router(
    model_list=[deployment("openai", "OPENAI_API_KEY"), deployment("openai-eu", "OPENAI_API_KEY_EU")],
    num_retries=2,
)


async def ask(prompt: str) -> str:
    response = await router.acompletion(
        model="chat", messages=[{"role": "user", "content": prompt}], max_tokens=200
    )
    return response._hidden_params["model_id"]


async def main(source: str) -> None:
    started = time.monotonic()
    with open(source) as file:
        prompts = [line.strip() for line in file if line.strip()]
    keys = Counter(await asyncio.gather(*(ask(prompt) for prompt in prompts)))
    await limiter.aclose()
    shares = ", ".join(f"{count} by {key}" for key, count in sorted(keys.items()))
    print(f"{sum(keys.values())} answered ({shares}) in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
