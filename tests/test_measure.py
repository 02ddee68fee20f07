"""What measurements depend on, that damaged ones are taken again, and what is said of pruning and of the GPU."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from reports import timed

from compress import measure
from compress.artifact import Artifact, open_artifact
from compress.context import silent
from compress.data import labelled_digest
from compress.judge import Judged, evaluate_artifacts
from compress.measure import Measured, checks, latency, quality
from compress.measure.rounds import Setting, Times, _against_parents
from compress.recipe.recipe import Evaluate
from compress.recipe.stages import Distill, Finetune
from eval.contract import Interval, LabelledTexts
from eval.latency.rounds import LatencySamples
from eval.report.gains import _settings, stage_gains
from eval.report.report import load_report

SMALL = Evaluate(rounds=5, max_seconds=1, resamples=100, batch_sizes=(2, 1), threads=(1,))
GPU = {"gpu": "NVIDIA H100", "gpu_driver": "550.54.15", "cuda_visible_devices": "0"}
PARENTS = {
    "student": "teacher", "pruned": "student", "student-onnx": "student", "student-fp16": "student-onnx",
    "student-int8": "student-onnx",
}  # fmt: skip
Taken = Callable[..., set[str]]


@pytest.fixture
def artifacts(tiny_run: Path) -> dict[str, Artifact]:
    return {name: open_artifact(tiny_run / "artifacts" / name) for name in ("tfidf", "student-int8")}


@pytest.fixture
def taken(artifacts: dict[str, Artifact], comment_splits: Any, tmp_path: Path) -> Taken:
    """Measures into one cache, and gives the kinds of those measurements that were taken and not found there."""

    def take(**changes: Any) -> set[str]:
        folder = tmp_path / "measurements"
        before = set(folder.glob("*"))
        tests: dict[str, LabelledTexts] = comment_splits.tests
        digests = {name: labelled_digest(rows) for name, rows in tests.items()}
        given = {"artifacts": artifacts, "config": SMALL, "parents": {}} | changes
        measure.measure(
            given["artifacts"], tests, digests, given["config"], None, 13, tmp_path, silent, given["parents"]
        )
        return {path.name.split("-")[0] for path in set(folder.glob("*")) - before}

    return take


def test_what_was_measured_is_found_again(taken: Taken) -> None:
    assert taken() == {"answers", "quality", "footprint", "latency", "invariance", "older_cpus"}
    assert taken() == set()


def test_another_processor_answers_anew(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 kernels saturate where there is no VNNI."""
    taken()
    monkeypatch.setattr(quality, "cpu_features", lambda: ["avx2"])
    monkeypatch.setattr(checks, "cpu_features", lambda: ["avx2"])
    assert taken() == {"answers", "quality", "invariance"}


