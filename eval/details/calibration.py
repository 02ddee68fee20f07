"""Whether probabilities mean what they say: expected calibration error, reliability bins, Brier score. Pure NumPy.

Each label is judged on the probability given for it, all rows (for one class of several as one against the rest:
Kull et al. 2019); "pooled" takes all N x L cells as one list. Two binnings:

equal mass    bins hold equally many cells (Nguyen and O'Connor 2015). This is the one reported: where most
              probabilities are near 0, bins of equal width leave all but the first nearly empty.
equal width   [0, 1] cut into equal parts (Naeini et al. 2015; Guo et al. 2017), for comparison with published figures.

The error is a mean of absolute differences, so it is above 0 even of a perfect model, the more so the fewer the rows.
A label without positives is defined: that none of its rows is positive is an observation, and the error is what the
model claims on average. Fewer than 20 rows (cells, pooled) say nothing: then the errors are undefined.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, Targets
from eval.errors import InvalidInputError
from eval.intervals.shares import wilson

MOST_BINS = 15
LEAST_ROWS = 20  # in a bin, on average
_DIGITS = 5


@dataclass(frozen=True)
class Reliability:
    """B bins of equal mass, by rising probability; each field is (B,). Empty where there are too few rows.

    mean_probability: what the model says in the bin. observed: the share of positives there, with low and high the ends
    of its 95 % Wilson interval. rows: how many (cells, pooled).
    """

    mean_probability: tuple[float, ...] = ()
    observed: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class CalibrationErrors:
    """ece: over bins of equal mass; ece_equal_width: over bins of equal width; None below 20 rows. brier: mean squared
    difference of probability and truth (Brier 1950), 0 is best. positives: among the rows (cells, pooled).
    """

    ece: float | None
    ece_equal_width: float | None
    brier: float
    positives: int
    bins: Reliability


@dataclass(frozen=True)
class Calibration:
    """Of one candidate on one test set. labels: by label. pooled: all cells together."""

    pooled: CalibrationErrors
    labels: dict[str, CalibrationErrors]


def calibration(targets: Targets, probabilities: Floats, labels: tuple[str, ...]) -> Calibration:
    """Errors and bins of each label and of all. targets, probabilities: (N, L), N >= 1."""
    by_label = {
        label: calibration_errors(targets[:, place], probabilities[:, place]) for place, label in enumerate(labels)
    }
    return Calibration(calibration_errors(targets.ravel(), probabilities.ravel()), by_label)


def calibration_errors(targets: NDArray[Any], probabilities: NDArray[Any]) -> CalibrationErrors:
    """Of one list of answers. targets: (N,) of 0 and 1; probabilities: (N,) in [0, 1].

    Raises InvalidInputError if the shapes differ or there are no rows.
    """
    if targets.shape != probabilities.shape or targets.ndim != 1 or not len(targets):
        raise InvalidInputError(f"targets {targets.shape} and probabilities {probabilities.shape} must both be (rows,)")
    brier = float(np.mean((probabilities.astype(np.float64) - targets) ** 2))
    positives = int(targets.sum(dtype=np.int64))
    count = bin_count(len(targets))
    if count == 0:
        return CalibrationErrors(None, None, round(brier, _DIGITS), positives, Reliability())
    equal_mass = _Sums.of(targets, probabilities, equal_mass_bins(probabilities, count), count)
    equal_width = _Sums.of(targets, probabilities, equal_width_bins(probabilities, count), count)
    return CalibrationErrors(
        ece=round(equal_mass.error(), _DIGITS),
        ece_equal_width=round(equal_width.error(), _DIGITS),
        brier=round(brier, _DIGITS),
        positives=positives,
        bins=equal_mass.reliability(),
    )


def bin_count(rows: int) -> int:
    """15 bins, or fewer, so that each holds 20 rows on average; 0 below 20 rows."""
    return min(MOST_BINS, rows // LEAST_ROWS)


def equal_mass_bins(probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """(N,): the bin of each row, from 0 to count - 1: rows by rising probability, cut into `count` equal parts.

    Equal probabilities are never parted (the order of rows would count then): they all take the bin of the first.
    """
    order = np.argsort(probabilities, kind="stable")
    ordered = probabilities[order]
    first = np.searchsorted(ordered, ordered, side="left")
    bins = np.empty(len(ordered), np.int64)
    bins[order] = first * count // len(ordered)
    return bins


def equal_width_bins(probabilities: NDArray[Any], count: int) -> NDArray[np.int64]:
    """(N,): the bin of each row; bin b holds b / count <= p < (b + 1) / count, the last one also p = 1."""
    return np.minimum((probabilities.astype(np.float64) * count).astype(np.int64), count - 1)


@dataclass(frozen=True)
class _Sums:
    """Of the bins that hold anything, each (B,): rows, sum of probabilities, positives."""

    rows: NDArray[Any]
    claimed: NDArray[Any]
    positives: NDArray[Any]

    @classmethod
    def of(cls, targets: NDArray[Any], probabilities: NDArray[Any], bins: NDArray[np.int64], count: int) -> "_Sums":
        rows = np.bincount(bins, minlength=count).astype(np.float64)
        claimed = np.bincount(bins, weights=probabilities.astype(np.float64), minlength=count)
        positives = np.bincount(bins, weights=targets.astype(np.float64), minlength=count)
        held = rows > 0
        return cls(rows[held], claimed[held], positives[held])

    def error(self) -> float:
        """Sum over the bins of their share of the rows times |mean probability - share of positives|."""
        return float(np.abs(self.claimed - self.positives).sum() / self.rows.sum())

    def reliability(self) -> Reliability:
        shares = [wilson(int(hits), int(rows)) for hits, rows in zip(self.positives, self.rows, strict=True)]
        return Reliability(
            mean_probability=tuple(float(f"{it:.{_DIGITS}g}") for it in self.claimed / self.rows),
            observed=tuple(round(it.value or 0.0, _DIGITS) for it in shares),
            low=tuple(round(it.low or 0.0, _DIGITS) for it in shares),
            high=tuple(round(it.high or 0.0, _DIGITS) for it in shares),
            rows=tuple(int(it) for it in self.rows),
        )
