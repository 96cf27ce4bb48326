"""Under LlamaIndex: its rate limiter, and HTTP clients that are limited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.rate_limiter import BaseRateLimiter

from paceline._door import Door

if TYPE_CHECKING:
    from paceline._limiter import Limiter


class RateLimiter(BaseRateLimiter):
    """A ``rate_limiter=`` for LLMs and embedding models: each of their calls waits in line.

    LlamaIndex tells it neither the prompt nor the end of a call. So each call counts as what ``metrics`` says, else as
    what the resource has learnt, and nothing of it comes back; calls in flight cannot be limited by this door. Exact is
    ``OpenAI(**paceline.llama_index.clients(limiter))``. Use one of the two, or a call counts twice.

    ``resource`` may be left out where the limiter has but one. Raises what ``Limiter.acquire`` raises.

    >>> import paceline
    >>> limiter = paceline.Limiter("embeddings", rpm=600, private=True)
    >>> RateLimiter(limiter).acquire()
    """

    def __init__(self, limiter: Limiter, resource: str | None = None, **metrics: int) -> None:
        self._door = Door(limiter, resource, metrics, "paceline.llama_index.clients(limiter)")

    def acquire(self, num_tokens: int = 0) -> None:
        """Parks the thread until a call may go; ``num_tokens``, if any, is what it takes of ``tokens``."""
        self._door.enter(**_tokens(num_tokens))

    async def async_acquire(self, num_tokens: int = 0) -> None:
        """Waits until a call may go; ``num_tokens``, if any, is what it takes of ``tokens``."""
        await self._door.aenter(**_tokens(num_tokens))


def clients(limiter: Limiter, resource: str | None = None, *, provider: str = "openai") -> dict[str, Any]:
    """Returns the keyword arguments that put a limited HTTP client under ``llama_index.llms.openai.OpenAI``.

    Model and tokens are read off each request, every retry is a call of its own, and a call is settled with what the
    response or the end of the stream says. The resource is found by the model's name unless ``resource`` says it;
    ``provider`` is for addresses that Paceline does not know.
    """
    from paceline import _clients

    sync, asynchronous = _clients.openai(limiter, resource, provider)
    return {"http_client": sync, "async_http_client": asynchronous}


def _tokens(amount: int) -> dict[str, int]:
    return {"tokens": amount} if amount > 0 else {}
