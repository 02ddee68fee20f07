"""The model card in an artifact's folder: what it says, that it changes nothing, and whose it is once edited."""

import shutil
from dataclasses import replace

import pytest
import yaml
from reports import bare_report, regression_report, timed

from compress.artifact import Artifact, Manifest, open_artifact
from compress.card import cards_there, is_edited, keep_edited, marked, write_cards
from compress.card.text import card_text, repeat_text
from compress.recipe.long_text import LongText
from compress.recipe.recipe import Repeat
from compress.recipe.stages import Finetune
from eval.contract import Interval
from eval.report.report import load_report
from eval.seeds import SeedSpread, quality_spreads

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
    assert not cards_there(made)
    write_cards(made, report, {})
    assert cards_there(made)
    assert not is_edited(tmp_path / "student")


# ------------------------------------------------------------------------------------- repeats, costs, base model


def repeats_of(stage, seeds):
    known = Finetune(id=stage, type="finetune", encoder="any/thing", seeds=1)
    copies = {seed: known.model_copy(update={"id": f"{stage}.seed{seed}"}) for seed in seeds[1:]}
    return tuple(Repeat(copy, stage, seed, seeds[0]) for seed, copy in copies.items())


def test_a_repeat_has_a_card_with_its_own_numbers_and_promises_no_results(tmp_path):
    quality = bare_report().candidates[0].quality_by_set["main"]
    worse = replace(quality, macro_f1=replace(quality.macro_f1, value=0.125))
    spreads = {"main": quality_spreads([quality, quality, worse])}
    notes = ("student.seed14: is another's", "student: too")
    report = bare_report(seeds=(SeedSpread("student", (13, 14, 15), spreads),), notes=notes)
    names = ("student", "student.seed14", "student.seed15")
    made = {name: artifact(tmp_path / name, ["toxic", "never"], stage_id=name) for name in names}
    write_cards({"student": made["student"]}, report, {})
    assert not cards_there(made)
    write_cards(made, report, {"train": "ab"}, repeats_of("student", (13, 14, 15)))
    assert cards_there(made)
    text = card(tmp_path / "student.seed15")
    assert "It is a repeat of stage `student` (distill)" in text
    assert "with seed 15" in text
    found = spreads["main"]["macro_f1"]
    assert "| metric | seed 15 | all seeds |" in text
    assert f"| macro F1 | 0.125 | {found.mean:.3f} ± {found.deviation:.3f} |" in text
    assert "| F1 of never | undefined | undefined |" in text
    assert "| toxic | 0.5000 |" in text  # its thresholds
    assert "another's" not in text
    assert "model-index" not in metadata(text)
    assert metadata(text)["tags"] == ["compress", "distill", "fp32"]
    assert "repeat of" not in card(tmp_path / "student")
    assert "another's" not in card(tmp_path / "student")


def test_a_repeat_that_the_report_says_nothing_of_is_still_one(tmp_path):
    made = artifact(tmp_path / "a", ["toxic", "never"], stage_id="student.seed14")
    (repeat,) = repeats_of("student", (13, 14))
    text = repeat_text(made, repeat, bare_report(), {})
    assert "It is a repeat of stage `student`" in text
    assert "## Quality" not in text


def test_cold_start_memory_and_times_by_length_are_there_where_they_were_measured(tmp_path):
    report = bare_report()
    made = artifact(tmp_path, ["toxic", "never"])
    for heading in ("## Latency by length", "## Cold start"):
        assert heading not in text_of(made, report)
    measured = replace(
        report.candidates[0],
        length_latency=(timed(1.5, tokens=16), timed(3.5, tokens=64)),
        cold_start_ms=Interval(812.0, 790.0, 1100.0),
        peak_memory_mb=93.4,
        peak_memory_batch_mb=121.0,
    )
    text = text_of(made, replace(report, candidates=(measured,)))
    assert "## Latency by length" in text
    assert "| 64 | 250 | 3.50 |" in text
    assert "| student | 812 (790–1100) | 93 | 121 |" in text


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("distilbert-base-uncased", "distilbert-base-uncased"),
        ("org/model", "org/model"),
        ("package:some_package/model", None),
        ("./models/mine", None),
        ("/models/mine", None),
        ("FOLDER", None),
    ],
)
def test_the_base_model_is_a_hub_id_or_nothing(tmp_path, reference, named):
    """Of what goes on with those weights too; who only learns from them has none of them."""
    begun = {"reference": str(tmp_path) if reference == "FOLDER" else reference, "weights_sha256": {}}
    made = {
        "teacher": artifact(tmp_path / "teacher", ["toxic"], stage_id="teacher", pretrained=begun),
        "teacher-onnx": artifact(tmp_path / "teacher-onnx", ["toxic"], stage_id="teacher-onnx"),
        "teacher-int8": artifact(tmp_path / "teacher-int8", ["toxic"], stage_id="teacher-int8"),
        "student": artifact(tmp_path / "student", ["toxic"], stage_id="student", parents={"teacher": "0"}),
        "teacher.seed14": artifact(tmp_path / "seed", ["toxic"], stage_id="teacher.seed14", pretrained=begun),
    }
    (only,) = bare_report().candidates
    stages = [
        {"id": "teacher"},
        {"id": "teacher-onnx", "from": "teacher"},
        {"id": "teacher-int8", "from": "teacher-onnx"},
        {"id": "student", "teacher": "teacher"},
    ]
    candidates = tuple(replace(only, id=stage["id"]) for stage in stages)
    write_cards(
        made,
        bare_report(candidates=candidates, recipe={"stages": stages}),
        {},
        repeats_of("teacher", (13, 14)),
    )
    found = {name: metadata(card(it.path)) for name, it in made.items()}
    assert {name: it.get("base_model") for name, it in found.items()} == dict.fromkeys(made, named) | {"student": None}
    assert not any("license" in it for it in found.values())
