"""How every training stage ends: logits on validation, the decision fitted on them (or the scale), the files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Decision, save_readout
from compress.batches import text_logits
from compress.classifier import forward
from compress.encoder.files import Model, save_classifier
from compress.errors import EncoderError, TrainingError
from compress.inputs import Inputs
from compress.pieces import Reader
from compress.recipe.stages import Distill, Finetune, StageSection, Training, shape_of
from compress.recipe.students import LinearShape
from compress.scaling import Scaling
from compress.train.decision import fit_decision, precision_notes
from eval.metrics import macro, roc_auc
from eval.regression import r2


def model_logits(
    model: Model, tokenizer: Reader, texts: tuple[str, ...], labels: int, device: str
) -> NDArray[np.float32]:
    """fp32 logits (N, L) of a torch classifier in evaluation mode."""
    return text_logits(lambda batch: forward(model, batch, device), texts, tokenizer, labels)


def validation_score(
    model: Model, tokenizer: Reader, inputs: Inputs, device: str, stage: StageSection
) -> Callable[[], float]:
    """A function that gives the macro ROC-AUC (of a regression, R²) of the model, as it then is, on validation.

    It is the mean over the labels where it is defined. It raises TrainingError where the model gives no finite logits.
    """
    validation, scaling = inputs.splits().validation, inputs.scaling()

    def score() -> float:
        logits = model_logits(model, tokenizer, validation.texts, len(validation.labels), device)
        _check_finite(logits, stage)
        if scaling is None:
            found = macro(roc_auc, validation.targets, logits)
        else:
            found = macro(r2, scaling.outputs(validation.targets), logits)
        return 0.0 if found is None else found

    return score


def save_decided(
    model: Model,
    tokenizer: Reader,
    inputs: Inputs,
    device: str,
    folder: Path,
    stage: StageSection,
    scaling: Scaling | None = None,
) -> tuple[str, ...]:
    """Writes the classifier and its decision into `folder`, where its tokenizer is already; of a regression its scale.

    scaling: of a regression that was trained elsewhere, on a scale of its own. Returns notes on the decision. Raises
    TrainingError, and writes nothing, where the model gives no finite logits on validation.
    """
    validation, task = inputs.splits().validation, inputs.task
    logits = model_logits(model.to(device), tokenizer, validation.texts, len(task.labels), device)
    _check_finite(logits, stage)
    save_classifier(model, folder)
    readout = scaling or inputs.scaling() or fit_decision(logits, validation, task, inputs.thresholds)
    save_readout(readout, folder)
    if not isinstance(readout, Decision):
        return ()
    return precision_notes(readout, logits, validation, task, inputs.thresholds)


def _check_finite(logits: NDArray[np.float32], stage: StageSection) -> None:
    """Raises where a logit is infinite or undefined: nothing can be fitted on it, and argmax would hide it."""
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if not bad:
        return
    what = f"the model's answers to {bad} of {len(logits)} validation texts are infinite or undefined"
    if isinstance(stage, Finetune | Distill) and isinstance(shape_of(stage), LinearShape):
        raise TrainingError(
            f"stages.{stage.id}: the linear fit failed: {what}. Nothing was kept; what it was fitted to, values or "
            "teachers' answers, holds numbers that are not finite or far too large."
        )
    if isinstance(stage, Training):
        raise TrainingError(
            f"stages.{stage.id}: training diverged: {what}. Nothing was kept; lower learning_rate "
            f"({stage.learning_rate:g})."
        )
    raise EncoderError(f"stages.{stage.id}: {what}. Its weights are damaged, or made for another version.")
