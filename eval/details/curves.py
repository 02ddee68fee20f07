"""What another threshold would give: precision, recall and F1 of a label by threshold. Pure NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, Targets
from eval.errors import InvalidInputError

POINTS = 50
_DIGITS = 4


@dataclass(frozen=True)
class ThresholdCurve:
    """K <= 50 points of a label's curve, by rising threshold; each field but `current` is (K,).

    At a threshold t the label is decided where probability >= t. current: index of the point that is the candidate's
    own threshold. Precision is None where nothing is decided, as in `eval.metrics`.
    """

    thresholds: tuple[float, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    current: int


def threshold_curves(
    targets: Targets, probabilities: Floats, labels: tuple[str, ...], thresholds: Floats | None
) -> dict[str, ThresholdCurve]:
    """By label; a label without positives has no curve, and none has one where an argmax decides (thresholds: None).

    targets, probabilities: (N, L). thresholds: (L,).
    """
    if thresholds is None:
        return {}
    return {
        label: threshold_curve(targets[:, place], probabilities[:, place], thresholds[place])
        for place, label in enumerate(labels)
        if targets[:, place].any()
    }


def threshold_curve(targets: NDArray[Any], scores: NDArray[Any], current: Any, points: int = POINTS) -> ThresholdCurve:
    """Points of the curve: `current`, and distinct scores, evenly spread: half of them among the positives'.

    Between two neighbouring scores nothing changes; recall only at those of positives, so these have a half of their
    own, or a rare label's curve would be drawn where it is flat. Values equal scikit-learn's precision_recall_curve at
    the same thresholds. targets, scores: (N,). Raises InvalidInputError if the shapes differ or nothing is positive.
    """
    if targets.shape != scores.shape or targets.ndim != 1 or not targets.any():
        raise InvalidInputError(f"targets {targets.shape} and scores {scores.shape}: one of each a row, one positive")
    own = scores.dtype.type(current)
    kept = np.union1d(_spread(np.unique(scores[targets == 1]), points // 2), _spread(np.unique(scores), points // 2))
    others = kept[kept != own]
    if len(others) >= points:
        others = _spread(others, points - 1)
    at = np.sort(np.append(others, own))
    ordered = np.sort(scores)
    decided = len(scores) - np.searchsorted(ordered, at, side="left")
    positives = np.sort(scores[targets == 1])
    hits = len(positives) - np.searchsorted(positives, at, side="left")
    return ThresholdCurve(
        thresholds=tuple(float(f"{threshold:.6g}") for threshold in at),
        precision=tuple(
            round(float(hit / count), _DIGITS) if count else None for hit, count in zip(hits, decided, strict=True)
        ),
        recall=_rounded(hits / len(positives)),
        f1=_rounded(2 * hits / (decided + len(positives))),
        current=int(np.searchsorted(at, own)),
    )


def _spread(values: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many of the sorted values, evenly by their place, the first and the last among them."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(np.int64)]


def _rounded(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in values)
