"""What a scheme cost in quality, against what it was allowed to cost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from compress.artifact import Artifact, Floats
from compress.inputs import Inputs, Made
from compress.recipe.data import Task
from compress.recipe.quantizing import Int8Dynamic, Int8Static, Quantize
from compress.runtime import open_predictor
from compress.stages.quantize.beside import as_artifact
from eval.metrics import macro, roc_auc
from eval.regression import r2

Score = Callable[[NDArray[Any], Floats], float | None]


def score_of(artifact: Artifact) -> Score:
    """What schemes are held to, of targets and logits (N, L): macro ROC-AUC of probabilities, of a regression R².

    Of the probabilities as they are given: softmax ranks texts otherwise than a label's logits do.
    """
    task = artifact.manifest.task
    if task.type == "regression":
        scaling = artifact.scaling()
        return lambda targets, outputs: macro(r2, targets, scaling.values(outputs))
    decision = artifact.decision()
    return lambda targets, logits: macro(roc_auc, targets, decision.probabilities(logits, task))


def score_name(task: Task) -> str:
    """What the report calls it."""
    return "macro R²" if task.type == "regression" else "macro ROC-AUC"


def drop_marks(config: Quantize, inputs: Inputs, made: Made, folder: Path) -> tuple[str, ...]:
    """A mark where the result falls more than max_drop below its parent on the validation rows; else none.

    By macro ROC-AUC, of a regression R². folder: the result's files, which are kept either way.
    """
    if config.max_drop is None:
        return ()
    parent = inputs.followed()
    before, after = (_quality(artifact, inputs) for artifact in (parent, as_artifact(parent, made, folder)))
    if before is None or after is None:
        return (f"max_drop is {config.max_drop:g}, and nothing can be said of it: validation has no label to rank",)
    if before - after <= config.max_drop:
        return ()
    mended = ", or give this one a fallback" if _could_fall_back(config, inputs) else ""
    return (
        f"{score_name(inputs.task)} on validation fell from {before:.4f} to {after:.4f}, by {before - after:.4f}; "
        f"max_drop is {config.max_drop:g}. The artifact is kept; take another scheme{mended}",
    )


def _could_fall_back(config: Quantize, inputs: Inputs) -> bool:
    products = inputs.followed().manifest.format == "onnx" and inputs.task.type != "regression"
    return products and isinstance(config, Int8Dynamic | Int8Static) and config.fallback is None


def _quality(artifact: Artifact, inputs: Inputs) -> float | None:
    rows = inputs.splits().validation
    return score_of(artifact)(rows.targets, open_predictor(artifact).predict_logits(rows.texts))
