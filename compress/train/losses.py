"""Loss functions of logits, in nats; of a regression's outputs, squared errors. Pure: tensors in, numbers out."""

from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from compress.errors import CompressError
from compress.recipe.data import Task


def label_loss(logits: Tensor, targets: Tensor, single_label: bool, pos_weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy to the labels, one value a row: (B, L) logits and 0/1 targets to (B,).

    Multi-label: the mean over labels of the Bernoulli cross-entropy, positives weighted by pos_weight (L,).
    Single-label: the softmax cross-entropy; pos_weight (L,) weights the rows of a class.
    """
    _same_shape(logits, targets)
    if not single_label:
        return functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=pos_weight, reduction="none"
        ).mean(dim=1)
    weighted = targets if pos_weight is None else targets * pos_weight
    return -(weighted * functional.log_softmax(logits, dim=1)).sum(dim=1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over targets of the squared error, one value a row: (B, L) and (B, L) to (B,)."""
    _same_shape(outputs, targets)
    return ((outputs - targets) ** 2).mean(dim=1)


def bernoulli_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Bernoulli cross-entropy to the teacher at a temperature, mean over labels, one value a row: (B, L) to (B,).

    Hinton et al. 2015, eq. 1, applied to each label's two outcomes. Not yet scaled by temperature squared.
    """
    _same_shape(student, teacher)
    soft = torch.sigmoid(teacher / temperature)
    return functional.binary_cross_entropy_with_logits(student / temperature, soft, reduction="none").mean(dim=1)


def softmax_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Softmax cross-entropy to the teacher at a temperature, one value a row: (B, L) to (B,).

    Hinton et al. 2015, eq. 1. Not yet scaled by temperature squared.
    """
    _same_shape(student, teacher)
    soft = torch.softmax(teacher / temperature, dim=1)
    return -(soft * functional.log_softmax(student / temperature, dim=1)).sum(dim=1)


def mixed_loss(
    label_term: Tensor, distillation_term: Tensor, labelled: Tensor, hardness: float, temperature: float
) -> Tensor:
    """Mean over rows of (1 - hardness) x labels + hardness x T^2 x distillation; rows without labels have the second
    term alone, with weight 1. All of shape (B,); labelled is 1 where a row has labels. Hinton et al. 2015, section 2
    (T^2 keeps the gradients' size).
    """
    soft = distillation_term * temperature**2
    return torch.where(labelled > 0, (1 - hardness) * label_term + hardness * soft, soft).mean()


def positive_weights(targets: Tensor, kind: str) -> Tensor | None:
    """Weight (L,) of each label's positives: negatives / positives of (N, L) targets, or its root; None for `none`."""
    if kind == "none":
        return None
    positives = targets.sum(dim=0).clamp(min=1)
    ratio = (targets.shape[0] - positives).clamp(min=1) / positives
    return ratio if kind == "balanced" else ratio.sqrt()


def target_loss(outputs: Tensor, targets: Tensor, task: Task, pos_weight: Tensor | None = None) -> Tensor:
    """The loss to the targets that fits the task, one value a row. pos_weight: as for label_loss."""
    if task.type == "regression":
        return squared_error(outputs, targets)
    return label_loss(outputs, targets, task.type == "single_label", pos_weight)


def distillation_loss(student: Tensor, teacher: Tensor, task: Task, temperature: float) -> Tensor:
    """The distillation term that fits the task, one value a row; a regression's has no use for a temperature."""
    match task.type:
        case "multi_label":
            return bernoulli_distillation(student, teacher, temperature)
        case "single_label":
            return softmax_distillation(student, teacher, temperature)
        case "regression":
            return squared_error(student, teacher)
        case _ as unknown:
            assert_never(unknown)


def _same_shape(left: Tensor, right: Tensor) -> None:
    if left.shape != right.shape:
        raise ShapeError(f"logits have shape {tuple(left.shape)}, what they are compared with {tuple(right.shape)}")


class ShapeError(CompressError, ValueError):
    """Two tensors that must have one shape do not."""
