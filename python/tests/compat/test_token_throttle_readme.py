"""The examples of token-throttle's README (14.0.0), with the import and the servers' addresses changed.

A fragment has around it what the README's words say of its context.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis.asyncio as redis
from openai import AsyncOpenAI

from paceline.compat.token_throttle import (
    MemoryBackendBuilder,
    OpenAIUsageCounter,
    PerModelConfig,
    Quota,
    RateLimiter,
    RedisBackendBuilder,
    UsageQuotas,
    openai_model_family_getter,
)


def test_memory_quickstart(capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    from paceline.compat.token_throttle import (
        MemoryBackendBuilder,
        PerModelConfig,
        Quota,
        RateLimiter,
        UsageQuotas,
    )

    async def main() -> None:
        limiter = RateLimiter(
            PerModelConfig(
                quotas=UsageQuotas(
                    [
                        Quota(metric="requests", limit=60, per_seconds=60),
                        Quota(metric="tokens", limit=90_000, per_seconds=60),
                    ]
                )
            ),
            backend=MemoryBackendBuilder(),
        )

        async with limiter.reserve(
            {"requests": 1, "tokens": 1_000},
            model="demo-model",
        ) as handle:
            # Replace this block with your provider call.
            handle.set_actual_usage({"requests": 1, "tokens": 425})

        state = limiter.snapshot_state()
        assert state["in_flight_reservations"] == 0
        assert state["model_families"] == 1

        await limiter.aclose()
        print("reserved 1000 tokens, refunded 575 unused tokens")

    asyncio.run(main())
    assert capsys.readouterr().out == "reserved 1000 tokens, refunded 575 unused tokens\n"


def test_openai_built_in_helpers(redis_url: str, openai_url: str) -> None:
    import asyncio

    import redis.asyncio as redis
    from openai import AsyncOpenAI

    from paceline.compat.token_throttle import create_openai_redis_rate_limiter

    async def main() -> None:
        redis_client = redis.from_url(redis_url)
        client = AsyncOpenAI(base_url=openai_url, api_key="none")
        limiter = create_openai_redis_rate_limiter(
            redis_client,
            key_prefix="my-service-prod",
            rpm=10_000,
            tpm=2_000_000,
        )

        request: Any = {
            "model": "gpt-4.1",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 512,  # output budget; without one, output tokens aren't reserved
        }

        reservation = await limiter.acquire_capacity_for_request(**request)
        try:
            response = await client.chat.completions.create(**request)
        except Exception:
            await limiter.refund_capacity(
                reservation=reservation,
                actual_usage={
                    "requests": 1,
                    "tokens": 0,
                },  # zero-token refund on error is an approximation; reconcile against billing
            )
            raise
        else:
            await limiter.refund_capacity_from_response(reservation, response)
        finally:
            await limiter.aclose()
            await redis_client.aclose()

        assert reservation.model_family == "gpt-4.1"
        assert 512 < reservation.usage["tokens"] < 530
        assert response.usage is not None

    asyncio.run(main())


def test_any_provider(capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    from paceline.compat.token_throttle import (
        MemoryBackendBuilder,
        PerModelConfig,
        Quota,
        RateLimiter,
        UsageQuotas,
    )

    async def call_your_llm() -> dict[str, int]:
        return {"requests": 1, "input_tokens": 480, "output_tokens": 1_200}

    async def main() -> None:
        limiter = RateLimiter(
            PerModelConfig(
                quotas=UsageQuotas(
                    [
                        Quota(metric="requests", limit=1_000, per_seconds=60),
                        Quota(metric="input_tokens", limit=80_000, per_seconds=60),
                        Quota(metric="output_tokens", limit=20_000, per_seconds=60),
                    ]
                ),
            ),
            backend=MemoryBackendBuilder(),
        )

        reservation = await limiter.acquire_capacity(
            model="claude-sonnet-4-20250514",
            usage={"requests": 1, "input_tokens": 500, "output_tokens": 4_000},
        )

        try:
            actual_usage = await call_your_llm()
        except Exception:
            # Refund a stranded reservation on failure so unused capacity isn't
            # locked out until the quota window refills.
            await limiter.refund_capacity(
                actual_usage={"requests": 1, "input_tokens": 0, "output_tokens": 0},
                reservation=reservation,
            )
            raise
        else:
            await limiter.refund_capacity(actual_usage=actual_usage, reservation=reservation)
        finally:
            await limiter.aclose()
        print("unused 20 input tokens and 2800 output tokens returned to the pool")

    asyncio.run(main())
    assert capsys.readouterr().out == "unused 20 input tokens and 2800 output tokens returned to the pool\n"


def test_quotas() -> None:
    from paceline.compat.token_throttle import Quota, SecondsIn, UsageQuotas

    quotas = UsageQuotas(
        [
            Quota(metric="requests", limit=2_000, per_seconds=SecondsIn.MINUTE),
            Quota(metric="tokens", limit=3_000_000, per_seconds=SecondsIn.MINUTE),
            Quota(metric="requests", limit=10_000_000, per_seconds=SecondsIn.DAY),
        ]
    )

    assert quotas.names == ["requests", "tokens"]
    assert [quota.per_seconds for quota in quotas.get_quotas("requests")] == [60, 86_400]

    async def main() -> None:
        async with RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder()) as limiter:
            await limiter.acquire_capacity({"requests": 1, "tokens": 3_000_000}, model="demo")

    asyncio.run(main())


def test_minimum_spacing_between_calls() -> None:
    """With a second for the README's three, so that the test is quick."""
    from paceline.compat.token_throttle import Quota, SecondsIn, UsageQuotas

    quotas = UsageQuotas(
        [
            Quota(metric="requests", limit=1, per_seconds=1),  # spacing
            Quota(metric="requests", limit=20, per_seconds=SecondsIn.MINUTE),  # ceiling
        ]
    )

    async def main() -> float:
        async with RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder()) as limiter:
            started = time.monotonic()
            for _ in range(3):
                await limiter.acquire_capacity({"requests": 1}, model="demo")
            return time.monotonic() - started

    assert 1.99 <= asyncio.run(main()) < 2.5


