"""What a model learns from: labelled rows, or the transfer set with a teacher's answers; and the loss over them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compress.context import Context
from compress.inputs import Inputs
from compress.recipe.data import Task
from compress.tokenizer import Tokenizer
from compress.train.loop import TRAINING_WINDOWS, Examples, Loss
from compress.train.losses import distillation_loss, mixed_loss, target_loss
from compress.train.teacher_outputs import teacher_logits
from eval.contract import LabelledTexts

Predict = Callable[..., NDArray[np.float32]]


def labelled_examples(tokenizer: Tokenizer, inputs: Inputs) -> Examples:
    """The training rows with their labels, of a regression with what its outputs should be."""
    rows = inputs.splits().train
    pieces = tokenizer.pieces(rows.texts, most=TRAINING_WINDOWS)
    return Examples(pieces, _learnt(rows, inputs), np.ones(len(rows), np.float32))


def labelling_loss(task: Task, pos_weight: Tensor | None = None) -> Loss:
    """Mean cross-entropy to the labels, or a regression's squared error, as a function of logits and batch."""

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        weights = pos_weight.to(logits.device) if pos_weight is not None else None
        return target_loss(logits, batch["targets"], task, weights).mean()

    return loss


def transfer_examples(tokenizer: Tokenizer, inputs: Inputs, predict: Predict, context: Context, stage: str) -> Examples:
    """train and unlabeled as one training set, with the teacher's logits; labels only where there are any.

    predict: the teacher's predict_logits. A regression's answers are put on the student's scale.
    """
    if inputs.teacher is None:
        raise ValueError(f"stage {stage} distils and was given no teacher")
    splits = inputs.splits()
    texts = (*splits.train.texts, *splits.unlabeled)
    targets = np.zeros((len(texts), len(inputs.task.labels)), np.float32)
    targets[: len(splits.train)] = _learnt(splits.train, inputs)
    labelled = np.zeros(len(texts), np.float32)
    labelled[: len(splits.train)] = 1
    answers = teacher_logits(
        inputs.teacher.digest,
        predict,
        texts,
        len(inputs.task.labels),
        context.cache_dir,
        lambda done, total: context.progress(f"{stage}: teacher's answers", done, total),
    )
    scaling = inputs.scaling()
    if scaling is not None:
        answers = scaling.outputs(inputs.teacher.scaling().values(answers))
    return Examples(tokenizer.pieces(texts, most=TRAINING_WINDOWS), targets, labelled, answers)


def _learnt(rows: LabelledTexts, inputs: Inputs) -> NDArray[np.float32]:
    """What the model's outputs are compared with, float32 (N, L)."""
    scaling = inputs.scaling()
    return rows.targets.astype(np.float32) if scaling is None else scaling.outputs(rows.targets)


def distilling_loss(task: Task, hardness: float, temperature: float) -> Loss:
    """(1 - hardness) x labels + hardness x T^2 x distillation, as a function of logits and batch."""

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return mixed_loss(
            target_loss(logits, batch["targets"], task),
            distillation_loss(logits, batch["teacher"], task, temperature),
            batch["labelled"],
            hardness,
            temperature,
        )

    return loss
