"""The model card in an artifact's folder: what it says, that it changes nothing, and whose it is once edited."""

import shutil
from dataclasses import replace

import pytest
import yaml
from reports import bare_report, regression_report

from compress.artifact import Artifact, Manifest, open_artifact
from compress.card import cards_there, is_edited, keep_edited, marked, write_cards
from compress.card.text import card_text
from compress.recipe.long_text import LongText
from eval.report.report import load_report

FORMATS = {"teacher": "PyTorch", "student-int8": "ONNX", "tfidf": "TF-IDF"}


def metadata(text):
    return yaml.safe_load(text.split("---\n")[1])


def card(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run's folder of the test's own."""
    shutil.copytree(tiny_run, tmp_path / "out")
    shutil.copy(tiny_run.parent / "recipe.yaml", tmp_path / "recipe.yaml")
    return tmp_path / "out"


def test_every_artifact_has_a_card_the_hub_can_read(tiny_run):
    from huggingface_hub import ModelCard

    report = load_report(tiny_run / "report.json")
    for measured in report.candidates:
        folder = tiny_run / "artifacts" / measured.id
        found = ModelCard.load(folder / "README.md").data
        quality = measured.quality_by_set["held_out"]
        results = {it.metric_name.partition(" (")[0]: it for it in found.eval_results}
        assert results["macro F1"].metric_value == pytest.approx(quality.macro_f1.value, abs=1e-6)
        assert results["macro F1"].metric_type == "f1"
        assert f"{quality.macro_f1.low:.4g}" in results["macro F1"].metric_name
        assert results["macro ROC-AUC"].dataset_name == "held_out"
        assert found.pipeline_tag == "text-classification"
        assert metadata(card(folder))["model-index"][0]["name"] == f"tiny-{measured.id}"


@pytest.mark.parametrize("name", FORMATS)
def test_it_says_what_the_model_is_and_how_it_did(tiny_run, name):
    folder = tiny_run / "artifacts" / name
    text = card(folder)
    measured = next(it for it in load_report(tiny_run / "report.json").candidates if it.id == name)
    assert FORMATS[name] in text
    assert f"{measured.footprint.parameters:,} parameters" in text
    made = open_artifact(folder)
    for label, threshold in zip(made.manifest.labels, made.decision().thresholds, strict=True):
        assert f"| {label} | {threshold:.4f} |" in text
    assert "## Quality on held_out" in text
    assert "## Latency" in text
    assert f'compress.open_predictor("{name}")' in text
    assert ("ORTModelForSequenceClassification" in text) == (name == "student-int8")
    assert f"artifact digest `{made.digest}`" in text
    assert "train rows: sha256 `" in text
    assert str(tiny_run) not in text


def test_the_card_is_no_part_of_the_artifact(run):
    for folder in (run / "artifacts").iterdir():
        artifact = open_artifact(folder)
        assert "README.md" not in artifact.manifest.file_sha256s
        (folder / "README.md").unlink()
        assert open_artifact(folder).digest == artifact.digest


def test_a_card_that_was_edited_stays_and_a_missing_one_comes_back(run, command):
    artifacts = run / "artifacts"
    (artifacts / "student" / "README.md").write_text("mine", encoding="utf-8")
    edited = card(artifacts / "teacher").replace("## Limits", "## My own limits")
    (artifacts / "teacher" / "README.md").write_text(edited, encoding="utf-8")
    before = card(artifacts / "tfidf")
    (artifacts / "tfidf" / "README.md").unlink()
    ended = command("run", run.parent / "recipe.yaml", "--out", run)
    assert ended.code == 0, ended.err
    assert "measurements are cached" in ended.out
    assert card(artifacts / "student") == "mine"
    assert card(artifacts / "teacher") == edited
    assert card(artifacts / "tfidf") == before


def test_a_stage_that_is_made_again_keeps_an_edited_card_and_replaces_ours(run, command):
    """The folder of an artifact is replaced as a whole; what somebody wrote goes with it."""
    artifacts = run / "artifacts"
    (artifacts / "tfidf" / "README.md").write_text("mine", encoding="utf-8")
    for name in ("tfidf", "student-int8"):
        manifest = artifacts / name / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"cache_key": "', '"cache_key": "0'))
    ended = command("run", run.parent / "recipe.yaml", "--out", run)
    assert "ran tfidf, student-int8" in ended.out, ended.err
    assert card(artifacts / "tfidf") == "mine"
    assert not is_edited(artifacts / "student-int8")
    assert "## Limits" in card(artifacts / "student-int8")


def test_whose_a_card_is_stands_in_its_last_line(tmp_path):
    assert not is_edited(tmp_path)  # there is none
    file = tmp_path / "README.md"
    for text, edited in (
        (marked("# a\n"), False),
        (marked("# a\n") + "more", True),
        (marked("# a\n").replace("# a", "# b"), True),
        ("# a\n", True),
        (marked(marked("# a\n")), False),
    ):
        file.write_text(text, encoding="utf-8")
        assert is_edited(tmp_path) == edited, text
    file.write_bytes(marked("# a\n").replace("\n", "\r\n").encode())
    assert is_edited(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    keep_edited(tmp_path, new)
    assert (new / "README.md").read_bytes() == file.read_bytes()


# ---------------------------------------------------------------------------------------------------- other tasks


def artifact(folder, labels, kind="multi_label", **changes):
    task = {"type": kind, "text": ["text"], "labels": labels}
    if kind == "single_label":
        task["label_column"] = "class"
    facts = {
        "format": "onnx", "task": task, "max_tokens": 64, "stage_id": "student", "stage_type": "distill",
        "cache_key": "0", "parents": {}, "file_sha256s": {}, "environment": {"numpy": "2"},
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    thresholds = [0.5] * len(labels) if kind == "multi_label" else None
    content = f'{{"calibration_temperature": 1.5, "thresholds": {thresholds or "null"}}}'
    (folder / "decision.json").write_text(content, encoding="utf-8")
    return Artifact(folder, Manifest.model_validate(facts | changes))


def text_of(made, report):
    measured = next(it for it in report.candidates if it.id == "student")
    return card_text(made, measured, report, {"train": "ab"})


def test_a_regression_has_targets_and_errors(tmp_path):
    report = regression_report()
    text = text_of(artifact(tmp_path, ["stars", "height"], "regression"), report)
    assert "## Targets\n\n`stars`, `height`" in text
    assert "predict_values" in text
    assert "| target | R² | RMSE | MAE | Spearman |" in text
    kinds = {it["type"] for it in metadata(text)["model-index"][0]["results"][0]["metrics"]}
    assert kinds == {"r_squared", "rmse", "mae", "spearmanr"}


def test_a_classifier_of_one_class_a_row_has_no_thresholds(tmp_path):
    text = text_of(artifact(tmp_path, ["toxic", "never"], "single_label"), bare_report())
    assert "`toxic`, `never`; the most probable one is the answer." in text
    assert "calibration temperature 1.5 before softmax" in text


def test_what_is_undefined_is_no_result_and_a_note_stays_with_its_stage(tmp_path):
    notes = ("student-int8: is no concern", "student: in the manifest without its name", "of all")
    report = bare_report(notes=notes)
    quality = report.candidates[0].quality_by_set["main"]
    gone = replace(quality.macro_f1, value=None, low=None, high=None)
    measured = replace(report.candidates[0], quality_by_set={"main": replace(quality, macro_roc_auc=gone)})
    other = replace(measured, id="student-int8")
    report = replace(report, candidates=(measured, other))
    windows = LongText(how="windows")
    text = text_of(artifact(tmp_path, ["toxic", "never"], notes=("its own",), long_text=windows), report)
    assert "ROC-AUC" not in text.split("---\n")[1]
    assert "| never | 0 | undefined | undefined | undefined |" in text
    assert "is no concern" not in text
    assert "without its name" not in text
    assert "- of all" in text
    assert "- its own" in text
    assert "read in windows" in text
    assert "optimum" not in text  # what it would read of a long text is not what was measured


def test_cards_are_written_where_they_are_missing_only(tmp_path):
    report = bare_report()
    made = {"student": artifact(tmp_path / "student", ["toxic", "never"])}
    assert not cards_there(made, report)
    write_cards(made, report, {})
    assert cards_there(made, report)
    assert not is_edited(tmp_path / "student")
