"""RMSE, MAE, R² and Spearman's correlation, equal to scikit-learn's and SciPy's where they are defined. Pure NumPy.

Every metric takes the true and the predicted values, both (N,), and returns a float, or None where it is undefined.
They are `eval.metrics.Metric`s: `macro` of one is the mean over the targets for which it is defined.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.errors import InvalidInputError
from eval.metrics import middle_ranks

Doubles = NDArray[np.float64]


def rmse(truth: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Root of the mean squared error, in the target's own unit. None without rows."""
    errors = _errors(truth, predicted)
    return float(np.sqrt(np.mean(errors**2))) if errors.size else None


def mae(truth: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Mean absolute error, in the target's own unit. None without rows."""
    errors = _errors(truth, predicted)
    return float(np.mean(np.abs(errors))) if errors.size else None


def r2(truth: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Share of the variance explained: 1 - squared errors / squared distances of the truth from its mean.

    At most 1; 0 is as good as always giving the mean, and below 0 worse. None where the truth is constant.
    """
    errors = _errors(truth, predicted)
    if is_constant(truth):
        return None
    exact = truth.astype(np.float64)
    return float(1 - np.sum(errors**2) / np.sum((exact - exact.mean()) ** 2))


def spearman(truth: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Correlation of the ranks, tied values sharing the mean of theirs: 1 is the right order, -1 the reverse.

    None where either is constant: there is no order then. Spearman 1904.
    """
    _errors(truth, predicted)
    if is_constant(truth) or is_constant(predicted):
        return None
    left, right = (ranks - ranks.mean() for ranks in (middle_ranks(truth), middle_ranks(predicted)))
    return float(np.clip(left @ right / np.sqrt((left @ left) * (right @ right)), -1, 1))


def is_constant(values: NDArray[Any]) -> bool:
    """Whether no two values differ; so it is without any."""
    return bool(values.size == 0 or values.min() == values.max())


def _errors(truth: NDArray[Any], predicted: NDArray[Any]) -> Doubles:
    """predicted - truth, in float64. Raises InvalidInputError if shapes differ or a value is not finite."""
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise InvalidInputError(f"true values {truth.shape} and predicted ones {predicted.shape} must both be (texts,)")
    errors = predicted.astype(np.float64) - truth.astype(np.float64)
    if not np.isfinite(errors).all():
        raise InvalidInputError(f"row {int(np.argmin(np.isfinite(errors)))} has a value that is not finite")
    return errors
