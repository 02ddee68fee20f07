"""The command line from outside: what a run leaves behind, what runs again, what is said when something is wrong."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import open_artifact, run_lock, sha256_file
from compress.errors import ParityError
from compress.run_folder import run_folder

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
STAGES = ("teacher", "student", "pruned", "student-onnx", "student-fp16", "student-int8")
COLUMNS = [f"{label}_{what}" for label in LABELS for what in ("probability", "decision")]
AVERAGES = {
    f"{kind}_{metric}" for kind in ("macro", "micro") for metric in ("f1", "precision", "recall", "roc_auc")
} | {"macro_average_precision"}  # fmt: skip
Command = Callable[..., Any]


@pytest.fixture
def done(tmp_path: Path, tiny_run: Path) -> Path:
    """A copy of the finished run, the test's own: the folder, with recipe.yaml beside it."""
    shutil.copytree(tiny_run.parent, tmp_path / "copy")
    return tmp_path / "copy" / "out"


@pytest.fixture
def comments(tmp_path: Path, comment_files: Path) -> Path:
    """A copy of the comment files, the test's own."""
    return Path(shutil.copytree(comment_files, tmp_path / "comments"))


@pytest.fixture(scope="module")
def recipe(tiny_run: Path) -> Path:
    return tiny_run.parent / "recipe.yaml"


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file below a folder, the lock left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def one_paragraph(ended: Any, code: int = 2) -> str:
    """The message of a command that failed as it should: on stderr, without a traceback, exit code `code`."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    assert "\n\n" not in ended.err.strip()
    return str(ended.err)


# ---------------------------------------------------------------------------------------------------- what a run leaves


def test_the_report_has_the_agreed_shape(tiny_run: Path) -> None:
    report = json.loads((tiny_run / "report.json").read_bytes())
    assert report["schema_version"] == 1
    assert [candidate["id"] for candidate in report["candidates"]] == ["tfidf", *STAGES]
    assert report["environment"]["libraries"]["torch"]
    for candidate in report["candidates"]:
        assert {"id", "stage", "format", "size_bytes", "size_gzip_bytes", "parameters", "zeros_share"} <= set(candidate)
        assert candidate["quality"] == candidate["quality_by_set"]["held_out"]
        quality = candidate["quality"]
        assert set(quality) >= {"rows", "labels", *AVERAGES}
        assert quality["rows"] == 80
        assert all(set(quality[name]) == {"value", "low", "high"} for name in AVERAGES)
        assert all(quality[name]["low"] <= quality[name]["value"] <= quality[name]["high"] for name in AVERAGES)
        assert tuple(quality["labels"]) == LABELS
        wanted = {"precision", "recall", "f1", "f1_at_half", "roc_auc", "support", "threshold"}
        assert all(set(label) >= wanted for label in quality["labels"].values())
        (timed,) = candidate["latency"]
        assert (timed["device"], timed["threads"], timed["batch_size"]) == ("cpu", 1, 1)
        assert 0 < timed["p50_ms"] <= timed["p95_ms"]
        assert timed["p99_ms"] is None  # under 200 samples
        assert timed["texts_per_second"] > 0
        assert set(timed["speedup_vs_teacher"]) == {"value", "low", "high"}


def test_candidates_are_what_their_stages_made(tiny_run: Path) -> None:
    report = json.loads((tiny_run / "report.json").read_bytes())
    by_id = {candidate["id"]: candidate for candidate in report["candidates"]}
    assert [by_id[name]["format"] for name in ("teacher", "student-onnx", "student-fp16", "student-int8", "tfidf")] == [
        "torch", "onnx", "onnx-fp16", "onnx-int8", "tfidf",
    ]  # fmt: skip
    assert by_id["teacher"]["latency"][0]["speedup_vs_teacher"]["value"] == 1
    # the row of segments, 16 numbers, is added to the positions
    assert by_id["student"]["parameters"] - 16 == by_id["student-onnx"]["parameters"] < by_id["teacher"]["parameters"]
    assert by_id["pruned"]["zeros_share"] > by_id["student"]["zeros_share"] + 0.1
    assert by_id["student-onnx"]["quality"]["macro_f1"] == by_id["student"]["quality"]["macro_f1"]
    for name, candidate in by_id.items():
        artifact = open_artifact(tiny_run / "artifacts" / name)
        sizes = [(artifact.path / file).stat().st_size for file in artifact.manifest.file_sha256s]
        assert candidate["size_bytes"] == sum(sizes)


@pytest.mark.parametrize("stage", STAGES)
def test_every_artifact_says_what_it_is(tiny_run: Path, stage: str) -> None:
    folder = tiny_run / "artifacts" / stage
    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = {path.name for path in folder.iterdir()} - {"manifest.json", "README.md"}
    assert manifest["file_sha256s"] == {name: sha256_file(folder / name) for name in sorted(files)}
    assert {"config.json", "decision.json", "tokenizer.json"} < files
    assert files & {"model.onnx", "model.safetensors"}
    config = json.loads((folder / "config.json").read_bytes())
    assert config["id2label"] == {str(index): label for index, label in enumerate(LABELS)}
    assert config["problem_type"] == "multi_label_classification"
    decision = json.loads((folder / "decision.json").read_bytes())
    assert decision["calibration_temperature"] > 0
    assert len(decision["thresholds"]) == len(LABELS)


def test_quantized_artifacts_inherit_the_decision(tiny_run: Path) -> None:
    decisions = {(tiny_run / "artifacts" / name / "decision.json").read_bytes() for name in STAGES if "-" in name}
    assert len(decisions) == 1


def test_the_rest_of_the_folder(tiny_run: Path) -> None:
    lock = json.loads((tiny_run / "recipe.lock").read_bytes())
    assert lock["recipe"]["name"] == "tiny"
    assert set(lock["data_sha256s"]) == {"train", "validation", "unlabeled", "test:held_out"}
    assert set(lock["pretrained"]) == {"teacher"}
    assert "cpu_features" in lock["environment"]
    assert "report.svg" in (tiny_run / "report.md").read_text(encoding="utf-8")
    assert (tiny_run / "report.svg").read_bytes().startswith(b"<?xml")
    # nothing half-done, nothing that only this run needed
    assert {path.name for path in tiny_run.iterdir()} == {
        ".compress-run", ".lock", "artifacts", "cache", "recipe.lock", "report.html", "report.json", "report.md",
        "report.svg",
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------- running again


def test_a_second_run_finds_all_cached_quickly_and_imports_nothing_heavy(done: Path) -> None:
    heavy = "('torch', 'transformers', 'sklearn', 'onnxruntime', 'matplotlib', 'datasets')"
    code = (
        "import sys; from compress.cli import main; main()\n"
        f"print('heavy:', [name for name in {heavy} if name in sys.modules])"
    )
    before = snapshot(done)
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code, "run", str(done.parent / "recipe.yaml"), "--out", str(done)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert time.monotonic() - started < 3
    assert "all stages are cached: nothing to run; measurements are cached." in ended.stdout
    assert "heavy: []" in ended.stdout
    assert "student-int8" in ended.stdout  # the table is shown again
    assert snapshot(done) == before


def test_a_changed_last_stage_runs_alone(done: Path, recipe: Path, command: Command) -> None:
    before = snapshot(done / "artifacts")
    ended = command("run", recipe, "--out", done, "--set", "stages.student-int8.scheme=fp16")
    assert ended.code == 0, ended.err
    assert "ran student-int8; measured." in ended.out
    after = snapshot(done / "artifacts")
    changed = {name for name in after if after[name] != before.get(name) and Path(name).name != "README.md"}
    assert changed
    assert {Path(name).parts[0] for name in changed} == {"student-int8"}
    assert "onnx-int8" not in (done / "report.json").read_text(encoding="utf-8")


def test_changed_measuring_runs_no_stage(done: Path, recipe: Path, command: Command) -> None:
    ended = command("run", recipe, "--out", done, "--set", "evaluate.resamples=101")
    assert ended.code == 0, ended.err
    assert "all stages are cached: nothing to run; measured." in ended.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("task.labels=[toxic, obscene, insult]", "another task"),
        ("data.train=validation.csv", "other training rows"),
    ],
)
def test_a_run_of_another_task_or_other_rows_is_not_replaced(
    done: Path, recipe: Path, command: Command, change: str, said: str
) -> None:
    before = snapshot(done / "artifacts")
    text = one_paragraph(command("run", recipe, "--out", done, "--set", change))
    assert f"{done} holds a run of {said}" in text
    assert "--out another folder, or --fresh" in text
    assert snapshot(done / "artifacts") == before
    assert command("run", recipe, "--out", done).out.count("all stages are cached") == 1


def test_a_report_that_was_changed_is_written_again(done: Path, recipe: Path, command: Command) -> None:
    whole = (done / "report.json").read_bytes()
    (done / "report.json").write_bytes(whole[:100])
    made_by = json.loads(whole) | {"command": f"compress run {recipe} --out {done}"}
    ended = command("run", recipe, "--out", done)
    assert ended.code == 0, ended.err
    assert json.loads((done / "report.json").read_bytes()) == made_by


# ---------------------------------------------------------------------------------------------------- check and plan


def test_check_tells_every_mistake_with_its_line(tmp_path: Path, recipe: Path, command: Command) -> None:
    text = recipe.read_text(encoding="utf-8").replace("baselines:", "baseline:").replace("int8_dynamic", "int8_dinamic")
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    message = one_paragraph(command("check", tmp_path / "bad.yaml"))
    assert message.startswith(f"error: {tmp_path / 'bad.yaml'}: 2 mistakes\n")
    assert re.search(r"line \d+: baseline: unknown key; did you mean baselines\?", message)
    assert re.search(
        r"line \d+: stages\.student-int8\.scheme: 'int8_dinamic' is not .* did you mean int8_dynamic\?", message
    )


def test_a_test_set_that_only_the_data_know_is_told_with_file_and_line(
    tmp_path: Path, done: Path, recipe: Path, comments: Path, command: Command
) -> None:
    changed = tmp_path / "changed.yaml"
    goals = "goals:\n  student:\n    - macro_f1 >= 0.1 on test\n    - macro_f1 >= 0.2 on news\n"
    text = recipe.read_text(encoding="utf-8").replace("  test: {held_out: test.csv}\n", "")
    changed.write_text(text + goals, encoding="utf-8")
    assert command("check", changed).code == 0  # the folder says which there are
    said = one_paragraph(command("run", changed, "--out", tmp_path / "new"))
    assert f"{changed}: 1 mistake" in said
    line = len((text + goals).splitlines())
    assert f"line {line}: goals.student.1: macro_f1 >= 0.2 on news: there is no test set news; test sets: test" in said


def test_check_counts_what_seeds_add(recipe: Path, command: Command) -> None:
    ended = command("check", recipe, "--set", "stages.student.seeds=3")
    assert "7 stages (" in ended.out
    assert "), and 8 more stages with other seeds." in ended.out


def test_the_version_is_the_packages(command: Command) -> None:
    file = Path(__file__).parent.parent / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    ended = command("--version")
    assert (ended.code, ended.out) == (0, f"compress {project['version']}\n")


def test_check_passes_a_right_recipe_and_reads_no_data(recipe: Path, command: Command) -> None:
    ended = command("check", recipe, "--set", "vars.comments=/nowhere")
    assert (ended.code, ended.err) == (0, "")
    assert "7 stages (tfidf, teacher, student, pruned, student-onnx, student-fp16, student-int8)" in ended.out


@pytest.mark.parametrize("exists", [True, False])
def test_plan_touches_nothing(
    tmp_path: Path, done: Path, recipe: Path, command: Command, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    out = done if exists else tmp_path / "new"
    before = snapshot(tmp_path), [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))]
    ended = command("plan", recipe, "--out", out, "--set", "stages.student-int8.scheme=fp16")
    assert ended.code == 0, ended.err
    rows = [row.split("│")[1:-1] for row in ended.out.splitlines() if row.startswith("│")]
    states = {cells[0].strip(): (cells[3].strip(), cells[4].strip()) for cells in rows}
    assert list(states) == ["tfidf", *STAGES]
    assert [state for state, _ in states.values()] == ["cached" if exists else "to run"] * 6 + ["to run"]
    assert states["student-int8"][1].startswith("about 0.0")
    assert (snapshot(tmp_path), [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))]) == before


def test_plan_speaks_of_a_model_that_is_not_there_yet(recipe: Path, command: Command, tmp_path: Path) -> None:
    ended = command("plan", recipe, "--out", tmp_path / "x", "--set", "stages.teacher.encoder=someone/model")
    assert ended.code == 0, ended.err
    assert "not known yet" in ended.out


# ---------------------------------------------------------------------------------------------------- predict


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def scored(tiny_run: Path, comment_files: Path, command: Command) -> list[dict[str, str]]:
    """test.csv through the int8 model, row by row."""
    ended = command("predict", tiny_run / "artifacts" / "student-int8", "--input", comment_files / "test.csv")
    assert ended.code == 0, ended.err
    return read_csv(ended.out)


@pytest.fixture(scope="module")
def texts(comment_files: Path) -> list[str]:
    return [row["comment_text"] for row in read_csv((comment_files / "test.csv").read_text(encoding="utf-8"))]


def without_ids(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: row[name] for name in COLUMNS} for row in rows]


def test_predictions_keep_order_and_ids(scored: list[dict[str, str]], tiny_run: Path) -> None:
    thresholds = open_artifact(tiny_run / "artifacts" / "student-int8").decision().thresholds
    assert thresholds is not None
    assert list(scored[0]) == ["id", *COLUMNS]
    assert [row["id"] for row in scored] == [f"test-{number}" for number in range(80)]
    for row in scored:
        for label, threshold in zip(LABELS, thresholds, strict=True):
            probability = float(row[f"{label}_probability"])
            assert 0 <= probability <= 1
            if abs(probability - threshold) > 1e-6:
                assert row[f"{label}_decision"] == str(int(probability > threshold))


@pytest.mark.parametrize("stage", ["teacher", "tfidf"])
def test_every_format_predicts_as_it_was_measured(
    tiny_run: Path, comment_files: Path, command: Command, stage: str
) -> None:
    ended = command("predict", tiny_run / "artifacts" / stage, "--input", comment_files / "test.csv")
    assert ended.code == 0, ended.err
    rows, truth = read_csv(ended.out), read_csv((comment_files / "test.csv").read_text(encoding="utf-8"))
    report = json.loads((tiny_run / "report.json").read_bytes())
    quality = next(c for c in report["candidates"] if c["id"] == stage)["quality"]
    for label in LABELS:
        pairs = [(row[f"{label}_decision"] == "1", true[label] == "1") for row, true in zip(rows, truth, strict=True)]
        hits, found, there = sum(a and b for a, b in pairs), sum(a for a, _ in pairs), sum(b for _, b in pairs)
        assert quality["labels"][label]["f1"] == pytest.approx(2 * hits / (found + there))
        assert quality["labels"][label]["support"] == there


def test_predictions_do_not_depend_on_how_many_are_read_at_once(
    tiny_run: Path, comment_files: Path, command: Command, scored: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = ("predict", tiny_run / "artifacts" / "student-onnx", "--input", comment_files / "test.csv")
    at_once = read_csv(command(*fp32).out)
    monkeypatch.setattr("compress.scoring.CHUNK", 7)
    chunked = read_csv(command(*fp32).out)
    assert [row["id"] for row in chunked] == [row["id"] for row in at_once]
    for one, other in zip(chunked, at_once, strict=True):
        for column in COLUMNS:
            assert float(one[column]) == pytest.approx(float(other[column]), abs=2e-6)


def test_the_same_texts_as_csv_json_lines_and_plain_lines(
    tmp_path: Path, tiny_run: Path, command: Command, scored: list[dict[str, str]], texts: list[str]
) -> None:
    artifact = tiny_run / "artifacts" / "student-int8"
    (tmp_path / "a.txt").write_text("\n".join(texts), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"id": row["id"], "words": text}) + "\n" for row, text in zip(scored, texts, strict=True))
    )
    plain = command("predict", artifact, "--input", tmp_path / "a.txt")
    assert read_csv(plain.out) == without_ids(scored)
    named = command(
        "predict", artifact, "--input", tmp_path / "a.jsonl", "--text-column", "words", "--output", tmp_path / "b.jsonl"
    )
    assert (named.code, named.out) == (0, f"80 texts scored: {tmp_path / 'b.jsonl'}\n")
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in scored]
    assert [[float(row[name]) for name in COLUMNS] for row in rows] == [
        [float(row[name]) for name in COLUMNS] for row in scored
    ]


def test_standard_input_is_read_by_its_first_line(
    tiny_run: Path, comment_files: Path, command: Command, scored: list[dict[str, str]], texts: list[str]
) -> None:
    artifact = tiny_run / "artifacts" / "student-int8"
    assert read_csv(command("predict", artifact, stdin=(comment_files / "test.csv").read_bytes()).out) == scored
    assert read_csv(command("predict", artifact, stdin="\n".join(texts).encode()).out) == without_ids(scored)


def test_predict_replaces_no_file_unasked(tmp_path: Path, tiny_run: Path, comments: Path, command: Command) -> None:
    arguments = ("predict", tiny_run / "artifacts" / "tfidf", "--input", comments / "test.csv", "--output")
    (tmp_path / "out.csv").write_text("mine")
    assert "exists and is not empty" in one_paragraph(command(*arguments, tmp_path / "out.csv"))
    assert "is the input itself" in one_paragraph(command(*arguments, comments / "test.csv", "--overwrite"))
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert command(*arguments, tmp_path / "out.csv", "--overwrite").code == 0
    assert len(read_csv((tmp_path / "out.csv").read_text())) == 80


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"id,text\n1,x\n", "no column 'comment_text'"),
        ("a.csv", b"", "is empty; there is nothing to predict"),
        ("a.csv", b"comment_text\nfine\ncaf\xe9\n", "UTF-8"),
        ("a.jsonl", b'{"comment_text": "x"}\n{"comment', "line 2"),
    ],
)
def test_input_that_cannot_be_read_leaves_no_output(
    tmp_path: Path, tiny_run: Path, command: Command, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ended = command(
        "predict", tiny_run / "artifacts" / "tfidf", "--input", tmp_path / name, "--output", tmp_path / "out.csv"
    )
    assert said in one_paragraph(ended)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_rows_without_a_text_are_scored_and_told(tmp_path: Path, tiny_run: Path, command: Command) -> None:
    (tmp_path / "a.jsonl").write_text('{"comment_text": "x"}\n{"comment_text": NaN}\n{"comment_text": null}\n')
    ended = command("predict", tiny_run / "artifacts" / "tfidf", "--input", tmp_path / "a.jsonl")
    assert ended.code == 0, ended.err
    assert "2 rows have no text (first: line 2); scored as empty texts" in ended.err
    _, nan, null = read_csv(ended.out)
    assert nan == null


def test_predicting_with_onnx_or_tfidf_imports_no_torch(tiny_run: Path) -> None:
    code = (
        "import sys; from compress.cli import main; main()\n"
        "print('heavy:', [name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules])"
    )
    for stage in ("student-int8", "tfidf"):
        ended = subprocess.run(
            [sys.executable, "-c", code, "predict", str(tiny_run / "artifacts" / stage)],
            input="a rotten thing\n", capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "heavy: []" in ended.stdout


# ---------------------------------------------------------------------------------------------------- evaluate


QUICK = ("--max-seconds", 1, "--batch-sizes", 1, "--threads", 1)


def test_artifacts_are_judged_anywhere_as_in_their_run(
    tmp_path: Path, tiny_run: Path, comment_files: Path, command: Command
) -> None:
    folders = {name: tiny_run / "artifacts" / name for name in ("teacher", "student-int8", "tfidf")}
    ended = command(
        "evaluate", folders["student-int8"], folders["tfidf"], folders["teacher"], "--data",
        comment_files / "test.csv", "--teacher", folders["teacher"], "--out", tmp_path / "judged", *QUICK,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    judged = json.loads((tmp_path / "judged" / "report.json").read_bytes())
    of_run = json.loads((tiny_run / "report.json").read_bytes())
    there = {c["id"]: c for c in of_run["candidates"]}
    assert list(judged["test_sha256s"].values()) == list(of_run["test_sha256s"].values())  # the same rows
    assert [candidate["id"] for candidate in judged["candidates"]] == ["teacher", "student-int8", "tfidf"]
    for candidate in judged["candidates"]:
        for label, found in there[candidate["id"]]["quality"]["labels"].items():
            # intervals of rankings come from resamples, of which the recipe takes fewer
            same = {key: value for key, value in found.items() if not key.endswith(("_low", "_high"))}
            assert same.items() <= candidate["quality"]["labels"][label].items()
        assert candidate["latency"][0]["speedup_vs_teacher"] is not None
    assert {path.name for path in (tmp_path / "judged").iterdir()} >= {
        "report.html", "report.json", "report.md", "report.svg",
    }  # fmt: skip


def test_without_a_teacher_there_is_no_speedup(
    tiny_run: Path, comment_files: Path, command: Command, tmp_path: Path
) -> None:
    data, out = ("--data", comment_files / "test.csv"), ("--out", tmp_path / "j")
    ended = command("evaluate", tiny_run / "artifacts" / "tfidf", *data, *out, *QUICK)
    assert ended.code == 0, ended.err
    (candidate,) = json.loads((tmp_path / "j" / "report.json").read_bytes())["candidates"]
    assert candidate["latency"][0]["speedup_vs_teacher"] is None


def test_an_evaluation_leaves_the_files_of_others_alone_and_waits_for_no_one(
    tiny_run: Path, comment_files: Path, command: Command, tmp_path: Path
) -> None:
    mine, busy = tmp_path / "mine", tmp_path / "busy"
    mine.mkdir()
    (mine / "report.md").write_text("mine")
    arguments = ("evaluate", tiny_run / "artifacts" / "tfidf", "--data", comment_files / "test.csv", *QUICK, "--out")
    assert "holds files that compress did not write" in one_paragraph(command(*arguments, mine))
    assert [path.name for path in mine.iterdir()] == ["report.md"]
    with run_folder(busy, "evaluate"):
        assert "another run is working in" in one_paragraph(command(*arguments, busy))
    assert command(*arguments, busy).code == 0
    assert f"    compress evaluate {arguments[1]} --data" in (busy / "report.md").read_text(encoding="utf-8")


def test_evaluate_does_not_replace_the_report_of_a_run(done: Path, comment_files: Path, command: Command) -> None:
    before = snapshot(done)
    ended = command("evaluate", done / "artifacts" / "tfidf", "--data", comment_files / "test.csv", "--out", done)
    assert "is the folder of a run, whose report would be lost" in one_paragraph(ended)
    assert snapshot(done) == before


def test_only_models_of_the_same_labels_are_compared(done: Path, comment_files: Path, command: Command) -> None:
    file = done / "artifacts" / "tfidf" / "manifest.json"
    manifest = json.loads(file.read_bytes())
    manifest["task"]["labels"].reverse()
    file.write_text(json.dumps(manifest))
    ended = command(
        "evaluate", done / "artifacts" / "teacher", done / "artifacts" / "tfidf", "--data", comment_files / "test.csv"
    )
    assert "Only models with the same labels, in the same order, can be compared" in one_paragraph(ended)


def test_rows_of_anybody_are_judged_without_a_recipe(
    tmp_path: Path, tiny_run: Path, comments: Path, command: Command
) -> None:
    """Another name of the text column, columns to tell apart by, a name in the report, and no clock."""

    def change(rows: list[dict[str, str]]) -> None:
        for number, row in enumerate(rows):
            row["words"] = row.pop("comment_text")
            row["language"] = ("en", "de")[number % 2]
            row["threat"] = "0"

    rewrite(comments / "test.csv", change)
    typed = ("evaluate", tiny_run / "artifacts" / "tfidf", "--data", comments / "test.csv", "--out", tmp_path / "j")
    assert "no column 'comment_text'" in (said := one_paragraph(command(*typed)))
    assert "--text-column" in said
    ended = command(*typed, "--text-column", "words", "--slices", "language", "--name", "chat", "--no-latency")
    assert ended.code == 0, ended.err
    assert "macro F1 of chat is over 5 of 6 labels" in ended.out
    assert "nothing was timed" in ended.out
    report = json.loads((tmp_path / "j" / "report.json").read_bytes())
    (candidate,) = report["candidates"]
    assert (list(candidate["quality_by_set"]), candidate["latency"]) == (["chat"], [])
    for file, heading in (("report.md", "## Latency"), ("report.html", 'id="latency"')):
        assert heading not in (tmp_path / "j" / file).read_text()
    told = [(it["name"], it["value"]) for it in candidate["details_by_set"]["chat"]["slices"]]
    assert {("language", "en"), ("language", "de")} <= set(told)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--text-column", "toxic"), "--text-column toxic: the labels are read from it"),
        (("--slices", "language"), "--slices: "),
        (("--batch-sizes", "0"), "--batch-sizes 0: "),
        (("--threads", "one"), "--threads one: 'one' is no number"),
        (("--data", "gone.csv"), "gone.csv: no such file; --data names a file of labelled rows"),
    ],
)
def test_what_evaluate_cannot_do_names_the_option(
    tiny_run: Path, comment_files: Path, command: Command, options: tuple[str, ...], said: str
) -> None:
    data = ("--data", comment_files / "test.csv") if "--data" not in options else ()
    text = one_paragraph(command("evaluate", tiny_run / "artifacts" / "tfidf", *data, *options))
    assert said in text
    assert not any(key in text for key in ("task.", "data.dir", "evaluate."))


@pytest.mark.parametrize("name", ["bench", "evaluate"])
def test_more_threads_than_there_may_be_are_refused(
    tiny_run: Path, comment_files: Path, command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    typed = (name, tiny_run / "artifacts" / "tfidf", "--data", comment_files / "test.csv", "--max-seconds", 1)
    said = one_paragraph(command(*typed, "--threads", "1,2,64"))
    assert "--threads 2, 64: only 1 may be used here (OMP_NUM_THREADS=1); give no more, or all" in said


def test_a_recipe_times_what_it_may_and_says_what_it_left_out(
    done: Path, recipe: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("os.cpu_count", lambda: 4096)
    ended = command("run", recipe, "--out", done, "--set", "evaluate.threads=[all,4000]")
    assert ended.code == 0, ended.err
    assert "note: threads 4000 left out: only 1 may be used here (OMP_NUM_THREADS=1)\n" in ended.out
    assert "note: threads all is 1 of the machine's 4096 cores: only 1 may be used here" in ended.out
    report = json.loads((done / "report.json").read_bytes())
    assert {row["threads"] for it in report["candidates"] for row in it["latency"]} == {1}


# ---------------------------------------------------------------------------------------------------- bad data


def rewrite(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    rows = read_csv(path.read_text(encoding="utf-8"))
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def never_positive(path: Path) -> None:
    def change(rows: list[dict[str, str]]) -> None:
        for row in rows:
            row["threat"] = "0"

    rewrite(path, change)


def unknown_value(path: Path) -> None:
    rewrite(path, lambda rows: rows[4].update(threat="maybe"))


def no_column(path: Path) -> None:
    def change(rows: list[dict[str, str]]) -> None:
        for row in rows:
            del row["insult"]

    rewrite(path, change)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (never_positive, "threat"),
        (unknown_value, "train.csv, line 6: column 'threat' is 'maybe', not 0 or 1"),
        (no_column, "train.csv: no column 'insult'"),
        (lambda path: path.write_bytes(b""), "train.csv"),
        (lambda path: path.write_bytes(path.read_bytes() + b"caf\xe9"), "UTF-8"),
        (lambda path: path.unlink(), "train.csv' (looked from"),
    ],
)  # fmt: skip
def test_bad_data_is_one_clear_error_and_nothing_is_written_over(
    done: Path, comments: Path, recipe: Path, command: Command, damage: Callable[[Path], object], said: str
) -> None:
    before = snapshot(done)
    damage(comments / "train.csv")
    message = one_paragraph(command("run", recipe, "--out", done, "--set", f"vars.comments={comments}"))
    assert said in message
    assert snapshot(done) == before


def test_train_rows_that_recur_in_test_are_counted_and_can_be_dropped(
    tmp_path: Path, comments: Path, recipe: Path, command: Command
) -> None:
    train = read_csv((comments / "train.csv").read_text(encoding="utf-8"))

    def repeat(rows: list[dict[str, str]]) -> None:
        for row, copied in zip(rows[:3], train, strict=False):
            row["comment_text"] = copied["comment_text"].upper()

    rewrite(comments / "test.csv", repeat)
    arguments = ("plan", recipe, "--out", tmp_path / "x", "--set", f"vars.comments={comments}")
    assert re.search(r"note: 3 train rows recur in test set held_out .* and were kept", command(*arguments).out)
    dropped = command(*arguments, "--set", "data.drop_overlap=true")
    assert re.search(r"note: 3 train rows recur in test set held_out .* and were dropped", dropped.out)


# ---------------------------------------------------------------------------------------------------- everything else


def test_fresh_in_a_folder_of_ones_own_deletes_nothing(
    tmp_path: Path, recipe: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cache", "work"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    before = snapshot(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "holds files that compress did not write" in one_paragraph(command("run", recipe, "--out", ".", "--fresh"))
    assert snapshot(tmp_path) == before


def test_notes_on_the_data_are_shown_before_hours_are_spent(
    tmp_path: Path, comments: Path, recipe: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_steps(*_: object) -> None:
        raise ParityError("hours later")

    monkeypatch.setattr("compress.pipeline._run_steps", run_steps)
    shutil.copy(comments / "train.csv", comments / "test.csv")
    ended = command("run", recipe, "--out", tmp_path / "out", "--set", f"vars.comments={comments}")
    first, last = ended.err.splitlines()
    assert first.startswith("note: 120 train rows recur in test set held_out"), first
    assert last == "error: hours later"


def test_plan_shows_what_a_fresh_run_has_still_to_make(done: Path, recipe: Path, command: Command) -> None:
    (done / ".fresh.json").write_text('["student-int8"]')
    assert re.search(r"student-int8 .* to run ", command("plan", recipe, "--out", done).out)


def test_scripts_report_nothing_home_either(tiny_run: Path) -> None:
    names = ("HF_HUB_DISABLE_TELEMETRY", "HF_UPDATE_DOWNLOAD_COUNTS")
    code = (
        "import os, sys, compress; compress.open_predictor(sys.argv[1])\n"
        "from huggingface_hub import constants\n"
        f"print(constants.HF_HUB_DISABLE_TELEMETRY, [os.environ[name] for name in {names}])"
    )
    bare = {name: value for name, value in os.environ.items() if name not in {*names, "DO_NOT_TRACK"}}
    said = subprocess.check_output([sys.executable, "-c", code, tiny_run / "artifacts" / "tfidf"], text=True, env=bare)
    assert said == "True ['1', '0']\n"


def test_no_library_warns_the_user(failing: Command, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_recipe(*_: object) -> None:
        warnings.warn("a library's advice", UserWarning, stacklevel=1)
        raise ParityError("the end")

    monkeypatch.setattr("compress.recipe.load.load_recipe", load_recipe)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        assert command("check", "x").err == "error: the end\n"


def test_an_unknown_key_stops_a_run_before_it_starts(done: Path, recipe: Path, command: Command) -> None:
    before = snapshot(done)
    message = one_paragraph(command("run", recipe, "--out", done, "--set", "stages.student.epoch=1"))
    assert "stages.student.epoch: unknown key; did you mean epochs?" in message
    assert snapshot(done) == before


def test_a_hub_id_without_a_network_stops_a_run_at_once(done: Path, recipe: Path, command: Command) -> None:
    before = snapshot(done)
    started = time.monotonic()
    ended = command("run", recipe, "--out", done, "--set", "stages.student.student={encoder: someone/model}")
    assert "someone/model is no folder here and not whole in the hub cache" in one_paragraph(ended)
    assert time.monotonic() - started < 5
    assert snapshot(done) == before


def test_a_damaged_model_is_told_by_its_sha256_before_it_is_parsed(done: Path, recipe: Path, command: Command) -> None:
    file = done / "artifacts" / "student-int8" / "model.onnx"
    file.write_bytes(b"damaged" + file.read_bytes()[7:])
    before = snapshot(done)
    said = f"{file} is damaged: its sha256 is {sha256_file(file)[:16]}"
    for arguments in (("run", recipe, "--out", done), ("predict", file.parent)):
        assert said in one_paragraph(command(*arguments))
    assert snapshot(done) == before


def test_two_runs_in_one_folder(done: Path, recipe: Path, command: Command) -> None:
    before = snapshot(done)
    with run_lock(done):
        message = one_paragraph(command("run", recipe, "--out", done))
    assert f"another run is working in {done}" in message
    assert snapshot(done) == before
    assert command("run", recipe, "--out", done).code == 0


@pytest.mark.parametrize(
    ("found", "said"),
    [((), "no ONNX Runtime is installed"), (("onnxruntime", "onnxruntime-gpu"), "are both installed")],
)
def test_a_run_needs_exactly_one_onnx_runtime(
    tmp_path: Path, recipe: Path, command: Command, monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("compress.environment.library_versions", lambda names: dict.fromkeys(found, "1"))
    assert said in one_paragraph(command("run", recipe, "--out", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_recipes_by_bare_name(command: Command) -> None:
    assert command("check", "jigsaw-minilm", "--set", "data.dir=/nowhere").code == 0
    message = one_paragraph(command("check", "jigsaw-minlm"))
    assert "no shipped recipe of that name; did you mean jigsaw-minilm?; shipped recipes: " in message


@pytest.mark.parametrize("name", ["[bold]a[", ":smile:", "[/x]"])
def test_names_are_printed_as_they_are(tmp_path: Path, recipe: Path, command: Command, name: str) -> None:
    file = Path(shutil.copy(recipe, tmp_path / name.replace("/", "_")))
    assert f"{file} is right" in command("check", file).out
    assert name in command("check", tmp_path / "no" / name).err


# ---------------------------------------------------------------------------------------------------- exit codes


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """fail(error): `compress check` raises it."""

    def fail(error: BaseException) -> None:
        def load_recipe(*_: object) -> None:
            raise error

        monkeypatch.setattr("compress.recipe.load.load_recipe", load_recipe)

    return fail


def test_an_interrupted_run_says_it_goes_on(failing: Command, command: Command) -> None:
    failing(KeyboardInterrupt())
    ended = command("check", "x")
    assert ended.code == 130
    assert "the same command goes on from there" in ended.err


def test_ctrl_c_ends_a_process_with_130(tiny_run: Path) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from compress.cli import main; print('ready', file=sys.stderr, flush=True); main()"
    )
    arguments = [sys.executable, "-c", code, "predict", str(tiny_run / "artifacts" / "tfidf")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"ready\n"
        time.sleep(0.5)  # it waits for its input
        process.send_signal(signal.SIGINT)
        assert b"Interrupted" in process.stderr.read()
    assert process.returncode == 130


def test_a_fault_of_ours_says_so(failing: Command, command: Command) -> None:
    failing(ZeroDivisionError("by [zero]"))
    message = one_paragraph(command("check", "x"), code=1)
    assert (
        "this is a fault of compress, not of yours: ZeroDivisionError: by [zero]\nRun it again with --debug" in message
    )


def test_a_parity_error_is_no_fault_of_the_user(failing: Command, command: Command) -> None:
    failing(ParityError("student-onnx answers otherwise"))
    assert one_paragraph(command("check", "x"), code=1) == "error: student-onnx answers otherwise\n"


def test_a_file_that_cannot_be_written_is_the_machines(failing: Command, command: Command) -> None:
    failing(PermissionError(13, "Permission denied", "/x"))
    assert "Permission denied: '/x'" in one_paragraph(command("check", "x"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "this machine's memory is full. Give the stage a smaller batch_size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "this machine's memory is full"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA: tried"), "the GPU's memory is full. Give the stage a"),
        (OSError(28, "No space left on device"), "the disk is full. Free some space, or give --out a folder on"),
        (OSError(28, "No space left on device", "/x/y"), r"the disk is full (writing /x/y). Free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full. Free"),
        (EOFError("Compressed file ended"), "a file ends before its content does (Compressed file ended): it was not"),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_said_with_a_next_step(
    failing: Command, command: Command, error: Exception, said: str
) -> None:
    failing(error)
    message = one_paragraph(command("check", "x")).strip()
    assert message.startswith(f"error: {said}")
    assert "Interrupted" not in message


@pytest.mark.parametrize("rows", [3, 5000])
def test_a_reader_that_has_enough_is_no_fault(tiny_run: Path, rows: int) -> None:
    code = "import sys; from compress.cli import main; main()"
    arguments = [sys.executable, "-c", code, "predict", str(tiny_run / "artifacts" / "tfidf")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # it ends as soon as it could not write
            process.stdin.write(b"a rotten thing\n" * rows)
            process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_debug_gives_the_traceback(failing: Command, command: Command) -> None:
    failing(ZeroDivisionError("seen"))
    with pytest.raises(ZeroDivisionError, match="seen"):
        command("check", "--debug", "x")


@pytest.mark.parametrize("arguments", [("rum", "x"), ("run",), ("run", "x", "--sett", "a=b"), ("evaluate", "x")])
def test_a_wrong_command_line_exits_with_2(command: Command, arguments: tuple[str, ...]) -> None:
    ended = command(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("Usage: compress ")
    assert "Traceback" not in ended.err


def test_help_names_every_command(command: Command) -> None:
    ended = command("--help")
    assert ended.code == 0
    assert all(name in ended.out for name in ("run", "check", "plan", "evaluate", "predict", "inspect", "--debug"))
    assert "Examples: compress run quickstart" in ended.out
