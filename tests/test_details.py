"""What a run's report tells beside F1: calibration, agreement with the teacher, curves, slices, disagreements."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifact import open_artifact
from compress.context import silent
from compress.data import labelled_digest
from compress.measure import measure
from compress.recipe.recipe import Evaluate
from eval.contract import LabelledTexts
from eval.details.slices import row_sets
from eval.evaluator import judge, score_details
from eval.measurement import SetDetails
from eval.plain import dump, read
from eval.report.details import detail_sections
from eval.report.markdown import render_markdown
from eval.report.report import Report, dump_report, load_report


@pytest.fixture(scope="module")
def report(tiny_run: Path) -> Report:
    return load_report(tiny_run / "report.json")


def details(report: Report) -> dict[str, SetDetails]:
    return {it.id: it.details_by_set["held_out"] for it in report.candidates}


def test_every_candidate_is_described_and_the_teacher_agrees_with_nobody(report: Report) -> None:
    found = details(report)
    for name, it in found.items():
        quality = next(one for one in report.candidates if one.id == name).quality_by_set["held_out"]
        assert it.calibration is not None
        assert list(it.calibration.labels) == list(quality.labels)
        assert sum(it.calibration.pooled.bins.rows) == 80 * 6
        for label, curve in it.curves.items():
            known = quality.labels[label]
            assert curve.thresholds[curve.current] == pytest.approx(known.threshold, rel=1e-4)
            assert curve.f1[curve.current] == pytest.approx(known.f1, abs=1e-4)
        assert (it.agreement is None) == (name == "teacher")
        assert name != "teacher" or it.disagreements == ()
    assert set(found["teacher"].curves) == set(found["student"].curves)


def test_disagreements_are_those_that_churn_counts(report: Report, comment_splits: Any) -> None:
    for name, it in details(report).items():
        if it.agreement is None:
            continue
        churn = sum(one.yes_to_no + one.no_to_yes for one in it.agreement.labels.values())
        assert len(it.disagreements) == min(20, churn), name
        apart = [abs(one.probability - one.teacher_probability) for one in it.disagreements]
        assert apart == sorted(apart, reverse=True)
        assert all(one.text == comment_splits.tests["test"].texts[one.row] for one in it.disagreements)


def test_the_same_model_in_another_format_agrees(report: Report) -> None:
    """fp32 ONNX decides as torch does, so both differ from the teacher in the same decisions."""
    found = details(report)
    assert found["student-onnx"].agreement.labels.keys() == found["student"].agreement.labels.keys()
    for label, churn in found["student-onnx"].agreement.labels.items():
        own = found["student"].agreement.labels[label]
        assert (churn.yes_to_no, churn.no_to_yes) == (own.yes_to_no, own.no_to_yes)


def test_report_md_has_the_tables_and_no_texts(tiny_run: Path, report: Report) -> None:
    text = (tiny_run / "report.md").read_text(encoding="utf-8")
    for heading in ("Differences from teacher", "Calibration", "Agreement with teacher", "Slices"):
        assert f"## {heading}: held_out" in text
    against = details(report)["student"].against["teacher"].macro_f1
    table = text.split("## Differences from teacher")[1]
    assert f"| student | {against.value:+z.3f} ({against.low:+z.3f} to {against.high:+z.3f}) |" in table
    for it in details(report).values():
        assert not any(one.text in text for one in it.disagreements)
    assert "with their texts, are in `report.json` and `report.html`, and not here" in text
    agreement = text.split("## Agreement")[1]
    header = next(line for line in agreement.splitlines() if line.startswith("| with teacher |"))
    assert "| teacher |" not in header.removeprefix("| with teacher")


def test_a_report_from_before_has_no_such_sections(tiny_run: Path) -> None:
    written = json.loads((tiny_run / "report.json").read_text())
    for candidate in written["candidates"]:
        for it in candidate["details_by_set"].values():
            for key in ("calibration", "agreement", "curves", "slices", "disagreements"):
                del it[key]
    old = Report.from_json(written)
    assert [it for it in detail_sections(old) if it.startswith("## ")] == ["## Differences from teacher: held_out"]
    assert "## Calibration" not in render_markdown(old, None)


def test_lists_of_numbers_stand_on_one_line_and_no_text_is_changed(report: Report) -> None:
    text = dump_report(report)
    assert Report.from_json(json.loads(text)) == report
    assert json.loads(text) == json.loads(json.dumps(report.to_json()))
    assert not re.search(r"\[\n\s*-?\d", text)


def test_how_many_disagreements_are_listed_is_the_recipes_choice(
    tiny_run: Path, comment_splits: Any, tmp_path: Path
) -> None:
    artifacts = {name: open_artifact(tiny_run / "artifacts" / name) for name in ("teacher", "student-int8")}
    tests = comment_splits.tests

    def listed(count: int) -> int:
        config = Evaluate(
            rounds=5, max_seconds=1, resamples=100, batch_sizes=(1,), threads=(1,), devices="cpu", disagreements=count
        )
        digests = {name: labelled_digest(rows) for name, rows in tests.items()}
        found = measure(artifacts, tests, digests, config, "teacher", 13, tmp_path, silent)
        return len(found.measurements[1].details_by_set["test"].disagreements)

    assert [listed(count) for count in (3, 0)] == [3, 0]


# ---------------------------------------------------------------------------------------------------- the judge alone


def rows(count: int = 60) -> tuple[LabelledTexts, Any]:
    random = np.random.default_rng(2)
    probabilities = random.random((count, 3)).astype(np.float32)
    targets = (random.random((count, 3)) < probabilities).astype(np.int8)
    targets[:, 2] = 0
    return LabelledTexts(tuple(f"text {it}" for it in range(count)), ("a", "b", "never"), targets), probabilities


def test_details_survive_json_and_nothing_undefined_is_a_number() -> None:
    test_set, probabilities = rows()
    thresholds = np.full(3, 0.5, np.float32)
    own, teacher = (
        judge(given, test_set, thresholds, resamples=50, seed=0)
        for given in (probabilities, probabilities[::-1].copy())
    )
    found = score_details(
        own, {"teacher": teacher}, test_set, thresholds=thresholds, teacher="teacher", sets=row_sets(test_set)
    )
    assert read(SetDetails, json.loads(json.dumps(dump(found), allow_nan=False))) == found
    assert list(found.curves) == ["a", "b"]
    assert found.calibration is not None
    assert found.calibration.labels["never"].positives == 0
    assert score_details(own, {"teacher": teacher}, test_set, teacher="another").agreement is None


def test_one_row_and_single_label() -> None:
    one = LabelledTexts(("only",), ("a", "b"), np.array([[1, 0]], np.int8))
    judged = judge(np.array([[0.3, 0.7]], np.float32), one, None, resamples=10, seed=0)
    found = score_details(judged, {"t": judged}, one, teacher="t", sets=row_sets(one))
    assert found.curves == {}  # an argmax has no threshold to move
    assert found.calibration is not None
    assert found.calibration.pooled.ece is None
    assert [(it.name, it.value, it.rows) for it in found.slices] == [
        ("length", "4 characters", 1), ("capitals", "other", 1), ("spelling", "plain", 1),
    ]  # fmt: skip
