"""Bootstrap draws of every metric, by label and averaged. Pure NumPy, vectorised over resamples.

Method: bootstrap over rows (Efron and Tibshirani 1993, chapter 13), stratified so that no rare label drops out. A row's
stratum is its rarest positive label ("none" for a row without). Each resample draws how many rows come from each
stratum as a plain bootstrap would (multinomial), but at least one; then that many rows within it, with replacement.
Where a label still ends up without a positive (all of its positives lie among rows of rarer labels, and none was
drawn), that resample leaves it out of the macro mean, as `eval.metrics.macro` does.

What is made of the draws of a classifier stands in `eval.intervals.scores` and `eval.intervals.differences`: how much a
metric varies, and with which other it goes together. Their percentiles are no interval to trust at few positives (at 10
they hold the truth of a ROC-AUC of .987 in half of the samples), and shrink to a point at a perfect score.

Drawing rows is drawing weights: a resample is a vector of N counts, and every metric is computed from counts, without
copying a text or a score.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, Interval, Targets
from eval.errors import InvalidInputError

Draws: TypeAlias = NDArray[np.float64]
LABEL_METRICS = ("f1", "precision", "recall", "roc_auc", "average_precision")
AVERAGES = tuple(f"{average}_{metric}" for metric in LABEL_METRICS for average in ("macro", "micro"))
_CHUNK_CELLS = 400_000  # weights held at once; small enough to stay near the cache, and bounded for any N


@dataclass(frozen=True)
class BootstrapDraws:
    """What each of R resamples gave; NaN (inside here only) where a resample left a metric undefined.

    averages: each of AVERAGES -> (R,). labels: each of LABEL_METRICS -> (R, L). The same rows and seed draw the same
    resamples, so draws of two candidates can be subtracted resample by resample.
    """

    averages: Mapping[str, Draws]
    labels: Mapping[str, Draws]


@dataclass(frozen=True)
class Judged:
    """A candidate's answers on N rows, both (N, L), and what resamples of those rows make of them."""

    decisions: Targets
    probabilities: Floats
    draws: BootstrapDraws


def bootstrap(
    targets: Targets, decisions: Targets, probabilities: Floats, *, resamples: int, seed: int
) -> BootstrapDraws:
    """Every metric by label and averaged, in `resamples` stratified resamples of the rows.

    targets, decisions, probabilities: (N, L). Memory does not grow with the number of resamples: beside the input about
    60 bytes a cell of N x L (350 MB for a million rows of 6 labels), half of it the sorted rankings, and a few MB of
    weights. Raises InvalidInputError if shapes differ, there are no rows, or resamples < 1.
    """
    if targets.ndim != 2 or not targets.shape == decisions.shape == probabilities.shape:
        raise InvalidInputError(
            f"shapes {targets.shape}, {decisions.shape} and {probabilities.shape} are not one (N, L)"
        )
    if len(targets) == 0 or resamples < 1:
        raise InvalidInputError(f"{len(targets)} rows in {resamples} resamples: at least one of each is needed")
    scorer = _Scorer(targets, decisions, probabilities)
    scored = [scorer.score(weights) for weights in _weights(targets, resamples, np.random.default_rng(seed))]
    averages = {name: np.concatenate([part.averages[name] for part in scored]) for name in AVERAGES}
    labels = {name: np.concatenate([part.labels[name] for part in scored]) for name in LABEL_METRICS}
    return BootstrapDraws(averages, labels)


def interval(value: float | None, draws: Draws, outside: float = 0.025) -> Interval:
    """The value with percentiles of its draws, that share of them outside on each side, and always the value inside.

    (A percentile interval can miss its own value: resamples of a ranking repeat rows, hence ties.) Undefined if the
    value is; the bounds come from the resamples in which the metric is defined.
    """
    defined = draws[~np.isnan(draws)]
    if value is None or defined.size == 0:
        return Interval(None, None, None) if value is None else Interval(value, value, value)
    low, high = (float(bound) for bound in np.quantile(defined, (outside, 1 - outside)))
    return Interval(value, min(low, value), max(high, value))


def strata(targets: Targets) -> NDArray[np.int64]:
    """The stratum of each row, (N,): the column of its rarest positive label, or L where it has none."""
    labels = targets.shape[1]
    rarest_first = np.argsort(targets.sum(axis=0, dtype=np.int64), kind="stable")
    first_hit = targets[:, rarest_first].astype(bool).argmax(axis=1) if labels else np.zeros(len(targets), np.int64)
    return np.asarray(np.where(targets.any(axis=1), rarest_first[first_hit], labels), dtype=np.int64)


