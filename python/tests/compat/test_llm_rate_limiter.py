"""The examples of llm-rate-limiter (README and example.py), and what its programs rely on."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

import paceline
from paceline.compat.llm_rate_limiter import ModelRateLimitConfig, ProviderRateLimits, RateLimit, RateLimitConfig
from paceline.compat.llm_rate_limiter import rate_limit as module

_made = iter(range(1_000))

README_YAML = """\
openai:
  gpt-4:
    requests_per_minute: 200
    tokens_per_minute: 40000
anthropic:
  claude-2:
    requests_per_minute: 100
    tokens_per_minute: 20000
"""


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives each test a memory of its own."""
    monkeypatch.setenv("PACELINE_STORE", f"memory://llm-rate-limiter-{next(_made)}")
    monkeypatch.delenv("RATE_LIMIT_CONFIG_PATH", raising=False)
    monkeypatch.delenv("PACELINE_CONFIG", raising=False)


@pytest.fixture
def rate_limiter(monkeypatch: pytest.MonkeyPatch) -> Iterator[RateLimit]:
    """The limiter that all modules import, as it is when a program starts."""
    fresh = RateLimit()
    monkeypatch.setattr(module, "rate_limiter", fresh)
    yield fresh


def of(**models: tuple[int, int]) -> RateLimit:
    """A limiter of models of ``openai``, each with requests and tokens a minute."""
    limits = {
        name.replace("_", "-"): ModelRateLimitConfig(requests_per_minute=requests, tokens_per_minute=tokens)
        for name, (requests, tokens) in models.items()
    }
    return RateLimit(config=RateLimitConfig({"openai": ProviderRateLimits(limits)}))


def used(limiter: RateLimit, metric: str = "tokens", model: str = "gpt-4o") -> int:
    return int(limiter.get_usage_stats("openai", model)[f"{metric}_per_minute"]["current"])


async def test_basic_usage(rate_limiter: RateLimit, openai_url: str) -> None:
    """README, "Basic Usage"."""
    from paceline.compat.llm_rate_limiter.rate_limit import rate_limiter

    openai = AsyncOpenAI(base_url=openai_url, api_key="none")

    async def make_actual_api_call(payload: dict[str, str]) -> Any:
        messages: Any = [{"role": "user", "content": payload["prompt"]}]
        return await openai.chat.completions.create(model=payload["model"], messages=messages)

    async def safe_api_call(prompt: str, provider: str, model: str) -> str:
        payload = {"prompt": prompt, "model": model}
        estimated_token_consumption = len(prompt) // 4 + 1000

        # wait for rate limit to become available
        await rate_limiter.wait_and_acquire(provider=provider, model=model, tokens=estimated_token_consumption)

        # make the API call
        response = await make_actual_api_call(payload)

        # record usage
        rate_limiter.record_usage(provider=provider, model=model, tokens_used=response.usage.total_tokens)

        return str(response.to_json())

    # we can generate all the requests and then allow the rate limiter to safely execute them in parallel
    async def main() -> list[str]:
        model = "gpt-4o"
        provider = "openai"
        prompts = [str(i) for i in range(10)]
        tasks = [safe_api_call(prompt, provider, model) for prompt in prompts]
        return await asyncio.gather(*tasks)

    responses = await main()

    total = sum(json.loads(response)["usage"]["total_tokens"] for response in responses)
    stats = rate_limiter.get_usage_stats("openai", "gpt-4o")
    assert stats["requests_per_minute"]["limit"] == 500
    assert stats["tokens_per_minute"]["limit"] == 30_000
    assert 0 < stats["tokens_per_minute"]["current"] <= total < 10 * 1000


