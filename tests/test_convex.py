"""Convex fits: the one optimum, the losses of training, and which terms stay."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge

from compress.recipe.data import Task
from compress.recipe.students import LinearShape
from compress.train.convex import Linear, best_penalty, first_guess, fit, largest, loss_of
from compress.train.linear import candidate_terms, labels_lesson, taught_lesson
from compress.train.losses import distillation_loss, mixed_loss, positive_weights, target_loss
from compress.train.transfer import TransferSet

ROWS, TERMS = 120, 15
RANDOM = np.random.default_rng(5)
FEATURES = csr_matrix(RANDOM.random((ROWS, TERMS)) * (RANDOM.random((ROWS, TERMS)) < 0.4))
TASKS = {
    kind: Task.model_validate({"type": kind, "text": "text", "labels": ["a", "b", "c"]} | more)
    for kind, more in (("multi_label", {}), ("single_label", {"label_column": "class"}), ("regression", {}))
}


def truth(kind: str) -> np.ndarray:
    signal = FEATURES @ RANDOM.normal(size=(TERMS, 3)) + 0.3 * RANDOM.normal(size=(ROWS, 3))
    match kind:
        case "multi_label":
            return (signal > 0.2).astype(np.float64)
        case "single_label":
            return np.eye(3)[signal.argmax(axis=1)]
        case _:
            return np.asarray(signal)


def transfer(kind: str, rows: int = ROWS, labelled: int = 50) -> TransferSet:
    targets = truth(kind)[:rows].astype(np.float32)
    targets[labelled:] = 0
    known = (np.arange(rows) < labelled).astype(np.float32)
    answers = RANDOM.normal(scale=2, size=(rows, 3)).astype(np.float32)
    return TransferSet(tuple(f"text {row}" for row in range(rows)), targets, known, answers)


def optimum(aims: Any, kind: str, penalty: float) -> Linear:
    start = first_guess(FEATURES, aims, kind)
    return fit(FEATURES, loss_of(aims, kind), penalty, start, steps=2000, enough=1e-12)


@pytest.mark.parametrize("kind", TASKS)
def test_nothing_lowers_the_loss_at_the_optimum(kind: str) -> None:
    lesson = taught_lesson(transfer(kind), None, TASKS[kind], hardness=0.6, temperature=1.5, weight=0)
    loss, penalty = loss_of(lesson.aims, kind), 1e-3
    found = optimum(lesson.aims, kind, penalty)

    def whole(linear: Linear) -> float:
        return loss(linear.logits(FEATURES))[0] + penalty / 2 * float((linear.weights**2).sum())

    least = whole(found)
    for _ in range(20):
        step = 0.05 * RANDOM.normal(size=found.weights.shape)
        assert whole(Linear(found.weights + step, found.bias)) > least
        assert whole(Linear(found.weights, found.bias + 0.05 * RANDOM.normal(size=3))) >= least - 1e-9


@pytest.mark.parametrize("kind", TASKS)
def test_the_gradient_is_the_losses(kind: str) -> None:
    aims = taught_lesson(transfer(kind), None, TASKS[kind], hardness=0.6, temperature=1.5, weight=0).aims
    loss, logits = loss_of(aims, kind), RANDOM.normal(size=(ROWS, 3))
    _, gradient = loss(logits)
    for row, label in ((0, 0), (10, 1), (ROWS - 1, 2)):
        step = np.zeros_like(logits)
        step[row, label] = 1e-5
        slope = (loss(logits + step)[0] - loss(logits - step)[0]) / 2e-5
        assert slope == pytest.approx(gradient[row, label], abs=1e-7)


@pytest.mark.parametrize(("kind", "terms"), [("multi_label", 3), ("single_label", 1), ("regression", 1.5)])
def test_the_loss_is_that_of_training_in_steps(kind: str, terms: float) -> None:
    """Labels are summed where training takes their mean, and squares are halved: the optimum is the same."""
    given, task, temperature = transfer(kind), TASKS[kind], 1.0 if kind == "regression" else 2.0
    aims = taught_lesson(given, None, task, hardness=0.7, temperature=temperature, weight=0).aims
    logits = RANDOM.normal(size=(ROWS, 3))
    student = torch.from_numpy(logits)
    theirs = mixed_loss(
        target_loss(student, torch.from_numpy(given.targets).double(), task),
        distillation_loss(student, torch.from_numpy(given.answers).double(), task, temperature),
        torch.from_numpy(given.labelled),
        0.7,
        temperature,
    )
    assert loss_of(aims, kind)(logits)[0] == pytest.approx(terms * float(theirs), rel=1e-6)


def test_it_is_sklearns_logistic_regression() -> None:
    targets = truth("multi_label")
    found = optimum(labels_lesson(("",) * ROWS, targets, TASKS["multi_label"]).aims, "multi_label", 1 / (3.0 * ROWS))
    for label in range(3):
        other = LogisticRegression(C=3.0, tol=1e-8, max_iter=2000).fit(FEATURES, targets[:, label])
        np.testing.assert_allclose(found.weights[:, label], other.coef_[0], atol=2e-3)
        np.testing.assert_allclose(found.bias[label], other.intercept_[0], atol=2e-3)


def test_it_is_sklearns_softmax_and_ridge() -> None:
    targets = truth("single_label")
    found = optimum(labels_lesson(("",) * ROWS, targets, TASKS["single_label"]).aims, "single_label", 1 / (3.0 * ROWS))
    softmax = LogisticRegression(C=3.0, tol=1e-8, max_iter=2000).fit(FEATURES, targets.argmax(axis=1))
    np.testing.assert_allclose(found.weights.T, softmax.coef_, atol=5e-3)
    values = truth("regression")
    found = optimum(labels_lesson(("",) * ROWS, values, TASKS["regression"]).aims, "regression", 0.5 / ROWS)
    ridge = Ridge(alpha=0.5).fit(FEATURES, values)
    np.testing.assert_allclose(found.weights.T, ridge.coef_, atol=5e-3)


def test_positives_weigh_as_asked() -> None:
    targets = truth("multi_label")
    ratio = positive_weights(torch.from_numpy(targets), "balanced")
    assert ratio is not None
    lesson = labels_lesson(("",) * ROWS, targets, TASKS["multi_label"], ratio.numpy())
    logits = RANDOM.normal(size=(ROWS, 3))
    theirs = target_loss(torch.from_numpy(logits), torch.from_numpy(targets), TASKS["multi_label"], ratio).mean()
    assert loss_of(lesson.aims, "multi_label")(logits)[0] == pytest.approx(3 * float(theirs), rel=1e-6)


def test_asked_words_weigh_what_they_are_given() -> None:
    """Two words at weight 5 count as ten texts; what they answer is not labelled."""
    words = TransferSet(("a", "b"), np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.ones((2, 3), np.float32))
    lesson = taught_lesson(transfer("multi_label"), words, TASKS["multi_label"], 1.0, 1.0, weight=5)
    (aim,) = lesson.aims
    assert lesson.rows == ROWS + 10
    assert lesson.documents == ROWS
    assert aim.weights[-1, 0] == pytest.approx(5 * aim.weights[0, 0])
    assert float(aim.weights.sum()) == pytest.approx(1)
    np.testing.assert_allclose(aim.targets[-1], 1 / (1 + np.exp(-1)))


def test_the_cut_keeps_what_moves_a_logit_furthest() -> None:
    weights = np.array([[0.1, -0.2], [3, 0], [0, -1], [0.5, 0.5]])
    kept = largest(Linear(weights, np.zeros(2)), np.array([1, 1, 1, 4]), 2)
    assert kept.tolist() == [1, 3]  # 3 and 4 x .5, before 1 and .2


def test_the_penalty_of_best_score_is_chosen() -> None:
    lesson = labels_lesson(("",) * ROWS, truth("multi_label"), TASKS["multi_label"])
    start, loss = first_guess(FEATURES, lesson.aims, "multi_label"), loss_of(lesson.aims, "multi_label")
    tried: list[float] = []

    def score(linear: Linear) -> float:
        tried.append(float((linear.weights**2).sum()))
        return -abs(len(tried) - 2)

    found = best_penalty(FEATURES, loss, start, [1.0, 0.1, 0.01, 0.001], score)
    assert len(tried) == 3  # the third is worse, the fourth is not fitted
    assert float((found.weights**2).sum()) == tried[1]


def test_terms_are_those_of_enough_texts_and_every_word_that_was_asked() -> None:
    shape = LinearShape(type="linear", ngrams=2, min_count=2)
    texts = ("a b", "a b c", "d")
    assert sorted(candidate_terms(texts, shape, asked=False)) == ["a", "a b", "b"]
    assert sorted(candidate_terms(texts, shape, asked=True)) == ["a", "a b", "b", "c", "d"]
    assert sorted(candidate_terms(("a", "b"), shape, asked=False)) == ["a", "b"]  # none is in two
