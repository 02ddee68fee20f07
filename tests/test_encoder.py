"""Classifiers on encoders: pooling by hand, padding that changes nothing, files that others can open."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compress.classifier import Classifier, forward, pool
from compress.encoder.build import build_classifier, reorder_outputs
from compress.encoder.files import load_classifier, save_classifier, stored_labels
from compress.encoder.source import Pretrained, open_pretrained
from compress.errors import EncoderError
from compress.recipe.data import Task
from compress.tokenizer import Tokenizer, open_tokenizer

Encoder = Callable[[str], Path]
HEADS = ("own", "cls", "mean", "max", "mean_max", "last4")
TASK = Task(type="multi_label", text="t", labels=("a", "b", "c"))
SHORT, LONG = "the map", "what a rotten thing to write on this page my friend, well, as before"

STATES = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [99.0, 99.0]], [[-1.0, 5.0], [99.0, 99.0], [99.0, 99.0]]])
MASK = torch.tensor([[1, 1, 0], [1, 0, 0]])


@pytest.fixture
def built(tiny_encoder: Encoder) -> Callable[[str, Any], tuple[Classifier, Tokenizer]]:
    def build(family: str, pooling: Any) -> tuple[Classifier, Tokenizer]:
        torch.manual_seed(1)
        model = build_classifier(open_pretrained(tiny_encoder(family)), TASK, pooling, 32).eval()
        with torch.no_grad():  # the fresh head is near zero; these tests want to see differences
            for parameter in model.parameters():
                parameter.mul_(1.5)
        return model, open_tokenizer(tiny_encoder(family), 32)

    return build


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("cls", [[1, -2], [-1, 5]]),
        ("mean", [[2, -3], [-1, 5]]),
        ("last4", [[2, -3], [-1, 5]]),
        ("max", [[3, -2], [-1, 5]]),
        ("mean_max", [[2, -3, 3, -2], [-1, 5, -1, 5]]),
    ],
)
def test_pooling_by_hand(pooling: Any, expected: list[list[float]]) -> None:
    assert pool(STATES, MASK, pooling).tolist() == expected


def test_cls_is_the_first_token_that_is_no_padding() -> None:
    assert pool(STATES.flip(1), MASK.flip(1), "cls").tolist() == [[3, -4], [-1, 5]]


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "last4", "cls"])
def test_padding_has_no_gradient(pooling: Any) -> None:
    states = STATES.clone().requires_grad_()
    pool(states, MASK, pooling).sum().backward()
    assert states.grad is not None
    assert not states.grad[MASK == 0].any()
    assert states.grad[MASK == 1].any()


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("pooling", HEADS)
def test_padding_and_batch_mates_change_nothing(built: Any, family: str, pooling: str) -> None:
    model, tokenizer = built(family, pooling)
    short, long = tokenizer.encode([SHORT, LONG])
    alone = forward(model, tokenizer.pad([short]), "cpu")
    together = forward(model, tokenizer.pad([long, short, short]), "cpu")
    np.testing.assert_allclose(together[1], alone[0], atol=2e-6)
    np.testing.assert_allclose(together[2], alone[0], atol=2e-6)
    assert alone.shape == (1, 3)
    # and yet the text itself counts
    assert np.abs(together[0] - alone[0]).max() > 1e-4


@pytest.mark.parametrize("pooling", HEADS)
def test_every_trained_weight_counts(built: Any, pooling: str) -> None:
    model, tokenizer = built("bert", pooling)
    batch = tokenizer.pad(tokenizer.encode([SHORT, LONG]))
    before = forward(model, batch, "cpu")
    deaf = []
    for name, parameter in model.named_parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(torch.randn(kept.shape, generator=torch.Generator().manual_seed(2)))
        if np.abs(forward(model, batch, "cpu") - before).max() < 1e-7:
            deaf.append(name)
        with torch.no_grad():
            parameter.copy_(kept)
    # a constant added to every key leaves a softmax as it is
    assert all(name.endswith("key.bias") for name in deaf)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("pooling", HEADS)
def test_saved_and_loaded_it_answers_the_same(built: Any, tmp_path: Path, family: str, pooling: str) -> None:
    model, tokenizer = built(family, pooling)
    save_classifier(model, tmp_path)
    batch = tokenizer.pad(tokenizer.encode([SHORT, LONG]))
    for attention in (None, "eager"):
        loaded = load_classifier(tmp_path, attention)
        np.testing.assert_allclose(forward(loaded, batch, "cpu"), forward(model, batch, "cpu"), atol=2e-6)
    assert stored_labels(loaded.config) == ("a", "b", "c")


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_transformers_opens_what_was_saved(built: Any, tmp_path: Path, family: str) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    for pooling, maker in (("own", AutoModelForSequenceClassification), ("mean", AutoModel)):
        model, tokenizer = built(family, pooling)
        folder = tmp_path / pooling
        folder.mkdir()
        save_classifier(model, folder)
        opened, told = maker.from_pretrained(str(folder), output_loading_info=True)
        assert not {name for name in told["missing_keys"] if "pooler" not in name}
        batch = {name: torch.from_numpy(value) for name, value in tokenizer.pad(tokenizer.encode([SHORT])).items()}
        key = "logits" if pooling == "own" else "last_hidden_state"
        with torch.inference_mode():
            torch.testing.assert_close(opened.eval()(**batch)[key], model.encoder(**batch)[key])
    config = json.loads((tmp_path / "own" / "config.json").read_text())
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"}
    assert config["problem_type"] == "multi_label_classification"


def test_the_saved_files_do_not_depend_on_where_the_encoder_lay(
    built: Any, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    save_classifier(built("bert", "mean")[0], tmp_path)
    assert str(tiny_encoder("bert")) not in (tmp_path / "config.json").read_text()


@pytest.mark.parametrize("pooling", ["own", "mean_max"])
def test_outputs_follow_the_order_asked_for(built: Any, pooling: str) -> None:
    model, tokenizer = built("roberta", pooling)
    batch = tokenizer.pad(tokenizer.encode([LONG]))
    before = forward(model, batch, "cpu")
    reorder_outputs(model, [2, 0, 1], 3)
    np.testing.assert_allclose(forward(model, batch, "cpu"), before[:, [2, 0, 1]], atol=1e-6)
    with pytest.raises(EncoderError, match="7 outputs"):
        reorder_outputs(model, range(7), 7)


@pytest.mark.parametrize(("family", "limit"), [("bert", 64), ("roberta", 64), ("distilbert", 64)])
def test_texts_longer_than_the_position_table_are_refused(tiny_encoder: Encoder, family: str, limit: int) -> None:
    source = open_pretrained(tiny_encoder(family))
    assert source.max_positions == limit
    model = build_classifier(source, TASK, "mean", limit).eval()
    ids = np.full((2, limit), 7, np.int64)
    assert np.isfinite(forward(model, {"input_ids": ids, "attention_mask": np.ones_like(ids)}, "cpu")).all()
    with pytest.raises(EncoderError, match=f"max_tokens {limit + 1} is above the {limit} positions"):
        build_classifier(source, TASK, "mean", limit + 1)


def test_what_is_no_encoder_is_refused(tiny_encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"holds no config\.json"):
        open_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(EncoderError, match="not one transformers can read"):
        open_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(EncoderError, match="encoder-decoder"):
        open_pretrained(tmp_path)
    bert = open_pretrained(tiny_encoder("bert"))
    for damage in (None, b"no weights"):
        (tmp_path / "config.json").write_text((tiny_encoder("bert") / "config.json").read_text())
        if damage:
            (tmp_path / "model.safetensors").write_bytes(damage)
        with pytest.raises(EncoderError, match="cannot be read"):
            build_classifier(Pretrained(tmp_path, bert.config), TASK, "mean", 32)


def test_dropout_acts_in_training_alone(built: Any) -> None:
    model, tokenizer = built("bert", "mean")
    batch: dict[str, Tensor] = {n: torch.from_numpy(v) for n, v in tokenizer.pad(tokenizer.encode([LONG])).items()}
    assert torch.equal(model(**batch), model(**batch))
    model.train()
    assert not torch.equal(model(**batch), model(**batch))
