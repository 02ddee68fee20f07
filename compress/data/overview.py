"""What the data are before anything is trained: Splits and token lengths -> Overview. Pure; no text is kept in it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from compress.data.lengths import TokenFacts, TokenLengths, percentile, token_facts
from compress.data.oddities import Oddity, oddities_of
from compress.data.recurring import Recurring, recurring
from compress.data.types import Splits
from eval.contract import LabelledTexts

SCHEMA_VERSION = 1  # of data.json
_NOTABLE_PAIRS = 5  # to each side of chance
_NOTABLE_PHI = 0.05


@dataclass(frozen=True)
class Spread:
    """The values of a regression target. deviation: standard deviation over the rows."""

    least: float
    mean: float
    most: float
    deviation: float


@dataclass(frozen=True)
class Characters:
    """Lengths of a split's texts in characters."""

    p50: int
    p95: int
    longest: int


@dataclass(frozen=True)
class SplitFacts:
    """One split. name: train, validation, unlabeled or test:NAME.

    positives: rows by label (classes are labels too), empty where there are none. no_label: rows without any, of a
    multi_label task. spreads: by target, of a regression task.
    """

    name: str
    rows: int
    no_label: int | None
    positives: dict[str, int]
    spreads: dict[str, Spread]
    characters: Characters
    oddities: tuple[Oddity, ...]


@dataclass(frozen=True)
class Pair:
    """Two labels that hold together more, or less, than chance would have it. rare is the rarer one.

    rows: where both hold. share: of the rows of `rare` where `common` holds too. phi: their correlation, in [-1, 1].
    """

    rare: str
    common: str
    rows: int
    share: float
    phi: float


@dataclass(frozen=True)
class Together:
    """Labels that hold together in train. rows: (L, L) counts, a label's own on the diagonal.

    notable: the five pairs of highest phi, then the five of lowest, from 0.05 to either side.
    """

    rows: tuple[tuple[int, ...], ...]
    notable: tuple[Pair, ...]


@dataclass(frozen=True)
class Overview:
    """All of it. Splits without rows are left out. recurring: of each split with itself and with every other."""

    name: str
    task: str
    labels: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    together: Together | None
    tokens: tuple[TokenFacts, ...]
    recurring: tuple[Recurring, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, as data.json holds it. Shares are in [0, 1]; row numbers count from 1 within a split."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def overview(name: str, task: str, splits: Splits, tokens: Sequence[TokenLengths]) -> Overview:
    """The overview of a recipe's rows. name: the recipe's; task: its task's type; tokens: by each tokenizer."""
    texts = texts_by_split(splits)
    labelled = _labelled(splits)
    return Overview(
        name=name,
        task=task,
        labels=splits.train.labels,
        splits=tuple(_split_facts(split, rows, labelled.get(split), task) for split, rows in texts.items()),
        together=labels_together(splits.train) if task == "multi_label" and len(splits.train.labels) > 1 else None,
        tokens=tuple(token_facts(found) for found in tokens),
        recurring=recurring(texts, labelled),
        notes=splits.notes,
    )


def texts_by_split(splits: Splits) -> dict[str, tuple[str, ...]]:
    """train, validation, unlabeled, test:NAME in this order; those without rows are left out."""
    named = {
        "train": splits.train.texts,
        "validation": splits.validation.texts,
        "unlabeled": splits.unlabeled,
        **{f"test:{name}": rows.texts for name, rows in splits.tests.items()},
    }
    return {name: texts for name, texts in named.items() if texts}


def labels_together(rows: LabelledTexts) -> Together:
    """Which labels hold together. phi is Pearson's correlation of two 0/1 columns; undefined where one is constant."""
    targets = rows.targets.astype(
        np.float64
    )  # sums of int8 would overflow; a product of floats is fast, and exact here
    both = (targets.T @ targets).astype(np.int64)
    pairs = [
        pair
        for one in range(len(rows.labels))
        for other in range(one)
        if (pair := _pair(one, other, both, rows)) is not None
    ]
    often = sorted((pair for pair in pairs if pair.phi >= _NOTABLE_PHI), key=lambda pair: -pair.phi)
    seldom = sorted((pair for pair in pairs if pair.phi <= -_NOTABLE_PHI), key=lambda pair: pair.phi)
    counts = tuple(tuple(int(count) for count in line) for line in both)
    return Together(counts, (*often[:_NOTABLE_PAIRS], *seldom[:_NOTABLE_PAIRS]))


def _pair(one: int, other: int, both: Any, rows: LabelledTexts) -> Pair | None:
    rare, common = sorted((one, other), key=lambda label: int(both[label, label]))
    a, b, together, n = int(both[rare, rare]), int(both[common, common]), int(both[rare, common]), len(rows)
    spread = a * (n - a) * b * (n - b)
    if not spread:
        return None
    phi = (n * together - a * b) / spread**0.5
    return Pair(rows.labels[rare], rows.labels[common], together, together / a, phi)


def _labelled(splits: Splits) -> dict[str, LabelledTexts]:
    tests = {f"test:{name}": rows for name, rows in splits.tests.items()}
    return {"train": splits.train, "validation": splits.validation, **tests}


def _split_facts(name: str, texts: tuple[str, ...], rows: LabelledTexts | None, task: str) -> SplitFacts:
    characters = [len(text) for text in texts]
    classes = rows is not None and task != "regression"
    return SplitFacts(
        name=name,
        rows=len(texts),
        no_label=int((rows.targets.sum(axis=1) == 0).sum()) if rows is not None and task == "multi_label" else None,
        positives=_positives(rows) if rows is not None and classes else {},
        spreads=_spreads(rows) if rows is not None and not classes else {},
        characters=Characters(percentile(characters, 50), percentile(characters, 95), max(characters)),
        oddities=oddities_of(texts),
    )


def _positives(rows: LabelledTexts) -> dict[str, int]:
    return dict(zip(rows.labels, map(int, rows.targets.sum(axis=0, dtype=np.int64)), strict=True))


def _spreads(rows: LabelledTexts) -> dict[str, Spread]:
    columns = rows.targets.astype(np.float64).T
    return {
        label: Spread(float(values.min()), float(values.mean()), float(values.max()), float(values.std()))
        for label, values in zip(rows.labels, columns, strict=True)
    }
