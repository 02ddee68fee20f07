import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import InvalidInputError
from eval.metrics import f1
from eval.thresholds import best_threshold, fit_thresholds


def f1_at(threshold, scores, targets):
    return f1(targets, (scores >= threshold).astype(np.int8))


def logit(p):
    return np.log(p / (1 - p))


def test_midway_between_neighbouring_scores_worked_by_hand():
    scores = np.array([0.9, 0.7, 0.4, 0.1])
    assert best_threshold(scores, np.array([1, 1, 0, 0])) == pytest.approx(0.55)
    assert best_threshold(scores, np.array([1, 0, 1, 0])) == pytest.approx(0.25)  # F1 .8 beats .67
    assert best_threshold(scores, np.array([1, 1, 1, 1])) == pytest.approx(0.05)  # below the lowest, halfway to 0


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=60),
    st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=200, deadline=None)
def test_no_threshold_of_a_grid_is_better(pairs, dtype):
    targets = np.array([p[0] for p in pairs], np.int8)
    scores = np.array([p[1] for p in pairs], dtype) / dtype(20)
    found = best_threshold(scores, targets)
    if not targets.any():
        assert found is None
        return
    assert 0 < found <= 1
    best = f1_at(found, scores, targets)
    assert all(best >= f1_at(threshold, scores, targets) for threshold in np.linspace(0.001, 1, 400))


def test_neighbouring_floats_are_still_parted():
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    scores = np.array([high, low], np.float32)
    found = best_threshold(scores, np.array([1, 0]))
    assert f1_at(np.float32(found), scores, np.array([1, 0])) == 1.0


def test_a_well_supported_label_keeps_its_own_and_a_rare_one_leans_on_the_pooled():
    rng = np.random.default_rng(0)
    targets = np.zeros((400, 3), np.int8)
    targets[:100, 0], targets[:4, 1] = 1, 1
    probabilities = (0.2 + 0.5 * targets + 0.2 * rng.random((400, 3))).astype(np.float32)
    probabilities[:, 1] /= 3  # the rare label's own best threshold lies low
    fitted = fit_thresholds(probabilities, targets)
    own = [best_threshold(probabilities[:, i], targets[:, i]) for i in (0, 1)]
    pooled = best_threshold(probabilities.ravel(), targets.ravel())
    assert fitted[0] == np.float32(own[0])
    assert logit(float(fitted[1])) == pytest.approx(0.4 * logit(own[1]) + 0.6 * logit(pooled), abs=1e-5)
    assert fitted[2] == np.float32(pooled)  # never positive
    assert fit_thresholds(probabilities, targets, minimum_positives=4)[1] == np.float32(own[1])


def test_without_any_positive_a_half():
    assert fit_thresholds(np.full((5, 2), 0.3, np.float32), np.zeros((5, 2), np.int8)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_saturated_scores_give_a_threshold_inside_the_open_interval(score):
    fitted = fit_thresholds(np.full((12, 1), score, np.float32), np.ones((12, 1), np.int8))
    assert fitted.dtype == np.float32
    assert 0 < fitted[0] < 1


def test_bad_input_is_refused():
    with pytest.raises(InvalidInputError, match="row 1"):
        fit_thresholds(np.array([[0.1], [np.nan]], np.float32), np.ones((2, 1), np.int8))
    with pytest.raises(InvalidInputError, match="must be"):
        fit_thresholds(np.zeros((2, 1), np.float32), np.ones((2, 2), np.int8))
    with pytest.raises(InvalidInputError, match="in \\[0, 1\\]"):
        best_threshold(np.array([2.0]), np.array([1]))
