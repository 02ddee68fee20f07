"""How differently two tokenizers read the same texts, the second of which lacks pieces of the first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compress.pieces import text_runs
from compress.tokenizer import Tokenizer, bound_pool

_RUN_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Resplit:
    """tokens: that the first makes of the texts, special ones left out. lost: of these, what the second does not make.

    tokens_after: that the second makes of them. texts: how many. touched: those with a token that is lost.
    """

    tokens: int
    lost: int
    tokens_after: int
    texts: int
    touched: int


def resplit(before: Tokenizer, after: Tokenizer, texts: Sequence[str]) -> Resplit:
    """Compares what the tokenizers make of whole texts: a token is lost unless the same piece stands in its place."""
    tokens = lost = tokens_after = touched = count = 0
    for run in text_runs(texts, _RUN_CHARACTERS):
        for first, second in zip(_read(before, run), _read(after, run), strict=True):
            gone = _lost(first, second)
            tokens, tokens_after = tokens + len(first), tokens_after + len(second)
            lost, touched, count = lost + gone, touched + bool(gone), count + 1
    return Resplit(tokens, lost, tokens_after, count, touched)


def _read(tokenizer: Tokenizer, texts: list[str]) -> list[Any]:
    """Encodings without special tokens, of whole texts."""
    bound_pool()
    inner = tokenizer.inner
    limit = inner.truncation
    inner.no_truncation()
    try:
        found: list[Any] = inner.encode_batch(texts, add_special_tokens=False)
    finally:
        if limit is not None:
            inner.enable_truncation(**limit)
    return found


def _lost(first: Any, second: Any) -> int:
    """How many tokens of the first encoding are not in the second. Pieces of one letter's bytes share their place."""
    pieces, others = first.tokens, second.tokens
    if pieces == others:
        return 0
    missing = Counter(zip(pieces, first.offsets, strict=True)) - Counter(zip(others, second.offsets, strict=True))
    return missing.total()
