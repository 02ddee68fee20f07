"""What a model learns from: labelled rows, or the transfer set with its teachers' answers; and the loss over them."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compress.context import Context
from compress.inputs import Inputs
from compress.pieces import Reader
from compress.recipe.data import Task
from compress.recipe.learning import Hints, LabelLoss
from compress.train.loop import TRAINING_WINDOWS, Examples, Loss
from compress.train.losses import distillation_loss, mixed_loss, squared_error, target_loss
from compress.train.token_cache import cached_pieces
from compress.train.transfer import TransferSet, learnt


def labelled_examples(tokenizer: Reader, inputs: Inputs, context: Context) -> Examples:
    """The training rows with their labels, of a regression with what its outputs should be."""
    rows = inputs.splits().train
    pieces = cached_pieces(tokenizer, rows.texts, TRAINING_WINDOWS, context.cache_dir)
    return Examples(pieces, learnt(rows, inputs), np.ones(len(rows), np.float32))


def labelling_loss(task: Task, pos_weight: Tensor | None = None, kind: LabelLoss = "cross_entropy") -> Loss:
    """Mean loss to the labels, or a regression's squared error, as a function of logits and batch."""

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        weights = pos_weight.to(logits.device) if pos_weight is not None else None
        return target_loss(logits, batch["targets"], task, weights, kind).mean()

    return loss


def transfer_examples(
    tokenizer: Reader, transfer: TransferSet, context: Context, vectors: NDArray[np.float16] | None = None
) -> Examples:
    """The transfer set as the student reads it. vectors: the first teacher's pooled vectors (N, W), of a hint."""
    pieces = cached_pieces(tokenizer, transfer.texts, TRAINING_WINDOWS, context.cache_dir)
    return Examples(pieces, transfer.targets, transfer.labelled, transfer.answers, vectors)


def distilling_loss(
    task: Task,
    hardness: float,
    temperature: float,
    distillation: Literal["kd", "mse"] = "kd",
    kind: LabelLoss = "cross_entropy",
    hints: Hints | None = None,
) -> Loss:
    """(1 - hardness) x labels + hardness x T^2 x distillation + hints, as a function of logits and batch.

    distillation: kd as fits the task, or mse of logits. kind: of the loss to the labels.
    """

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        soft = (
            squared_error(logits, batch["teacher"])
            if distillation == "mse"
            else distillation_loss(logits, batch["teacher"], task, temperature)
        )
        hard = target_loss(logits, batch["targets"], task, kind=kind)
        mixed = mixed_loss(hard, soft, batch["labelled"], hardness, temperature)
        return mixed if hints is None else mixed + _hinted(hints, batch)

    return loss


def _hinted(hints: Hints, batch: dict[str, Tensor]) -> Tensor:
    """The hints' part of the loss: what the model knew of it, and the distance of pooled vectors; means over rows."""
    term = batch["term"].mean()
    if not hints.pooled:
        return term
    return term + hints.pooled * squared_error(batch["vectors"], batch["teacher_vectors"]).mean()
