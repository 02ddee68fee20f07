"""Quality of predicted numbers: each metric by target and as the mean over targets, with bootstrap intervals.

The bootstrap draws rows with replacement, each alike. A resample is a vector of N counts (as in
`eval.intervals.resample`), and every metric is computed from counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, Interval, LabelledTexts
from eval.errors import InvalidInputError
from eval.intervals.resample import Draws, interval, mean_defined, ratio
from eval.metrics import Metric, macro
from eval.regression import Doubles, mae, r2, rmse, spearman

METRICS: Mapping[str, Metric] = {"rmse": rmse, "mae": mae, "r2": r2, "spearman": spearman}
_CHUNK_CELLS = 300_000  # weights held at once: small enough to stay in the cache


@dataclass(frozen=True)
class TargetQuality:
    """One target of one test set. mean, deviation: of its true values there; a deviation is what always giving the
    mean would have as its RMSE.
    """

    rmse: Interval
    mae: Interval
    r2: Interval
    spearman: Interval
    mean: float
    deviation: float


@dataclass(frozen=True)
class RegressionQuality:
    """All of one test set. Macro: mean over the targets for which the metric is defined, each in its own unit.

    Intervals are 95 % (percentile bootstrap over rows). targets: by name.
    """

    rows: int
    macro_rmse: Interval
    macro_mae: Interval
    macro_r2: Interval
    macro_spearman: Interval
    targets: dict[str, TargetQuality]


def score_values(values: Floats, test_set: LabelledTexts, *, resamples: int, seed: int) -> RegressionQuality:
    """The pure part: predicted values (N, L) and true ones -> quality with intervals.

    Raises InvalidInputError if shapes differ or there are no rows.
    """
    truth = test_set.targets
    draws = bootstrap_values(truth, values, resamples=resamples, seed=seed)
    macros = {
        f"macro_{name}": interval(macro(metric, truth, values), mean_defined(draws[name]))
        for name, metric in METRICS.items()
    }
    targets = {
        label: _target_quality(truth[:, place], values[:, place], {name: it[:, place] for name, it in draws.items()})
        for place, label in enumerate(test_set.labels)
    }
    return RegressionQuality(rows=len(test_set), **macros, targets=targets)


def _target_quality(truth: NDArray[Any], values: Floats, draws: Mapping[str, Draws]) -> TargetQuality:
    measured = {name: interval(metric(truth, values), draws[name]) for name, metric in METRICS.items()}
    exact = truth.astype(np.float64)
    return TargetQuality(**measured, mean=float(exact.mean()), deviation=float(exact.std()))


def bootstrap_values(truth: NDArray[Any], values: Floats, *, resamples: int, seed: int) -> dict[str, Draws]:
    """Each of METRICS in `resamples` resamples of the rows: name -> (R, L); NaN where one leaves it undefined.

    truth, values: (N, L). The same number of rows and seed draw the same resamples. Raises InvalidInputError if shapes
    differ, there are no rows, or resamples < 1.
    """
    if truth.ndim != 2 or truth.shape != values.shape:
        raise InvalidInputError(f"shapes {truth.shape} and {values.shape} are not one (N, L)")
    if len(truth) == 0 or resamples < 1:
        raise InvalidInputError(f"{len(truth)} rows in {resamples} resamples: at least one of each is needed")
    columns = [_Column.of(truth[:, place], values[:, place]) for place in range(truth.shape[1])]
    parts = [[column.score(weights) for column in columns] for weights in _weights(len(truth), resamples, seed)]
    return {
        name: np.concatenate([np.column_stack([scored[name] for scored in part]) for part in parts]) for name in METRICS
    }


def _weights(rows: int, resamples: int, seed: int) -> Iterator[Doubles]:
    """Chunks (r, N) of how often each resample draws each row."""
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // rows)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, rows, size=(count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


@dataclass(frozen=True)
class _Column:
    """One target's metrics as functions of row weights. errors, centred: (N,) errors, and truth less its mean."""

    errors: Doubles
    centred: Doubles
    truth: "_Order"
    values: "_Order"

    @classmethod
    def of(cls, truth: NDArray[Any], values: Floats) -> "_Column":
        exact = truth.astype(np.float64)
        return cls(values.astype(np.float64) - exact, exact - exact.mean(), _Order.of(truth), _Order.of(values))

    def score(self, weights: Doubles) -> dict[str, Draws]:
        """weights: (r, N) counts -> each metric (r,); NaN where undefined."""
        rows = weights.sum(axis=1)
        squared = weights @ self.errors**2
        distances = weights @ self.centred**2 - (weights @ self.centred) ** 2 / rows
        drawn = self.truth.sizes(weights)
        truth, values = self.truth.ranks(drawn), self.values.ranks(self.values.sizes(weights))
        return {
            "rmse": np.sqrt(squared / rows),
            "mae": weights @ np.abs(self.errors) / rows,
            # drawn all alike, the truth's distances are a rounding away from 0, and not 0
            "r2": 1 - ratio(squared, np.where((drawn > 0).sum(axis=1) > 1, distances, 0.0)),
            "spearman": _correlation(truth, values, weights),
        }


@dataclass(frozen=True)
class _Order:
    """Rows in rising order of a value. rows: (N,); starts: (G,) where each group of equal values begins among them.

    group: (N,) which group each row (in its old order) is of.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> "_Order":
        _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
        return cls(np.argsort(group, kind="stable"), np.cumsum(sizes) - sizes, group)

    def sizes(self, weights: Doubles) -> Doubles:
        """(r, G): how many of each group were drawn."""
        return np.asarray(np.add.reduceat(weights.take(self.rows, axis=1), self.starts, axis=1), dtype=np.float64)

    def ranks(self, sizes: Doubles) -> Doubles:
        """(r, N): the rank of each row's value among those drawn, less the mean rank; of no matter for other rows."""
        places = np.cumsum(sizes, axis=1)
        middle = places - (sizes - 1) / 2 - (places[:, -1:] + 1) / 2
        return np.asarray(middle[:, self.group], dtype=np.float64)


def _correlation(left: Doubles, right: Doubles, weights: Doubles) -> Draws:
    """(r,): weighted correlation of centred (r, N) values; NaN where one does not vary."""
    weighted = weights * left
    spread = np.einsum("rn,rn->r", weighted, left) * np.einsum("rn,rn,rn->r", weights, right, right)
    return np.clip(ratio(np.einsum("rn,rn->r", weighted, right), np.sqrt(spread)), -1, 1)
