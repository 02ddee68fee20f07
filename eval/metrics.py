"""Precision, recall, F1, ROC-AUC and average precision, equal to scikit-learn's where they are defined. Pure NumPy.

Every metric takes targets and decisions (or scores) of one shape and returns a float, or None where it is undefined:
an undefined number is never shown as 0. A 2-D input is flattened, which is the micro average; `macro` is the mean of
the labels for which the metric is defined.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, Targets
from eval.errors import InvalidInputError

Metric: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], float | None]


def decide(probabilities: Floats, thresholds: Floats | None) -> Targets:
    """Decisions (N, L) int8: probability >= threshold; with thresholds None, one-hot of the argmax (single-label).

    probabilities: (N, L) in [0, 1]. thresholds: (L,) or None. Of equal highest probabilities the first label wins.
    Raises InvalidInputError if the shapes do not fit or a probability is NaN.
    """
    if probabilities.ndim != 2:
        raise InvalidInputError(f"probabilities have shape {probabilities.shape}; (texts, labels) was expected")
    bad_rows = np.flatnonzero(np.isnan(probabilities).any(axis=1))
    if bad_rows.size:
        raise InvalidInputError(f"row {bad_rows[0]} has a probability that is NaN; there is nothing to decide on")
    if thresholds is None:
        return _one_hot_argmax(probabilities)
    if thresholds.shape != (probabilities.shape[1],):
        raise InvalidInputError(f"{thresholds.shape[0]} thresholds do not fit {probabilities.shape[1]} labels")
    return (probabilities >= thresholds).astype(np.int8)


def _one_hot_argmax(probabilities: Floats) -> Targets:
    decisions = np.zeros(probabilities.shape, dtype=np.int8)
    decisions[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = 1
    return decisions


def precision(targets: NDArray[Any], decisions: NDArray[Any]) -> float | None:
    """Share of the positive decisions that are right. None where nothing is decided positive, or without positives."""
    hits, decided, positives = _counts(targets, decisions)
    return hits / decided if decided and positives else None


def recall(targets: NDArray[Any], decisions: NDArray[Any]) -> float | None:
    """Share of the positives that were decided positive. None without positives."""
    hits, _, positives = _counts(targets, decisions)
    return hits / positives if positives else None


def f1(targets: NDArray[Any], decisions: NDArray[Any]) -> float | None:
    """Harmonic mean of precision and recall, 2 hits / (decided + positives). None without positives.

    0, and not undefined, where nothing is decided positive: that finds none of what there was to find.
    """
    hits, decided, positives = _counts(targets, decisions)
    return 2 * hits / (decided + positives) if positives else None


def roc_auc(targets: NDArray[Any], scores: NDArray[Any]) -> float | None:
    """Chance that a positive scores above a negative, ties counted half (Mann-Whitney U / (P x N)).

    None without positives or without negatives.
    """
    truth, values = _flat(targets, scores)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if positives == 0 or negatives == 0:
        return None
    rank_sum = float(middle_ranks(values)[truth].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def middle_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1, (N,); equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[group], dtype=np.float64)


def average_precision(targets: NDArray[Any], scores: NDArray[Any]) -> float | None:
    """Sum over distinct scores, from the highest, of the gain in recall times the precision there.

    No interpolation, as scikit-learn's average_precision_score. None without positives.
    """
    truth, values = _flat(targets, scores)
    positives = int(truth.sum())
    if positives == 0:
        return None
    distinct, group = np.unique(-values, return_inverse=True)
    hits_at = np.bincount(group, weights=truth, minlength=distinct.size)
    seen = np.cumsum(np.bincount(group, minlength=distinct.size))
    return float(np.sum(hits_at / positives * np.cumsum(hits_at) / seen))


def per_label(metric: Metric, targets: NDArray[Any], predictions: NDArray[Any]) -> tuple[float | None, ...]:
    """The metric of each column. targets, predictions: (N, L). Raises InvalidInputError if shapes differ."""
    if targets.ndim != 2 or targets.shape != predictions.shape:
        raise InvalidInputError(f"shapes {targets.shape} and {predictions.shape} differ or are not (texts, labels)")
    return tuple(metric(targets[:, column], predictions[:, column]) for column in range(targets.shape[1]))


def macro(metric: Metric, targets: NDArray[Any], predictions: NDArray[Any]) -> float | None:
    """Unweighted mean of the metric over the labels for which it is defined; None if it is defined for none."""
    defined = [value for value in per_label(metric, targets, predictions) if value is not None]
    return float(np.mean(defined)) if defined else None


def micro(metric: Metric, targets: NDArray[Any], predictions: NDArray[Any]) -> float | None:
    """The metric over all N x L decisions (or scores) pooled into one list."""
    return metric(targets.ravel(), predictions.ravel())


def _flat(targets: NDArray[Any], predictions: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    if targets.shape != predictions.shape:
        raise InvalidInputError(f"targets of shape {targets.shape} do not fit predictions of {predictions.shape}")
    if np.isnan(predictions).any():
        row = int(np.argwhere(np.isnan(predictions))[0][0])
        raise InvalidInputError(f"row {row} has a score that is NaN; it cannot be ranked")
    return targets.ravel().astype(bool), predictions.ravel()


def _counts(targets: NDArray[Any], decisions: NDArray[Any]) -> tuple[int, int, int]:
    """Hits (true positives), positive decisions, positives in truth."""
    truth, decided = _flat(targets, decisions)
    decided = decided.astype(bool)
    return int((truth & decided).sum()), int(decided.sum()), int(truth.sum())
