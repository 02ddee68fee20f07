"""The losses against numbers worked by hand and identities of the mathematics."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from compress.recipe.data import Task
from compress.recipe.learning import Asymmetric, Focal
from compress.train.losses import (
    ShapeError,
    asymmetric_loss,
    bernoulli_distillation,
    cosine_distance,
    distillation_loss,
    focal_loss,
    hidden_error,
    label_loss,
    mixed_loss,
    positive_weights,
    softmax_distillation,
    target_loss,
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


# ---------------------------------------------------------------------------------------------------- rare labels


def test_focal_loss_by_hand() -> None:
    # sigmoid(log 3) = 3/4: true, 1/4 is missing and weighs (1/4)^2; false, 3/4 is wrong and weighs (3/4)^2
    found = focal_loss(torch.tensor([[LOG3, LOG3]]), torch.tensor([[1.0, 0.0]]), 2.0, False)
    assert found.tolist() == pytest.approx([((LOG4 - LOG3) / 16 + LOG4 * 9 / 16) / 2])
    # softmax(log 1, log 3) = 1/4, 3/4
    single = focal_loss(torch.tensor([[0.0, LOG3], [0.0, LOG3]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 1.0, True)
    assert single.tolist() == pytest.approx([LOG4 * 3 / 4, (LOG4 - LOG3) / 4])


def test_focal_loss_weighs_positives_as_the_cross_entropy_does() -> None:
    weights = torch.tensor([5.0, 1.0])
    found = focal_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 1.0, False, weights)
    assert found.tolist() == pytest.approx([(5 * LOG2 + LOG2) / 4, LOG2 / 2])
    of_classes = focal_loss(torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 1.0, True, weights)
    assert of_classes.tolist() == pytest.approx([5 * LOG2 / 2, LOG2 / 2])


def test_asymmetric_loss_by_hand() -> None:
    # p = 3/4: the positive costs (1/4)^1 log 4/3; the negative counts as p - 1/4 = 1/2, (1/2)^2 log 2
    kind = Asymmetric(type="asymmetric", gamma_positive=1.0, gamma_negative=2.0, clip=0.25)
    found = asymmetric_loss(torch.tensor([[LOG3, LOG3]]), torch.tensor([[1.0, 0.0]]), kind)
    assert found.tolist() == pytest.approx([((LOG4 - LOG3) / 4 + LOG2 / 4) / 2])
    weighed = asymmetric_loss(torch.tensor([[LOG3, LOG3]]), torch.tensor([[1.0, 0.0]]), kind, torch.tensor([8.0, 8.0]))
    assert weighed.tolist() == pytest.approx([(8 * (LOG4 - LOG3) / 4 + LOG2 / 4) / 2])


def test_asymmetric_negatives_below_the_clip_cost_and_move_nothing() -> None:
    kind = Asymmetric(type="asymmetric", gamma_negative=4.0, clip=0.3)
    student = torch.tensor([[-LOG3, 0.0]], requires_grad=True)  # p = 1/4 and 1/2
    loss = asymmetric_loss(student, torch.zeros(1, 2), kind)
    (gradient,) = torch.autograd.grad(loss.sum(), student)
    assert gradient[0, 0].item() == 0
    assert gradient[0, 1].item() > 0
    assert loss.item() == pytest.approx(0.2**4 * -math.log(0.8) / 2)


@given(seeds)
def test_without_a_focus_they_are_the_cross_entropy(seed: int) -> None:
    given_logits, truth = logits(seed), targets(seed + 1)
    plain = Asymmetric(type="asymmetric", gamma_positive=0.0, gamma_negative=0.0, clip=0.0)
    expected = label_loss(given_logits, truth, False)
    torch.testing.assert_close(asymmetric_loss(given_logits, truth, plain), expected)
    torch.testing.assert_close(focal_loss(given_logits, truth, 0.0, False), expected)
    one_hot = functional.one_hot(truth[:, 0].long(), 3).float()
    torch.testing.assert_close(focal_loss(given_logits, one_hot, 0.0, True), label_loss(given_logits, one_hot, True))


@given(seeds, st.floats(0.5, 5.0))
def test_a_focus_never_weighs_more_than_the_whole(seed: int, gamma: float) -> None:
    given_logits, truth = logits(seed), targets(seed + 1)
    assert (focal_loss(given_logits, truth, gamma, False) <= label_loss(given_logits, truth, False)).all()


LABEL_LOSSES = {
    "focal": lambda x, y: focal_loss(x, y, 2.0, False),
    "focal, less than a square": lambda x, y: focal_loss(x, y, 0.5, False),
    "focal of one label": lambda x, y: focal_loss(x, y, 0.5, True),
    "asymmetric": lambda x, y: asymmetric_loss(x, y, Asymmetric(type="asymmetric")),
    "asymmetric, unclipped": lambda x, y: asymmetric_loss(
        x, y, Asymmetric(type="asymmetric", gamma_positive=0.5, gamma_negative=0.5, clip=0.0)
    ),
}


@pytest.mark.parametrize("loss", LABEL_LOSSES.values(), ids=LABEL_LOSSES)
def test_gradients_of_label_losses_are_those_of_small_steps(loss) -> None:
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    student = torch.tensor([[0.7, -1.3], [2.0, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, truth), (student,))


@pytest.mark.parametrize("loss", LABEL_LOSSES.values(), ids=LABEL_LOSSES)
@pytest.mark.parametrize("size", [0.0, 30.0, 200.0])
def test_label_losses_stay_finite_however_sure_the_model_is(loss, size: float) -> None:
    truth = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    student = torch.tensor([[size, -size], [-size, size]], requires_grad=True)  # all right, then all wrong
    found = loss(student, truth)
    (gradient,) = torch.autograd.grad(found.sum(), student)
    assert found.isfinite().all()
    assert gradient.isfinite().all()
    if size:
        assert found[1] > found[0]
        assert gradient[1].abs().max() > 0  # what is wrong is still learnt from, a negative far above the clip hardly


def test_the_task_chooses_the_form_of_a_label_loss() -> None:
    student, truth = logits(1), functional.one_hot(torch.tensor([0, 1, 2, 0, 1]), 3).float()
    multi = Task(type="multi_label", text="t", labels=("a", "b", "c"))
    single = Task(type="single_label", text="t", label_column="class", labels=("a", "b", "c"))
    focal, asymmetric = Focal(type="focal", gamma=1.5), Asymmetric(type="asymmetric")
    for task, one in ((multi, False), (single, True)):
        found = target_loss(student, truth, task, kind=focal)
        torch.testing.assert_close(found, focal_loss(student, truth, 1.5, one))
    found = target_loss(student, truth, multi, kind=asymmetric)
    torch.testing.assert_close(found, asymmetric_loss(student, truth, asymmetric))


# ---------------------------------------------------------------------------------------------------- states


def test_hidden_error_by_hand_and_padding_does_not_count() -> None:
    student = torch.tensor([[[1.0, 2.0], [3.0, 5.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[1.0, 0.0], [0.0, 4.0], [0.0, 0.0]]])
    # (0 + 4) / 2 and (9 + 1) / 2, the third token is padding
    found = hidden_error(student, teacher, torch.tensor([[1, 1, 0]]))
    assert found.tolist() == pytest.approx([(2 + 5) / 2])


def test_cosine_distance_by_hand_and_padding_does_not_count() -> None:
    student = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [1.0, 1.0]]])
    teacher = torch.tensor([[[0.0, 2.0], [6.0, 8.0], [-1.0, -1.0]]])
    # at right angles 1, along each other 0, and opposite 2
    assert cosine_distance(student, teacher, torch.tensor([[1, 1, 0]])).tolist() == pytest.approx([0.5])
    assert cosine_distance(student, teacher, torch.tensor([[1, 1, 1]])).tolist() == pytest.approx([1.0])


@pytest.mark.parametrize("loss", [hidden_error, cosine_distance])
def test_gradients_of_state_losses_are_those_of_small_steps(loss) -> None:
    random = torch.Generator().manual_seed(3)
    student, teacher = (torch.randn(2, 3, 4, generator=random, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher, mask), (student.requires_grad_(),))
    (gradient,) = torch.autograd.grad(loss(student, teacher, mask).sum(), student)
    assert gradient[mask == 0].abs().max() == 0


def test_states_of_different_shapes_are_an_error_and_never_broadcast() -> None:
    for loss in (hidden_error, cosine_distance):
        with pytest.raises(ShapeError, match=r"\(1, 2, 3\).*\(1, 1, 3\)"):
            loss(torch.zeros(1, 2, 3), torch.zeros(1, 1, 3), torch.ones(1, 2))
