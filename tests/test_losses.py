"""The losses against numbers worked by hand and identities of the mathematics."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from compress.recipe.data import Task
from compress.train.losses import (
    ShapeError,
    bernoulli_distillation,
    distillation_loss,
    label_loss,
    mixed_loss,
    positive_weights,
    softmax_distillation,
)

LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)
seeds = st.integers(0, 10_000)
temperatures = st.floats(0.25, 8.0)


def logits(seed: int, rows: int = 5, labels: int = 3) -> Tensor:
    return torch.randn(rows, labels, generator=torch.Generator().manual_seed(seed)) * 2


def targets(seed: int, rows: int = 5, labels: int = 3) -> Tensor:
    return (torch.rand(rows, labels, generator=torch.Generator().manual_seed(seed)) < 0.5).float()


def test_multi_label_loss_by_hand() -> None:
    # sigmoid(0) = 1/2 costs log 2; sigmoid(log 3) = 3/4 costs log 4/3 if true, log 4 if not
    found = label_loss(torch.tensor([[0.0, LOG3], [LOG3, LOG3]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]]), False)
    assert found.tolist() == pytest.approx([(LOG2 + LOG4 - LOG3) / 2, (LOG4 + LOG4 - LOG3) / 2])


def test_single_label_loss_by_hand() -> None:
    # softmax(log 1, log 3) = 1/4, 3/4
    found = label_loss(torch.tensor([[0.0, LOG3], [0.0, LOG3]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), True)
    assert found.tolist() == pytest.approx([LOG4, LOG4 - LOG3])


def test_positive_weights_count_positives_alone() -> None:
    weights = torch.tensor([5.0, 1.0])
    found = label_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0]]), False, weights)
    assert found.tolist() == pytest.approx([(5 * LOG2 + LOG2) / 2, LOG2])
    of_classes = label_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), True, weights)
    assert of_classes.tolist() == pytest.approx([5 * LOG2, LOG2])


@given(seeds)
def test_label_losses_are_torchs_own(seed: int) -> None:
    given_logits, truth = logits(seed), targets(seed + 1)
    bernoulli = functional.binary_cross_entropy_with_logits(given_logits, truth)
    assert label_loss(given_logits, truth, False).mean().item() == pytest.approx(bernoulli.item(), rel=1e-5)
    classes = torch.randint(0, 3, (5,), generator=torch.Generator().manual_seed(seed))
    softmax = functional.cross_entropy(given_logits, classes)
    one_hot = functional.one_hot(classes, 3).float()
    assert label_loss(given_logits, one_hot, True).mean().item() == pytest.approx(softmax.item(), rel=1e-5)


def test_bernoulli_distillation_by_hand() -> None:
    # at temperature 2 the teacher's 2 log 3 becomes log 3, which is 3/4; the student's 0 stays 1/2
    student, teacher = torch.tensor([[0.0], [2 * LOG3]]), torch.tensor([[2 * LOG3], [2 * LOG3]])
    entropy = 0.25 * LOG4 + 0.75 * (LOG4 - LOG3)
    assert bernoulli_distillation(student, teacher, 2.0).tolist() == pytest.approx([LOG2, entropy])


def test_softmax_distillation_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * LOG3]])
    assert softmax_distillation(student, teacher, 2.0).tolist() == pytest.approx([LOG2])
    entropy = 0.25 * LOG4 + 0.75 * (LOG4 - LOG3)
    assert softmax_distillation(teacher, teacher, 2.0).tolist() == pytest.approx([entropy])


@pytest.mark.parametrize("loss", [bernoulli_distillation, softmax_distillation])
@given(seed=seeds, temperature=temperatures)
def test_distillation_is_least_where_student_equals_teacher(loss, seed: int, temperature: float) -> None:
    teacher = logits(seed)
    student = teacher.clone().requires_grad_()
    at_teacher = loss(student, teacher, temperature)
    (gradient,) = torch.autograd.grad(at_teacher.sum(), student)
    assert gradient.abs().max().item() < 1e-5
    assert (loss(logits(seed + 1), teacher, temperature) >= at_teacher.detach() - 1e-5).all()


@given(seed=seeds, temperature=temperatures)
def test_temperature_scales_logits_alone(seed: int, temperature: float) -> None:
    student, teacher = logits(seed), logits(seed + 1)
    for loss in (bernoulli_distillation, softmax_distillation):
        same = loss(student * temperature, teacher * temperature, temperature)
        torch.testing.assert_close(same, loss(student, teacher, 1.0), rtol=1e-4, atol=1e-5)


def test_temperature_squared_keeps_the_gradients_size() -> None:
    # small logits: the gradient of T^2 x loss tends to (student - teacher) / 4 per label, whatever T is
    teacher = torch.tensor([[0.02, -0.03]])
    for temperature in (1.0, 2.0, 5.0):
        student = torch.tensor([[-0.01, 0.04]], requires_grad=True)
        soft = bernoulli_distillation(student, teacher, temperature)
        loss = mixed_loss(torch.zeros(1), soft, torch.ones(1), hardness=1.0, temperature=temperature)
        (gradient,) = torch.autograd.grad(loss, student)
        assert gradient.flatten().tolist() == pytest.approx([-0.03 / 4 / 2, 0.07 / 4 / 2], rel=1e-2)


def test_mixture_by_hand() -> None:
    label, soft = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 5.0])
    both = torch.ones(2)
    assert mixed_loss(label, soft, both, 0.25, 2.0).item() == pytest.approx(((0.75 + 2) + (2.25 + 5)) / 2)
    # hardness 0: the labels alone; 1: the teacher alone, times T^2
    assert mixed_loss(label, soft, both, 0.0, 2.0).item() == pytest.approx(2.0)
    assert mixed_loss(label, soft, both, 1.0, 2.0).item() == pytest.approx(4 * 3.5)


@given(hardness=st.floats(0, 1), temperature=temperatures)
def test_rows_without_labels_have_the_teachers_term_alone(hardness: float, temperature: float) -> None:
    soft = torch.tensor([2.0, 5.0])
    found = mixed_loss(torch.tensor([100.0, 200.0]), soft, torch.zeros(2), hardness, temperature)
    assert found.item() == pytest.approx(temperature**2 * 3.5, rel=1e-5)


def test_placeholder_targets_of_unlabelled_rows_give_no_gradient() -> None:
    student = torch.tensor([[0.3, -0.2]], requires_grad=True)
    term = label_loss(student, torch.zeros(1, 2), False)
    soft = bernoulli_distillation(student, student.detach(), 1.0)
    (gradient,) = torch.autograd.grad(mixed_loss(term, soft, torch.zeros(1), 0.5, 1.0), student)
    assert gradient.abs().max().item() < 1e-7


def test_balance_weights_by_hand() -> None:
    truth = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert positive_weights(truth, "none") is None
    # one positive of four: 3; none at all counts as one of four negatives; all: one negative at least
    assert positive_weights(truth, "balanced").tolist() == [3.0, 3.0]
    assert positive_weights(truth, "sqrt").tolist() == pytest.approx([math.sqrt(3), math.sqrt(3)])
    assert positive_weights(torch.ones(4, 1), "balanced").tolist() == [0.25]


def test_the_task_chooses_the_form() -> None:
    student, teacher = logits(1), logits(2)
    multi = Task(type="multi_label", text="t", labels=("a", "b", "c"))
    single = Task(type="single_label", text="t", labels=("a", "b", "c"), label_column="y")
    torch.testing.assert_close(
        distillation_loss(student, teacher, multi, 2.0), bernoulli_distillation(student, teacher, 2.0)
    )
    torch.testing.assert_close(
        distillation_loss(student, teacher, single, 2.0), softmax_distillation(student, teacher, 2.0)
    )


def test_different_shapes_are_an_error_and_never_broadcast() -> None:
    for loss in (bernoulli_distillation, softmax_distillation):
        with pytest.raises(ShapeError, match=r"\(5, 3\).*\(5, 1\)"):
            loss(logits(1), logits(2)[:, :1], 1.0)
    with pytest.raises(ValueError, match=r"\(5, 3\).*\(4, 3\)"):
        label_loss(logits(1), targets(2)[:4], False)
