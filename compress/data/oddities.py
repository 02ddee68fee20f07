"""Rows that are hardly text: empty, broken, or far longer than the rest. What they say is not looked at."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compress.data.recurring import FIRST

HUGE_WORD = 200  # characters without a blank
LONG_FACTOR, LONG_LEAST = 10, 1000  # very long: so many times the 95th percentile, and at least so many characters

_HUGE = re.compile(rf"\S{{{HUGE_WORD + 1}}}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")  # not tab, line ends (U+0085 is one)


@dataclass(frozen=True)
class Oddity:
    """Rows of one kind in a split. first: the numbers of the first few, from 1."""

    what: str
    rows: int
    first: tuple[int, ...]


def oddities_of(texts: Sequence[str]) -> tuple[Oddity, ...]:
    """Each kind that occurs in the texts. A row may be of several."""
    longest = _long_from([len(text) for text in texts])
    kinds: dict[str, Callable[[str], object]] = {
        "empty": lambda text: not text or text.isspace(),
        f"over {HUGE_WORD} characters without a blank": _HUGE.search,
        "control characters": _CONTROL.search,
        "replacement characters (U+FFFD: once read in a wrong encoding)": lambda text: "\ufffd" in text,
        f"over {longest:,} characters ({LONG_FACTOR} times the 95th percentile)": lambda text: len(text) > longest,
    }
    return tuple(found for what, is_odd in kinds.items() if (found := _oddity(what, is_odd, texts)).rows)


def _long_from(characters: Sequence[int]) -> int:
    """Above how many characters a text is very long among these."""
    if not characters:
        return LONG_LEAST
    return max(LONG_LEAST, LONG_FACTOR * int(np.percentile(characters, 95, method="inverted_cdf")))


def _oddity(what: str, is_odd: Callable[[str], object], texts: Sequence[str]) -> Oddity:
    rows = [number for number, text in enumerate(texts, start=1) if is_odd(text)]
    return Oddity(what, len(rows), tuple(rows[:FIRST]))
