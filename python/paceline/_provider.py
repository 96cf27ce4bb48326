"""What the frameworks call the providers, and what configurations call them."""

from __future__ import annotations

_NAMES = {
    "azure_openai": "azure",
    "azure_ai": "azure",
    "anthropic-chat": "anthropic",
    "google": "gemini",
    "google_genai": "gemini",
    "google-gla": "gemini",
    "google_gla": "gemini",
    "google_vertexai": "vertex",
    "google-vertex": "vertex",
    "google-cloud": "vertex",
    "vertex_ai": "vertex",
    "amazon_bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "mistralai": "mistral",
    "cohere_chat": "cohere",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
}


def named(name: str | None) -> str | None:
    """Returns a provider's name in the words of configurations; a name that is not known stays as it is."""
    return _NAMES.get(name, name) if name else None
