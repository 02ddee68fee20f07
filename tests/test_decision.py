"""The decision: a calibration temperature that is found again, thresholds midway, and validation rows alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compress.artifact import Decision
from compress.recipe.data import Task
from compress.recipe.thresholds import AtPrecision, FBeta
from compress.train.decision import fit_decision, fit_temperature, precision_notes
from eval.contract import LabelledTexts

MULTI = Task(type="multi_label", text="t", labels=("a", "b"))
SINGLE = Task(type="single_label", text="t", labels=("a", "b", "c"), label_column="y")


def rows(targets: NDArray[np.int8], task: Task) -> LabelledTexts:
    return LabelledTexts(tuple(f"text {i}" for i in range(len(targets))), task.labels, targets)


def drawn(task: Task, count: int = 20_000, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Calibrated logits and labels drawn from their probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, len(task.labels)))
    if task.type == "multi_label":
        targets = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
    else:
        gumbel = random.gumbel(size=logits.shape)
        targets = np.eye(len(task.labels))[(logits + gumbel).argmax(axis=1)]
    return logits.astype(np.float32), targets.astype(np.int8)


@pytest.mark.parametrize("task", [MULTI, SINGLE])
@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found_again(task: Task, planted: float) -> None:
    logits, targets = drawn(task)
    assert fit_temperature(logits * np.float32(planted), targets, task) == pytest.approx(planted, rel=0.05)


@pytest.mark.parametrize("task", [MULTI, SINGLE])
def test_it_is_where_the_loss_is_least(task: Task) -> None:
    logits, targets = drawn(task, 300)
    logits = logits * 2

    def loss(temperature: float) -> float:
        found = Decision(calibration_temperature=temperature, thresholds=None).probabilities(logits, task)
        chosen = np.where(targets == 1, found, 1 - found if task is MULTI else 1.0)
        return float(-np.log(chosen).mean())

    best = fit_temperature(logits, targets, task)
    assert all(loss(best) <= loss(best * factor) + 1e-6 for factor in (0.5, 0.9, 1.1, 2.0))


def test_the_temperature_stays_within_bounds_and_is_one_without_rows() -> None:
    sure = np.array([[9.0, -9.0], [-9.0, 9.0]], np.float32)
    right, wrong = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 0]])
    assert fit_temperature(sure, right, MULTI) >= 0.05
    assert fit_temperature(sure, wrong, MULTI) == pytest.approx(20, rel=1e-3)
    assert fit_temperature(np.zeros((0, 2), np.float32), np.zeros((0, 2)), MULTI) == 1.0


def test_probabilities_by_hand() -> None:
    logits = np.array([[0, 2 * np.log(3)]], np.float32)
    decision = Decision(calibration_temperature=2.0, thresholds=None)
    np.testing.assert_allclose(decision.probabilities(logits, MULTI), [[0.5, 0.75]], rtol=1e-6)
    two = SINGLE.model_copy(update={"labels": ("a", "b")})
    np.testing.assert_allclose(decision.probabilities(logits, two), [[0.25, 0.75]], rtol=1e-6)


@pytest.mark.parametrize("task", [MULTI, SINGLE])
def test_probabilities_of_the_wildest_logits_stay_in_bounds(task: Task) -> None:
    logits = np.array([[1e38, -1e38, 0], [-1e4, 1e4, 1e4]], np.float32)[:, : len(task.labels)]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = Decision(calibration_temperature=1.0, thresholds=None).probabilities(logits, task)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()


def test_thresholds_lie_midway_between_calibrated_neighbours() -> None:
    # ten positives above ten negatives in each label; more would be shrunk towards the pooled threshold
    logits = np.concatenate([np.linspace(3, 1, 10), np.linspace(-0.5, -3, 10)]).astype(np.float32)
    both = np.stack([logits, logits[::-1]], axis=1)
    targets = (both > 0).astype(np.int8)
    decision = fit_decision(both, rows(targets, MULTI), MULTI)
    probabilities = decision.probabilities(both, MULTI)
    assert decision.thresholds is not None
    for column, threshold in enumerate(decision.thresholds):
        scores = probabilities[:, column]
        above, below = scores[targets[:, column] == 1].min(), scores[targets[:, column] == 0].max()
        assert threshold == pytest.approx((above + below) / 2, rel=1e-6)
        assert ((scores >= threshold) == targets[:, column]).all()


def test_single_label_has_no_thresholds() -> None:
    logits, targets = drawn(SINGLE, 50)
    assert fit_decision(logits, rows(targets, SINGLE), SINGLE).thresholds is None


def test_the_decision_survives_its_file() -> None:
    logits, targets = drawn(MULTI, 200)
    decision = fit_decision(logits, rows(targets, MULTI), MULTI)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


# ---------------------------------------------------------------------------------------------------- the recipe's rule


def test_the_recipes_rule_is_followed() -> None:
    logits, targets = drawn(MULTI, 400)
    validation = rows(targets, MULTI)
    found = {
        name: fit_decision(logits, validation, MULTI, asked).thresholds
        for name, asked in {
            "f1": "max_f1", "f1 again": FBeta(f_beta=1), "f3": FBeta(f_beta=3), "sure": AtPrecision(precision=0.95),
        }.items()
    }  # fmt: skip
    assert found["f1"] == found["f1 again"] == fit_decision(logits, validation, MULTI).thresholds
    assert np.less(found["f3"], found["f1"]).all()
    assert np.greater(found["sure"], found["f1"]).all()


def test_a_precision_that_is_not_reached_is_told_by_label() -> None:
    """a's best rows are negatives, so that no threshold has more than .5; b's are positives; c has none."""
    task = Task(type="multi_label", text="t", labels=("a", "b", "c"))
    logits = np.repeat(np.linspace(3, -3, 40, dtype=np.float32)[:, None], 3, axis=1)
    targets = np.zeros((40, 3), np.int8)
    targets[1:20:2, 0], targets[:20, 1] = 1, 1
    validation, asked = rows(targets, task), AtPrecision(precision=0.9)
    decision = fit_decision(logits, validation, task, asked)
    (note,) = precision_notes(decision, logits, validation, task, asked)
    assert note == "thresholds: precision 0.9 is not reached on the validation rows of a (0.500), c (no positive)"
    assert precision_notes(decision, logits, validation, task, "max_f1") == ()
    (note,) = precision_notes(decision, logits, validation, task, AtPrecision(precision=0.4))
    assert note.endswith("rows of c (no positive)")
    strict = decision.model_copy(update={"thresholds": (0.999, *decision.thresholds[1:])})
    (note,) = precision_notes(strict, logits, validation, task, asked)
    assert note.endswith("rows of a (nothing decided positive), c (no positive)")


def test_a_precision_that_is_reached_is_not_told() -> None:
    task = Task(type="multi_label", text="t", labels=("b",))
    logits = np.linspace(3, -3, 40, dtype=np.float32)[:, None]
    validation, asked = rows((logits > 0).astype(np.int8), task), AtPrecision(precision=0.9)
    assert precision_notes(fit_decision(logits, validation, task, asked), logits, validation, task, asked) == ()
