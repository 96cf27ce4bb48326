"""Which HTTP requests are calls of a model, and of which."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Mapping

# What these paths do is counted by the model's limits. Anything else passes: lists, files, batches and jobs have limits of
# their own, and so has the counting of tokens.
_CALLS = re.compile(
    r"/(?:chat/completions|completions|responses|embeddings|messages|moderations|complete|embed|rerank|chat|ocr"
    r"|images/(?:generations|edits|variations)|audio/(?:speech|transcriptions|translations)|videos)$"
)
_FORMS = re.compile(r"/(?:images/(?:edits|variations)|audio/(?:transcriptions|translations)|videos)$")
_IN_PATH = re.compile(
    r"/models/([^/:]+):(?:generateContent|streamGenerateContent|embedContent|batchEmbedContents|predict|rawPredict"
    r"|streamRawPredict)$"
)
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
_FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]+)\r\n')

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "vertex",
    "api.mistral.ai": "mistral",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.groq.com": "groq",
    "api.x.ai": "xai",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.fireworks.ai": "fireworks",
    "openrouter.ai": "openrouter",
    "api.cerebras.ai": "cerebras",
}


@dataclass(frozen=True)
class Asked:
    """A call of a model, as its request says."""

    model: str
    body: Mapping[str, Any] = field(default_factory=dict)
    """The request's JSON, or of a form the model alone."""


def may_be_call(method: str, path: str) -> bool:
    """Tells whether a request may be a call; whether it is one, its body says."""
    return method.upper() == "POST" and bool(_CALLS.search(path) or _IN_PATH.search(path))


def may_be_form(path: str) -> bool:
    """Tells whether the model may have to be looked for in a form."""
    return bool(_FORMS.search(path))


def asked(path: str, content: bytes) -> Asked | None:
    """Reads a call off its body, and its path where the model is named there; ``None`` where there is no model."""
    named = _IN_PATH.search(path) or _DEPLOYMENT.search(path)
    try:
        body = json.loads(content)
    except ValueError:
        body = _form(content)
    if not isinstance(body, dict):
        body = {}
    model = body.get("model") or (named and named[1])
    return Asked(model, body) if isinstance(model, str) and model else None


def provider_of(host: str) -> str | None:
    """Names the provider that answers at a host, in the words of configurations."""
    known = _HOSTS.get(host)
    if known is None:
        _, _, parent = host.partition(".")
        known = _HOSTS.get(parent)
    if known is None and host.startswith("bedrock"):
        known = "bedrock"
    if known is None and host.endswith("-aiplatform.googleapis.com"):
        known = "vertex"
    return known


def _form(content: bytes) -> dict[str, str]:
    found = _FORM_MODEL.search(content)
    return {"model": found[1].decode(errors="replace").strip()} if found else {}
