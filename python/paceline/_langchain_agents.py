"""Agent middleware of LangChain that asks for each model call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool

from paceline import _provider
from paceline._call import Call
from paceline._offer import offered, settle

if TYPE_CHECKING:
    from paceline._limiter import Limiter


class Middleware(AgentMiddleware):
    """Lets each model call of an agent wait in line: ``create_agent(model, tools, middleware=[Middleware(limiter)])``.

    What a call asks for is estimated from its messages, its tools and ``max_tokens``, and settled with the usage of the
    model's answer; works for any chat model. Retries inside the model's SDK are not seen from here: ``clients`` and
    ``limit`` see them, and a model limited by those adopts what the middleware was granted for its first attempt.

    The resource is found by the model's name (``openai/gpt-4o`` or ``gpt-4o``) unless ``resource`` says it. Streams of
    ``ChatOpenAI`` carry no usage unless it has ``stream_usage=True``, and are charged as reserved without it. Raises what
    ``Limiter.acquire`` raises.
    """

    def __init__(self, limiter: Limiter, resource: str | None = None) -> None:
        super().__init__()
        self._limiter = limiter
        self._resource = resource

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Calls the model when it may go (LangChain's hook for synchronous agents)."""
        body, provider = body_of(request)
        call = Call.begin(self._limiter, self._resource, body, provider=provider)
        with offered(call):
            response = handler(request)
        settle(call, usage_of(response))
        return response

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Calls the model when it may go (LangChain's hook for asynchronous agents)."""
        body, provider = body_of(request)
        call = await Call.abegin(self._limiter, self._resource, body, provider=provider)
        with offered(call):
            response = await handler(request)
        settle(call, usage_of(response))
        return response


def body_of(request: Any) -> tuple[dict[str, Any], str | None]:
    """Writes an agent's model request in the words of the OpenAI API, which is what is estimated from, and names the
    provider."""
    described = _described(request.model, request.model_settings)
    messages = [*([request.system_message] if request.system_message else []), *request.messages]
    body: dict[str, Any] = {"model": described.get("ls_model_name"), "messages": convert_to_openai_messages(messages)}
    tools = [tool if isinstance(tool, dict) else convert_to_openai_tool(tool) for tool in request.tools]
    if tools:
        body["tools"] = tools
    schemas = list(_schemas(request.response_format))
    if schemas:
        body["response_format"] = {"type": "json_schema", "json_schema": schemas}
    most = described.get("ls_max_tokens") or getattr(request.model, "max_tokens", None)
    if isinstance(most, int):
        body["max_tokens"] = most
    return body, _provider.named(described.get("ls_provider"))


def _described(model: Any, settings: dict[str, Any]) -> dict[str, Any]:
    # The chat models' own description for tracing is the one place where all name model, provider and bound alike.
    describe = getattr(model, "_get_ls_params", None)
    if describe is not None:
        return dict(describe(**settings))
    return {"ls_model_name": getattr(model, "model_name", None) or getattr(model, "model", None)}


def _schemas(response_format: Any) -> Iterator[Any]:
    specs = getattr(response_format, "schema_specs", None) or [getattr(response_format, "schema_spec", None)]
    for spec in specs:
        if (schema := getattr(spec, "json_schema", None)) is not None:
            yield schema


def usage_of(response: Any) -> dict[str, int] | None:
    """Reads the usage off what a handler returned, ``None`` if it says none."""
    response = getattr(response, "model_response", response)
    messages: Sequence[Any] = getattr(response, "result", None) or [response]
    for message in messages:
        if isinstance(message, AIMessage) and message.usage_metadata:
            usage = message.usage_metadata
            prompt = usage.get("input_token_details") or {}
            answer = usage.get("output_token_details") or {}
            found = {
                "input_tokens": usage["input_tokens"],
                "cached_input_tokens": prompt.get("cache_read"),
                "cache_write_tokens": prompt.get("cache_creation"),
                "output_tokens": usage["output_tokens"],
                "reasoning_tokens": answer.get("reasoning"),
            }
            return {name: amount for name, amount in found.items() if isinstance(amount, int)}
    return None