def _weights(targets: Targets, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """Chunks (r, N) of how often each resample draws each row; floats, so that products run on BLAS."""
    row_strata = strata(targets)
    members = [np.flatnonzero(row_strata == stratum) for stratum in np.unique(row_strata)]
    chunk = max(1, _CHUNK_CELLS // len(targets))
    # float32 counts integers exactly up to 2 ** 24; the micro ranking sums N x L of them
    dtype = np.float32 if targets.size < 2**24 else np.float64
    shares = np.array([len(rows) for rows in members]) / len(targets)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        weights = np.empty((count, len(targets)), dtype=dtype)
        sizes = np.maximum(rng.multinomial(len(targets), shares, size=count), 1)
        for place, rows in enumerate(members):
            weights[:, rows] = _draw(len(rows), sizes[:, place], rng)
        yield weights


def _draw(rows: int, sizes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(r, rows): how often each row came up when resample i drew sizes[i] of them. sizes: (r,)."""
    drawn = rng.integers(0, rows, size=int(sizes.sum()))
    drawn += np.repeat(np.arange(len(sizes)) * rows, sizes)
    return np.bincount(drawn, minlength=len(sizes) * rows).reshape(len(sizes), rows)


class _Scorer:
    """The metrics of one candidate as functions of row weights; what does not depend on them is worked out once."""

    def __init__(self, targets: Targets, decisions: Targets, probabilities: Floats) -> None:
        self._labels = targets.shape[1]
        self._indicators = np.hstack([targets & decisions, decisions, targets]).astype(np.float32)  # (N, 3L)
        columns = range(self._labels)
        self._rankings = [_Ranking.of(targets[:, i : i + 1], probabilities[:, i : i + 1]) for i in columns]
        self._pooled = _Ranking.of(targets, probabilities)

    def score(self, weights: NDArray[Any]) -> BootstrapDraws:
        """weights: (r, N) counts -> r draws of everything."""
        counts = (weights @ self._indicators).astype(np.float64).reshape(len(weights), 3, self._labels)
        by_label = _from_counts(counts)
        pooled = _from_counts(counts.sum(axis=2, keepdims=True))
        ranked = [ranking.score(weights) for ranking in self._rankings]
        by_label["roc_auc"] = np.column_stack([roc_auc for roc_auc, _ in ranked])
        by_label["average_precision"] = np.column_stack([precision for _, precision in ranked])
        averages = {f"macro_{name}": mean_defined(draws) for name, draws in by_label.items()}
        averages |= {f"micro_{name}": draws[:, 0] for name, draws in pooled.items()}
        averages["micro_roc_auc"], averages["micro_average_precision"] = self._pooled.score(weights)
        return BootstrapDraws(averages, by_label)


def _from_counts(counts: Draws) -> dict[str, Draws]:
    """counts: (r, 3, L) hits, decided, positives -> f1, precision, recall, each (r, L).

    NaN without positives, and a precision also where nothing is decided positive.
    """
    hits, decided, positives = counts[:, 0], counts[:, 1], counts[:, 2]
    some = positives > 0
    return {
        "f1": np.where(some, ratio(2 * hits, decided + positives), np.nan),
        "precision": np.where(some, ratio(hits, decided), np.nan),
        "recall": ratio(hits, positives),
    }


def ratio(numerator: Draws, denominator: Draws) -> Draws:
    """NaN where the denominator is 0, without a warning."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def mean_defined(draws: Draws) -> Draws:
    """(r, L) -> (r,): mean over the labels that are not NaN."""
    defined = ~np.isnan(draws)
    return ratio(np.where(defined, draws, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


@dataclass(frozen=True)
class _Ranking:
    """One sort of the scores, highest first, cut where groups of equal scores that hold a positive begin and end.

    rows: (M,) the row of each sorted score. cuts: (K,) places where segments start, 0 first; where positives are many,
    all places. begins, ends: (G,) which cut each such group starts and stops at. positive_rows: (P,) rows of the
    positives in that order; firsts: (G,) where each group's positives start among them.
    """

    rows: NDArray[np.int64]
    cuts: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    positive_rows: NDArray[np.int64]
    firsts: NDArray[np.int64]

    @classmethod
    def of(cls, targets: Targets, scores: Floats) -> "_Ranking":
        """targets, scores: (N, k); k columns are pooled into one ranking of N x k."""
        order = np.argsort(-scores, axis=None, kind="stable")
        values, truth = scores.ravel()[order], targets.ravel()[order].astype(bool)
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        stops = np.append(starts[1:], len(values))
        places = np.flatnonzero(truth)
        groups, firsts = np.unique(np.searchsorted(starts, places, side="right") - 1, return_index=True)
        begins, ends = starts[groups], stops[groups]
        cuts = np.unique(np.concatenate([[0], begins, ends]))
        if 4 * len(cuts) > len(values):  # summing many short segments takes longer than having more of them
            cuts = np.arange(len(values) + 1)
        rows = order // targets.shape[1]
        return cls(
            rows=rows,
            cuts=cuts[cuts < len(values)],
            begins=np.searchsorted(cuts, begins),
            ends=np.searchsorted(cuts, ends),
            positive_rows=rows[places],
            firsts=firsts,
        )

    def score(self, weights: NDArray[Any]) -> tuple[Draws, Draws]:
        """weights: (r, N) counts -> ROC-AUC and average precision of each resample, (r,); NaN where undefined."""
        if self.firsts.size == 0:
            return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
        segments = _summed(weights.take(self.rows, axis=1), self.cuts)
        above = np.zeros((len(weights), segments.shape[1] + 1), dtype=weights.dtype)
        np.cumsum(segments, axis=1, out=above[:, 1:])
        gained = _summed(weights.take(self.positive_rows, axis=1), self.firsts)
        hits = np.cumsum(gained, axis=1)
        positives, total = hits[:, -1].astype(np.float64), above[:, -1].astype(np.float64)
        seen = above[:, self.ends]
        twice_above = above[:, self.begins] + gained + seen - 2 * hits  # negatives above, ties counted half, doubled
        lost = np.einsum("rg,rg->r", gained, twice_above, dtype=np.float64) / 2
        negatives = total - positives
        precision = np.einsum("rg,rg->r", gained, hits / np.maximum(seen, 1), dtype=np.float64)
        return ratio(positives * negatives - lost, positives * negatives), ratio(precision, positives)


def _summed(weights: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """(r, N) -> (r, K): sums of the segments that begin at starts; starts[0] is 0."""
    if starts.size == weights.shape[1]:  # each is one column
        return weights
    return np.asarray(np.add.reduceat(weights, starts, axis=1))
