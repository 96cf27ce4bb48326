"""Under LiteLLM: a callback that lets each call of a deployment wait in line."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from paceline import _failure, _provider
from paceline._call import Call, resource_of
from paceline._errors import ConfigError, PacelineError

if TYPE_CHECKING:
    from paceline._limiter import Limiter

__all__ = ["Limits", "client_session"]

_log = logging.getLogger("paceline")

_BODY = (
    "messages", "input", "prompt", "tools", "functions", "response_format", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "n", "stream", "instructions", "system", "contents", "query", "documents",
)  # fmt: skip
_TAKES_MAX_RETRIES = frozenset({"acompletion", "atext_completion", "aembedding"})


class Limits(CustomLogger):
    """Limits the asynchronous calls of LiteLLM's SDK, Router and proxy: ``litellm.callbacks = [Limits(limiter)]``.

    A call waits when its deployment is chosen. It is settled with the usage of its response, or of its stream's end,
    for which streams are asked to include it; what LiteLLM's cache answers is given back;
    the Router's retries and fallbacks are calls of their own; a refusal of the provider that names a time pauses the
    resource for everyone. The resource is what the deployment's ``model_info`` says as ``paceline``, else the one that
    the limiter's configuration has for the model (``openai/gpt-4o`` or ``gpt-4o``).

    LiteLLM runs the hooks of synchronous calls only to log them. ``Router.completion`` raises ``ConfigError``; for
    ``litellm.completion`` there is one warning, and its use is charged without waiting. For both, limit the HTTP client:
    ``litellm.client_session = paceline.litellm.client_session(limiter)``. Retries below the hooks could not wait either:
    those of the SDK, and ``num_retries`` of a plain call, are turned off; use ``Router(num_retries=...)``.

    A refusal of Paceline is raised as it is, and is not retried by LiteLLM.
    """

    def __init__(self, limiter: Limiter, resource: str | None = None) -> None:
        # LiteLLM imports this within its first call, after the hook: granted, that call would leave most of a second late.
        import openai.resources  # noqa: F401

        super().__init__()
        self._limiter = limiter
        self._resource = resource
        self._open: weakref.WeakValueDictionary[str, Call] = weakref.WeakValueDictionary()
        self._warned: set[str] = set()

    # Asynchronous calls, in the order in which LiteLLM runs the hooks.

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Waits until the call may go."""
        kind = getattr(call_type, "value", call_type)
        if kwargs.get("mock_response") is not None or kind == "responses" or _leads_to_another(kind, kwargs):
            return None
        changed = self._without_repeats(kwargs, kind)
        if kwargs.get("stream") and not kwargs.get("stream_options") and _says_usage(kwargs):
            changed["stream_options"] = {"include_usage": True}
        try:
            call = await Call.abegin(
                self._limiter, self._resource_of(kwargs), body_of(kwargs), provider=_provider.named(_model(kwargs)[1])
            )
        except PacelineError as refusal:
            raise _final(refusal, None if _by_router(kwargs) else kwargs.get("litellm_logging_obj")) from None
        self._remember(kwargs, call)
        return changed

    def _without_repeats(self, kwargs: Mapping[str, Any], kind: Any) -> dict[str, Any]:
        changed = dict(kwargs)
        if _by_router(kwargs) or kind not in _TAKES_MAX_RETRIES:
            return changed
        if kwargs.get("max_retries") or kwargs.get("num_retries") or litellm.num_retries:
            self._warn("retries", _BEHIND)
        return {**changed, "max_retries": 0, "num_retries": 0}

    async def async_post_call_success_deployment_hook(self, request_data: Any, response: Any, call_type: Any) -> None:
        """Settles a call that is answered."""
        self._settle(request_data, response)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """Ends a call that failed, and pauses its resource if the provider said so."""
        call = self._take(request_data)
        if call is not None:
            _failure.end(call, exception)

    async def async_post_call_streaming_deployment_hook(
        self, request_data: Any, response_chunk: Any, call_type: Any
    ) -> None:
        """Settles a stream with its last chunk, if the provider sent a usage."""
        hidden = getattr(response_chunk, "_hidden_params", None) or {}
        usage: Any = getattr(response_chunk, "usage", None) or hidden.get("usage")
        if getattr(usage, "total_tokens", 0):
            self._settle(request_data, {"usage": usage.model_dump()})

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Settles a stream with what LiteLLM counted, and gives back a call that the cache answered."""
        if kwargs.get("cache_hit"):
            call = self._take(kwargs)
            if call is not None:
                call.never_left()
            return
        self._settle(kwargs, kwargs.get("async_complete_streaming_response") or response_obj)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Ends a stream that broke."""
        call = self._take(kwargs)
        if call is not None:
            _failure.end(call, kwargs.get("exception") or RuntimeError())

    # Synchronous calls, which LiteLLM does not let wait.

    def pre_call_check(self, deployment: dict[str, Any]) -> None:
        """Refuses the Router's synchronous calls, which could not wait."""
        if not _sync_is_limited((deployment.get("litellm_params") or {}).get("model")):
            raise _final(ConfigError(_SYNC_ROUTER))

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        """Tells of calls that go to the provider without having waited."""
        if self not in litellm.callbacks:
            self._warn("callbacks", _NOT_A_CALLBACK)
        elif not str(kwargs.get("call_type", "")).startswith("a"):
            if not _sync_is_limited(model, kwargs.get("custom_llm_provider")):
                self._warn("sync", _SYNC)

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Charges a synchronous call, which has not waited."""
        if not _sync_is_limited(kwargs.get("model"), kwargs.get("custom_llm_provider")):
            self._record(kwargs, kwargs.get("complete_streaming_response") or response_obj)

    # What is open.

    def _resource_of(self, kwargs: Mapping[str, Any]) -> str | None:
        params = kwargs.get("litellm_params") or {}
        info = kwargs.get("model_info") or params.get("model_info") or {}
        named = self._resource or info.get("paceline")
        return str(named) if named is not None else None

    def _remember(self, kwargs: Mapping[str, Any], call: Call) -> None:
        name, logging_object = kwargs.get("litellm_call_id"), kwargs.get("litellm_logging_obj")
        if name is None or logging_object is None:
            call.close()
            return
        earlier = self._open.get(name)
        if earlier is not None:
            earlier.close()
        self._open[name] = call
        # LiteLLM tells of neither a cancelled call nor an abandoned stream. The task does, and what keeps the
        # call is LiteLLM's own object for it: a call that is collected is closed.
        logging_object.paceline_call = call
        if not kwargs.get("stream") and (task := asyncio.current_task()) is not None:
            task.add_done_callback(partial(_closed, weakref.ref(call)))

    def _take(self, kwargs: Mapping[str, Any]) -> Call | None:
        return self._open.pop(str(kwargs.get("litellm_call_id")), None)

    def _settle(self, kwargs: Mapping[str, Any], response: Any) -> None:
        call = self._take(kwargs)
        if call is not None:
            # Of a stream whose provider says nothing LiteLLM says 0.
            says = getattr(getattr(response, "usage", None), "total_tokens", 1)
            call.settle(response if says else None)

    def _record(self, kwargs: Mapping[str, Any], usage: Any) -> None:
        try:
            model, provider = _model(kwargs)
            resource = self._resource_of(kwargs) or resource_of(self._limiter, model, _provider.named(provider))
            self._limiter.record(resource, usage, requests=1)
        except PacelineError as error:
            self._warn("record", f"a call of LiteLLM that did not wait could not be charged: {error}")

    def _warn(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _log.warning(message)


def client_session(limiter: Limiter, resource: str | None = None) -> Any:
    """Returns a limited ``httpx.Client`` for ``litellm.client_session``, under the synchronous calls of LiteLLM.

    LiteLLM uses it for OpenAI and for everything that it calls through OpenAI's SDK. Set it before the first call. The
    resource is found by the model's name unless ``resource`` says it. LiteLLM makes a ``RateLimitError`` of a refusal.
    """
    from paceline import _clients

    session = _clients.for_litellm(limiter, resource)
    _sessions.add(session)
    return session


_sessions: weakref.WeakSet[Any] = weakref.WeakSet()

_NOT_A_CALLBACK = (
    "paceline.litellm.Limits is not in litellm.callbacks, and limits nothing: LiteLLM lets only those wait before a call. "
    "Set litellm.callbacks = [Limits(limiter)]"
)
_SYNC = (
    "LiteLLM does not let synchronous calls wait: this call is charged, not limited. Use litellm.acompletion(), or limit "
    "the HTTP client: litellm.client_session = paceline.litellm.client_session(limiter)"
)
_SYNC_ROUTER = (
    "LiteLLM does not let synchronous calls of a Router wait. Use Router.acompletion(), or limit the HTTP client: "
    "litellm.client_session = paceline.litellm.client_session(limiter)"
)
_BEHIND = (
    "num_retries and max_retries of a LiteLLM call would repeat it behind the hooks, unlimited: they are turned off. Use "
    "litellm.Router(num_retries=...), whose retries wait in line"
)


def _closed(call: weakref.ref[Call], task: asyncio.Task[Any]) -> None:
    found = call()
    if found is not None and task.cancelled():
        found.close()


def body_of(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Picks from a call's arguments what the provider gets to read."""
    return {name: kwargs[name] for name in _BODY if kwargs.get(name) is not None} | {"model": _model(kwargs)[0]}


