"""More texts for a transfer set, made of its own without a network (Tang et al. 2019, section 3.2). Pure and seeded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from compress.recipe.learning import Augment

_LONGEST_RUN = 5  # words
_WORD = re.compile(r"\S+\s*")


def augmented_texts(texts: Sequence[str], config: Augment, seed: int, mask: str | None) -> tuple[str, ...]:
    """config.copies changed copies of each text, without those that are no new text: those of `texts`, or made twice.

    mask: the token that takes a masked word's place; None drops the word. The same arguments give the same texts, on
    any machine.
    """
    random = np.random.default_rng((seed, len(texts)))
    changes = _Changes.of(config, mask)
    split = [_WORD.findall(text) for text in texts]
    known, made = set(texts), []
    for _ in range(config.copies):
        for words in split:
            copy = _changed(words, changes, random)
            if copy and copy not in known:
                known.add(copy)
                made.append(copy)
    return tuple(made)


@dataclass(frozen=True)
class _Changes:
    """Chances of a copy's being a run, and of a word's being dropped, or else masked."""

    run: float
    dropped: float
    masked: float
    mask: str

    @classmethod
    def of(cls, config: Augment, mask: str | None) -> Self:
        """With a mask token, or where there is none with words dropped in its place."""
        masked = (1 - config.delete) * config.mask
        if mask is None:
            return cls(config.ngrams, config.delete + masked, 0.0, "")
        return cls(config.ngrams, config.delete, masked, mask)


def _changed(words: list[str], changes: _Changes, random: np.random.Generator) -> str:
    """A run of the words, or all of them with some masked or left out; each word ends with the blanks after it."""
    if not words:
        return ""
    if random.random() < changes.run:
        length = min(int(random.integers(1, _LONGEST_RUN + 1)), len(words))
        start = int(random.integers(0, len(words) - length + 1))
        return "".join(words[start : start + length]).strip()
    kept = []
    for word, fate in zip(words, random.random(len(words)).tolist(), strict=True):
        if fate >= changes.dropped + changes.masked:
            kept.append(word)
        elif fate >= changes.dropped:
            kept.append(changes.mask + word[len(word.rstrip()) :])
    return "".join(kept).strip()
