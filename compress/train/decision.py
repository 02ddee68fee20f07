"""From logits to decisions: a calibration temperature and thresholds, from validation rows alone."""

from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Decision
from compress.recipe import thresholds as recipe
from compress.recipe.data import Task
from eval.contract import LabelledTexts
from eval.metrics import decide, per_label, precision
from eval.thresholds import MAX_F1, AtPrecision, FBeta, Rule, fit_thresholds

Logits = NDArray[np.float32]
_TEMPERATURES = (0.05, 20.0)


def fit_decision(
    logits: Logits, validation: LabelledTexts, task: Task, asked: recipe.Thresholds = "max_f1"
) -> Decision:
    """Fits the calibration temperature (Guo et al. 2017), then thresholds at the calibrated probabilities.

    logits: (N, L) on the validation rows. Single-label decides by argmax and has no thresholds.
    """
    temperature = fit_temperature(logits, validation.targets, task)
    decision = Decision(calibration_temperature=temperature, thresholds=None)
    if task.type == "single_label":
        return decision
    fitted = fit_thresholds(decision.probabilities(logits, task), validation.targets, rule=rule_of(asked))
    return decision.model_copy(update={"thresholds": tuple(float(value) for value in fitted)})


def rule_of(asked: recipe.Thresholds) -> Rule:
    """The recipe's choice as the function that fits takes it."""
    match asked:
        case "max_f1":
            return MAX_F1
        case recipe.FBeta(f_beta=beta):
            return FBeta(beta)
        case recipe.AtPrecision(precision=wanted):
            return AtPrecision(wanted)
        case _ as unknown:
            assert_never(unknown)


def precision_notes(
    decision: Decision, logits: Logits, validation: LabelledTexts, task: Task, asked: recipe.Thresholds
) -> tuple[str, ...]:
    """A note where a precision was asked for and the thresholds do not reach it on the rows they were fitted on.

    logits: (N, L) of these rows. A label without positives there is among them: nothing shows that it does.
    """
    if not isinstance(asked, recipe.AtPrecision) or decision.thresholds is None:
        return ()
    decided = decide(decision.probabilities(logits, task), np.asarray(decision.thresholds, np.float32))
    reached = dict(zip(task.labels, per_label(precision, validation.targets, decided), strict=True))
    short = {label: value for label, value in reached.items() if value is None or value < asked.precision}
    if not short:
        return ()
    some = dict(zip(task.labels, validation.targets.max(axis=0).tolist(), strict=True))
    undefined = {name: "nothing decided positive" if some[name] else "no positive" for name in short}
    listed = ", ".join(f"{name} ({undefined[name] if it is None else f'{it:.3f}'})" for name, it in short.items())
    return (f"thresholds: precision {asked.precision:g} is not reached on the validation rows of {listed}",)


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