def test_per_model_configuration(redis_url: str) -> None:
    async def main() -> None:
        redis_client: Any = redis.from_url(redis_url)

        def get_config(model_name: str) -> PerModelConfig:
            if model_name.startswith("gpt"):
                return PerModelConfig(
                    quotas=UsageQuotas(
                        [
                            Quota(metric="requests", limit=10_000, per_seconds=60),
                            Quota(metric="tokens", limit=2_000_000, per_seconds=60),
                        ]
                    ),
                    usage_counter=OpenAIUsageCounter(),
                    model_family=openai_model_family_getter(model_name),
                )
            # ... other providers
            return PerModelConfig(quotas=UsageQuotas.unlimited())

        limiter = RateLimiter(
            get_config,
            backend=RedisBackendBuilder(redis_client, key_prefix="my-service-prod"),
        )

        for model in ("gpt-4o-2024-08-06", "gpt-4o", "gpt-4.1"):
            await limiter.acquire_capacity({"requests": 1, "tokens": 500}, model=model)
        assert (await limiter.acquire_capacity({"tokens": 10**12}, model="llama")).is_unlimited
        assert limiter.snapshot_state()["model_families"] == 2
        keys = {str(key, "ascii").split("{")[0] for key in await redis_client.keys()}
        assert keys == {"my-service-prod:"}
        await limiter.aclose()
        await redis_client.aclose()

    asyncio.run(main())


def test_dynamic_rate_limits_and_time_outs() -> None:
    async def main() -> None:
        quotas = UsageQuotas([Quota(metric="requests", limit=10), Quota(metric="tokens", limit=1_000)])
        limiter = RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder())
        held = await limiter.acquire_capacity({"requests": 1, "tokens": 1_000}, model="gpt-4o")

        # Non-blocking: check if capacity is available without waiting
        try:
            reservation = await limiter.acquire_capacity(
                model="gpt-4o",
                usage={"requests": 1, "tokens": 500},
                timeout=0,  # Fail immediately if no capacity
            )
        except TimeoutError:
            # Handle: retry later, use cheaper model, skip, etc.
            pass
        else:
            raise AssertionError("there is none")

        # After the limiter has initialized this model with an acquire call:
        await limiter.set_max_capacity(
            model="gpt-4o",
            metric="tokens",
            per_seconds=60,
            value=5000,
        )

        refund = asyncio.create_task(limiter.refund_capacity({"requests": 1, "tokens": 0}, held))

        # Bounded wait: wait up to 5 seconds
        reservation = await limiter.acquire_capacity(
            model="gpt-4o",
            usage={"requests": 1, "tokens": 150},
            timeout=5.0,  # Raise TimeoutError after 5s waiting for capacity
        )

        state = limiter.snapshot_state()
        await refund
        assert state == {"in_flight_reservations": 1, "model_families": 1, "backend_type": "memory"}
        await limiter.refund_capacity({"requests": 1, "tokens": 0}, reservation)
        await limiter.aclose()

    asyncio.run(main())


def test_sync_api() -> None:
    from paceline.compat.token_throttle import (
        PerModelConfig,
        Quota,
        SyncMemoryBackendBuilder,
        SyncRateLimiter,
        UsageQuotas,
    )

    limiter = SyncRateLimiter(
        PerModelConfig(
            quotas=UsageQuotas(
                [
                    Quota(metric="requests", limit=60, per_seconds=60),
                    Quota(metric="tokens", limit=90_000, per_seconds=60),
                ]
            )
        ),
        backend=SyncMemoryBackendBuilder(),
    )

    try:
        reservation = limiter.acquire_capacity(
            model="demo-model",
            usage={"requests": 1, "tokens": 500},
        )
        limiter.refund_capacity(
            actual_usage={"requests": 1, "tokens": 320},
            reservation=reservation,
        )
        assert limiter.snapshot_state()["in_flight_reservations"] == 0
    finally:
        limiter.close()


def test_concurrency_model() -> None:
    def get_config(model_name: str) -> PerModelConfig:
        return PerModelConfig(quotas=UsageQuotas([Quota(metric="requests", limit=10), Quota(metric="tokens", limit=1_000)]))

    async def main() -> None:
        async with RateLimiter(get_config, backend=MemoryBackendBuilder()) as limiter:
            reservation = await limiter.acquire_capacity({"requests": 1, "tokens": 500}, model="gpt-4.1")
            await limiter.refund_capacity({"requests": 1, "tokens": 320}, reservation)

    asyncio.run(main())


def test_in_a_call_of_the_sdk_that_fails(openai_url: str) -> None:
    """The README's way of refunding a call that failed."""

    async def main() -> None:
        client = AsyncOpenAI(base_url=openai_url + "/nowhere", api_key="none", max_retries=0)
        quotas = UsageQuotas([Quota(metric="requests", limit=10), Quota(metric="tokens", limit=1_000)])
        limiter = RateLimiter(PerModelConfig(quotas=quotas), backend=MemoryBackendBuilder())
        with pytest.raises(Exception, match="404"):
            async with limiter.reserve(
                {"requests": 1, "tokens": 1_000}, model="gpt-4.1", usage_on_error={"requests": 1, "tokens": 0}
            ):
                await client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "Hi"}])
        await limiter.acquire_capacity({"requests": 1, "tokens": 1_000}, model="gpt-4.1", timeout=0)

    asyncio.run(main())
