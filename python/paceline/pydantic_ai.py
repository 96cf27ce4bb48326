"""Under pydantic-ai: a model that waits in line for each request, and its concurrency limiter."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai import RunContext
from pydantic_ai.concurrency import AbstractConcurrencyLimiter
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings, merge_model_settings
from pydantic_ai.usage import RequestUsage

from paceline import _provider
from paceline._call import Call
from paceline._offer import offered, settle

if TYPE_CHECKING:
    from paceline._limiter import Limiter
    from paceline._native import Permit

__all__ = ["ConcurrencyLimiter", "LimitedModel"]


class LimitedModel(WrapperModel):
    """A model whose requests wait in line: ``Agent(LimitedModel("openai:gpt-4o", limiter))``.

    What a request asks for is estimated from its messages, its tools and ``max_tokens``, and settled with the usage of
    the answer or of the stream's end. A refusal of the provider that names a time pauses the resource for everyone.
    Retries inside the model's SDK are not seen from here; ``paceline.wrap`` under the provider's client sees them, and
    adopts what was granted here for the first attempt.

    The resource is found by the model's name (``openai/gpt-4o`` or ``gpt-4o``) unless ``resource`` says it. Providers
    count ``count_tokens`` apart from requests: it is limited by the resource ``counting``, and not at all without one.
    Wrap the members of a ``FallbackModel``, rather than the whole. Raises what ``Limiter.acquire`` raises.
    """

    def __init__(
        self,
        wrapped: Model | KnownModelName,
        limiter: Limiter,
        resource: str | None = None,
        *,
        counting: str | None = None,
    ) -> None:
        super().__init__(wrapped)
        self._limiter = limiter
        self._resource = resource
        self._counting = counting

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Makes a request when it may go."""
        call = await self._begin(messages, model_settings, model_request_parameters)
        with offered(call):
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        settle(call, usage_of(response.usage))
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Makes a request when it may go, and settles it when its stream ends."""
        call = await self._begin(messages, model_settings, model_request_parameters)
        async with AsyncExitStack() as stack:
            with offered(call):
                stream = await stack.enter_async_context(
                    self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
                )
            try:
                yield stream
            except BaseException as error:
                call.close(error)
                raise
        # A stream that was left early has told only a part of what the provider counts.
        settle(call, usage_of(stream.usage) if stream.get().state == "complete" else None)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Counts tokens at the provider, when a request may go on the resource ``counting``."""
        if self._counting is None:
            return await self.wrapped.count_tokens(messages, model_settings, model_request_parameters)
        async with self._limiter.acquire(self._counting, requests=1) as permit:
            usage = await self.wrapped.count_tokens(messages, model_settings, model_request_parameters)
            permit.settle(requests=1)
            return usage

    async def _begin(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> Call:
        body = body_of(self.model_name, messages, merge_model_settings(self.settings, settings), parameters)
        return await Call.abegin(self._limiter, self._resource, body, provider=_provider.named(self.system))


class ConcurrencyLimiter(AbstractConcurrencyLimiter):
    """A ``limiter=`` for ``ConcurrencyLimitedModel`` and for agents, shared by every process on the limiter's store.

    pydantic-ai tells it when a call begins and ends, and not what it asks for. So each call takes what ``metrics`` says,
    else what the resource has learnt, and keeps it spent; calls in flight are limited exactly. For tokens see
    ``LimitedModel``. ``resource`` may be left out where the limiter has but one. Raises what ``Limiter.acquire`` raises.

    >>> import asyncio, paceline
    >>> slots = ConcurrencyLimiter(paceline.Limiter("llama", concurrency=4, private=True))
    >>> asyncio.run(slots.acquire("model:llama")); slots.release()
    """

    def __init__(self, limiter: Limiter, resource: str | None = None, **metrics: int) -> None:
        self._limiter = limiter
        self._resource = resource
        self._metrics: dict[str, Any] = dict(metrics)
        self._open: deque[Permit] = deque()
        self._lock = threading.Lock()

    async def acquire(self, source: str) -> None:
        """Waits until a call may go; ``source`` is only pydantic-ai's name for the caller."""
        permit = await self._limiter.acquire(self._resource, **self._metrics)
        permit.keep_alive()  # a run of an agent may take longer than any lease
        with self._lock:
            self._open.append(permit)

    def release(self) -> None:
        """Ends a call. Which one makes no difference, since all took the same."""
        with self._lock:
            permit = self._open.popleft()
        permit.settle(requests=1)


def body_of(
    model: str, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> dict[str, Any]:
    """Writes a request in the words of the OpenAI API, which is what is estimated from."""
    body: dict[str, Any] = {"model": model, "messages": [_message(message) for message in messages]}
    tools = [*parameters.function_tools, *parameters.output_tools]
    if tools:
        functions = [(tool.name, tool.description, tool.parameters_json_schema) for tool in tools]
        body["tools"] = [
            {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
            for name, description, schema in functions
        ]
    if parameters.output_object is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": parameters.output_object.json_schema}
    most = (settings or {}).get("max_tokens")
    if most is not None:
        body["max_tokens"] = most
    return body


def _message(message: ModelMessage) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if instructions := getattr(message, "instructions", None):
        content.append(_text(instructions))
    for part in message.parts:
        found = getattr(part, "content", None)
        for item in found if isinstance(found, (list, tuple)) else [found]:
            content.extend(_content(item))
        if (arguments := getattr(part, "args", None)) is not None:
            content.append(_text(f"{getattr(part, 'tool_name', '')} {arguments}"))
    return {"role": "assistant" if message.kind == "response" else "user", "content": content}


def _content(item: Any) -> list[dict[str, Any]]:
    kind = getattr(item, "kind", None)
    if item is None or kind == "cache-point":
        return []
    if kind == "image-url":
        return [{"type": "image_url", "image_url": {"url": item.url}}]
    if kind == "binary" and getattr(item, "is_image", False):
        return [{"type": "image_url", "image_url": {"url": item.data_uri}}]
    if kind == "binary":
        return [{"type": "file", "file": {"file_data": item.data_uri}}]
    text = getattr(item, "content", item)
    return [_text(text if isinstance(text, str) else repr(text))]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def usage_of(usage: RequestUsage) -> dict[str, int] | None:
    """Reads a usage of pydantic-ai, ``None`` if it says nothing."""
    if not usage.has_values():
        return None
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.details.get("reasoning_tokens", 0),
    }
