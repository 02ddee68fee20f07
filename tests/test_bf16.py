"""Torch models in bf16: what is rounded, how they answer, what they weigh."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backends import torch_artifact
from safetensors.torch import load_file

from compress.architecture.read import inspect_model
from compress.classifier import to_bf16
from compress.errors import ParityError
from compress.measure.candidates import format_of
from compress.recipe.quantizing import Bf16
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.stages import quantize

CONFIG = Bf16(id="half", type="quantize", scheme="bf16", **{"from": "model"})


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, tiny_encoder: Callable[[str], Path]
) -> dict[str, Any]:
    """A torch artifact and its bf16 form."""
    shop = new_workshop(tmp_path_factory.mktemp("bf16"))
    whole = torch_artifact(shop, tiny_encoder("bert"))
    return {"shop": shop, "whole": whole, "half": shop.make(quantize.run, CONFIG, parent=whole)}


def test_weights_are_the_nearest_bf16_and_the_head_is_whole(made: dict[str, Any]) -> None:
    before, after = (load_file(made[name].path / "model.safetensors") for name in ("whole", "half"))
    assert before.keys() == after.keys()
    for name, weight in after.items():
        if name.startswith("head."):
            assert torch.equal(weight, before[name])
        else:
            assert weight.dtype == torch.bfloat16
            assert torch.equal(weight, before[name].bfloat16())
            # 8 binary digits: a rounding of at most one part in 256
            assert (abs(weight.float() - before[name]) <= abs(before[name]) / 256).all()


def test_it_answers_nearly_as_its_parent(made: dict[str, Any]) -> None:
    texts = made["shop"].splits.tests["test"].texts
    before, after = (open_predictor(made[name]).predict_proba(texts) for name in ("whole", "half"))
    assert 0 < np.abs(before - after).max() < 0.05
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999
    note = next(note for note in made["half"].manifest.notes if "probabilities within" in note)
    assert "model's on 82 texts" in note


def test_logits_keep_more_digits_than_bf16_has(made: dict[str, Any]) -> None:
    logits = open_predictor(made["half"]).predict_logits(made["shop"].splits.tests["test"].texts)
    assert (torch.from_numpy(logits).bfloat16().float().numpy() != logits).mean() > 0.9


def test_it_is_half_as_large_and_counted_whole(made: dict[str, Any]) -> None:
    before, after = (footprint(made[name]) for name in ("whole", "half"))
    assert after.parameters == before.parameters
    assert after.model_bytes < 0.6 * before.model_bytes
    assert (format_of(made["half"]), made["half"].manifest.format) == ("torch-bf16", "torch")


def test_inspect_says_that_nothing_is_made_of_it(made: dict[str, Any]) -> None:
    found = inspect_model(str(made["half"].path))
    assert (found.source, found.uses) == ("artifact, torch bf16", ("evaluate", "predict"))


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_an_architectures_own_head_keeps_its_last_layer(
    workshop: Any, tiny_encoder: Callable[[str], Path], family: str
) -> None:
    whole = torch_artifact(workshop, tiny_encoder(family), pooling="own")
    weights = load_file(workshop.make(quantize.run, CONFIG, parent=whole).path / "model.safetensors")
    kept = {name.rsplit(".", 1)[0] for name, weight in weights.items() if weight.dtype == torch.float32}
    assert kept == {"classifier" if family == "distilbert" else "classifier.out_proj"}


def test_a_model_that_overflows_is_not_kept(
    made: dict[str, Any], workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: Any) -> None:
        to_bf16(model)
        model.head.weight.data.fill_(float("inf"))

    monkeypatch.setattr("compress.stages.quantize.bf16.to_bf16", broken)
    with pytest.raises(ParityError, match=r"infinite or undefined logits for 82 of 82 texts\. Nothing was kept"):
        workshop.make(quantize.run, CONFIG, parent=made["whole"])
    assert list((workshop.folder / "artifacts").iterdir()) == []
