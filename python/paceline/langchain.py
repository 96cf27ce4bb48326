"""Under LangChain and LangGraph: limited HTTP clients, a rate limiter for requests, and agent middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.rate_limiters import BaseRateLimiter

from paceline._door import Door
from paceline._errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from paceline._langchain_agents import Middleware as Middleware
    from paceline._limiter import Limiter

    Model = TypeVar("Model", bound=BaseChatModel)

__all__ = ["Middleware", "RateLimiter", "clients", "limit"]


def clients(
    limiter: Limiter, resource: str | None = None, *, provider: str = "openai", stream_usage: bool | None = True
) -> dict[str, Any]:
    """Returns the keyword arguments that put limited HTTP clients under ``ChatOpenAI`` and its relatives.

    ``ChatOpenAI(model="gpt-4o", **clients(limiter))`` reads model and tokens off each request, counts every retry as a
    call of its own, and settles with what the response or the end of the stream says. ``stream_usage`` is kept on, since
    langchain-openai turns it off where it is given clients; ``None`` leaves it out, for ``OpenAIEmbeddings``.
    The resource is found by the model's name (``openai/gpt-4o``, or ``gpt-4o``) unless ``resource`` says it; ``provider`` is
    for addresses that Paceline does not know. For ``ChatAnthropic``, which takes no clients, see ``limit``.
    """
    from paceline import _clients

    sync, asynchronous = _clients.openai(limiter, resource, provider)
    found: dict[str, Any] = {"http_client": sync, "http_async_client": asynchronous}
    if stream_usage is not None:
        found["stream_usage"] = stream_usage
    return found


def limit(model: Model, limiter: Limiter, resource: str | None = None) -> Model:
    """Limits the calls of a chat model that exists: ``limit(ChatAnthropic(model="claude-sonnet-5"), limiter)``.

    The SDK clients inside it are wrapped as ``paceline.wrap`` does, keeping their settings, and the model itself is
    returned. Works for ``ChatAnthropic``, and for ``ChatOpenAI`` and its relatives, whose ``stream_usage`` is turned on
    unless it was set. Raises ``ConfigError`` for other models: those are limited by ``Middleware`` or ``RateLimiter``.
    """
    from paceline import wrap

    if hasattr(model, "root_async_client"):
        _limit_openai(model, limiter, resource)
        return model
    if type(model).__module__.split(".")[0] == "langchain_anthropic":
        for name in ("_client", "_async_client"):
            model.__dict__[name] = wrap(getattr(model, name), limiter, resource)
        return model
    raise ConfigError(
        f"{type(model).__name__} holds no SDK client that Paceline knows: "
        "limit its agents with paceline.langchain.Middleware(limiter), or its calls with "
        "rate_limiter=paceline.langchain.RateLimiter(limiter, resource)"
    )


def _limit_openai(model: Any, limiter: Limiter, resource: str | None) -> None:
    from paceline import wrap

    for root, name in (("root_client", "client"), ("root_async_client", "async_client")):
        client = getattr(model, root)
        if client is not None:
            wrapped = wrap(client, limiter, resource)
            setattr(model, root, wrapped)
            setattr(model, name, wrapped.chat.completions)
    if model.stream_usage is None:
        model.stream_usage = True


class RateLimiter(BaseRateLimiter):
    """A ``rate_limiter=`` for any chat model: each of its calls waits in line, as one request.

    LangChain tells it neither the model, nor the prompt, nor the end of a call. So each call counts as what ``metrics``
    says (``input_tokens=1_500``), else as what the resource has learnt, and nothing of it comes back; retries of the SDK
    are not seen, and calls in flight cannot be limited by this door. Exact are ``clients`` and ``limit``; use one of
    them or this, or a call counts twice.

    ``resource`` may be left out where the limiter has but one. Raises what ``Limiter.acquire`` raises.

    >>> import paceline
    >>> limiter = paceline.Limiter("gpt-4o", rpm=2, private=True)
    >>> door = RateLimiter(limiter)
    >>> door.acquire(), door.acquire(), door.acquire(blocking=False)
    (True, True, False)
    """

    def __init__(self, limiter: Limiter, resource: str | None = None, **metrics: int) -> None:
        self._door = Door(limiter, resource, metrics, "paceline.langchain.clients(limiter)")

    def acquire(self, *, blocking: bool = True) -> bool:
        """Parks the thread until a call may go; with ``blocking=False`` returns at once whether it may."""
        if not blocking:
            return self._door.try_enter()
        self._door.enter()
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Waits until a call may go; with ``blocking=False`` returns at once whether it may."""
        if not blocking:
            return await self._door.atry_enter()
        await self._door.aenter()
        return True


def __getattr__(name: str) -> Any:
    # Agents are a package of their own, which users of chat models need not have.
    if name == "Middleware":
        from paceline._langchain_agents import Middleware

        return Middleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
