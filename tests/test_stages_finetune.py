"""Fine-tuning: it learns, from train alone, and its decision is of the model as it is served, from validation alone."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from compress.errors import EncoderError
from compress.recipe.stages import Finetune
from compress.runtime import open_predictor
from compress.stages import finetune
from compress.train.decision import fit_decision
from eval.contract import LabelledTexts
from eval.metrics import roc_auc

Encoder = Callable[[str], Path]


def config(encoder: Any, **changes: Any) -> Finetune:
    given = {"id": "t", "type": "finetune", "encoder": encoder, "pooling": "mean", "max_tokens": 32, "epochs": 0.5}
    return Finetune.model_validate(given | {"learning_rate": 1e-3, "precision": "fp32"} | changes)


def areas(artifact: Any, rows: LabelledTexts) -> list[float]:
    probabilities = open_predictor(artifact).predict_proba(rows.texts)
    return [roc_auc(rows.targets[:, i], probabilities[:, i]) or 0.0 for i in range(len(rows.labels))]


def changed(rows: LabelledTexts) -> LabelledTexts:
    return dataclasses.replace(rows, targets=1 - rows.targets)


def test_it_learns_what_the_labels_mean(teacher: Any, comment_splits: Any) -> None:
    assert min(areas(teacher, comment_splits.tests["test"])) > 0.9


@pytest.mark.parametrize(("family", "pooling"), [("roberta", "max"), ("distilbert", "own")])
def test_other_architectures_learn_too(workshop: Any, tiny_encoder: Encoder, family: str, pooling: str) -> None:
    given = {"pooling": pooling, "epochs": 14, "batch_size": 8, "learning_rate": 3e-3, "pos_weight": "sqrt"}
    artifact = workshop.make(finetune.run, config(str(tiny_encoder(family)), **given))
    assert np.mean(areas(artifact, workshop.splits.tests["test"])) > 0.8


def test_a_small_encoder_from_scratch_learns_too(workshop: Any) -> None:
    shape = {"layers": 1, "width": 32, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 250}}
    artifact = workshop.make(finetune.run, config(shape, pooling="own", epochs=8, batch_size=8, learning_rate=5e-3))
    assert np.mean(areas(artifact, workshop.splits.tests["test"])) > 0.9
    assert artifact.manifest.max_tokens == 32


def test_the_artifact_says_what_it_is(teacher: Any, comment_task: Any) -> None:
    assert teacher.manifest.format == "torch"
    assert teacher.manifest.precision == "fp32"
    assert teacher.manifest.max_tokens == 32
    files = set(teacher.manifest.file_sha256s)
    assert {"model.safetensors", "config.json", "tokenizer.json", "decision.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    stored = json.loads((teacher.path / "config.json").read_text())
    assert tuple(stored["id2label"].values()) == comment_task.labels


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_decision_is_of_the_model_as_it_is_served(workshop: Any, tiny_encoder: Encoder, precision: str) -> None:
    artifact = workshop.make(finetune.run, config(str(tiny_encoder("bert")), precision=precision, epochs=2))
    validation = workshop.splits.validation
    served = open_predictor(artifact).predict_logits(validation.texts)
    expected, stored = fit_decision(served, validation, workshop.task), artifact.decision()
    assert stored.calibration_temperature == pytest.approx(expected.calibration_temperature, rel=1e-3)
    assert stored.thresholds == pytest.approx(expected.thresholds, abs=1e-5)


def test_each_split_is_used_for_what_it_is_for(workshop: Any, tiny_encoder: Encoder) -> None:
    one = config(str(tiny_encoder("bert")))
    before = workshop.make(finetune.run, one)
    weights, decision = load_file(before.path / "model.safetensors"), before.decision()

    def made(**splits: Any) -> tuple[bool, bool]:
        """Whether weights and decision are as before, with these splits changed."""
        other = dataclasses.replace(workshop, splits=dataclasses.replace(workshop.splits, **splits))
        found = other.make(finetune.run, one)
        now = load_file(found.path / "model.safetensors")
        return all(np.array_equal(now[name], weights[name]) for name in weights), found.decision() == decision

    splits = workshop.splits
    assert made() == (True, True)
    assert made(tests={name: changed(rows) for name, rows in splits.tests.items()}, unlabeled=()) == (True, True)
    assert made(validation=changed(splits.validation)) == (True, False)
    assert made(train=changed(splits.train)) == (False, False)


def test_single_label_learns_its_classes(workshop: Any, tiny_encoder: Encoder) -> None:
    from compress.recipe.data import Task

    task = Task(type="single_label", text="comment_text", labels=("fine", "toxic"), label_column="y")

    def classes(rows: LabelledTexts) -> LabelledTexts:
        toxic = rows.targets[:, :1]
        return LabelledTexts(rows.texts, task.labels, np.concatenate([1 - toxic, toxic], axis=1))

    splits = workshop.splits
    rows = {name: classes(getattr(splits, name)) for name in ("train", "validation")}
    shop = dataclasses.replace(workshop, task=task, splits=dataclasses.replace(splits, **rows))
    given = {"epochs": 6, "batch_size": 8, "learning_rate": 3e-3, "pos_weight": "balanced"}
    artifact = shop.make(finetune.run, config(str(tiny_encoder("bert")), **given))
    assert artifact.decision().thresholds is None
    test = classes(splits.tests["test"])
    probabilities = open_predictor(artifact).predict_proba(test.texts)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == test.targets.argmax(axis=1)).mean() > 0.9


def test_early_stopping_scores_on_validation(workshop: Any, tiny_encoder: Encoder) -> None:
    given = {"epochs": 30, "batch_size": 8, "learning_rate": 3e-3, "early_stopping": 1}
    told: list[int] = []
    artifact = workshop.make(
        finetune.run, config(str(tiny_encoder("bert")), **given), progress=lambda what, done, total: told.append(done)
    )
    assert max(told) < 30 * 15
    record = json.loads((workshop.folder / "work-t" / "best.json").read_text())
    assert np.mean(areas(artifact, workshop.splits.validation)) == pytest.approx(record["score"], abs=1e-6)


@pytest.mark.parametrize("kind", ["multi_label", "single_label"])
@pytest.mark.parametrize("early_stopping", [None, 1])
def test_a_training_that_diverged_is_not_kept(
    workshop: Any, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch, kind: str, early_stopping: int | None
) -> None:
    from compress.errors import TrainingError
    from compress.train import finish

    single = dataclasses.replace(workshop, task=workshop.task.model_copy(update={"type": kind}))

    def undefined(*arguments: Any) -> Any:
        logits = np.zeros((80, 6), np.float32)
        logits[3, 1] = np.nan
        return logits

    monkeypatch.setattr(finish, "model_logits", undefined)
    said = (
        r"stages\.t: training diverged: .* 1 of 80 validation texts .* Nothing was kept; lower learning_rate \(0\.001\)"
    )
    with pytest.raises(TrainingError, match=said):
        single.make(finetune.run, config(str(tiny_encoder("bert")), early_stopping=early_stopping))
    assert list((workshop.folder / "artifacts").iterdir()) == []


def test_a_linear_fit_that_failed_is_told_no_learning_rate(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.errors import TrainingError
    from compress.train import finish

    monkeypatch.setattr(finish, "model_logits", lambda *arguments: np.full((80, 6), np.inf, np.float32))
    stage = Finetune.model_validate({"id": "t", "type": "finetune", "encoder": {"type": "linear"}})
    with pytest.raises(TrainingError, match=r"^stages\.t: the linear fit failed: .* 80 of 80 .*") as caught:
        workshop.make(finetune.run, stage)
    assert "learning_rate" not in str(caught.value)


def test_an_own_head_for_other_labels_is_made_anew(
    workshop: Any, tiny_encoder: Encoder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    given = shutil.copytree(tiny_encoder("distilbert"), tmp_path / "two")
    two = AutoConfig.from_pretrained(str(given), num_labels=2)
    AutoModelForSequenceClassification.from_config(two).save_pretrained(str(given))
    capfd.readouterr()
    made = workshop.make(finetune.run, config(str(given), pooling="own", epochs=0.1))
    assert "size mismatch" not in "".join(capfd.readouterr())
    weights = load_file(made.path / "model.safetensors")
    assert weights["classifier.weight"].shape == (6, 32)
    # the encoder itself must fit
    config_file = given / "config.json"
    config_file.write_text(config_file.read_text().replace('"hidden_dim": 64', '"hidden_dim": 48'))
    with pytest.raises(EncoderError, match=r"have other sizes|do not fit"):
        workshop.make(finetune.run, config(str(given), pooling="own", epochs=0.1))
