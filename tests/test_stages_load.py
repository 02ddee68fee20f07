"""Loading a classifier that is fine-tuned already: its labels are put in order, or it is refused with a reason."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import ArtifactError, EncoderError
from compress.recipe.data import Task
from compress.recipe.stages import Load
from compress.runtime import open_predictor
from compress.stages import load
from eval.contract import LabelledTexts

TEXTS = ("you are a numpty and a clown", "the map is from an older edition", "all islanders are vermin")


def config(model: Path, **changes: Any) -> Load:
    return Load.model_validate({"id": "l", "type": "load", "model": str(model), **changes})


def relabelled(shop: Any, labels: tuple[str, ...], type_: str = "multi_label") -> Any:
    """The workshop with its task's labels in this order, and as many columns."""
    task = Task(type=type_, text="comment_text", labels=labels, label_column="y" if type_ == "single_label" else None)
    rows = shop.splits.validation
    targets = np.stack([rows.targets[:, i % rows.targets.shape[1]] for i in range(len(labels))], axis=1)
    if type_ == "single_label":
        targets = np.eye(len(labels), dtype=np.int8)[np.arange(len(targets)) % len(labels)]
    splits = dataclasses.replace(shop.splits, validation=LabelledTexts(rows.texts, labels, targets))
    return dataclasses.replace(shop, task=task, splits=splits)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Callable[[str], Path], comment_task: Any) -> Path:
    """A classifier as others publish it: transformers' own classes, six labels."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("published")
    source = tiny_encoder("distilbert")
    names = {
        "id2label": dict(enumerate(comment_task.labels)),
        "label2id": {n: i for i, n in enumerate(comment_task.labels)},
    }
    torch.manual_seed(3)
    made = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(str(source), **names))
    with torch.no_grad():
        made.classifier.weight.mul_(30)
    made.save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(source)).save_pretrained(str(folder))
    return folder


def expected_logits(folder: Path) -> np.ndarray:
    from transformers import pipeline

    scores = pipeline("text-classification", model=str(folder), top_k=None, function_to_apply="none")(list(TEXTS))
    names = list(json.loads((folder / "config.json").read_text())["id2label"].values())
    return np.array([[{s["label"]: s["score"] for s in row}[name] for name in names] for row in scores])


def test_it_answers_as_transformers_does(workshop: Any, published: Path) -> None:
    artifact = workshop.make(load.run, config(published))
    np.testing.assert_allclose(open_predictor(artifact).predict_logits(TEXTS), expected_logits(published), atol=1e-5)


@pytest.mark.parametrize("source", ["published", "teacher"])
def test_labels_are_put_in_the_tasks_order_by_name(workshop: Any, source: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(source)
    folder = given if isinstance(given, Path) else given.path
    plain = workshop.make(load.run, config(folder, id="plain"))
    labels = workshop.task.labels
    shuffled = tuple(labels[i] for i in (4, 0, 5, 2, 1, 3))
    moved = relabelled(workshop, shuffled).make(load.run, config(folder, id="moved"))
    before, after = (open_predictor(artifact).predict_logits(TEXTS) for artifact in (plain, moved))
    np.testing.assert_allclose(after, before[:, [4, 0, 5, 2, 1, 3]], atol=1e-6)
    stored = json.loads((moved.path / "config.json").read_text())
    assert tuple(stored["id2label"].values()) == shuffled
    assert stored["problem_type"] == "multi_label_classification"


def test_labels_are_put_in_order_by_a_map(workshop: Any, published: Path) -> None:
    plain = workshop.make(load.run, config(published, id="plain"))
    mine = ("grob", "drohung", "beleidigung", "hass", "obszoen", "sehr_grob")
    names = dict(zip(("toxic", "threat", "insult", "identity_hate", "obscene", "severe_toxic"), mine, strict=True))
    moved = relabelled(workshop, mine).make(load.run, config(published, id="moved", labels=names))
    before, after = (open_predictor(artifact).predict_logits(TEXTS) for artifact in (plain, moved))
    np.testing.assert_allclose(after, before[:, [0, 3, 4, 5, 2, 1]], atol=1e-6)


def test_an_artifact_is_taken_over_whole(workshop: Any, teacher: Any) -> None:
    artifact = workshop.make(load.run, config(teacher.path))
    assert artifact.manifest.file_sha256s == teacher.manifest.file_sha256s


def test_the_decision_is_fitted_on_this_tasks_validation(workshop: Any, teacher: Any) -> None:
    rows = workshop.splits.validation
    flipped = dataclasses.replace(workshop.splits, validation=dataclasses.replace(rows, targets=1 - rows.targets))
    other = dataclasses.replace(workshop, splits=flipped).make(load.run, config(teacher.path))
    assert other.manifest.file_sha256s["model.safetensors"] == teacher.manifest.file_sha256s["model.safetensors"]
    assert other.decision() != teacher.decision()


def test_a_label_it_does_not_have_is_named_with_a_guess(workshop: Any, published: Path) -> None:
    labels = ("toxicc", *workshop.task.labels[1:])
    with pytest.raises(EncoderError, match=r"stages\.l\.labels: .*no label toxicc; did you mean toxic\?.*labels: \{"):
        relabelled(workshop, labels).make(load.run, config(published))


@pytest.mark.parametrize("source", ["published", "teacher"])
def test_another_number_of_labels_is_refused(workshop: Any, source: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(source)
    folder = given if isinstance(given, Path) else given.path
    with pytest.raises(EncoderError, match=r"has 6 labels .*the task has 2 .*type: finetune"):
        relabelled(workshop, workshop.task.labels[:2]).make(load.run, config(folder))


def test_an_artifact_of_another_kind_of_task_is_refused(workshop: Any, teacher: Any) -> None:
    other = relabelled(workshop, workshop.task.labels, "single_label")
    with pytest.raises(EncoderError, match="trained for multi_label, the task is single_label"):
        other.make(load.run, config(teacher.path))


@pytest.mark.parametrize("source", ["published", "teacher"])
def test_more_tokens_than_it_has_positions_are_refused(
    workshop: Any, source: str, request: pytest.FixtureRequest
) -> None:
    given = request.getfixturevalue(source)
    folder = given if isinstance(given, Path) else given.path
    with pytest.raises(EncoderError, match="max_tokens 65 is above the 64 positions"):
        workshop.make(load.run, config(folder, max_tokens=65))


def test_an_encoder_without_a_trained_head_is_refused(
    workshop: Any, published: Path, tiny_encoder: Callable[[str], Path], tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_encoder("distilbert"), bare)
    shutil.copyfile(published / "config.json", bare / "config.json")  # it claims six labels
    with pytest.raises(EncoderError, match=r"was fine-tuned: it has no weights for classifier\.bias.*finetune"):
        workshop.make(load.run, config(bare))


def test_artifacts_that_are_no_torch_model_or_damaged_are_refused(workshop: Any, teacher: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(teacher.path, copy)
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": "torch"', '"format": "onnx"'))
    with pytest.raises(ArtifactError, match="is of format onnx; load needs a torch artifact"):
        workshop.make(load.run, config(copy))
    manifest.write_text((teacher.path / "manifest.json").read_text())
    (copy / "model.safetensors").write_bytes(b"x")
    (copy / "config.json").rename(tmp_path / "config.json")
    manifest.write_text(manifest.read_text().replace('"format": "torch"', '"format": "tfidf"'))
    with pytest.raises(ArtifactError, match="is of format tfidf; load needs a torch artifact"):
        workshop.make(load.run, config(copy))
    (tmp_path / "config.json").rename(copy / "config.json")
    manifest.write_text((teacher.path / "manifest.json").read_text())
    with pytest.raises(ArtifactError, match="damaged: its sha256"):
        workshop.make(load.run, config(copy))
    assert not (workshop.folder / "artifacts" / "l").exists()


def test_a_classifier_whose_answers_are_undefined_is_not_kept(workshop: Any, published: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    broken = shutil.copytree(published, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["classifier.bias"][0] = np.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"stages\.l: .* 80 of 80 validation texts are infinite or undefined"):
        workshop.make(load.run, config(broken))
    assert not (workshop.folder / "artifacts" / "l").exists()
