from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from eval.errors import InvalidInputError
from eval.metrics import f1
from eval.thresholds import AtPrecision, FBeta, best_threshold, fit_thresholds


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


# ---------------------------------------------------------------------------------------------------- other rules


def precision_recall(threshold, scores, targets):
    decided = scores >= threshold
    hits = int((decided & (targets == 1)).sum())
    return hits / max(1, int(decided.sum())), hits / int(targets.sum())


def test_f_beta_worked_by_hand():
    """After n = 1, 2, 3, 4 rows there are 1, 1, 1, 2 hits. F2 = 5 hits / (n + 8) is most at 4: 10 / 12.

    F.5 = 1.25 hits / (n + .5) is most at 1: 1.25 / 1.5.
    """
    scores, targets = np.array([0.9, 0.7, 0.4, 0.1]), np.array([1, 0, 0, 1])
    assert best_threshold(scores, targets, FBeta(2)) == pytest.approx(0.05)
    assert best_threshold(scores, targets, FBeta(0.5)) == pytest.approx(0.8)


def test_at_precision_worked_by_hand():
    scores, targets = np.array([0.9, 0.8, 0.6, 0.4, 0.2]), np.array([1, 0, 1, 1, 0])
    # precision after each row: 1, .5, .67, .75, .6
    assert best_threshold(scores, targets, AtPrecision(0.7)) == pytest.approx(0.3)
    assert best_threshold(scores, targets, AtPrecision(0.75)) == pytest.approx(0.3)  # reaching it is enough
    assert best_threshold(scores, targets, AtPrecision(0.8)) == pytest.approx(0.85)
    late = np.array([0, 1, 1, 1, 0])  # 0, .5, .67, .75, .6: nowhere .8, so the most there is
    assert best_threshold(scores, late, AtPrecision(0.8)) == pytest.approx(0.3)
    none = np.array([0, 1, 0, 1, 0])  # 0, .5, .33, .5, .4: twice the best, the later has more recall
    assert best_threshold(scores, none, AtPrecision(0.8)) == pytest.approx(0.3)


def f_beta(precision, recall, beta):
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall) if recall else 0.0


def test_f_beta_at_the_threshold_equals_scikit_learns():
    rng = np.random.default_rng(6)
    scores = rng.random(40)
    targets = (rng.random(40) < scores).astype(np.int8)
    known = {beta: max(fbeta_score(targets, scores >= cut, beta=beta) for cut in scores) for beta in (0.5, 2)}
    for beta, best in known.items():
        threshold = best_threshold(scores, targets, FBeta(beta))
        assert fbeta_score(targets, scores >= threshold, beta=beta) == pytest.approx(best)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=60),
    st.sampled_from([FBeta(0.5), FBeta(1.0), FBeta(3.0), AtPrecision(0.3), AtPrecision(0.9)]),
)
def test_no_threshold_of_a_grid_is_better_by_its_rule(pairs, rule):
    targets = np.array([p[0] for p in pairs], np.int8)
    scores = np.array([p[1] for p in pairs], np.float32) / np.float32(20)
    found = best_threshold(scores, targets, rule)
    if found is None or not scores.any():
        return

    def worth(threshold):
        precision, recall = precision_recall(threshold, scores, targets)
        match rule:
            case FBeta(beta=beta):
                return f_beta(precision, recall, beta)
            case AtPrecision(precision=wanted):
                return (1, recall) if precision >= wanted else (0, precision)

    best = worth(found)
    grid = map(worth, np.linspace(0.01, 1, 60))
    assert all(other <= best or other == pytest.approx(best) for other in grid)


def test_f1_is_f_beta_at_one():
    rng = np.random.default_rng(4)
    scores = rng.random((200, 3)).astype(np.float32)
    targets = (rng.random((200, 3)) < scores).astype(np.int8)
    assert fit_thresholds(scores, targets, rule=FBeta(1.0)).tolist() == fit_thresholds(scores, targets).tolist()


def test_more_weight_on_recall_never_raises_a_threshold():
    rng = np.random.default_rng(5)
    scores = rng.random((300, 4)).astype(np.float32)
    targets = (rng.random((300, 4)) < scores / 3).astype(np.int8)
    fitted = [fit_thresholds(scores, targets, rule=FBeta(beta)) for beta in (0.25, 0.5, 1, 2, 4)]
    assert all((higher >= lower).all() for higher, lower in pairwise(fitted))


def test_a_precision_asked_for_is_kept_by_a_rare_label_that_leans_on_the_pooled_threshold():
    rng = np.random.default_rng(0)
    targets = np.zeros((400, 2), np.int8)
    targets[:150, 0], targets[:4, 1] = 1, 1
    probabilities = rng.random((400, 2)).astype(np.float32) * np.float32(0.6) + np.float32(0.4) * targets
    for shift in (1.0, 0.5):  # the rare label's own threshold lies above the pooled one, then below
        probabilities[:, 1] *= np.float32(shift)
        fitted = fit_thresholds(probabilities, targets, rule=AtPrecision(0.9))
        own = best_threshold(probabilities[:, 1], targets[:, 1], AtPrecision(0.9))
        assert fitted[1] >= np.float32(own)
        assert precision_recall(fitted[0], probabilities[:, 0], targets[:, 0])[0] >= 0.9
