"""Distillation: the student comes near its teacher, from its answers, whatever their tokenizers."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.recipe.stages import Distill
from compress.runtime import open_predictor
from compress.runtime.torch import TorchPredictor
from compress.stages import distill

SHAPE = {"layers": 1, "width": 32, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 250}}


def config(student: Any = None, **changes: Any) -> Distill:
    given = {"id": "s", "type": "distill", "teacher": "teacher", "student": student or SHAPE, "precision": "fp32"}
    return Distill.model_validate(given | {"epochs": 0.5, "batch_size": 16} | changes)


def apart(left: Any, right: Any, texts: Sequence[str]) -> float:
    """Mean distance of two artifacts' raw probabilities."""

    def raw(artifact: Any) -> np.ndarray:
        return 1 / (1 + np.exp(-open_predictor(artifact).predict_logits(texts)))

    return float(np.abs(raw(left) - raw(right)).mean())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a torch model is asked about through a predictor."""
    texts: list[str] = []
    original = TorchPredictor.predict_logits

    def spy(self: TorchPredictor, given: Sequence[str], progress: Any = None) -> Any:
        texts.extend(given)
        return original(self, given, progress)

    monkeypatch.setattr(TorchPredictor, "predict_logits", spy)
    return texts


def test_the_student_comes_near_its_teacher(workshop: Any, teacher: Any) -> None:
    test = workshop.splits.tests["test"].texts
    early = workshop.make(distill.run, config(hardness=1.0, epochs=0.1), teacher=teacher)
    before = apart(early, teacher, test)
    trained = workshop.make(distill.run, config(hardness=1.0, epochs=12, learning_rate=5e-3), teacher=teacher)
    assert apart(trained, teacher, test) < 0.4 * before


def test_a_student_with_another_tokenizer_learns_too(
    workshop: Any, teacher: Any, tiny_encoder: Callable[[str], Path]
) -> None:
    student = {"encoder": str(tiny_encoder("roberta")), "pooling": "max"}
    test = workshop.splits.tests["test"].texts
    early = workshop.make(distill.run, config(student, epochs=0.1), teacher=teacher)
    before = apart(early, teacher, test)
    trained = workshop.make(distill.run, config(student, epochs=10, learning_rate=3e-3), teacher=teacher)
    assert apart(trained, teacher, test) < 0.6 * before
    assert trained.manifest.max_tokens == 32  # its teacher's
    assert (trained.path / "tokenizer.json").read_bytes() != (teacher.path / "tokenizer.json").read_bytes()


def test_with_hardness_one_the_labels_do_not_count(workshop: Any, teacher: Any) -> None:
    rows = workshop.splits.train
    flipped = dataclasses.replace(workshop.splits, train=dataclasses.replace(rows, targets=1 - rows.targets))
    other = dataclasses.replace(workshop, splits=flipped)

    def weights(shop: Any, hardness: float) -> str:
        made = shop.make(distill.run, config(hardness=hardness), teacher=teacher)
        return made.manifest.file_sha256s["model.safetensors"]

    assert weights(workshop, 1.0) == weights(other, 1.0)
    assert weights(workshop, 0.5) != weights(other, 0.5)


def test_with_hardness_zero_and_no_unlabelled_rows_the_teacher_does_not_count(workshop: Any, teacher: Any) -> None:
    shop = dataclasses.replace(workshop, splits=dataclasses.replace(workshop.splits, unlabeled=()))
    other = workshop.make(distill.run, config(), teacher=teacher)

    def weights(taught_by: Any, shop: Any) -> str:
        made = shop.make(distill.run, config(id="z", hardness=0.0), teacher=taught_by)
        return made.manifest.file_sha256s["model.safetensors"]

    assert weights(teacher, shop) == weights(other, shop)
    assert weights(teacher, workshop) != weights(other, workshop)


def test_the_teacher_is_asked_once_about_train_and_unlabeled(workshop: Any, teacher: Any, asked: list[str]) -> None:
    for name in ("one", "two"):
        workshop.make(distill.run, config(id=name), teacher=teacher)
    assert asked == [*workshop.splits.train.texts, *workshop.splits.unlabeled]


def test_the_student_is_built_as_described(workshop: Any, teacher: Any) -> None:
    shape = {"layers": 2, "width": 16, "heads": 4, "ffn": 24, "max_tokens": 20, "pooling": "cls"}
    shape["tokenizer"] = {"type": "wordpiece", "size": 220, "lowercase": False}
    made = workshop.make(distill.run, config(shape), teacher=teacher)
    stored = json.loads((made.path / "config.json").read_text())
    found = {
        "layers": stored["num_hidden_layers"],
        "width": stored["hidden_size"],
        "heads": stored["num_attention_heads"],
        "ffn": stored["intermediate_size"],
        "max_tokens": stored["max_position_embeddings"],
        "pooling": stored["compress"]["pooling"],
    }
    assert found == {name: shape[name] for name in found}
    assert stored["vocab_size"] == 220
    assert made.manifest.max_tokens == 20
    again = workshop.make(distill.run, config(shape), teacher=teacher)
    assert again.digest == made.digest