def test_another_candidate_asks_the_others_nothing_again(
    taken: Taken, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    """TF-IDF comes in, so the student is compared anew: with the answers it gave."""
    student = {"student-int8": artifacts["student-int8"]}
    assert taken(artifacts=student) == {"answers", "quality", "footprint", "latency", "invariance", "older_cpus"}
    before = len(list((tmp_path / "measurements").glob("answers-*")))
    assert taken() == {"answers", "quality", "footprint", "latency"}
    assert len(list((tmp_path / "measurements").glob("answers-*"))) == 2 * before


def test_damaged_measurements_are_taken_again(taken: Taken, tmp_path: Path) -> None:
    taken()
    kept = {path: path.read_bytes() for path in (tmp_path / "measurements").glob("[aqf]*")}
    for path, content in kept.items():
        path.write_bytes(content[:20])
    assert taken() == set()
    assert {path: path.read_bytes() for path in kept} == kept


def test_times_on_the_cpu_hold_whatever_the_gpu(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    taken()
    found = latency.environment()
    monkeypatch.setattr(latency, "environment", lambda: found | GPU)
    assert taken() == set()
    monkeypatch.setattr(latency, "environment", lambda: found | {"cpu": "another"})
    assert taken() == {"latency"}


@pytest.mark.parametrize("changed", GPU)
def test_times_on_a_gpu_are_of_that_gpu_and_driver(taken: Taken, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    found = latency.environment() | GPU
    monkeypatch.setattr(latency, "settings", lambda _: (Setting("cuda", 1),))
    monkeypatch.setattr(latency, "time_setting", lambda *_: Times({}, (), {}))
    monkeypatch.setattr(latency, "environment", lambda: found)
    assert "latency" in taken()
    assert taken() == set()
    monkeypatch.setattr(latency, "environment", lambda: found | {changed: "another"})
    assert taken() == {"latency"}


@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_without_a_gpu_it_says_who_sees_none(
    artifacts: dict[str, Artifact], tmp_path: Path, asked: str, comment_splits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "has_cuda", lambda: False)
    config = SMALL.model_copy(update={"devices": asked})
    tests = comment_splits.tests
    one = {"tfidf": artifacts["tfidf"]}
    measured = measure.measure(one, tests, dict.fromkeys(tests, ""), config, None, 13, tmp_path, silent)
    assert measured.notes == (("torch sees no CUDA device: nothing was measured on a GPU",) if asked == "auto" else ())


@pytest.mark.parametrize("key", ["price_per_hour", "max_seconds"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -math.inf, 0.0])
def test_a_price_or_time_that_is_no_number_is_refused_before_anything_is_measured(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        Evaluate(**{key: value})


# ---------------------------------------------------------------------------------------------------- pruning


def test_speed_against_the_parent_is_paired_by_round() -> None:
    """Rounds that are slow for both: the ratio stays 2 in each."""
    seconds = np.array([[1.0, 0.5, 9], [10.0, 5.0, 9], [2.0, 1.0, 9]])
    samples = LatencySamples(("student", "pruned", "tfidf"), ("a", "b", "c"), "cpu", 1, 1, seconds)
    found = _against_parents(samples, {"pruned": "student", "gone": "student", "tfidf": "gone"})
    assert found == {"pruned": Interval(2, 2, 2)}


def test_what_a_stage_cut_is_told_and_not_how_it_was_trained() -> None:
    shape = {"layers": 1, "width": 8, "heads": 1}
    everything = {"hints": {"pooled": 1.0}, "augment": {}, "label_loss": "focal", "distillation": "mse", "seed": 3}
    given = {"id": "s", "type": "distill", "teacher": "t", "student": shape, "batch_tokens": 64, **everything}
    stage = Distill.model_validate(given).model_dump(mode="json", by_alias=True)
    assert {setting.partition(".")[0] for setting in _settings(stage)} == {"student"}
    made = {"id": "t", "type": "finetune", "encoder": "e", "pos_weight": "sqrt", "seed": 3}
    asked = set(_settings(Finetune.model_validate(made).model_dump(mode="json", by_alias=True)))
    assert asked == {"encoder: e", "pooling: own", "max_tokens: 256"}


def test_every_stage_of_a_run_is_held_against_the_one_it_began_with(tiny_run: Path) -> None:
    """In quality and in speed, with intervals, whatever its type."""
    report = load_report(tiny_run / "report.json")
    gains = {gain.stage: gain for gain in stage_gains(report)}
    assert {name: gain.parent for name, gain in gains.items()} == PARENTS
    for name, gain in gains.items():
        assert gain.speed is not None
        assert None not in (gain.speed.low, gain.speed.high, gain.quality.low, gain.quality.high), name
    timed = {it.id: [row.speedup_vs_parent is not None for row in it.latency] for it in report.candidates}
    assert timed == {name: [name in PARENTS] * len(rows) for name, rows in timed.items()}
    assert "## What each stage cut, and what it gave" in (tiny_run / "report.md").read_text(encoding="utf-8")


def test_a_pruned_models_speed_is_told_of_the_fewest_threads_and_texts() -> None:
    rows = [
        replace(timed(1.0, threads=threads, batch_size=size), speedup_vs_parent=Interval(threads, size, size))
        for threads, size in ((2, 1), (1, 32), (1, 8))
    ]
    (note,) = latency.pruning_notes({"pruned": 0.5}, {"pruned": "student"}, {"pruned": rows})
    assert "it runs at 1.00x (8.00–8.00) the speed of student" in note
    assert note.endswith("(cpu, 1 thread, batch 8)")
    assert not list(latency.pruning_notes({"pruned": 0.5}, {}, {"pruned": [timed(1.0)]}))


def test_the_notes_say_what_pruning_did_to_the_speed(tiny_run: Path, comment_splits: Any, tmp_path: Path) -> None:
    artifacts = {name: open_artifact(tiny_run / "artifacts" / name) for name in ("student", "pruned")}
    tests = comment_splits.tests

    def taken() -> Measured:
        digests = dict.fromkeys(tests, "")
        config = SMALL.model_copy(update={"devices": "cpu"})
        return measure.measure(
            artifacts, tests, digests, config, None, 13, tmp_path, silent, parents={"pruned": "student"}
        )

    measured = taken()
    (note,) = measured.notes
    zeros = measured.measurements[1].footprint.zeros_share
    assert note.startswith(f"pruned: {zeros:.0%} of its parameters are exactly zero; it runs at ")
    assert note.endswith(") the speed of student, which it was pruned from (cpu, 1 thread, batch 1)")
    assert replace(taken(), anew=True) == measured  # kept with the times


def test_a_run_reports_it(tiny_run: Path) -> None:
    assert "the speed of student, which it was pruned from" in (tiny_run / "report.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------- evaluate


def test_evaluate_tells_what_an_artifact_did_not_keep_to(tiny_run: Path, comment_files: Path, tmp_path: Path) -> None:
    folder = tmp_path / "marked"
    shutil.copytree(tiny_run / "artifacts" / "tfidf", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"marks": ["fell by 0.02"]}))
    report = evaluate_artifacts([folder], None, Judged(comment_files / "test.csv"), SMALL, tmp_path / "cache", silent)
    assert report.notes[-1] == "tfidf: marked: fell by 0.02"


def test_evaluate_sees_that_labels_in_another_file_changed(tiny_run: Path, comment_files: Path, tmp_path: Path) -> None:
    """test.csv holds the texts, test_labels.csv the labels: the first one's sha256 says nothing of the second."""
    rows = [line.split(",") for line in (comment_files / "test.csv").read_text().splitlines()]
    (tmp_path / "test.csv").write_text("".join(f"{row[0]},{row[1]}\n" for row in rows))
    labels = tmp_path / "test_labels.csv"
    labels.write_text("".join(f"{row[0]},{','.join(row[2:])}\n" for row in rows))
    folder = tiny_run / "artifacts" / "tfidf"

    def support() -> int:
        judged = Judged(tmp_path / "test.csv")
        report = evaluate_artifacts([folder], None, judged, SMALL, tmp_path / "cache", silent)
        return report.candidates[0].quality_by_set["test"].labels["threat"].support

    before = support()
    first = next(line for line in labels.read_text().splitlines() if line.split(",")[4] == "0")
    labels.write_text(labels.read_text().replace(first, ",".join([*first.split(",")[:4], "1", *first.split(",")[5:]])))
    assert support() == before + 1
