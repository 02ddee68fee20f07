"""Rows of train and of the transfer set whose text recurs in what the models are judged or tuned on."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compress.data.labels import subset
from compress.data.types import Splits


def normalised(text: str) -> str:
    """The text as overlap is judged on it: case folded, runs of whitespace as one blank."""
    return " ".join(text.casefold().split())


def _judged(splits: Splits) -> dict[str, frozenset[str]]:
    """By set name, the normalised texts of validation and of each test set; empty texts are nobody's copy."""
    sets = {"validation": splits.validation, **{f"test set {name}": rows for name, rows in splits.tests.items()}}
    return {name: frozenset(map(normalised, rows.texts)) - {""} for name, rows in sets.items()}


def _recurs(texts: Iterable[str], known: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([text in known for text in texts], dtype=np.bool_)


def without_overlap(splits: Splits, *, drop: bool) -> Splits:
    """Splits with a note for each set that train or unlabeled rows recur in; with `drop` those rows are left out."""
    judged = _judged(splits)
    everywhere: frozenset[str] = frozenset().union(*judged.values())
    train, unlabeled = splits.train, splits.unlabeled
    notes = list(splits.notes)
    kept = {}
    for name, texts in (("train", train.texts), ("unlabeled", unlabeled)):
        plain = [normalised(text) for text in texts]
        counts = {where: int(_recurs(plain, known).sum()) for where, known in judged.items()}
        notes += [_note(name, count, where, drop=drop) for where, count in counts.items() if count]
        kept[name] = ~_recurs(plain, everywhere)
    if drop:
        train = subset(train, kept["train"])
        unlabeled = tuple(text for text, keep in zip(unlabeled, kept["unlabeled"], strict=True) if keep)
    return replace(splits, train=train, unlabeled=unlabeled, notes=tuple(notes))


def _note(name: str, count: int, where: str, *, drop: bool) -> str:
    rows = f"{count:,} {name} {'row' if count == 1 else 'rows'}"
    verb = "recurs" if count == 1 else "recur"
    was = "was" if count == 1 else "were"
    done = f"and {was} dropped" if drop else f"and {was} kept; data.drop_overlap: true leaves them out"
    return f"{rows} {verb} in {where} (case and whitespace aside) {done}"