async def test_configuration(rate_limiter: RateLimit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """README, "Configuration": a file that RATE_LIMIT_CONFIG_PATH names."""
    (tmp_path / "limits.yaml").write_text(README_YAML)
    monkeypatch.setenv("RATE_LIMIT_CONFIG_PATH", str(tmp_path / "limits.yaml"))

    assert rate_limiter.providers_to_models == {"anthropic": ["claude-2"], "openai": ["gpt-4"]}
    assert rate_limiter.providers == ["anthropic", "openai"]
    assert await rate_limiter.wait_and_acquire(provider="anthropic", model="claude-2", tokens=500)
    config = rate_limiter.get_config("anthropic", "claude-2")
    assert config == ModelRateLimitConfig(requests_per_minute=100, tokens_per_minute=20_000)
    assert rate_limiter.get_usage_stats()["anthropic"]["claude-2"]["tokens_per_minute"]["current"] == 500


async def test_example(openai_url: str, rate_limiter: RateLimit) -> None:
    """example.py: limits that are changed in place, and a last request that has to wait."""
    from paceline.compat.llm_rate_limiter.rate_limit import rate_limiter

    openai = AsyncOpenAI(base_url=openai_url, api_key="none")
    n_reqs, provider, model = 3, "openai", "gpt-4o-mini"
    assert rate_limiter._config is not None
    assert model in rate_limiter._config.get_provider_to_model_name()[provider]

    # override the rate limit config for this example script --> make one request lag the others
    rate_limiter._provider_model_configs[provider][model].requests_per_minute = n_reqs - 1
    rate_limiter._provider_model_configs[provider][model].tokens_per_minute = n_reqs * 1500

    async def make_api_call(prompt: str) -> None:
        await rate_limiter.wait_and_acquire(provider=provider, model=model, tokens=len(prompt) // 4 + 1000)
        messages: Any = [{"role": "user", "content": prompt}]
        response = await openai.chat.completions.create(model=model, messages=messages, max_tokens=1000)
        assert response.usage is not None
        rate_limiter.record_usage(provider=provider, model=model, tokens_used=response.usage.model_dump()["total_tokens"])

    tasks = [asyncio.create_task(make_api_call(str(i))) for i in range(n_reqs)]
    done, waiting = await asyncio.wait(tasks, timeout=2)
    assert (len(done), len(waiting)) == (2, 1), "the third waits for a request of the minute"
    for task in waiting:
        task.cancel()


async def test_a_file_of_its_own_shape_loads_unchanged(tmp_path: Path) -> None:
    """The file that the original ships: underscores in numbers, and a model whose name begins with its provider's."""
    (tmp_path / "limits.yaml").write_text(
        "# Default rate limits for a few providers and models\n"
        "openai:\n  gpt-4o:\n    requests_per_minute: 500\n    tokens_per_minute: 30_000\n"
        "gemini:\n  gemini/gemini-2.5-pro-preview-03-25:\n    requests_per_minute: 5\n    tokens_per_minute: 250_000\n"
    )
    limiter = RateLimit()
    limiter.load_config(str(tmp_path / "limits.yaml"))
    model = "gemini/gemini-2.5-pro-preview-03-25"
    assert await limiter.wait_and_acquire("gemini", model, 1_000)
    limiter.record_usage("gemini", model, 400)
    assert limiter.get_usage_stats("gemini", model)["tokens_per_minute"]["current"] == 400


async def test_each_task_records_its_own_call() -> None:
    """The original overwrote the last call's record, whoever recorded."""
    limiter = of(gpt_4o=(100, 100_000))
    started = asyncio.Event()

    async def call(tokens: int, actual: int) -> None:
        await limiter.wait_and_acquire("openai", "gpt-4o", tokens)
        await started.wait()
        limiter.record_usage("openai", "gpt-4o", actual)

    calls = [asyncio.create_task(call(1_000 * number, 10 * number)) for number in range(1, 6)]
    while used(limiter, "requests") < 5:
        await asyncio.sleep(0)
    assert used(limiter) == 15_000
    started.set()
    await asyncio.gather(*calls)
    assert used(limiter) <= 150 + 50, "a bucket gives back a little meanwhile"


async def test_a_call_that_another_task_made_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = of(gpt_4o=(100, 100_000))
    await asyncio.create_task(limiter.wait_and_acquire("openai", "gpt-4o", 5_000))
    limiter.record_usage("openai", "gpt-4o", 100)
    assert used(limiter) <= 100


async def test_records_without_a_call_count_nothing_and_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter = of(gpt_4o=(100, 100_000))
    limiter.record_usage("openai", "gpt-4o", 100)
    limiter.record_usage("openai", "gpt-4o", 100)
    assert used(limiter) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "openai/gpt-4o: record_usage has no call to count for: call wait_and_acquire once before each call of the API, and "
        "record_usage once after it"
    ]


async def test_what_was_not_used_wakes_who_waits() -> None:
    limiter = of(gpt_4o=(100, 1_000))
    await limiter.wait_and_acquire("openai", "gpt-4o", 1_000)
    second = asyncio.create_task(limiter.wait_and_acquire("openai", "gpt-4o", 900))
    await asyncio.sleep(0)
    assert not await limiter.acquire("openai", "gpt-4o", 900)
    started = time.monotonic()
    limiter.record_usage("openai", "gpt-4o", 50)
    assert await second
    assert time.monotonic() - started < 5


async def test_acquire_says_at_once() -> None:
    limiter = of(gpt_4o=(2, 0))
    assert [await limiter.acquire("openai", "gpt-4o") for _ in range(3)] == [True, True, False]


async def test_a_cancelled_wait_leaves_nothing() -> None:
    limiter = of(gpt_4o=(100, 1_000))
    await limiter.wait_and_acquire("openai", "gpt-4o", 1_000)
    second = asyncio.create_task(limiter.wait_and_acquire("openai", "gpt-4o", 1_000))
    third = asyncio.create_task(limiter.wait_and_acquire("openai", "gpt-4o", 500))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    limiter.record_usage("openai", "gpt-4o", 0)
    assert await third


async def test_what_cannot_be_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter = of(gpt_4o=(5, 1_000))
    with pytest.raises(paceline.Impossible, match="2000 wanted of limit openai/gpt-4o/tokens_per_minute"):
        await limiter.wait_and_acquire("openai", "gpt-4o", 2_000)
    with pytest.raises(paceline.UnknownResource, match="openai/gpt-5"):
        await limiter.wait_and_acquire("openai", "gpt-5", 10)
    with pytest.raises(ValueError, match="openai/gpt-4o limits tokens, and this call names none"):
        await limiter.wait_and_acquire("openai", "gpt-4o")
    assert limiter.get_config("openai", "gpt-5") is None
    assert limiter.get_usage_stats("openai", "gpt-5") == {"error": "Model not registered"}
    assert limiter.get_usage_stats("nobody") == {"error": "Provider not registered"}
    with pytest.raises(ValueError, match="^tokens_per_minute is -1; it is a whole number from 0, where 0 is no limit$"):
        ModelRateLimitConfig(tokens_per_minute=-1)


async def test_ten_minutes_are_the_most(tmp_path: Path) -> None:
    """What cannot be met in ten minutes is said at once; the original polls for as long."""
    (tmp_path / "limits.yaml").write_text("openai:\n  slow:\n    requests_per_hour: 1\n")
    limiter = RateLimit()
    limiter.load_config(str(tmp_path / "limits.yaml"))
    await limiter.wait_and_acquire("openai", "slow")
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="^Failed to acquire rate limit for openai/slow after 10 minutes: the time-out"):
        await limiter.wait_and_acquire("openai", "slow")
    assert time.monotonic() - started < 5


