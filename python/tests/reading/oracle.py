"""OpenAI's own tokenizer, with the vocabularies that the package litellm ships, so that no network is asked."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@lru_cache
def encoding(name: str) -> Any:
    """Returns tiktoken's encoding of this name."""
    spec = find_spec("litellm")
    assert spec is not None and spec.origin is not None
    shipped = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(shipped)
    try:
        import tiktoken

        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def tokens(name: str, text: str) -> int:
    """Counts with tiktoken; special tokens are plain text."""
    return len(encoding(name).encode_ordinary(text))
