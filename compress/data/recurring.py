"""Texts that come more than once, in one split or in two. Two texts are the same as overlap is judged everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from compress.data.overlap import normalised
from eval.contract import LabelledTexts

FIRST = 5  # rows named of each kind


@dataclass(frozen=True)
class Recurring:
    """Rows of `split` whose text also stands in `other`; where both are the same split, whose text stood in it before.

    other_labels: how many carry other labels than the first row of that text there; None where one has no labels.
    first: the numbers of the first few, from 1.
    """

    split: str
    other: str
    rows: int
    other_labels: int | None
    first: tuple[int, ...]


def recurring(texts: Mapping[str, Sequence[str]], labelled: Mapping[str, LabelledTexts]) -> tuple[Recurring, ...]:
    """One for each ordered pair of splits, and for each split with itself. Empty texts are nobody's copy.

    texts: of every split; labelled: those that have labels.
    """
    plain = {name: [normalised(text) for text in rows] for name, rows in texts.items()}
    places = {name: _first_places(rows) for name, rows in plain.items()}
    return tuple(
        _found(one, other, plain[one], places[other], labelled.get(one), labelled.get(other))
        for one, other in product(plain, repeat=2)
    )


def _first_places(plain: Sequence[str]) -> dict[str, int]:
    """The first row of every text, from 0."""
    places: dict[str, int] = {}
    for row, text in enumerate(plain):
        if text:
            places.setdefault(text, row)
    return places


def _found(
    split: str,
    other: str,
    plain: Sequence[str],
    places: Mapping[str, int],
    own: LabelledTexts | None,
    others: LabelledTexts | None,
) -> Recurring:
    there = [(row, place) for row, text in enumerate(plain) if (place := places.get(text)) is not None]
    if split == other:
        there = [(row, place) for row, place in there if row != place]
    different = None
    if own is not None and others is not None:
        different = sum(bool((own.targets[row] != others.targets[place]).any()) for row, place in there)
    return Recurring(split, other, len(there), different, tuple(row + 1 for row, _ in there[:FIRST]))
