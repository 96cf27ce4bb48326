"""HTTP clients with a limiter under them, for frameworks that take clients and make the SDK's themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paceline._errors import Busy
from paceline._exchange import Meter
from paceline._surface import raised
from paceline._wrap import _metered

if TYPE_CHECKING:
    from paceline._limiter import Limiter


def openai(limiter: Limiter, resource: str | None = None, provider: str | None = "openai") -> tuple[Any, Any]:
    """Returns a sync and an async client of the library that the installed ``openai`` takes, with its own defaults."""
    import openai

    return (
        limited(openai.DefaultHttpxClient(), limiter, resource, provider),
        limited(openai.DefaultAsyncHttpxClient(), limiter, resource, provider),
    )


def for_litellm(limiter: Limiter, resource: str | None = None, provider: str | None = "openai") -> Any:
    """Returns a sync client of ``httpx``, which follows redirects as LiteLLM's own does."""
    import httpx

    meter = Meter(limiter, resource, provider=provider, surface=_as_refused)
    return _metered(httpx.Client(follow_redirects=True), meter)


def _as_refused(error: Exception, request: Any) -> Any:
    # LiteLLM makes an error of its own of whatever is raised, by this number.
    if isinstance(error, Busy):
        error.status_code = 429  # type: ignore[attr-defined]
    return raised(error, request)


def limited(client: Any, limiter: Limiter, resource: str | None, provider: str | None) -> Any:
    """Returns a copy of an HTTP client that asks before each call; ``provider`` where the address does not tell."""
    return _metered(client, Meter(limiter, resource, provider=provider))
