"""Compares how many tokens a second ``paceline.count`` and tiktoken count of 2 KB texts, with the same vocabulary.

Run as ``python benches/python/count.py``. Both count the same texts in turns in one run, so that whatever else the machine
does slows both; the medians over the rounds and their ratio are printed. tiktoken counts as it does fastest: the length
of ``encode_ordinary``. It needs tiktoken, and its vocabularies: in its own cache, or as the package litellm ships them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import paceline

MODELS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}
BYTES = 2_048
ROUNDS = 31
MARK = 1.6


def texts() -> dict[str, list[str]]:
    """Returns pieces of 2 KB of prose, program text and data, and of prose in many languages."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "python" / "tests" / "reading"))
    from texts import CODE, DATA, PROSE

    english = "\n\n".join(PROSE[name] for name in ("english", "technical english"))
    sources = {
        "english": english * 10,
        "code and data": "\n".join([*CODE.values(), *DATA.values()]) * 3,
        "20 languages": "\n\n".join(PROSE.values()) * 2,
    }
    return {name: pieces(text) for name, text in sources.items()}


def pieces(text: str) -> list[str]:
    data = text.encode()
    return [data[at : at + BYTES].decode(errors="ignore") for at in range(0, len(data) - BYTES, BYTES)]


def oracle(vocabulary: str) -> Callable[[str], int]:
    """Returns tiktoken's counting."""
    litellm = find_spec("litellm")
    if "TIKTOKEN_CACHE_DIR" not in os.environ and litellm is not None and litellm.origin is not None:
        os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers")
    import tiktoken

    encode = tiktoken.get_encoding(vocabulary).encode_ordinary
    return lambda text: len(encode(text))


def rate(count: Callable[[str], int], given: list[str], tokens: int) -> float:
    start = time.perf_counter()
    for text in given:
        count(text)
    return tokens / (time.perf_counter() - start)


def main() -> int:
    """Prints a table; the exit code tells whether the mark is met everywhere."""
    met = True
    print(
        f"{'vocabulary':<12} {'texts':<14} {'tokens/s':>12} {'tiktoken':>12} {'ratio':>6}   (median of {ROUNDS} rounds)"
    )
    for vocabulary, model in MODELS.items():
        theirs = oracle(vocabulary)

        def ours(text: str, model: str = model) -> int:
            return paceline.count(text, model)

        for name, given in texts().items():
            tokens = sum(theirs(text) for text in given)
            if tokens != sum(ours(text) for text in given):
                sys.exit(f"{vocabulary}, {name}: the counts differ")
            rounds = [(rate(ours, given, tokens), rate(theirs, given, tokens)) for _ in range(ROUNDS)]
            mine, floor = median(one for one, _ in rounds), median(one for _, one in rounds)
            ratio = median(one / other for one, other in rounds)
            met = met and ratio >= MARK
            print(f"{vocabulary:<12} {name:<14} {mine:>12,.0f} {floor:>12,.0f} {ratio:>5.2f}x")
    print(f"mark: {MARK}x, {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
