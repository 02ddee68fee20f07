"""How every training stage ends: logits on validation, the decision fitted on them, the artifact's files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.batches import run_in_batches
from compress.classifier import Classifier, forward
from compress.encoder import save_classifier
from compress.errors import EncoderError, TrainingError
from compress.recipe.data import Task
from compress.recipe.stages import StageSection, Training
from compress.tokenizer import Tokenizer
from compress.train.decision import fit_decision
from eval.contract import LabelledTexts
from eval.metrics import roc_auc


def model_logits(
    model: Classifier, tokenizer: Tokenizer, texts: tuple[str, ...], labels: int, device: str
) -> NDArray[np.float32]:
    """fp32 logits (N, L) of a torch classifier in evaluation mode."""
    tokens = tokenizer.encode(texts)
    return run_in_batches(lambda batch: forward(model, batch, device), tokens, tokenizer, labels)


def validation_score(
    model: Classifier, tokenizer: Tokenizer, validation: LabelledTexts, device: str, stage: StageSection
) -> Callable[[], float]:
    """A function that gives the macro ROC-AUC of the model, as it then is, over the labels where it is defined.

    It raises TrainingError where the model gives no finite logits.
    """

    def score() -> float:
        logits = model_logits(model, tokenizer, validation.texts, len(validation.labels), device)
        _check_finite(logits, stage)
        values = [roc_auc(validation.targets[:, i], logits[:, i]) for i in range(len(validation.labels))]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else 0.0

    return score


def save_decided(
    model: Classifier,
    tokenizer: Tokenizer,
    validation: LabelledTexts,
    task: Task,
    device: str,
    folder: Path,
    stage: StageSection,
) -> None:
    """Writes the classifier and its decision into `folder`, where its tokenizer is already.

    Raises TrainingError, and writes nothing, where the model gives no finite logits on validation.
    """
    logits = model_logits(model.to(device), tokenizer, validation.texts, len(task.labels), device)
    _check_finite(logits, stage)
    save_classifier(model, folder)
    decision = fit_decision(logits, validation, task)
    (folder / "decision.json").write_text(decision.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _check_finite(logits: NDArray[np.float32], stage: StageSection) -> None:
    """Raises where a logit is infinite or undefined: no decision can be fitted on it, and argmax would hide it."""
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if not bad:
        return
    what = f"the model's answers to {bad} of {len(logits)} validation texts are infinite or undefined"
    if isinstance(stage, Training):
        raise TrainingError(
            f"stages.{stage.id}: training diverged: {what}. Nothing was kept; lower learning_rate "
            f"({stage.learning_rate:g})."
        )
    raise EncoderError(f"stages.{stage.id}: {what}. Its weights are damaged, or made for another version.")
