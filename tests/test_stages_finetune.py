"""Fine-tuning: it learns, from train alone, and its decision is of the model as it is served, from validation alone."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

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
    artifact = workshop.make(finetune.run, config(shape, epochs=8, batch_size=8, learning_rate=5e-3))
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
