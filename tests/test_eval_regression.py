import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from eval import Candidate, Footprint, Interval, LabelledTexts, Measurement, Report, dump_report, load_report
from eval.baseline.ridge import TfidfRegression, fit_tfidf_regression
from eval.errors import InvalidInputError
from eval.evaluator import CHUNK, judge, measure_quality, score_quality
from eval.latency.rounds import measure_latency
from eval.measurement import Quality
from eval.metrics import macro
from eval.plain import dump, read
from eval.regression import mae, r2, rmse, spearman
from eval.report.comparison import comparison_headings, comparison_rows, in_units
from eval.report.markdown import render_markdown
from eval.report.picture import draw_picture
from eval.values import (
    METRICS,
    RegressionQuality,
    _weights,
    bootstrap_values,
    judge_values,
    r2_difference,
    score_values,
)

FOOTPRINT = Footprint(90_900_000, 80_000_000, 45_450_000, 22_700_000, 0.5)
TARGETS = ("stars", "price")

whole = st.integers(-50, 50)
pairs = st.integers(2, 30).flatmap(
    lambda n: st.tuples(arrays.arrays(np.float64, n, elements=whole), arrays.arrays(np.float64, n, elements=whole))
)


# ---------------------------------------------------------------------------------------------------- metrics


def test_metrics_by_hand():
    truth, predicted = np.array([1.0, 2, 3, 4]), np.array([2.0, 2, 3, 5])
    assert rmse(truth, predicted) == pytest.approx(np.sqrt(0.5))
    assert mae(truth, predicted) == 0.5
    assert r2(truth, predicted) == pytest.approx(1 - 2 / 5)  # distances from 2.5: 2.25 + 0.25 + 0.25 + 2.25
    # ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4: 4.5 / sqrt(5 x 4.5)
    assert spearman(truth, predicted) == pytest.approx(4.5 / np.sqrt(22.5))
    assert spearman(truth, -predicted) == pytest.approx(-4.5 / np.sqrt(22.5))
    assert r2(truth, np.full(4, 2.5)) == 0
    assert r2(truth, truth[::-1]) == pytest.approx(1 - 20 / 5)


@given(pairs)
def test_they_equal_scikit_learn_and_scipy(pair):
    truth, predicted = pair
    assert rmse(truth, predicted) == pytest.approx(root_mean_squared_error(truth, predicted))
    assert mae(truth, predicted) == pytest.approx(mean_absolute_error(truth, predicted))
    assume(np.ptp(truth) > 0)
    assert r2(truth, predicted) == pytest.approx(r2_score(truth, predicted))
    assume(np.ptp(predicted) > 0)
    assert spearman(truth, predicted) == pytest.approx(spearmanr(truth, predicted).statistic)


@given(pairs, st.integers(-1000, 1000), st.sampled_from([-4.0, -0.5, 0.25, 3.0]))
def test_they_shift_and_scale_as_they_should(pair, shift, scale):
    truth, predicted = pair
    assume(np.ptp(truth) > 0 and np.ptp(predicted) > 0)
    for metric in METRICS.values():
        assert metric(truth + shift, predicted + shift) == pytest.approx(metric(truth, predicted), rel=1e-9, abs=1e-9)
    for metric in (rmse, mae):
        assert metric(scale * truth, scale * predicted) == pytest.approx(abs(scale) * metric(truth, predicted))
    for metric in (r2, spearman):  # turned around together, truth and prediction still agree
        assert metric(scale * truth, scale * predicted) == pytest.approx(metric(truth, predicted))


@given(pairs)
def test_their_bounds_and_what_joins_them(pair):
    truth, predicted = pair
    assert 0 <= mae(truth, predicted) <= rmse(truth, predicted) + 1e-9
    assume(np.ptp(truth) > 0)
    assert r2(truth, predicted) <= 1
    assert (r2(truth, predicted) == 1) == np.array_equal(truth, predicted)
    assert r2(truth, predicted) == pytest.approx(1 - (rmse(truth, predicted) / truth.std()) ** 2)
    assume(np.ptp(predicted) > 0)
    assert -1 <= spearman(truth, predicted) <= 1
    assert spearman(truth, predicted) == spearman(predicted, truth)


@given(pairs)
def test_spearman_sees_order_alone(pair):
    truth, predicted = pair
    for bend in (lambda x: x**3, np.arctan, lambda x: np.exp(x / 10)):
        assert spearman(truth, bend(predicted)) == spearman(truth, predicted)
    rows = np.arange(len(truth))
    assert spearman(rows, np.exp(rows / 10)) == pytest.approx(1)
    assert spearman(rows, -rows) == pytest.approx(-1)


