"""Texts that all have about the same number of tokens, cut and joined from real ones: how time grows with length."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compress.artifact import Artifact
from compress.errors import DataError
from compress.tokenizer import open_tokenizer

_TEXTS = 64  # of each length
_UNCUT = 2**30
Count = Callable[[str], int]


@dataclass(frozen=True)
class LengthTexts:
    """Texts by their length in tokens, and what a reader must know of them."""

    texts: dict[int, tuple[str, ...]]
    notes: tuple[str, ...]


def length_texts(
    artifacts: Mapping[str, Artifact], teacher: str | None, texts: Sequence[str], lengths: Sequence[int], seed: int
) -> LengthTexts:
    """The same texts for all candidates, so that their times compare.

    Tokens are counted by the teacher's tokenizer, special tokens included; by the first candidate's that has one where
    there is no such teacher; words where there is none at all. Lengths that no model reads whole are left out. Raises
    DataError where all texts are blank.
    """
    if not lengths:
        return LengthTexts({}, ())
    readers = {name: artifact for name, artifact in artifacts.items() if (artifact.path / "tokenizer.json").is_file()}
    name = teacher if teacher in readers else next(iter(readers), None)
    count: Count = (lambda text: len(text.split())) if name is None else _counter(readers[name])
    limits = {it: _reads(artifact) for it, artifact in readers.items()}
    longest = max(limits.values(), default=_UNCUT)
    kept = sorted(tokens for tokens in lengths if tokens <= longest)
    unit = "words" if name is None else f"tokens of {name}'s tokenizer, special ones included"
    notes = [f"times by length: on the same texts, joined and cut; lengths are {unit}"]
    if len(kept) < len(lengths):
        notes.append(f"times by length: none above {longest} tokens, which is the most that a model here reads")
    short = [f"{it} ({limit})" for it, limit in limits.items() if kept and limit < kept[-1]]
    if short:
        notes.append(f"times by length: {', '.join(short)} cut longer texts at so many tokens")
    rng = np.random.default_rng(seed)
    return LengthTexts({tokens: texts_of_length(texts, tokens, count, rng) for tokens in kept}, tuple(notes))


def texts_of_length(texts: Sequence[str], tokens: int, count: Count, rng: np.random.Generator) -> tuple[str, ...]:
    """64 texts of `tokens` tokens, or as near below as a cut between characters comes. count: tokens of a text.

    Each begins with a random text and goes on with others. Raises DataError where all texts are blank.
    """
    pool = [text.strip() for text in texts if text.strip()]
    if not pool:
        raise DataError("every text is blank, so no text of a given length can be made of them; give others")

    def made() -> str:
        text = ""
        for _ in range(tokens):  # one that is not blank has a token at least
            text = f"{text} {pool[int(rng.integers(len(pool)))]}".strip()
            if count(text) >= tokens:
                break
        fitting = bisect_right(range(1, len(text) + 1), tokens, key=lambda size: count(text[:size]))
        return text[: max(1, fitting)]

    return tuple(made() for _ in range(_TEXTS))


def _counter(artifact: Artifact) -> Count:
    """Counts what nothing cuts."""
    tokenizer = open_tokenizer(artifact.path, _UNCUT)
    return lambda text: len(tokenizer.encode([text], threads=1)[0])


def _reads(artifact: Artifact) -> int:
    """The most tokens of a text that reach the model."""
    manifest = artifact.manifest
    return _UNCUT if manifest.long_text.how == "windows" else manifest.token_limit
