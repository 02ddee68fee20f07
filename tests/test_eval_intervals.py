"""Intervals of one candidate's metrics: numbers worked by hand, laws, and how often they hold the truth."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from eval.contract import Interval, LabelledTexts
from eval.evaluator import judge
from eval.intervals.proportions import (
    at_least,
    carriers,
    correlations,
    effective_trials,
    f1_interval,
    few_rows,
    mean_interval,
    overlaps,
    ranking_trials,
    share_interval,
)
from eval.intervals.resample import AVERAGES, LABEL_METRICS, Judged
from eval.intervals.scores import intervals
from eval.metrics import f1, macro, micro, precision, recall, roc_auc


def judged(targets, scores, resamples=100, thresholds=0.5):
    labels = tuple(map(str, range(targets.shape[1])))
    test_set = LabelledTexts(("",) * len(targets), labels, targets)
    at = None if thresholds is None else np.full(len(labels), thresholds, np.float32)
    return judge(scores.astype(np.float32), test_set, at, resamples=resamples, seed=3)


def bounds(interval):
    return interval.low, interval.high


def test_f1_by_hand():
    # 8 hits, 1 false alarm, 1 miss: F1 16 / 18, J 8 / 10; Wilson's of 8 in 10 is .4902 to .9433, F1 = 2 J / (1 + J)
    found = f1_interval(16 / 18, 10)
    assert bounds(found) == pytest.approx((2 * 0.49016 / 1.49016, 2 * 0.94331 / 1.94331), abs=1e-4)
    # a perfect one of 10: J down to 10 / (10 + z ** 2) = .7225
    assert bounds(f1_interval(1.0, 10)) == pytest.approx((2 * 0.72247 / 1.72247, 1.0), abs=1e-4)
    assert bounds(f1_interval(0.0, 10)) == pytest.approx((0.0, 2 * 0.27753 / 1.27753), abs=1e-4)


@given(st.integers(1, 60), st.integers(0, 60))
def test_a_share_has_scipys_wilson_interval(trials, hits):
    hits = min(hits, trials)
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert bounds(share_interval(hits / trials, trials)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_of_nothing_decided_all_is_possible():
    assert share_interval(0.0, 0) == Interval(0.0, 0.0, 1.0)


def test_draws_say_of_how_many_trials_a_share_is():
    draws = np.random.default_rng(0).binomial(50, 0.3, 200_000) / 50
    assert effective_trials(0.3, draws) == pytest.approx(50, rel=0.02)
    assert effective_trials(1.0, np.ones(9)) == effective_trials(0.5, np.full(9, np.nan)) == np.inf


def test_ranking_trials_by_hand():
    # 10 and 20 rows, AUC .8: pull .2 / 1.2 + .8 / 1.8 = .6111, mean rows less 1: 14, so 200 / (1 + 8.5556)
    assert ranking_trials(10, 20, 0.8) == pytest.approx(200 / 9.55556, rel=1e-5)
    assert ranking_trials(1, 1, 1.0) == 1


def test_few_rows_by_hand():
    # t of 9 degrees of freedom 2.2622, z 1.95996, and 10 / 9
    assert few_rows(10) == pytest.approx((2.26216 / 1.95996) ** 2 * 10 / 9, rel=1e-4)
    assert few_rows(1) == few_rows(2) > few_rows(3) > few_rows(1000) > 1


def test_a_roc_auc_rests_on_the_fewer_of_both():
    assert [carriers("roc_auc", 996, 4), carriers("roc_auc", 4, 996), carriers("average_precision", 996, 4)] == [
        4,
        4,
        996,
    ]


def test_a_roc_auc_turned_round_is_as_unsure():
    """Of two classes with 996 and 4 rows both have one ROC-AUC, and so one interval."""
    rare = np.arange(1000) < 4
    score = 1 / (1 + np.exp(3 - np.random.default_rng(1).standard_normal(1000) - 5 * rare))
    targets, scores = np.stack([~rare, rare], axis=1).astype(np.int8), np.stack([1 - score, score], axis=1)
    found = intervals(targets, judged(targets, scores, thresholds=None))
    usual, seldom = found.labels["roc_auc"]
    assert bounds(usual) == pytest.approx(bounds(seldom), abs=1e-6)
    assert seldom.high - seldom.low > 0.1
    assert bounds(found.averages["macro_roc_auc"]) == pytest.approx(bounds(seldom), abs=1e-3)


def test_a_mean_of_independent_parts_adds_like_deviations_and_of_equal_parts_not_at_all():
    parts = [Interval(0.5, 0.4, 0.6), Interval(0.7, 0.4, 0.9), Interval(None, None, None)]
    rng = np.random.default_rng(0)
    alone = np.hstack([np.kron([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], 1.0), np.full((4, 1), np.nan)])
    found = mean_interval(parts, alone)
    assert (found.value, found.low) == pytest.approx((0.6, 0.6 - np.hypot(0.1, 0.3) / 2))
    assert found.high == pytest.approx(0.6 + np.hypot(0.1, 0.2) / 2)
    together = np.repeat(rng.standard_normal((20, 1)), 3, axis=1)
    assert bounds(mean_interval(parts, together)) == pytest.approx((0.4, 0.75))
    assert mean_interval(parts[2:], alone[:, 2:]) == Interval(None, None, None)


def test_what_does_not_vary_goes_with_the_others_as_is_supposed():
    draws = np.array([[1.0, 0.2, 5.0], [1.0, 0.4, np.nan], [1.0, 0.6, 7.0]])
    np.testing.assert_allclose(correlations(draws, np.eye(3)), [[1, 0, 0], [0, 1, 1], [0, 1, 1]], atol=1e-12)
    supposed = np.array([[1, 0.3, 0.2], [0.3, 1, 0.9], [0.2, 0.9, 1]])
    expected = [[1, 0.3, 0.2], [0.3, 1, 1], [0.2, 1, 1]]
    np.testing.assert_allclose(correlations(draws, supposed), expected, atol=1e-12)


def test_labels_overlap_by_the_rows_that_they_share():
    marked = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 1, 0]], dtype=bool)
    expected = np.eye(4)
    expected[0, 1] = expected[1, 0] = expected[0, 2] = expected[2, 0] = 2 / (4 * 2) ** 0.5
    expected[1, 2] = expected[2, 1] = 1 / 2
    np.testing.assert_allclose(overlaps(marked), expected)


def test_labels_on_the_same_rows_are_no_surer_together_than_one_of_them():
    """Six labels that are always on the same rows are one label, whatever was found or missed of it."""
    for missed in (0, 1, 3):
        one = np.arange(60)[:, None] < 20
        found = one & (np.arange(60)[:, None] >= missed)
        alone = intervals(one.astype(np.int8), judged(one.astype(np.int8), np.where(found, 0.9, 0.1)))
        targets = np.repeat(one, 6, axis=1).astype(np.int8)
        six = intervals(targets, judged(targets, np.repeat(np.where(found, 0.9, 0.1), 6, axis=1)))
        low, high = bounds(alone.labels["f1"][0])
        assert six.averages["macro_f1"].low == pytest.approx(low, abs=1e-9)
        assert six.averages["macro_f1"].high >= high - 1e-9


def test_a_mean_is_no_surer_than_its_draws():
    assert bounds(at_least(Interval(0.9, 0.85, 0.91), np.array([0.8, 1.0]))) == pytest.approx((0.9 - 0.195996, 1.0))
    assert at_least(Interval(0.9, 0.5, 1.0), np.array([0.8, 1.0])) == Interval(0.9, 0.5, 1.0)
    assert at_least(Interval(None, None, None), np.array([np.nan])) == Interval(None, None, None)


@given(st.integers(0, 10_000), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_an_interval_holds_its_value_and_stays_in_range(seed, rows):
    rng = np.random.default_rng(seed)
    targets = (rng.random((rows, 3)) < (0.5, 0.1, 0)).astype(np.int8)
    scores = (rng.integers(0, 5, targets.shape) + targets) / 5
    own = judged(targets, scores, resamples=20)
    found = intervals(targets, own)
    assert set(found.averages) == set(AVERAGES)
    assert {name: len(found.labels[name]) for name in found.labels} == dict.fromkeys(LABEL_METRICS, 3)
    for one in [*found.averages.values(), *(it for column in found.labels.values() for it in column)]:
        if one.value is None:
            assert one == Interval(None, None, None)
        else:
            assert 0 <= one.low <= one.value <= one.high <= 1
            assert one.high - one.low > 0.01  # 40 rows never say a thing for sure
    for name, metric in (("f1", f1), ("precision", precision), ("recall", recall)):
        assert found.averages[f"macro_{name}"].value == pytest.approx(macro(metric, targets, own.decisions))
        assert found.averages[f"micro_{name}"].value == micro(metric, targets, own.decisions)
    assert found.labels["f1"][2] == found.labels["roc_auc"][2] == Interval(None, None, None)


def test_a_perfect_score_of_few_rows_is_not_sure():
    targets = np.zeros((200, 2), np.int8)
    targets[:10, 0], targets[:100, 1] = 1, 1
    found = intervals(targets, judged(targets, targets))
    for name in LABEL_METRICS:
        few, many = found.labels[name]
        assert few.value == few.high == many.high == 1
        assert few.low < many.low < 0.995
        assert found.averages[f"macro_{name}"].low < 0.99


def test_decisions_on_one_row_are_not_tried_apart():
    """Six labels that always err together are as sure as one, and no surer."""
    rng = np.random.default_rng(5)
    truth = (rng.random((400, 1)) < 0.3).astype(np.int8)
    score = np.where(rng.random((400, 1)) < 0.15, 1 - truth, truth)
    alone, six = (
        intervals(
            np.repeat(truth, times, axis=1),
            judged(np.repeat(truth, times, axis=1), np.repeat(score, times, axis=1), 800),
        )
        for times in (1, 6)
    )
    width = np.subtract(*bounds(alone.averages["micro_f1"]))
    assert np.subtract(*bounds(six.averages["micro_f1"])) == pytest.approx(width, rel=0.15)
    assert np.subtract(*bounds(six.averages["macro_f1"])) == pytest.approx(width, rel=0.15)


def test_an_argmax_task_has_the_interval_of_its_accuracy():
    """Of single-label answers micro F1 is the accuracy, each miss a false alarm as well."""
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 3, 500)
    given = np.where(rng.random(500) < 0.2, (classes + 1) % 3, classes)
    targets = np.eye(3, dtype=np.int8)[classes]
    found = intervals(targets, judged(targets, np.eye(3)[given], 1000, thresholds=None)).averages["micro_f1"]
    accuracy = float((classes == given).mean())
    assert found.value == pytest.approx(accuracy)
    assert bounds(found) == pytest.approx(bounds(share_interval(accuracy, 500)), abs=0.005)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Population values at a fixed threshold; 95 % intervals from 500 rows with about 12 positives. The whole of it:
    tests/benchmarks/bootstrap_coverage.py.
    """
    rng = np.random.default_rng(3)

    def draw(rows):
        truth = (rng.random((rows, 1)) < 12 / 500).astype(np.int8)
        return truth, 1 / (1 + np.exp(-(3.5 * truth - 2 + rng.standard_normal(truth.shape))))

    truth, scores = draw(400_000)
    decided = (scores >= 0.5).astype(np.int8)
    population = {"f1": f1(truth, decided), "recall": recall(truth, decided), "roc_auc": roc_auc(truth, scores)}
    held, percentile, trials = dict.fromkeys(population, 0), 0, 200
    for _ in range(trials):
        truth, scores = draw(500)
        own = judged(truth, scores, 50)
        found = intervals(truth, own)
        for name, value in population.items():
            one = found.labels[name][0]
            held[name] += one.value is None or one.low <= value <= one.high
        low, high = np.nanpercentile(own.draws.labels["roc_auc"][:, 0], (2.5, 97.5))
        percentile += low <= population["roc_auc"] <= high
    assert {name: 0.9 <= count / trials <= 1 for name, count in held.items()} == dict.fromkeys(population, True)
    assert percentile / trials < 0.85  # the same bound would find an interval that is too narrow


def test_120_000_cells_take_no_coffee_break():
    rng = np.random.default_rng(0)
    targets = (rng.random((20_000, 6)) < 0.1).astype(np.int8)
    own = judged(targets, 0.3 * targets + 0.6 * rng.random(targets.shape), 5)
    started = time.process_time()
    intervals(targets, own)
    assert time.process_time() - started < 3  # 0.2 s on an idle core


def test_the_draws_alone_say_how_sure_a_ranking_is():
    rng = np.random.default_rng(1)
    targets = (rng.random((300, 1)) < 0.3).astype(np.int8)
    own = judged(targets, 0.3 * targets + 0.6 * rng.random(targets.shape))
    labels = dict(own.draws.labels)
    wide = Judged(
        own.decisions, own.probabilities, replace(own.draws, labels=labels | {"roc_auc": labels["roc_auc"] * 4})
    )
    assert intervals(targets, wide).labels["roc_auc"][0].low < intervals(targets, own).labels["roc_auc"][0].low
    assert intervals(targets, wide).labels["f1"] == intervals(targets, own).labels["f1"]