def test_undefined_is_none_and_never_a_number():
    same, other = np.full(3, 2.0), np.array([1.0, 2.0, 3.0])
    assert (r2(same, other), spearman(same, other)) == (None, None)
    assert (r2(other, same), spearman(other, same)) == (0.0, None)
    assert rmse(same, other) == pytest.approx(np.sqrt(2 / 3))
    assert [metric(other[:0], other[:0]) for metric in METRICS.values()] == [None] * 4
    assert [metric(other[:1], other[:1]) for metric in METRICS.values()] == [0.0, 0.0, None, None]


@pytest.mark.parametrize("metric", METRICS.values())
def test_what_has_no_metric_is_refused(metric):
    with pytest.raises(InvalidInputError, match="row 1 has a value that is not finite"):
        metric(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    with pytest.raises(InvalidInputError, match=r"\(2,\).*\(2, 1\)"):
        metric(np.zeros(2), np.zeros((2, 1)))


# ---------------------------------------------------------------------------------------------------- intervals


def example(rows=300, seed=0):
    """stars from 1 to 5 in halves (many ties), price in thousands; predictions with noise."""
    rng = np.random.default_rng(seed)
    truth = np.column_stack([rng.integers(2, 11, rows) / 2, rng.normal(20_000, 5_000, rows)]).astype(np.float32)
    noise = rng.normal(size=(rows, 2)) * (0.4, 2_000)
    values = (np.round((truth + noise) * (10, 1)) / (10, 1)).astype(np.float32)
    return LabelledTexts(tuple(map(str, range(rows))), TARGETS, truth), values


def test_every_draw_is_the_metric_of_the_rows_drawn():
    test_set, values = example(rows=7)
    draws = bootstrap_values(test_set.targets, values, resamples=200, seed=4)
    weights = np.concatenate(list(_weights(7, 200, 4))).astype(int)
    assert (weights.sum(axis=1) == 7).all()
    for resample, counts in enumerate(weights):
        rows = np.repeat(np.arange(7), counts)
        for name, metric in METRICS.items():
            for place in range(2):
                expected = metric(test_set.targets[rows, place], values[rows, place])
                found = draws[name][resample, place]
                assert np.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-9)


def test_draws_of_few_kinds_of_rows_leave_some_undefined():
    # one of three rows differs: 8 + 1 of 27 draws are all alike, and rounding must not pass for distances
    for odd in (0.7, 3.3, 1e4):
        truth = np.array([[0.1], [0.1], [odd]], np.float32)
        draws = bootstrap_values(truth, truth + 1, resamples=600, seed=0)
        assert np.isnan(draws["r2"]).mean() == np.isnan(draws["spearman"]).mean() == pytest.approx(9 / 27, abs=0.06)
        assert not np.isnan(draws["rmse"]).any()


def test_chunks_do_not_show(monkeypatch):
    test_set, values = example(rows=50)
    whole_at_once = bootstrap_values(test_set.targets, values, resamples=40, seed=1)
    monkeypatch.setattr("eval.values._CHUNK_CELLS", 120)
    in_pieces = bootstrap_values(test_set.targets, values, resamples=40, seed=1)
    for name in METRICS:
        np.testing.assert_allclose(in_pieces[name], whole_at_once[name], rtol=1e-9)


@pytest.mark.parametrize(("name", "true_value"), [("rmse", 1.0), ("mae", np.sqrt(2 / np.pi)), ("r2", 0.5)])
def test_intervals_cover_the_truth(name, true_value):
    rng, held = np.random.default_rng(2), 0
    for trial in range(100):
        predicted = rng.normal(size=(150, 1)).astype(np.float32)
        truth = (predicted + rng.normal(size=(150, 1))).astype(np.float32)  # half of its variance is explained
        found = score_values(predicted, LabelledTexts(("",) * 150, ("y",), truth), resamples=200, seed=trial)
        spread = getattr(found, f"macro_{name}")
        held += spread.low <= true_value <= spread.high
    assert held >= 88


