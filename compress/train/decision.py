"""From logits to decisions: a calibration temperature and thresholds, from validation rows alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Decision
from compress.recipe.data import Task
from eval.contract import LabelledTexts
from eval.thresholds import fit_thresholds

Logits = NDArray[np.float32]
_TEMPERATURES = (0.05, 20.0)


def fit_decision(logits: Logits, validation: LabelledTexts, task: Task) -> Decision:
    """Fits the calibration temperature (Guo et al. 2017), then thresholds at the calibrated probabilities.

    logits: (N, L) on the validation rows. Single-label decides by argmax and has no thresholds.
    """
    temperature = fit_temperature(logits, validation.targets, task)
    decision = Decision(calibration_temperature=temperature, thresholds=None)
    if task.type == "single_label":
        return decision
    fitted = fit_thresholds(decision.probabilities(logits, task), validation.targets)
    return decision.model_copy(update={"thresholds": tuple(float(value) for value in fitted)})


def fit_temperature(logits: Logits, targets: NDArray[Any], task: Task) -> float:
    """The temperature in [0.05, 20] of least mean cross-entropy on (N, L) logits; 1.0 where there are no rows."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if not len(logits):
        return 1.0
    exact, truth = logits.astype(np.float64), targets.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = exact / np.exp(log_temperature)
        if task.type == "single_label":
            return float(-(truth * log_softmax(scaled, axis=1)).sum(axis=1).mean())
        return float((np.logaddexp(0, scaled) - truth * scaled).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
