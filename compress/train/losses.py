"""Loss functions of logits, in nats; of a regression's outputs and of states, squared errors and cosines.

Pure: tensors in, one number a row out.
"""

import math
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from compress.errors import CompressError
from compress.recipe.data import Task
from compress.recipe.learning import Asymmetric, Focal, LabelLoss

# below this a focusing factor is level: a root of 0 has no slope
_LEAST = 1e-7


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


def focal_loss(
    logits: Tensor, targets: Tensor, gamma: float, single_label: bool, pos_weight: Tensor | None = None
) -> Tensor:
    """The cross-entropy to the labels, each outcome weighed by (1 - p)^gamma, one value a row: (B, L) to (B,).

    p: the probability the model gives to what is true. gamma 0 is label_loss. pos_weight is as there, the alpha of
    Lin et al. 2017, eq. 5; of a single label p is the softmax's.
    """
    _same_shape(logits, targets)
    if single_label:
        entropy = label_loss(logits, targets, True)
        weight = (targets * pos_weight).sum(dim=1) if pos_weight is not None else 1.0
        return weight * _focus(-torch.expm1(-entropy), gamma) * entropy
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight, reduction="none")
    wrong = torch.sigmoid(logits * (1 - 2 * targets))
    return (_focus(wrong, gamma) * entropy).mean(dim=1)


def asymmetric_loss(logits: Tensor, targets: Tensor, kind: Asymmetric, pos_weight: Tensor | None = None) -> Tensor:
    """Bernoulli cross-entropy with a focus of its own for positives and negatives, mean over labels: (B, L) to (B,).

    Negatives count as if the model gave them `clip` less, and not at all below it. Ridnik et al. 2021, eqs. 4 to 7.
    """
    _same_shape(logits, targets)
    chance = torch.sigmoid(logits)
    positive = -_focus(1 - chance, kind.gamma_positive) * functional.logsigmoid(logits)
    if pos_weight is not None:
        positive = positive * pos_weight
    # log(1 - p + clip) in a form that holds where 1 - p is 0 in floating point
    clip = logits.new_tensor(math.log(kind.clip) if kind.clip else -math.inf)
    kept = torch.logaddexp(functional.logsigmoid(-logits), clip).clamp(max=0)
    negative = -_focus(chance - kind.clip, kind.gamma_negative) * kept
    return (targets * positive + (1 - targets) * negative).mean(dim=1)


def _focus(wrong: Tensor, gamma: float) -> Tensor:
    """The weight of an outcome by how wrong the model is about it."""
    return wrong.clamp(min=_LEAST) ** gamma if gamma else torch.ones_like(wrong)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over columns of the squared error, one value a row: (B, L) and (B, L) to (B,).

    Of logits it is the distillation of Ba and Caruana 2014, eq. 1; of pooled vectors a hint (Romero et al. 2015).
    """
    _same_shape(outputs, targets)
    return ((outputs - targets) ** 2).mean(dim=1)


def hidden_error(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared error of token states, mean over width and the tokens that are no padding: (B, T, H) to (B,).

    mask: (B, T), 1 at a token. The student's states have been projected already. Romero et al. 2015, eq. 3; Jiao et al.
    2020, eq. 9.
    """
    _same_shape(student, teacher)
    return _over_tokens(((student - teacher) ** 2).mean(dim=2), mask)


def cosine_distance(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """1 - cosine of token states, mean over the tokens that are no padding: (B, T, H) to (B,).

    Sanh et al. 2019, section 3, the third term.
    """
    _same_shape(student, teacher)
    return _over_tokens(1 - functional.cosine_similarity(student, teacher, dim=2), mask)


def _over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    weights = mask.to(values.dtype)
    return (values * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


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


def target_loss(
    outputs: Tensor, targets: Tensor, task: Task, pos_weight: Tensor | None = None, kind: LabelLoss = "cross_entropy"
) -> Tensor:
    """The loss to the targets that fits the task, one value a row. pos_weight: as for label_loss.

    kind: of a classifier; asymmetric of labels that are independent only, as the recipe has seen to.
    """
    if task.type == "regression":
        return squared_error(outputs, targets)
    match kind:
        case "cross_entropy":
            return label_loss(outputs, targets, task.type == "single_label", pos_weight)
        case Focal(gamma=gamma):
            return focal_loss(outputs, targets, gamma, task.type == "single_label", pos_weight)
        case Asymmetric():
            return asymmetric_loss(outputs, targets, kind, pos_weight)
        case _ as unknown:
            assert_never(unknown)


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