async def test_providers_and_models_that_nobody_knows() -> None:
    limiter = RateLimit()
    limiter.register_config(RateLimitConfig({"my-host": ProviderRateLimits({"llama": ModelRateLimitConfig(3, 0)})}))
    limiter.register_model("my-host", "free", ModelRateLimitConfig())
    assert [await limiter.acquire("my-host", "llama") for _ in range(4)] == [True, True, True, False]
    assert await limiter.wait_and_acquire("my-host", "free", 10**9)
    assert limiter.providers_to_models == {"my-host": ["llama", "free"]}


async def test_without_a_file_it_says_which_limits_it_takes(
    rate_limiter: RateLimit, caplog: pytest.LogCaptureFixture
) -> None:
    await rate_limiter.wait_and_acquire("openai", "gpt-4o", 10)
    assert [record.getMessage() for record in caplog.records] == [
        "neither RATE_LIMIT_CONFIG_PATH nor PACELINE_CONFIG is set: taking llm-rate-limiter's own limits of 2025, at the "
        "lowest tiers; name a file with yours"
    ]


async def test_a_file_with_a_mistake_is_refused(
    rate_limiter: RateLimit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The original takes a file that it cannot read for one without limits."""
    monkeypatch.setenv("RATE_LIMIT_CONFIG_PATH", str(tmp_path / "limits.yaml"))
    with pytest.raises(paceline.ConfigError, match="limits.yaml"):
        await rate_limiter.wait_and_acquire("openai", "gpt-4o", 10)
    (tmp_path / "limits.yaml").write_text("openai:\n  gpt-4o:\n    request_per_minute: 3\n")
    with pytest.raises(paceline.ConfigError, match="requests_per_minute"):
        await rate_limiter.wait_and_acquire("openai", "gpt-4o", 10)


async def test_statistics_are_written_where_a_path_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stats" / "now.json"
    limiter = RateLimit(stats_path=str(path), monitor_interval=0.05, config=of(gpt_4o=(5, 1_000))._config)
    await limiter.wait_and_acquire("openai", "gpt-4o", 100)
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    stats = json.loads(path.read_text())["stats"]
    assert stats["openai"]["gpt-4o"]["requests_per_minute"]["limit"] == 5


async def test_processes_share_a_server(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACELINE_STORE", redis_url)
    one, other = of(gpt_4o=(3, 0)), of(gpt_4o=(3, 0))
    assert [await limiter.acquire("openai", "gpt-4o") for limiter in (one, other, one, other)] == [True, True, True, False]
    assert used(other, "requests") == 3, "asked from inside an event loop"


async def test_threads_with_loops_of_their_own() -> None:
    limiter = of(gpt_4o=(10, 0))
    granted: list[bool] = []

    def work() -> None:
        granted.append(asyncio.run(limiter.acquire("openai", "gpt-4o")))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(granted) == [False] * 2 + [True] * 10
