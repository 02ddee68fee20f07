"""Verdicts, worked by hand: met, missed or undecided, what is missing to decide, and how they are shown."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.contract import Footprint, Interval
from eval.goals.evidence import Evidence
from eval.goals.text import parse_goal
from eval.goals.verdicts import Verdict, closest_miss, judge_goal
from eval.intervals.differences import Differences
from eval.latency.rounds import LatencyRow
from eval.measurement import LabelQuality, Measurement, SetDetails, SetQuality
from eval.report.markdown import render_markdown
from eval.report.report import Report, dump_report, load_report
from eval.report.verdicts import bound_text, measured_text, verdict_lines, verdict_rows
from eval.values import RegressionQuality, TargetQuality

FOOTPRINT = Footprint(1_670_000, 1_600_000, 1_290_000, 1_500_000, 0.0)
NOTHING = Interval(None, None, None)
AHEAD = Interval(0.05, 0.02, 0.08)


def label(f1: float | None, low: float | None, high: float | None, support: int) -> LabelQuality:
    return LabelQuality(
        precision=0.9, recall=0.8, f1=f1, f1_low=low, f1_high=high, f1_at_half=f1, roc_auc=0.95, average_precision=0.9,
        support=support, threshold=0.5, precision_low=0.8, precision_high=0.95,
    )  # fmt: skip


LABELS = {
    "toxic": label(0.80, 0.78, 0.82, 400),
    "threat": label(0.50, 0.40, 0.60, 20),
    "vile": label(0.95, 0.90, 0.99, 6),
    "never": label(None, None, None, 0),
}


def quality(**changes: Any) -> SetQuality:
    averages = {name: Interval(0.75, 0.73, 0.77) for field in fields(SetQuality) if "_" in (name := field.name)}
    facts: dict[str, Any] = {"rows": 1000, "macro_f1_at_half": 0.7, "labels": LABELS, "positive_rows": 410}
    return SetQuality(**averages | facts | changes)


def differences(**changes: Interval) -> Differences:
    by_label = {"toxic": Interval(-0.01, -0.02, 0.0), "threat": Interval(-0.05, -0.15, 0.05), "vile": NOTHING}
    small = Interval(-0.012, -0.031, 0.004)
    return Differences(**dict.fromkeys(AVERAGED, small) | changes, label_f1=by_label)


AVERAGED = ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision")


def timed(threads: int = 1, batch_size: int = 1, device: str = "cpu", **changes: Any) -> LatencyRow:
    row = LatencyRow(
        device=device, runtime="onnxruntime", threads=threads, batch_size=batch_size, samples=250, p50_ms=1.4,
        p95_ms=2.0, p99_ms=3.0, texts_per_second=700.0, speedup_vs_teacher=Interval(15.3, 15.1, 15.6),
        p50_low_ms=1.3, p50_high_ms=1.5, p95_low_ms=1.8, p95_high_ms=2.6,
    )  # fmt: skip
    return replace(row, **changes)


def candidate(**changes: Any) -> Measurement:
    facts: dict[str, Any] = {
        "id": "student", "stage": "quantize", "format": "onnx-int8", "footprint": FOOTPRINT,
        "quality_by_set": {"news": quality(), "chat": quality(macro_f1=Interval(0.6, 0.55, 0.65))},
        "latency": (timed(threads=2, p50_ms=9.0), timed(batch_size=32, p50_ms=30.0), timed(), timed(device="cuda")),
        "details_by_set": {"news": SetDetails({"big": differences(), "tfidf": differences(macro_f1=AHEAD)})},
    }  # fmt: skip
    return Measurement(**facts | changes)


def judged(text: str, **changes: Any) -> tuple[Verdict, ...]:
    evidence = Evidence(candidate(**changes), teacher_id="big", first_set="news", all_threads=2)
    return judge_goal(parse_goal(text), evidence)


def verdict(text: str, **changes: Any) -> Verdict:
    (found,) = judged(text, **changes)
    return found


# ---------------------------------------------------------------------------------------------------- the three states


@pytest.mark.parametrize(
    ("bound", "state"),
    [("0.73", "met"), ("0.7", "met"), ("0.7301", "undecided"), ("0.77", "undecided"), ("0.7701", "missed")],
)
def test_an_average_against_a_number(bound: str, state: str) -> None:
    assert verdict(f"macro_f1 >= {bound}").state == state


@pytest.mark.parametrize(
    ("goal", "state", "against"),
    [
        ("macro_f1 >= teacher - 0.031", "met", "big"),  # the difference lies in -0.031 ... 0.004
        ("macro_f1 >= teacher - 0.03", "undecided", "big"),
        ("macro_f1 >= big", "undecided", "big"),
        ("macro_f1 >= teacher + 0.005", "missed", "big"),
        ("macro_f1 >= tfidf + 0.02", "met", "tfidf"),
        ("macro_f1 >= tfidf + 0.1", "missed", "tfidf"),
    ],
)
def test_against_a_model_the_paired_difference_decides(goal: str, state: str, against: str) -> None:
    found = verdict(goal)
    assert (found.state, found.against) == (state, against)


def test_what_is_better_the_lower_has_its_good_side_below() -> None:
    states = {bound: verdict(f"p95_ms[cpu, batch 1, threads 1] <= {bound}").state for bound in ("2.6", "2.5", "1.7")}
    assert states == {"2.6": "met", "2.5": "undecided", "1.7": "missed"}


def test_facts_are_met_or_missed_on_the_bound_itself() -> None:
    states = [verdict(goal).state for goal in ("size_mb <= 1.67", "size_gzip_mb <= 1.28", "parameters <= 1500000")]
    assert states == ["met", "missed", "met"]
    found = verdict("size_gzip_mb <= 1.28")
    assert found.measured == Interval(1.29, None, None)
    assert found.slack == pytest.approx(-0.01)


def test_a_verdict_says_how_far_it_is_from_the_bound() -> None:
    assert verdict("macro_f1 >= 0.7").slack == pytest.approx(0.05)
    assert verdict("macro_f1 >= teacher - 0.01").slack == pytest.approx(-0.002)
    assert verdict("p50_ms[threads 1, batch 1] <= 1").slack == pytest.approx(-0.4)


@given(
    ends=st.tuples(*[st.floats(0, 1)] * 3).map(sorted),
    bound=st.floats(0, 1),
)
def test_met_and_missed_are_about_the_whole_interval(ends: list[float], bound: float) -> None:
    low, value, high = ends
    found = verdict(f"macro_f1 >= {bound!r}", quality_by_set={"news": quality(macro_f1=Interval(value, low, high))})
    assert (found.state == "met") == (low >= bound)
    assert (found.state == "missed") == (high < bound)
    assert found.more_positives is None or (found.state == "undecided" and found.more_positives > 0)


# ---------------------------------------------------------------------------------------------------- labels


def test_each_label_has_its_own_verdict() -> None:
    found = judged("label_f1[*] >= 0.45")
    assert [it.goal for it in found] == [f"label_f1[{name}] >= 0.45" for name in LABELS]
    assert [it.state for it in found] == ["met", "undecided", "undecided", "undecided"]
    assert [it.state for it in judged("label_f1[*] >= teacher - 0.02")] == ["met", *["undecided"] * 3]


def test_thin_support_decides_nothing_whatever_the_interval() -> None:
    found = verdict("label_f1[vile] >= 0.1")  # 0.90 ... 0.99, but of 6 positives
    assert found.state == "undecided"
    assert found.more_positives == 4
    assert found.reason == (
        "only 6 positives of vile, and fewer than 10 decide nothing; about 4 more positives of vile would decide: met, "
        "if the estimate stays"
    )
    nine = {"news": quality(labels={"vile": label(0.95, 0.90, 0.99, 9)})}
    assert verdict("label_f1[vile] >= 0.1", quality_by_set=nine).reason.endswith(
        "about 1 more positive of vile would decide: met, if the estimate stays"
    )
    ten = {"news": quality(labels={"vile": label(0.95, 0.90, 0.99, 10)})}
    assert verdict("label_f1[vile] >= 0.1", quality_by_set=ten).state == "met"


def test_a_label_without_positives_is_undecided_and_no_number() -> None:
    found = verdict("label_f1[never] >= 0.1")
    assert (found.state, found.measured, found.slack, found.more_positives) == ("undecided", NOTHING, None, 10)
    assert found.reason == "undefined: there are no positives of never"
    assert verdict("label_f1[vile] >= teacher - 0.1").reason == "undefined"


def test_what_is_undefined_with_positives_there_says_why_and_asks_for_no_more_of_them() -> None:
    everywhere = replace(LABELS["threat"], roc_auc=None)  # 20 positives of 20 rows
    silent = replace(LABELS["threat"], precision=None, precision_low=None, precision_high=None)
    labels = {"always": everywhere, "silent": silent}
    missing = dict.fromkeys(("macro_roc_auc", "micro_roc_auc", "macro_precision", "micro_precision"), NOTHING)
    by_set = {"news": quality(rows=20, labels=labels, **missing)}
    reasons = {
        "label_roc_auc[always] >= 0.5": "undefined: there are no negatives of always",
        "label_precision[silent] >= 0.5": "undefined: there are no positive decisions of silent",
        "macro_roc_auc >= 0.5": "without always, silent: no negatives; undefined: there are no negatives",
        "micro_roc_auc >= 0.5": "undefined: there are no negatives",
        "macro_precision >= 0.5": "without silent: no positive decisions; undefined: there are no positive decisions",
        "micro_precision >= 0.5": "undefined: there are no positive decisions",
        "label_roc_auc[always] >= teacher": "undefined: there are no negatives of always",
    }
    undefined = {"news": SetDetails({"big": replace(differences(), label_roc_auc={"always": NOTHING})})}
    for goal, reason in reasons.items():
        found = verdict(goal, quality_by_set=by_set, details_by_set=undefined)
        assert (found.state, found.more_positives, found.reason) == ("undecided", None, reason)
    half = {"always": everywhere, "never": LABELS["never"]}
    mixed = verdict("macro_roc_auc >= 0.5", quality_by_set={"news": quality(rows=20, labels=half, **missing)})
    assert mixed.reason.endswith("no positives; undefined: no label has both positives and negatives")


def test_a_roc_auc_with_few_negatives_is_as_thin_as_one_with_few_positives() -> None:
    ranked = {"roc_auc": 0.95, "roc_auc_low": 0.9, "roc_auc_high": 0.99}
    bad, ok = (replace(LABELS["toxic"], support=support, **ranked) for support in (4, 996))
    two, one = (quality(labels=labels) for labels in ({"ok": ok, "bad": bad}, {"ok": ok}))
    reasons = {
        "label_roc_auc[bad] >= 0.5": "only 4 positives of bad, and fewer than 10 decide nothing",
        "label_roc_auc[ok] >= 0.5": "only 4 negatives of ok, and fewer than 10 decide nothing",
        "macro_roc_auc >= 0.5": "only 8 minority rows of all labels, and fewer than 10 decide nothing",
    }
    for goal, reason in reasons.items():
        found = verdict(goal, quality_by_set={"news": two})
        assert (found.state, found.reason.split(";")[0]) == ("undecided", reason)
        assert (found.more_positives is None) == ("positives" not in reason)
    assert verdict("macro_roc_auc >= 0.5", quality_by_set={"news": one}).reason.startswith("only 4 negatives")
    for goal in ("micro_roc_auc >= 0.5", "macro_average_precision >= 0.5", "label_f1[ok] >= 0.5"):
        assert verdict(goal, quality_by_set={"news": two}).state == "met"


def test_other_metrics_of_a_label() -> None:
    assert verdict("label_precision[toxic] >= 0.8").state == "met"
    found = verdict("label_roc_auc[toxic] >= 0.8")  # 0.95, and no interval beside it
    assert (found.state, found.reason, found.slack) == ("undecided", "no interval was measured", pytest.approx(0.15))


# ---------------------------------------------------------------------------------------------------- how many more


@pytest.mark.parametrize(
    ("goal", "more"),
    [
        # value 0.5 in 0.4 ... 0.6 of 20: half of the distance needs 4 times the positives, 80, so 60 more
        ("label_f1[threat] >= 0.45", 60),
        ("label_f1[threat] >= 0.55", 60),
        # a tenth of the distance needs 100 times the positives: 1,980 more, to two digits 2,000
        ("label_f1[threat] >= 0.49", 2000),
        # 0.07 of 0.1: 20 / 0.49 = 40.8, so 20.8 more
        ("label_f1[threat] >= 0.43", 21),
        # the paired difference -0.05 in -0.15 ... 0.05: 4 times again
        ("label_f1[threat] >= teacher - 0.1", 60),
        ("label_f1[threat] >= 0.5", None),  # on the bound
        ("label_f1[threat] >= 0.4999", None),  # as good as on it
    ],
)
def test_how_many_more_positives_would_decide(goal: str, more: int | None) -> None:
    found = verdict(goal)
    assert (found.state, found.more_positives) == ("undecided", more)
    told = f"about {more:,} more positives of threat would decide: " if more else "it lies on the bound: more positives"
    assert found.reason.startswith(told)


@pytest.mark.parametrize(
    ("goal", "then"),
    [
        ("label_f1[threat] >= 0.45", "met"),  # 0.5 in 0.4 ... 0.6
        ("label_f1[threat] >= 0.55", "missed"),
        ("label_f1[threat] >= teacher - 0.1", "met"),  # -0.05 in -0.15 ... 0.05
        ("label_f1[threat] >= teacher", "missed"),
        ("label_f1[vile] >= 0.99", "missed"),  # thin too
        ("p95_ms[cpu, batch 1, threads 1] <= 1.9", "missed"),
    ],
)
def test_which_way_more_of_them_would_decide(goal: str, then: str) -> None:
    assert verdict(goal).reason.endswith(f" would decide: {then}, if the estimate stays")


def test_of_an_average_all_positives_count() -> None:
    found = verdict("macro_f1 >= 0.74")  # 0.75 in 0.73 ... 0.77 of 426: 4 times as many, 1,278 more
    assert found.more_positives == 1300
    assert found.reason == (
        "without never: no positives; about 1,300 more positives of all labels would decide: met, if the estimate stays"
    )
    assert verdict("macro_f1 >= 0.7").reason == "without never: no positives"
    assert verdict("micro_f1 >= 0.7").reason == ""


@pytest.mark.parametrize(("rows", "state"), [(9, "undecided"), (10, "met"), (None, "met")])
def test_an_average_rests_on_rows_and_not_on_how_many_labels_they_have(rows: int | None, state: str) -> None:
    found = verdict("macro_f1 >= 0.7", quality_by_set={"news": quality(positive_rows=rows)})
    assert found.state == state
    if state == "undecided":
        said = (
            "only 426 positives of all labels on 9 rows, and fewer than 10 decide nothing; about 1 more positive of all"
        )
        assert said in found.reason


def test_a_report_from_before_rows_were_counted_rests_on_the_label_with_most() -> None:
    labels = {name: label(0.8, 0.78, 0.82, 9) for name in "abcdef"}
    found = verdict("micro_f1 >= 0.7", quality_by_set={"news": quality(labels=labels, positive_rows=None)})
    assert found.state == "undecided"


def test_of_a_time_rounds_count_and_of_a_speedup_nothing_that_can_be_told() -> None:
    found = verdict("p95_ms[cpu, batch 1, threads 1] <= 2.1")  # 2.0 in 1.8 ... 2.6 of 250: 36 times as many
    assert (found.state, found.more_positives) == ("undecided", None)
    assert found.reason == "about 8,800 more rounds would decide: met, if the estimate stays"
    found = verdict("speedup[cpu, batch 1, threads 1] >= 15.4")  # its interval is over openings of the models
    assert (found.state, found.more_positives) == ("undecided", None)
    assert found.reason == "the bound lies within the interval"
    assert verdict("speedup >= 15.4").reason == "at cpu, batch 1, 1 thread; the bound lies within the interval"


@given(
    support=st.integers(10, 500),
    value=st.floats(0.2, 0.8),
    half=st.floats(0.01, 0.1),
    share=st.floats(0.05, 0.95),
)
def test_so_many_more_do_decide_if_the_value_stays(support: int, value: float, half: float, share: float) -> None:
    def at(count: int) -> Verdict:
        wide = half * (support / count) ** 0.5
        labels = {"a": label(value, value - wide, value + wide, count)}
        return verdict(f"label_f1[a] >= {value - half * share!r}", quality_by_set={"news": quality(labels=labels)})

    found = at(support)
    assert found.state == "undecided"
    assert found.more_positives is not None
    assert found.reason.endswith(" would decide: met, if the estimate stays")
    assert at(support + found.more_positives).state == "met"
    assert at(support + int(found.more_positives / 1.12) - 1).state == "undecided"  # two digits: a tenth more at most


# ---------------------------------------------------------------------------------------------------- where and when


def test_a_setting_left_open_is_the_cpu_with_fewest_threads_and_the_smallest_batch() -> None:
    found = verdict("p50_ms <= 5")
    assert (found.measured.value, found.reason) == (1.4, "at cpu, batch 1, 1 thread")
    assert verdict("p50_ms[batch 32] <= 5").measured.value == 30.0
    assert verdict("p50_ms[threads all] <= 5").measured.value == 9.0
    assert verdict("p50_ms[cuda] <= 5").reason == "at cuda, batch 1, 1 thread"
    assert verdict("p50_ms[cpu, batch 1, threads 1] <= 5").reason == ""
    only = (timed(threads=8, batch_size=4),)
    assert verdict("p50_ms <= 5", latency=only).reason == "at cpu, batch 4, 8 threads"


def test_texts_of_one_length_are_another_time() -> None:
    assert verdict("p50_ms <= 5", latency=(timed(tokens=16),)).reason == "it was not timed"


def test_what_was_not_measured_is_undecided_and_says_so() -> None:
    assert verdict("p50_ms[threads 4] <= 5").reason == "it was not timed at threads 4"
    assert verdict("p50_ms <= 5", latency=()).reason == "it was not timed"
    alone = (timed(speedup_vs_teacher=None),)
    assert verdict("speedup >= 2", latency=alone).reason.startswith("no speedup was measured")
    few = (timed(samples=5, p95_low_ms=None, p95_high_ms=None),)
    assert verdict("p95_ms <= 5", latency=few).reason == (
        "at cpu, batch 1, 1 thread; 5 rounds are too few for an interval"
    )
    assert verdict("macro_f1 >= 0.5 on mail").reason == "it was not judged on a test set mail"
    assert verdict("label_f1[*] >= 0.5 on mail").reason == "it was not judged on a test set mail"
    assert verdict("macro_f1 >= teacher on chat").reason == "macro_f1 less that of big was not measured"
    assert verdict("label_f1[new] >= 0.5").reason == "label_f1[new] was not measured"
    assert verdict("macro_f1 >= other").reason == "macro_f1 less that of other was not measured"
    for goal in ("p50_ms[threads 4] <= 5", "macro_f1 >= 0.5 on mail", "label_f1[new] >= 0.5"):
        assert (verdict(goal).state, verdict(goal).slack, verdict(goal).more_positives) == ("undecided", None, None)


def test_another_test_set_is_judged_where_it_is_named() -> None:
    assert verdict("macro_f1 >= 0.7 on chat").state == "missed"
    assert verdict("macro_f1 >= 0.7 on news").state == "met"


def test_accuracy_is_micro_f1() -> None:
    found = verdict("accuracy >= 0.8", quality_by_set={"news": quality(micro_f1=Interval(0.9, 0.85, 0.95))})
    assert (found.metric, found.state, found.measured.value) == ("accuracy", "met", 0.9)
    assert verdict("accuracy >= teacher - 0.1").state == "met"


def test_a_regression_is_judged_by_its_values() -> None:
    of = {"macro_rmse": Interval(2.0, 1.8, 2.2), "macro_mae": NOTHING, "macro_r2": Interval(0.4, 0.3, 0.5)}
    numbers = RegressionQuality(rows=100, **of, macro_spearman=NOTHING, targets=dict[str, TargetQuality]())
    by_set = {"news": numbers}
    assert verdict("macro_rmse <= 2.2", quality_by_set=by_set).state == "met"
    found = verdict("macro_r2 >= 0.45", quality_by_set=by_set)
    assert (found.state, found.more_positives) == ("undecided", None)
    assert found.reason == "about 300 more rows would decide: missed, if the estimate stays"
    assert verdict("macro_mae <= 1", quality_by_set=by_set).reason == "undefined"


@pytest.mark.parametrize(("rows", "state"), [(1, "undecided"), (9, "undecided"), (10, "met")])
def test_few_rows_of_a_regression_decide_nothing(rows: int, state: str) -> None:
    narrow = Interval(0.1, None, None) if rows == 1 else Interval(0.1, 0.1, 0.1)
    numbers = RegressionQuality(rows, *[narrow] * 4, targets=dict[str, TargetQuality]())
    found = verdict("macro_rmse <= 0.5", quality_by_set={"news": numbers})
    assert (found.state, found.more_positives) == (state, None)
    said = {
        1: "only 1 row, and fewer than 10 decide nothing; about 9 more rows would decide: met, if the estimate stays",
        9: "only 9 rows, and fewer than 10 decide nothing; about 1 more row would decide: met, if the estimate stays",
        10: "",
    }
    assert found.reason == said[rows]


# ---------------------------------------------------------------------------------------------------- shown


def report(*goals: str, **changes: Any) -> Report:
    teacher = candidate(id="big", latency=(timed(),))
    verdicts = tuple(it for goal in goals for it in judged(goal, **changes))
    return Report("tiny", {}, {}, (teacher, candidate(**changes)), "big", "news", ("a note",), verdicts=verdicts)


def test_the_closest_miss_is_the_one_least_short_of_its_bound() -> None:
    # 0.03 of 1; 0.14 of 1.26; 0.17 of 1.5
    missed = ("macro_f1 >= 0.78", "p50_ms <= 1.26", "size_mb <= 1.5")
    found = closest_miss(report(*missed, "macro_f1 >= 0.75").verdicts)
    assert found is not None
    assert found.goal == "macro_f1 >= 0.78"
    times = closest_miss(report(*missed[1:]).verdicts)
    assert times is not None
    assert times.goal == "p50_ms <= 1.26"
    assert closest_miss(report("macro_f1 >= 0.75", "macro_f1 >= 0.1").verdicts) is None


def test_in_words() -> None:
    lines = verdict_lines(report("macro_f1 >= 0.1", "macro_f1 >= teacher + 0.005", "label_f1[threat] >= 0.45"))
    assert lines == [
        "3 goals: 1 met, 1 missed, 1 undecided.",
        "Closest miss: student, macro_f1 >= teacher + 0.005, by 0.017: less big: -0.012 (-0.031 to +0.004) where "
        "at least +0.005 was asked for.",
    ]
    assert verdict_lines(report("size_mb <= 1.5"))[1] == (
        "Closest miss: student, size_mb <= 1.5, by 0.170 MB: 1.67 MB where at most 1.50 MB was asked for."
    )
    assert verdict_lines(report()) == []


@pytest.mark.parametrize(
    ("goal", "measured", "bound"),
    [
        ("macro_f1 >= 0.7", "0.750 (0.730 to 0.770)", "at least 0.700"),
        ("macro_f1 >= teacher - 0.01", "-0.012 (-0.031 to +0.004)", "at least -0.010"),
        ("macro_f1 >= teacher", "-0.012 (-0.031 to +0.004)", "at least 0.000"),
        ("macro_f1 >= 0.7501", "0.7500 (0.7300 to 0.7700)", "at least 0.7501"),  # in three digits it would look met
        ("p95_ms <= 15", "2.00 ms (1.80 to 2.60)", "at most 15.0 ms"),
        ("speedup >= 20", "15.3× (15.1 to 15.6)", "at least 20.0×"),
        ("parameters <= 2e6", "1,500,000", "at most 2,000,000"),
        ("label_f1[never] >= 0.5", "undefined", "at least 0.500"),
    ],
)
def test_numbers_have_their_interval_unit_and_sign(goal: str, measured: str, bound: str) -> None:
    assert (measured_text(verdict(goal)), bound_text(verdict(goal))) == (measured, bound)


def test_report_md_has_the_goals_after_the_notes_and_none_where_there_are_none() -> None:
    text = render_markdown(report("size_mb <= 1.5", "macro_f1 >= teacher"), None)
    parts = ["> **Note:** a note", "## Goals", "2 goals: 1 missed, 1 undecided. Closest miss:", "## Comparison"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert "| goal | candidate | verdict | measured | bound | remark |" in text
    assert "| size_mb <= 1.5 | student | missed | 1.67 MB | at most 1.50 MB |  |" in text
    assert (
        "| macro_f1 >= teacher | student | undecided | less big: -0.012 (-0.031 to +0.004) | at least 0.000 | with"
        in text
    )
    assert "## Goals" not in render_markdown(report(), None)


def test_verdicts_come_back_from_report_json_and_an_older_one_has_none(tmp_path: Any) -> None:
    written = report("size_mb <= 1.5", "label_f1[*] >= teacher - 0.02", "p95_ms <= 1")
    path = tmp_path / "report.json"
    path.write_text(dump_report(written), encoding="utf-8")
    assert load_report(path) == written
    document = json.loads(path.read_bytes())
    assert document["verdicts"][0] == {
        "goal": "size_mb <= 1.5", "candidate": "student", "state": "missed", "metric": "size_mb",
        "measured": {"value": 1.67, "low": None, "high": None}, "relation": "<=", "bound": 1.5,
        "slack": pytest.approx(-0.17), "reason": "", "more_positives": None, "against": None,
    }  # fmt: skip
    del document["verdicts"]
    assert Report.from_json(document) == replace(written, verdicts=())


def test_a_row_for_each_verdict() -> None:
    rows = verdict_rows(report("label_f1[*] >= 0.45"))
    assert [(row.goal, row.candidate, row.verdict) for row in rows][:2] == [
        ("label_f1[toxic] >= 0.45", "student", "met"),
        ("label_f1[threat] >= 0.45", "student", "undecided"),
    ]
