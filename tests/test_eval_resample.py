import time

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import InvalidInputError
from eval.intervals.resample import AVERAGES, _Scorer, bootstrap, interval, strata
from eval.metrics import average_precision, f1, macro, micro, per_label, precision, recall, roc_auc

METRICS = {
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}


def data(seed, rows=80, labels=3, levels=8):
    """Few levels: many ties. The last label is never positive."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((rows, labels)) < 0.3).astype(np.int8)
    targets[:, -1] = 0
    scores = ((rng.integers(0, levels, targets.shape) + 2 * targets) / (levels + 2)).astype(np.float32)
    return targets, (scores >= 0.5).astype(np.int8), scores


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_weighing_rows_is_repeating_them(seed, rows, levels):
    """The law all of this stands on: a metric by weights equals the plain metric on the rows written out."""
    targets, decisions, scores = data(seed, rows=rows, levels=levels)
    counts = np.random.default_rng(seed).integers(0, 4, rows)
    counts[0] += 1
    drawn = _Scorer(targets, decisions, scores).score(counts[None].astype(np.float32))
    again = np.repeat(np.arange(rows), counts)
    for name, metric in METRICS.items():
        predictions = scores if name in ("roc_auc", "average_precision") else decisions
        for kind, average in (("macro", macro), ("micro", micro)):
            expected = average(metric, targets[again], predictions[again])
            got = drawn.averages[f"{kind}_{name}"][0]
            assert np.isnan(got) if expected is None else got == pytest.approx(expected), (kind, name)
    for got, expected in zip(drawn.labels["f1"][0], per_label(f1, targets[again], decisions[again]), strict=True):
        assert np.isnan(got) if expected is None else got == pytest.approx(expected)


def test_every_resample_equals_scikit_learn_with_sample_weights():
    targets, _, scores = data(5, rows=60)
    weights = np.random.default_rng(1).integers(0, 3, 60)
    drawn = _Scorer(targets, targets, scores).score(weights[None].astype(np.float32))
    expected = [reference.roc_auc_score(targets[:, i], scores[:, i], sample_weight=weights) for i in (0, 1)]
    assert drawn.averages["macro_roc_auc"][0] == pytest.approx(np.mean(expected))


def test_a_row_belongs_to_its_rarest_label():
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], np.int8)
    assert strata(targets).tolist() == [0, 1, 2, 3]


def test_rare_labels_are_in_every_resample():
    targets = np.zeros((500, 2), np.int8)
    targets[:100, 0], targets[:3, 1] = 1, 1
    draws = bootstrap(targets, targets, targets.astype(np.float32), resamples=400, seed=0)
    assert not np.isnan(draws.labels["f1"]).any()  # plain resampling would lose 3 of 500 rows in 5 % of the draws
    assert (draws.labels["f1"] == 1).all()


def test_deterministic_by_seed_and_independent_of_the_candidate():
    targets, decisions, scores = data(0)
    once, again, other = (bootstrap(targets, decisions, scores, resamples=50, seed=seed) for seed in (7, 7, 8))
    for name in AVERAGES:
        np.testing.assert_array_equal(once.averages[name], again.averages[name])
    assert (once.averages["macro_f1"] != other.averages["macro_f1"]).any()
    opposite = bootstrap(targets, 1 - decisions, scores, resamples=50, seed=7)
    np.testing.assert_array_equal(once.averages["macro_roc_auc"], opposite.averages["macro_roc_auc"])


@given(st.integers(0, 10_000), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_an_interval_holds_its_value_and_stays_in_range(seed, rows):
    targets, decisions, scores = data(seed, rows=rows)
    draws = bootstrap(targets, decisions, scores, resamples=30, seed=seed)
    for name, metric in METRICS.items():
        predictions = scores if name in ("roc_auc", "average_precision") else decisions
        value = macro(metric, targets, predictions)
        found = interval(value, draws.averages[f"macro_{name}"])
        if value is None:
            assert (found.value, found.low, found.high) == (None, None, None)
        else:
            assert 0 <= found.low <= found.value <= found.high <= 1 + 1e-12


def test_nothing_positive_is_undefined_not_zero():
    nothing = np.zeros((6, 2), np.int8)
    draws = bootstrap(nothing, nothing, nothing.astype(np.float32), resamples=5, seed=0)
    assert all(np.isnan(draws.averages[name]).all() for name in AVERAGES)
    assert interval(None, draws.averages["macro_f1"]).value is None


def test_bad_input_is_refused():
    some = np.zeros((2, 1), np.int8)
    with pytest.raises(InvalidInputError, match="at least one"):
        bootstrap(some, some, some.astype(np.float32), resamples=0, seed=0)
    with pytest.raises(InvalidInputError, match="not one"):
        bootstrap(some, some[:1], some.astype(np.float32), resamples=1, seed=0)


def test_a_thousand_resamples_take_no_coffee_break():
    targets, decisions, scores = data(0, rows=2130, labels=6, levels=2000)
    started = time.process_time()
    bootstrap(targets, decisions, scores, resamples=1000, seed=0)
    assert time.process_time() - started < 10  # 0.3 s on an idle core; the slack is for a busy one