# Student's t of n - 1 times the root of n / (n - 1): 2.262 x 1.0541 = 2.3846, 2.093 x 1.0260 = 2.1474, 1.9623 x 1.0005
@pytest.mark.parametrize(("rows", "outside"), [(10, 0.00855), (20, 0.01588), (1000, 0.0248)])
def test_intervals_of_few_rows_reach_further_into_the_draws(rows, outside):
    test_set, values = example(rows=rows)
    found = score_values(values, test_set, resamples=300, seed=5)
    draws = bootstrap_values(test_set.targets, values, resamples=300, seed=5)
    for name in ("rmse", "mae", "r2"):
        ends = getattr(found.targets["price"], name)
        expected = np.nanquantile(draws[name][:, 1], (outside, 1 - outside))
        assert (ends.low, ends.high) == pytest.approx(tuple(expected), rel=1e-3)


def test_one_row_has_no_interval_and_the_right_order_of_few_says_little():
    def scored(truth, predicted):
        given, wanted = (np.array(it, np.float32)[:, None] for it in (predicted, truth))
        return score_values(given, LabelledTexts(("",) * len(truth), ("y",), wanted), resamples=50, seed=0)

    one = scored([3.0], [3.5])
    assert one.macro_rmse == one.targets["y"].mae == Interval(0.5, None, None)
    assert one.macro_r2 == one.macro_spearman == Interval(None, None, None)
    assert in_units(one.macro_rmse) == "0.500"
    assert scored([1, 2], [1, 2]).macro_spearman == Interval(1.0, -1.0, 1.0)
    assert scored([1, 2, 3, 4], [1, 2, 3, 4]).macro_spearman.low < 0
    ten = scored(range(10), range(10)).macro_spearman
    # one change of neighbours: 1 - 12 / 990 = .98788, whose z is 2.551; less 1.96 sqrt(1.48795 / 7) = .904
    assert ten == Interval(1.0, pytest.approx(np.tanh(2.551 - 0.904), abs=2e-4), 1.0)
    assert scored(range(10), range(10)[::-1]).macro_spearman.high == pytest.approx(-ten.low)


def test_quality_is_what_the_metrics_say():
    test_set, values = example()
    found = score_values(values, test_set, resamples=50, seed=0)
    assert found.rows == 300
    for name, metric in METRICS.items():
        of_targets = [getattr(found.targets[target], name) for target in TARGETS]
        assert [it.value for it in of_targets] == [metric(test_set.targets[:, i], values[:, i]) for i in range(2)]
        mean = getattr(found, f"macro_{name}")
        assert (
            mean.value
            == macro(metric, test_set.targets, values)
            == pytest.approx(of_targets[0].value / 2 + of_targets[1].value / 2)
        )
        assert all(it.low < it.value < it.high for it in (mean, *of_targets))
    assert found.targets["price"].mean == pytest.approx(test_set.targets[:, 1].mean(), rel=1e-6)
    assert found.targets["price"].deviation == pytest.approx(test_set.targets[:, 1].std(), rel=1e-5)


def test_a_constant_target_is_undefined_and_left_out_of_the_mean():
    test_set, values = example()
    truth = test_set.targets.copy()
    truth[:, 0] = 3
    found = score_values(values, LabelledTexts(test_set.texts, TARGETS, truth), resamples=20, seed=0)
    assert found.targets["stars"].r2 == found.targets["stars"].spearman == Interval(None, None, None)
    assert found.macro_r2.value == found.targets["price"].r2.value
    assert found.targets["stars"].rmse.value > 0
    assert json.loads(json.dumps(dump(found), allow_nan=False)) == dump(found)


# ---------------------------------------------------------------------------------------------------- judging


class Fixed:
    """A regression that looks its answers up."""

    def __init__(self, values, labels=TARGETS):
        self.labels = labels
        self._answers = {str(row): answer for row, answer in enumerate(values)}

    def predict_values(self, texts):
        return np.array([self._answers[text] for text in texts], np.float32)


def candidate(predictor, thresholds=None, name="student"):
    return Candidate(name, "distill", "onnx", "onnxruntime", "cpu", 1, FOOTPRINT, thresholds, predictor)


