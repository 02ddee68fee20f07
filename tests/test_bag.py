"""Bags of terms: what a text's logits are, whatever its order and padding; and both through the stages."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from compress.bag import EmbeddingBag, LinearBag, embedding_bag, linear_bag
from compress.encoder.files import load_model, save_classifier
from compress.ngrams.tokenizer import NgramTokenizer, Terms
from compress.recipe.stages import Distill, Finetune
from compress.runtime import open_predictor
from compress.stages import distill, finetune
from compress.tokenizer import open_tokenizer
from compress.train.convex import Linear
from compress.train.linear import features_of, model_of
from eval.metrics import macro, roc_auc

LINEAR: dict[str, Any] = {"type": "linear", "min_count": 1, "max_features": 300}
BAG: dict[str, Any] = {"type": "embedding_bag", "width": 16, "hidden": 16}
HASHED = {"type": "hashed", "buckets": 1024}
PIECES = {"type": "wordpiece", "size": 250}


def logits(model: torch.nn.Module, *rows: list[int]) -> np.ndarray:
    """Of rows of ids, padded to the longest."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    with torch.inference_mode():
        return np.asarray(model.eval()(input_ids=ids, attention_mask=(ids != 0).long()))


@pytest.fixture(params=["linear", "embedding_bag"])
def model(request: pytest.FixtureRequest, comment_task: Any) -> LinearBag | EmbeddingBag:
    torch.manual_seed(3)
    if request.param == "embedding_bag":
        return embedding_bag(comment_task, 10, 8, 8)
    found = linear_bag(comment_task, 10)
    with torch.no_grad():
        found.terms.weight[1:].uniform_(0.1, 1)
        found.bias.uniform_(-1, 1)
    return found


def test_order_and_padding_are_no_matter(model: Any) -> None:
    alone = logits(model, [4, 2, 9])
    np.testing.assert_allclose(logits(model, [9, 4, 2]), alone, atol=1e-6)
    np.testing.assert_allclose(logits(model, [4, 2, 9], [1] * 7)[:1], alone, atol=1e-6)


def test_a_text_without_terms_has_one_finite_answer(model: Any) -> None:
    empty = logits(model, [0])
    assert np.isfinite(empty).all()
    np.testing.assert_allclose(logits(model, [0], [1, 2, 3])[:1], empty, atol=1e-6)
    if isinstance(model, LinearBag):
        np.testing.assert_allclose(empty[0], model.bias.detach().numpy())


def test_a_linear_model_by_hand(comment_task: Any) -> None:
    """Weights 3 and 1, squares 9 and 16 of the length: (3 + 1) / 5; a term that recurs counts once."""
    model = linear_bag(comment_task, 3)
    with torch.no_grad():
        model.terms.weight[1, [0, -1]] = torch.tensor([3.0, 9.0])
        model.terms.weight[2, [0, -1]] = torch.tensor([1.0, 16.0])
        model.bias[0] = 0.5
    assert logits(model, [1, 2, 1, 1])[0, 0] == pytest.approx(1.3)


def test_the_module_answers_as_the_fit(workshop: Any) -> None:
    tokenizer = NgramTokenizer(Terms(("you", "nice", "you nice", "rude"), 2), 64)
    random = np.random.default_rng(1)
    linear = Linear(random.normal(size=(4, 6)), random.normal(size=6))
    idf = random.uniform(1, 5, 4).astype(np.float32)
    encoded = tokenizer.encode(["you nice you", "rude rude", "nothing known", ""])
    rows = [item.ids.tolist() for item in encoded]
    found = model_of(linear, idf, workshop.inputs())
    np.testing.assert_allclose(logits(found, *rows), linear.logits(features_of(encoded, idf)), atol=1e-5)


def test_what_is_saved_is_read_again(model: Any, tmp_path: Any, comment_task: Any) -> None:
    save_classifier(model, tmp_path)
    again = load_model(tmp_path)
    assert type(again) is type(model)
    np.testing.assert_array_equal(logits(again, [4, 2, 9]), logits(model, [4, 2, 9]))
    saved = json.loads((tmp_path / "config.json").read_text())
    assert list(saved["label2id"]) == list(comment_task.labels)


def quality(artifact: Any, workshop: Any) -> float:
    test = workshop.splits.tests["test"]
    found = macro(roc_auc, test.targets, open_predictor(artifact).predict_proba(test.texts))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [LINEAR, BAG | {"tokenizer": HASHED}, BAG | {"tokenizer": PIECES}])
def test_labels_are_learnt(workshop: Any, shape: dict[str, Any]) -> None:
    loop = {} if shape is LINEAR else {"epochs": 40, "learning_rate": 2e-2, "batch_size": 16, "precision": "fp32"}
    config = Finetune.model_validate({"id": "f", "type": "finetune", "encoder": shape} | loop)
    artifact = workshop.make(finetune.run, config)
    assert quality(artifact, workshop) > 0.75
    assert artifact.manifest.format == "torch"


@pytest.mark.parametrize("shape", [LINEAR, BAG | {"tokenizer": HASHED}])
def test_a_teacher_is_learnt_from(workshop: Any, teacher: Any, shape: dict[str, Any]) -> None:
    loop = {} if shape is LINEAR else {"epochs": 15, "learning_rate": 1e-2, "batch_size": 16, "precision": "fp32"}
    given = {"id": "s", "type": "distill", "teacher": "teacher", "student": shape, "hardness": 1.0}
    artifact = workshop.make(distill.run, Distill.model_validate(given | loop), teacher=teacher)
    test = workshop.splits.tests["test"].texts
    ours, theirs = (open_predictor(item).predict_logits(test).ravel() for item in (artifact, teacher))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8


def test_a_linear_student_has_so_many_features_and_no_chance(workshop: Any, teacher: Any) -> None:
    given = {"id": "s", "type": "distill", "teacher": "teacher", "student": LINEAR | {"max_features": 40}}
    config = Distill.model_validate(given)
    first = workshop.make(distill.run, config, teacher=teacher)
    assert open_tokenizer(first.path, 4096).vocabulary_size == 41
    kept = {name: digest for name, digest in first.manifest.file_sha256s.items() if name != "manifest.json"}
    second = workshop.make(distill.run, config, teacher=teacher)
    assert {name: second.manifest.file_sha256s[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("keys", "named"),
    [({"label_loss": {"type": "focal"}}, "label_loss"), ({"encoder": LINEAR | {"asked": 1.0}}, "asked")],
)
def test_keys_without_effect_are_named(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=f"{named} would have no effect"):
        Finetune.model_validate({"id": "f", "type": "finetune", "encoder": LINEAR} | keys)
