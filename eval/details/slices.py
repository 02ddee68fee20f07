"""Quality on parts of a test set: by length, capitals, spelling, and by the columns a recipe asks for. Pure NumPy."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from eval.contract import Interval, LabelledTexts, Targets
from eval.details.spelling import disguised, shouting
from eval.intervals.proportions import effective_trials, f1_interval, jaccard, mean_interval, overlaps
from eval.intervals.resample import Draws
from eval.metrics import f1, micro, per_label

MOST_VALUES = 20
_DIGITS = 5


@dataclass(frozen=True)
class Slice:
    """Quality on the rows that share something. name: what (length, capitals, spelling, or the column's name).

    value: which. positives: labels that hold, in all these rows. Macro F1 is the mean over the labels that have a
    positive here, so two slices may differ in which labels count. Undefined without any positive.
    """

    name: str
    value: str
    rows: int
    positives: int
    macro_f1: Interval
    micro_f1: Interval


@dataclass(frozen=True)
class RowSet:
    """Rows of a test set that share something: `held` is (N,). name, value: as in Slice."""

    name: str
    value: str
    held: NDArray[np.bool_]


def row_sets(test_set: LabelledTexts) -> tuple[RowSet, ...]:
    """The slices of a test set that hold any row. They depend on its texts and columns alone: one call serves all.

    length: quarters by characters (fewer where many texts are of one length). capitals: shouting, that is half of ten
    letters or more; spelling: disguised, both as in `eval.details.spelling`. Then each column, its 20 most frequent
    values and all others together.
    """
    texts = test_set.texts
    built_in = {
        "capitals": _yes_no(texts, shouting, "shouting", "other"),
        "spelling": _yes_no(texts, disguised, "disguised", "plain"),
    }
    kinds = [("length", _lengths(texts)), *built_in.items()]
    kinds += [(name, _values(cells)) for name, cells in test_set.columns.items()]
    return tuple(RowSet(name, value, held) for name, sets in kinds for value, held in sets.items() if held.any())


def score_slices(targets: Targets, decisions: Targets, sets: Sequence[RowSet]) -> tuple[Slice, ...]:
    """F1 of one candidate on each of the sets. targets, decisions: (N, L).

    Intervals are those of `eval.intervals.proportions`: of each label's F1 from its own counts, of macro F1 from these
    and how the labels go together, of micro F1 from how it varies. What a bootstrap says of the last two for a whole
    test set, the delta method says here, in which each row has a linear pull on a metric (Efron and Tibshirani 1993,
    chapter 21): a candidate has dozens of slices.
    """
    truth, decided = targets.astype(bool), decisions.astype(bool)
    return tuple(_score(truth[one.held], decided[one.held], one) for one in sets)


def _score(truth: NDArray[np.bool_], decided: NDArray[np.bool_], one: RowSet) -> Slice:
    hits, either = (truth & decided).astype(np.float64), (truth | decided).astype(np.float64)
    by_label = per_label(f1, truth, decided)
    parts = [_label_interval(value, trials) for value, trials in zip(by_label, either.sum(axis=0), strict=True)]
    macro_f1 = mean_interval(parts, _pulls(hits, either), overlaps(truth | decided))
    micro_f1 = _micro_interval(micro(f1, truth, decided), hits, either)
    return Slice(one.name, one.value, len(truth), int(truth.sum()), _rounded(macro_f1), _rounded(micro_f1))


def _label_interval(value: float | None, trials: float) -> Interval:
    return Interval(None, None, None) if value is None else f1_interval(value, trials)


def _micro_interval(value: float | None, hits: NDArray[np.float64], either: NDArray[np.float64]) -> Interval:
    """Decisions on one row are not independent: as of fewer trials, where rows pull more than single decisions would.

    hits, either: (n, L).
    """
    if value is None:
        return Interval(None, None, None)
    pulls = _pulls(hits.sum(axis=1, keepdims=True), either.sum(axis=1, keepdims=True))
    trials = effective_trials(jaccard(value), pulls[:, 0])
    return f1_interval(value, min(trials, either.sum()) if trials < inf else int(either.any(axis=1).sum()))


def _pulls(hits: NDArray[np.float64], either: NDArray[np.float64]) -> Draws:
    """What each row does to J = hits / either, times the root of n, so that their variance is that of J. (n, L)."""
    all_hits, all_either = hits.sum(axis=0), np.maximum(either.sum(axis=0), 1)
    return np.asarray((hits - all_hits / all_either * either) / all_either * len(hits) ** 0.5)


def _lengths(texts: Sequence[str]) -> Mapping[str, NDArray[np.bool_]]:
    """Quarters: up to the first quartile, above it up to the second, and so on; by their shortest and longest text."""
    lengths = np.array([len(text) for text in texts])
    ends = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75, 1.0), method="inverted_cdf"))
    part = np.searchsorted(ends, lengths)
    sets = {}
    for place in range(len(ends)):
        held = part == place
        low, high = int(lengths[held].min()), int(lengths[held].max())
        sets[f"{low}–{high} characters" if low < high else f"{low} characters"] = held
    return sets


def _yes_no(texts: Sequence[str], rule: Callable[[str], bool], yes: str, no: str) -> Mapping[str, NDArray[np.bool_]]:
    held = np.fromiter((rule(text) for text in texts), dtype=np.bool_, count=len(texts))
    return {yes: held, no: ~held}


def _values(cells: Sequence[str]) -> Mapping[str, NDArray[np.bool_]]:
    """The most frequent values first, of equally frequent ones by the alphabet; "" where the cell is blank."""
    stripped = np.array([cell.strip() for cell in cells], dtype=object)
    ranked = sorted(Counter(stripped).items(), key=lambda item: (-item[1], item[0]))
    sets = {value: stripped == value for value, _ in ranked[:MOST_VALUES]}
    rest = ranked[MOST_VALUES:]
    if rest:
        sets[f"other ({len(rest)} values)"] = np.isin(stripped, [value for value, _ in rest])
    return sets


def _rounded(found: Interval) -> Interval:
    value, low, high = (None if it is None else round(it, _DIGITS) for it in (found.value, found.low, found.high))
    return Interval(value, low, high)