def test_a_regression_is_judged_by_its_values_and_timed_like_any_other():
    test_set, values = example()
    seen = []
    found = measure_quality(
        candidate(Fixed(values)),
        test_set,
        resamples=20,
        seed=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == score_values(values, test_set, resamples=20, seed=3)
    assert seen == [(CHUNK, 300), (300, 300)]
    samples = measure_latency([candidate(Fixed(values))], test_set.texts, batch_size=2, rounds=5, max_seconds=5, seed=0)
    assert samples.seconds.shape == (5, 1)


def test_what_does_not_fit_a_regression_is_refused():
    test_set, values = example()
    with pytest.raises(InvalidInputError, match="student: a regression decides nothing"):
        candidate(Fixed(values), np.array([0.5, 0.5], np.float32))
    labels = LabelledTexts(test_set.texts, TARGETS, np.zeros((300, 2), np.int8))
    with pytest.raises(InvalidInputError, match="student: gives numbers, and the test set's targets are 0/1 labels"):
        measure_quality(candidate(Fixed(values)), labels, resamples=5, seed=0)

    class Classifier:
        labels = TARGETS

        def predict_proba(self, texts):
            return np.full((len(texts), 2), 0.5, np.float32)

    with pytest.raises(InvalidInputError, match="student: gives probabilities, and the test set's targets are numbers"):
        measure_quality(candidate(Classifier()), test_set, resamples=5, seed=0)
    with pytest.raises(InvalidInputError, match="student: predicts"):
        measure_quality(candidate(Fixed(values, TARGETS[::-1])), test_set, resamples=5, seed=0)
    values[270, 1] = np.inf
    with pytest.raises(InvalidInputError, match=r"student: predict_values gave inf for row 270, label number 1"):
        measure_quality(candidate(Fixed(values)), test_set, resamples=5, seed=0)


@pytest.mark.parametrize("bad", [2, -1, 127, -128])
def test_a_label_is_0_or_1(bad):
    targets = np.zeros((400, 2), np.int8)
    targets[7] = 1
    targets[300, 1] = bad
    with pytest.raises(InvalidInputError, match=f"row 300 has {bad} for price; 0 or 1 was expected"):
        LabelledTexts(("",) * 400, TARGETS, targets)
    assert len(LabelledTexts((), TARGETS, targets[:0])) == 0
    assert not LabelledTexts(("",) * 7, TARGETS, targets[:7].astype(bool)).is_regression


def test_truth_must_be_finite():
    with pytest.raises(InvalidInputError, match="row 1 has nan for price"):
        LabelledTexts(("a", "b"), TARGETS, np.array([[1, 2], [3, np.nan]], np.float32))


# ---------------------------------------------------------------------------------------------------- differences


def apart(truth, own, reference, resamples=400):
    test_set = LabelledTexts(("",) * len(truth), tuple(map(str, range(truth.shape[1]))), truth)
    judged = (judge_values(it, test_set, resamples=resamples, seed=3) for it in (own, reference))
    return r2_difference(test_set, *judged)


def test_a_difference_in_r2_is_that_of_both_with_what_they_share_taken_out():
    test_set, values = example()
    worse = values + np.random.default_rng(1).normal(0, 0.05, values.shape).astype(np.float32)
    found = apart(test_set.targets, values, worse)
    own, other = (score_values(it, test_set, resamples=400, seed=3).macro_r2 for it in (values, worse))
    assert found.value == pytest.approx(own.value - other.value)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.5 * (own.high - own.low)
    back = apart(test_set.targets, worse, values)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_a_copy_differs_by_nothing_and_what_is_undefined_for_one_is_no_difference():
    test_set, values = example()
    assert apart(test_set.targets, values, values.copy()) == Interval(0.0, 0.0, 0.0)
    constant = np.full((30, 1), 2, np.float32)
    assert apart(constant, constant + 1, constant) == Interval(None, None, None)
    one_row = apart(test_set.targets[:1], values[:1], values[:1])
    assert (one_row.low, one_row.high) == (None, None)


def test_the_interval_of_a_difference_in_r2_covers_what_is_so():
    """Two models whose errors go together, their spread 0.6 and 0.75 of the truth's."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(150):
        truth, shared = rng.normal(size=(2, 40, 1))
        one, two = (truth + spread * (0.8 * shared + 0.6 * rng.normal(size=(40, 1))) for spread in (0.6, 0.75))
        found = apart(*(it.astype(np.float32) for it in (truth, one, two)), resamples=200)
        held += found.low <= 0.75**2 - 0.6**2 <= found.high
    assert held >= 132  # 88 %


# ---------------------------------------------------------------------------------------------------- the report


def measured(name, seed, targets=TARGETS):
    test_set, values = example(seed=seed)
    picked = LabelledTexts(test_set.texts, targets, test_set.targets[:, : len(targets)])
    quality = score_values(values[:, : len(targets)], picked, resamples=30, seed=1)
    return Measurement(name, "distill", "onnx", FOOTPRINT, {"main": quality, "more": quality}, ())


def report(targets=TARGETS, **changes):
    facts = {
        "name": "stars",
        "recipe": {"seed": 13},
        "environment": {"cpu": "Xeon"},
        "candidates": tuple(measured(name, seed, targets) for seed, name in enumerate(("teacher", "student"))),
        "teacher_id": "teacher",
        "first_set": "main",
        "notes": (),
    }
    return Report(**facts | changes)


def test_report_json_has_fields_of_its_own_kind_and_reads_back_exactly(tmp_path):
    written = report()
    path = tmp_path / "report.json"
    path.write_text(dump_report(written), encoding="utf-8")
    assert load_report(path) == written
    quality = json.loads(path.read_text())["candidates"][0]["quality"]
    assert set(quality) == {"rows", "macro_rmse", "macro_mae", "macro_r2", "macro_spearman", "targets", "r2_against"}
    assert set(quality["targets"]["stars"]) == {"rmse", "mae", "r2", "spearman", "mean", "deviation"}
    assert set(quality["macro_r2"]) == {"value", "low", "high"}
    later = json.loads(path.read_text())["candidates"][0]["quality"] | {"added_later": 1}
    later["targets"]["stars"]["added_later"] = 1
    assert read(Quality, later) == written.candidates[0].quality_by_set["main"]
    assert isinstance(read(Quality, quality), RegressionQuality)


def test_the_comparison_shows_a_regressions_own_columns():
    rows = comparison_rows(report())
    quality = report().candidates[1].quality_by_set["main"]
    spread = quality.macro_r2
    assert rows[1].r2 == f"{spread.value:.3f} ({spread.low:.3f}–{spread.high:.3f})"
    assert rows[1].rmse.startswith(f"{quality.macro_rmse.value:.0f} (")
    assert comparison_headings(report())[5:9] == ("macro R²", "macro RMSE", "macro MAE", "macro Spearman")
    one = report(targets=("stars",))
    assert comparison_headings(one)[5:9] == ("R²", "RMSE", "MAE", "Spearman")
    assert comparison_rows(one)[0].rmse.startswith(f"{one.candidates[0].quality_by_set['main'].macro_rmse.value:#.3g}")


def test_markdown_is_by_target_and_speaks_of_no_threshold():
    text = render_markdown(report(), "report.svg")
    parts = [
        "## Comparison",
        "![Macro R² against latency",
        "## By target: main",
        "| price: MAE |",
        "**macro Spearman**",
    ]
    places = [text.index(part) for part in [*parts, "## By target: more", "## How to read it"]]
    assert places == sorted(places)
    assert not any(word in text for word in ("F1", "hreshold", "ROC", "probabilit"))
    alone = render_markdown(report(targets=("stars",)), None)
    assert "acro R²" not in alone
    truth = example()[0].targets[:, 0]
    assert f"| stars: R² | {truth.mean():#.3g} ± {truth.std():#.3g} |" in alone
    assert "| stars: RMSE |  |" in alone


def test_the_picture_has_r2_upwards():
    assert "<!-- macro R² with 95 % interval" in draw_picture(report())
    assert "<!-- R² with 95 % interval" in draw_picture(report(targets=("stars",)))


def test_a_report_on_both_kinds_is_refused():
    test_set = LabelledTexts(("a", "b"), ("x",), np.array([[1], [0]], np.int8))
    judged = judge(np.array([[0.9], [0.1]], np.float32), test_set, None, resamples=5, seed=0)
    quality = score_quality(judged, test_set, None)
    classifier = replace(measured("teacher", 0), quality_by_set={"main": quality})
    with pytest.raises(InvalidInputError, match="does not compare"):
        report(candidates=(classifier, measured("student", 1)))


# ---------------------------------------------------------------------------------------------------- baseline

GOOD, BAD = ["lovely", "kind", "calm", "thanks"], ["awful", "rotten", "broken", "Ärger"]
PLAIN = ["garden", "reading", "table", "window", "letter", "again"]


def rows(count, seed):
    """stars: 3 and half a star for each good word less each bad one; price: 100 for each word."""
    rng = np.random.default_rng(seed)
    texts, targets = [], np.zeros((count, 2), np.float32)
    for i in range(count):
        good, bad, plain = rng.integers(0, 4), rng.integers(0, 4), rng.integers(2, 9)
        words = [*rng.choice(GOOD, good), *rng.choice(BAD, bad), *rng.choice(PLAIN, plain)]
        texts.append(" ".join(rng.permutation(words)))
        targets[i] = 3 + (good - bad) / 2, 100 * len(words)
    return tuple(texts), targets


def fitted(kind="words", validation=None, count=200):
    texts, targets = rows(count, seed=1)
    return fit_tfidf_regression(texts, targets, TARGETS, kind=kind, seed=0, validation=validation)


@pytest.mark.parametrize("kind", ["words", "words_chars"])
def test_the_baseline_learns_in_the_targets_own_units(kind):
    texts, targets = rows(200, seed=2)
    values = fitted(kind).predict_values(texts)
    assert values.dtype == np.float32
    assert r2(targets[:, 0], values[:, 0]) > 0.8
    assert values[:, 1].mean() == pytest.approx(targets[:, 1].mean(), rel=0.05)


def test_its_values_equal_scikit_learn():
    texts, targets = rows(200, seed=1)
    model = fitted()
    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode")
    ridge = Ridge(alpha=model.chosen_alpha).fit(theirs.fit_transform(texts).toarray(), targets)
    new, _ = rows(50, seed=3)
    np.testing.assert_allclose(model.predict_values(new), ridge.predict(theirs.transform(new).toarray()), rtol=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_chosen_alpha_is_the_best_on_validation(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    texts, targets = rows(80, seed=11)
    noisy = targets + (rng.normal(size=targets.shape) * targets.std(axis=0) * (seed + 1)).astype(np.float32)
    held_out = LabelledTexts(texts, TARGETS, noisy)
    chosen = fitted(validation=held_out, count=30).chosen_alpha
    qualities = {}
    for alpha in (0.1, 0.3, 1.0, 3.0, 10.0):
        monkeypatch.setattr("eval.baseline.ridge._CHOICES_OF_ALPHA", (alpha,))
        qualities[alpha] = macro(r2, noisy, fitted(validation=held_out, count=30).predict_values(texts))
    assert len(set(qualities.values())) == 5
    assert qualities[chosen] == pytest.approx(max(qualities.values()), abs=1e-6)


def test_a_text_alone_gives_the_same_and_an_unknown_one_the_bias():
    model = fitted("words_chars")
    texts, _ = rows(5, seed=9)
    together = model.predict_values([*texts, "", "?!"])
    np.testing.assert_array_equal(together, np.vstack([model.predict_values([text]) for text in [*texts, "", "?!"]]))
    np.testing.assert_array_equal(together[5], model.bias)
    assert model.predict_values([]).shape == (0, 2)


def test_one_target_and_a_handful_of_rows_are_enough():
    model = fit_tfidf_regression(
        ["bad apple", "good pear"], np.array([[1], [5]], np.float32), ("x",), kind="words", seed=0, validation=None
    )
    low, middle, high = model.predict_values(["bad", "new", "good"])[:, 0]
    assert 1 < low < middle < high < 5


def test_bad_input_to_the_baseline_is_refused():
    options = {"kind": "words", "seed": 0, "validation": None}
    with pytest.raises(InvalidInputError, match="no word"):
        fit_tfidf_regression(["", "?"], np.array([[1], [2]], np.float32), ("x",), **options)
    with pytest.raises(InvalidInputError, match="do not fit"):
        fit_tfidf_regression(["a b"], np.zeros((2, 1), np.float32), ("x",), **options)
    other = LabelledTexts(("a",), ("y",), np.zeros((1, 1), np.float32))
    with pytest.raises(InvalidInputError, match="validation has targets"):
        fit_tfidf_regression(["aa bb"], np.ones((1, 1), np.float32), ("x",), **options | {"validation": other})
    model = fitted()
    with pytest.raises(InvalidInputError, match="do not fit"):
        TfidfRegression(model.labels, model.blocks, model.weights[1:], model.bias, 1.0)


def test_predicting_values_imports_no_scikit_learn():
    code = """if True:
        import sys, numpy as np
        from eval.baseline.ridge import TfidfRegression
        from eval.baseline.terms import TermBlock
        block = TermBlock("word", (1, 2), ("bad", "bad day"), np.ones(2, np.float32))
        model = TfidfRegression(("x",), (block,), np.ones((2, 1), np.float32), np.zeros(1, np.float32), 1.0)
        assert model.predict_values(["a bad day"])[0, 0] > 0.5
        print([name for name in ("sklearn", "scipy", "torch") if name in sys.modules])"""
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