def _model(kwargs: Mapping[str, Any]) -> tuple[str, str | None]:
    model = str(kwargs.get("model") or "")
    provider = kwargs.get("custom_llm_provider")
    head, _, rest = model.partition("/")
    if rest and provider is None and head in litellm.provider_list:
        return rest, head
    return model, provider


def _says_usage(kwargs: Mapping[str, Any]) -> bool:
    model, provider = _model(kwargs)
    supported = litellm.get_supported_openai_params(model, provider or "openai") or []
    return "stream_options" in supported


def _leads_to_another(kind: Any, kwargs: Mapping[str, Any]) -> bool:
    """Tells whether LiteLLM makes calls of this one that come by the hook themselves."""
    if kwargs.get("fallbacks") and not _by_router(kwargs):
        return True
    if kind not in ("anthropic_messages", "aresponses"):
        return False
    configs = litellm.utils.ProviderConfigManager
    try:
        model, provider, _, _ = litellm.get_llm_provider(str(kwargs.get("model")), kwargs.get("custom_llm_provider"))
        if kind == "aresponses":
            return configs.get_provider_responses_api_config(provider=provider, model=model) is None
        return configs.get_provider_anthropic_messages_config(model, litellm.types.utils.LlmProviders(provider)) is None
    except Exception:  # a model that LiteLLM does not know: it will say so itself
        return False


def _by_router(kwargs: Mapping[str, Any]) -> bool:
    return any("model_group" in (kwargs.get(name) or {}) for name in ("metadata", "litellm_metadata"))


def _sync_is_limited(model: Any, provider: str | None = None) -> bool:
    if litellm.client_session not in _sessions:
        return False
    provider = provider or _model({"model": model})[1] or "openai"
    return provider in ("openai", "azure") or provider in litellm.constants.openai_compatible_providers


def _final(refusal: PacelineError, logging_object: Any = None) -> PacelineError:
    """Keeps LiteLLM from repeating a call that was refused here."""
    refusal.num_retries = 0  # type: ignore[attr-defined]
    if logging_object is not None:
        # What `num_retries` of a plain call repeats is the provider's call without its hooks. LiteLLM tells the logging
        # object before it begins with that, and goes no further if that raises.
        tell = logging_object.async_failure_handler

        async def tell_and_stop(*args: Any, **kwargs: Any) -> None:
            await tell(*args, **kwargs)
            raise refusal

        logging_object.async_failure_handler = tell_and_stop
    return refusal
