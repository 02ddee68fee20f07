"""Decision thresholds by a rule, from validation scores only; a rare label leans on the pooled threshold."""

from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, check_probabilities
from eval.errors import InvalidInputError

_LOWEST = np.float32(1e-7)
_HIGHEST = np.nextafter(np.float32(1), np.float32(0))


@dataclass(frozen=True)
class FBeta:
    """The threshold of highest F-beta (van Rijsbergen 1979), in which recall counts beta times as much as precision."""

    beta: float = 1.0


@dataclass(frozen=True)
class AtPrecision:
    """Of the thresholds with such a precision at least, the one of highest recall.

    Where none has, the one of highest precision (of equally precise ones, that of highest recall).
    """

    precision: float


Rule: TypeAlias = FBeta | AtPrecision
MAX_F1 = FBeta(1.0)


def best_threshold(scores: NDArray[Any], targets: NDArray[Any], rule: Rule = MAX_F1) -> float | None:
    """The threshold that is best by the rule for `score >= threshold`, midway between two neighbouring distinct scores.

    scores: (N,) in [0, 1]; targets: (N,) of 0 and 1. The result lies in (0, 1]; of equally good ones it is the highest
    (fewest alarms). Below the lowest score, the neighbour is 0. None if there are no positives. O(N log N).
    Raises InvalidInputError if shapes differ or a score is NaN or outside [0, 1].
    """
    if scores.shape != targets.shape or scores.ndim != 1:
        raise InvalidInputError(f"scores {scores.shape} and targets {targets.shape} must both be (texts,)")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise InvalidInputError("scores to fit a threshold on must be in [0, 1] and not NaN")
    positives = int(targets.sum())
    if positives == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    below = np.append(ordered[1:], ordered.dtype.type(0))
    hits = np.cumsum(targets[order], dtype=np.int64)
    worth = _worth(hits, positives, ordered != below, rule)
    place = int(np.argmax(worth))
    if worth[place] < 0:  # every score is 0
        return 0.5
    return _midway(ordered[place], below[place])


def _worth(hits: NDArray[np.int64], positives: int, parts: NDArray[np.bool_], rule: Rule) -> NDArray[np.float64]:
    """How good each cut is, (N,): deciding the first n of the sorted rows, of which hits[n - 1] are positive.

    parts: where a threshold can cut at all: none parts equal scores, nor one above 0 a score of 0. -1 elsewhere.
    """
    decided = np.arange(1, len(hits) + 1)
    match rule:
        case FBeta(beta=beta):
            return np.where(parts, (1 + beta**2) * hits / (decided + beta**2 * positives), -1.0)
        case AtPrecision(precision=wanted):
            precision = np.where(parts, hits / decided, -1.0)
            enough = precision >= min(wanted, precision.max())
            return np.where(parts & enough, hits, -1.0)
        case _ as unknown:
            assert_never(unknown)


def _midway(upper: Any, lower: Any) -> float:
    """Their middle, in their own precision: between neighbouring floats it would round down, so then the upper one."""
    middle = type(upper)((float(upper) + float(lower)) / 2)
    return float(middle if middle > lower else upper)


def fit_thresholds(
    probabilities: Floats, targets: NDArray[Any], minimum_positives: int = 10, rule: Rule = MAX_F1
) -> Floats:
    """Per-label thresholds, float32 (L,), each strictly inside (0, 1).

    probabilities, targets: (N, L), from validation. The pooled threshold is the best one over all N x L scores, by the
    same rule. A label with n < minimum_positives positives gets, in logit space, n / minimum_positives of its own best
    threshold and the rest of the pooled one: with two positives, the best of validation is mostly luck. A precision
    that is asked for is a bound, so there the pooled one only ever raises a threshold. Without any positive at all,
    0.5. Raises InvalidInputError if shapes differ or a probability is NaN or outside [0, 1].
    """
    if probabilities.ndim != 2 or probabilities.shape != targets.shape:
        raise InvalidInputError(f"probabilities {probabilities.shape} and targets {targets.shape} must be (N, L)")
    rows, labels = targets.shape
    scores = check_probabilities(probabilities, rows=rows, labels=labels, candidate="threshold fitting")
    pooled = best_threshold(scores.ravel(), targets.ravel(), rule)
    if pooled is None:
        return np.full(labels, 0.5, dtype=np.float32)
    fitted = [_shrunk(scores[:, i], targets[:, i], pooled, minimum_positives, rule) for i in range(labels)]
    return np.clip(np.array(fitted, dtype=np.float32), _LOWEST, _HIGHEST)


def _shrunk(scores: Floats, targets: NDArray[Any], pooled: float, minimum_positives: int, rule: Rule) -> float:
    own = best_threshold(scores, targets, rule)
    if own is None:
        return pooled
    weight = min(1.0, int(targets.sum()) / max(1, minimum_positives))
    if weight == 1.0:  # exactly: a round trip through the logit would move it by a rounding
        return own
    shrunk = _sigmoid(weight * _logit(own) + (1 - weight) * _logit(pooled))
    return max(own, shrunk) if isinstance(rule, AtPrecision) else shrunk


def _logit(probability: float) -> float:
    inside = min(max(probability, float(_LOWEST)), float(_HIGHEST))
    return float(np.log(inside) - np.log1p(-inside))


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))
