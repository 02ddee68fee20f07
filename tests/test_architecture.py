"""Architectures known from their configuration: counts by hand and as the built model has them, errors that help."""

import dataclasses
import functools
import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from compress.architecture import Architecture
from compress.architecture.build import build_artifact_model, build_model, read_config
from compress.architecture.count import count_parameters, run_once
from compress.architecture.read import inspect_model
from compress.architecture.table import comparisons, readable, short_names, use_lines
from compress.encoder.build import build_classifier
from compress.encoder.files import save_classifier
from compress.encoder.source import open_pretrained
from compress.errors import EncoderError

Command = Callable[..., Any]
BERT = {"model_type": "bert", "architectures": ["BertModel"]}
BART = {
    "model_type": "bart",
    "architectures": ["BartModel"],
    "d_model": 768,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_ffn_dim": 3072,
    "decoder_ffn_dim": 3072,
    "encoder_attention_heads": 12,
    "decoder_attention_heads": 12,
    "vocab_size": 50265,
}
T5 = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": 768,
    "d_ff": 3072,
    "num_layers": 12,
    "num_heads": 12,
    "vocab_size": 32128,
}
DISTILBERT = {"model_type": "distilbert", "architectures": ["DistilBertModel"]}
ROBERTA = {"model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
ALBERT = {
    "model_type": "albert",
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "embedding_size": 128,
    "vocab_size": 30000,
}
XLNET = {"model_type": "xlnet", "d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072}
DEBERTA = {
    "model_type": "deberta-v2",
    "relative_attention": True,
    "position_buckets": 256,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "max_relative_positions": -1,
    "position_biased_input": False,
    "type_vocab_size": 0,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
}
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
}
PARAMETERS = {  # as published, or as transformers' own models have them
    "bert-base": (BERT, 109_482_240),
    "bert-base-mlm": (BERT | {"architectures": ["BertForMaskedLM"]}, 109_514_298),
    "bart-base": (BART, 139_420_416),
    "bart-base-lm": (BART | {"architectures": ["BartForConditionalGeneration"]}, 139_420_416),
    "t5-base": (T5, 222_903_552),
    "t5-base-encoder": (T5 | {"architectures": ["T5EncoderModel"]}, 109_628_544),
    "distilbert-base": (DISTILBERT, 66_362_880),
    "roberta-base": (ROBERTA, 124_645_632),
    "albert-base-v2": (ALBERT, 11_683_584),
    "xlnet-base": (XLNET, 116_718_336),
    "deberta-v3-base": (DEBERTA, 183_831_552),
}
H, F, T, V = 768, 3072, 128, 32128


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Architecture]:
    """look(config) -> the architecture of a config.json that says so; each is looked at once."""

    @functools.cache
    def look_at(config: str) -> Architecture:
        return inspect_model(str(written(tmp_path_factory.mktemp("config"), config)))

    return lambda config: look_at(json.dumps(config))


def written(folder: Path, config: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return path


def layer(width: int, ffn: int, tokens: int, attentions: int = 1) -> int:
    """Multiply-adds of one layer by hand: four projections and two products an attention, two products after them."""
    return attentions * (4 * width**2 * tokens + 2 * tokens**2 * width) + 2 * width * ffn * tokens


# ---------------------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize("name", PARAMETERS)
def test_known_models_have_their_known_parameters(tmp_path: Path, name: str) -> None:
    config, expected = PARAMETERS[name]
    path = written(tmp_path, config)
    assert count_parameters(build_model(read_config(path), path)).total == expected


@pytest.mark.parametrize(
    ("kind", "config"), [("BertModel", BERT), ("BartModel", BART), ("T5ForConditionalGeneration", T5)]
)
def test_parameters_are_those_of_the_built_model(look: Any, kind: str, config: dict[str, Any]) -> None:
    import transformers

    cls = getattr(transformers, kind)
    with torch.device("meta"):
        built = cls(cls.config_class(**{key: value for key, value in config.items() if key != "model_type"}))
    found = look(config)
    assert found.model_class == kind
    assert found.parameters.total == sum(parameter.numel() for parameter in built.parameters())


def test_parts_of_bert_by_hand(look: Any) -> None:
    parts = look(BERT).parameters
    assert parts.embeddings == (30522 + 512 + 2 + 2) * H
    assert parts.encoder == 12 * (4 * (H * H + H) + (H * F + F) + (F * H + H) + 2 * 2 * H)
    assert parts.head == H * H + H
    assert parts.decoder == 0


def test_parts_of_t5_by_hand(look: Any) -> None:
    parts = look(T5).parameters
    assert parts.embeddings == V * H + 2 * 32 * 12  # the tables of relative positions with them
    assert parts.encoder == 12 * (4 * H * H + 2 * H * F + 2 * H) + H
    assert parts.decoder == 12 * (8 * H * H + 2 * H * F + 3 * H) + H
    assert parts.head == 0  # tied


def test_a_masked_language_models_head_is_not_taken_for_a_decoder(look: Any) -> None:
    masked = BERT | {"architectures": ["BertForMaskedLM"]}
    head = H * H + H + 2 * H + 30522  # its matrix is the embeddings'
    assert (look(masked).parameters.decoder, look(masked).parameters.head) == (0, head)
    assert look(masked | {"tie_word_embeddings": False}).parameters.head == head + 30522 * (H + 1)


def test_bytes_by_precision(look: Any) -> None:
    data = look(BERT).as_json()
    assert data["bytes"] == {"fp32": 437_928_960, "fp16": 218_964_480, "int8": 109_482_240}
    assert data["parameters"]["total"] == 109_482_240


def test_multiply_adds_of_bert_by_hand(look: Any) -> None:
    found = look(BERT)
    assert (found.multiply_adds, found.tokens) == (12 * layer(H, F, T) + H * H, 128)


def test_multiply_adds_of_encoder_decoders_count_both_halves(look: Any) -> None:
    halves = 6 * layer(H, F, T) + 6 * layer(H, F, T, attentions=2)
    bart = look(BART)
    assert bart.multiply_adds == halves
    assert any("128 through the decoder" in remark for remark in bart.remarks)
    assert look(T5).multiply_adds == 2 * halves + T * H * V
    # a head that sees one vector a text
    classifier = look(BART | {"architectures": ["BartForSequenceClassification"]})
    assert classifier.multiply_adds == halves + H * H + H * 3
    encoder = look(T5 | {"architectures": ["T5EncoderModel"]})
    assert (encoder.multiply_adds, encoder.decoder) == (12 * layer(H, F, T), None)


@settings(max_examples=12)
@given(
    layers=st.integers(1, 3),
    heads=st.integers(1, 4),
    size=st.integers(1, 8),
    ffn=st.integers(1, 40),
    vocabulary=st.integers(2, 50),
    positions=st.integers(4, 200),
)
def test_any_bert_by_hand(
    tmp_path_factory: Any, layers: int, heads: int, size: int, ffn: int, vocabulary: int, positions: int
) -> None:
    width = heads * size
    config = BERT | {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    config |= {"intermediate_size": ffn, "vocab_size": vocabulary, "max_position_embeddings": positions}
    found = inspect_model(str(written(tmp_path_factory.mktemp("bert"), config)))
    tokens = min(128, positions)
    one = 4 * (width**2 + width) + 2 * width * ffn + ffn + width + 4 * width
    assert found.parameters.total == (vocabulary + positions + 4) * width + layers * one + width**2 + width
    assert (found.multiply_adds, found.tokens) == (layers * layer(width, ffn, tokens) + width**2, tokens)
    assert (found.encoder.layers, found.encoder.heads, found.encoder.ffn) == (layers, heads, ffn)


# ---------------------------------------------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("config", "normalization", "positions", "max_positions", "activation"),
    [
        (BERT, "LayerNorm, post", "learned absolute", 512, "gelu"),
        (ROBERTA, "LayerNorm, post", "learned absolute", 512, "gelu"),
        (ALBERT, "LayerNorm, post", "learned absolute", 512, "gelu_new"),
        (DISTILBERT | {"sinusoidal_pos_embds": True}, "LayerNorm, post", "sinusoidal", 512, "gelu"),
        (BART, "LayerNorm, post", "learned absolute", 1024, "gelu"),
        (T5, "RMSNorm, pre", "relative, 32 buckets", None, "relu"),
        (XLNET, "LayerNorm, post", "relative, Transformer-XL", None, "gelu"),
        (DEBERTA, "LayerNorm, post", "disentangled relative", 512, "gelu"),
        (LLAMA, "RMSNorm, pre", "rotary", 2048, "silu"),
        ({"model_type": "gpt2"}, "LayerNorm, pre", "learned absolute", 1024, "gelu_new"),
        ({"model_type": "mpnet"}, "LayerNorm, post", "learned absolute + relative, 32 buckets", 510, "gelu"),
        ({"model_type": "modernbert", "num_hidden_layers": 2}, "LayerNorm, pre", "rotary", 8192, "gelu"),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_facts_of_families(
    look: Any, config: Any, normalization: str, positions: str, max_positions: int | None, activation: str
) -> None:
    found = look(config)
    assert found.family == config["model_type"]
    assert (found.normalization, found.positions) == (normalization, positions)
    assert (found.max_positions, found.activation) == (max_positions, activation)
    assert found.multiply_adds


def test_shapes_in_the_families_own_words(look: Any) -> None:
    assert (found := look(DISTILBERT)).width == 768
    assert (found.encoder.layers, found.encoder.heads, found.encoder.ffn, found.dropout) == (6, 12, 3072, 0.1)
    bart = look(BART | {"decoder_layers": 3, "decoder_ffn_dim": 1024, "decoder_attention_heads": 8})
    assert (bart.encoder.layers, bart.encoder.heads, bart.encoder.ffn) == (6, 12, 3072)
    assert (bart.decoder.layers, bart.decoder.heads, bart.decoder.ffn) == (3, 8, 1024)
    assert (bart.dropout, bart.attention_dropout) == (0.1, 0)
    xlnet = look(XLNET)
    assert (xlnet.width, xlnet.encoder.layers, xlnet.encoder.heads, xlnet.encoder.ffn) == (768, 12, 12, 3072)
    gpt = look({"model_type": "gpt2"})  # n_inner is null
    assert (gpt.encoder, gpt.decoder.layers, gpt.decoder.ffn) == (None, 12, 3072)
    llama = look(LLAMA)
    assert (llama.encoder, llama.decoder.heads, llama.decoder.kv_heads) == (None, 4, 2)
    albert = look(ALBERT)
    assert (albert.encoder.layers, albert.encoder.distinct) == (12, 1)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        (BERT, "own (BertPooler)"),
        (DISTILBERT, "none"),
        (BERT | {"architectures": ["BertForMaskedLM"]}, "none"),
        (XLNET | {"architectures": ["XLNetForSequenceClassification"]}, "own (XLNetSequenceSummary)"),
        (ROBERTA | {"architectures": ["RobertaForSequenceClassification"]}, "own (RobertaClassificationHead)"),
        (DISTILBERT | {"architectures": ["DistilBertForSequenceClassification"]}, "own"),
    ],
)
def test_pooling_is_the_architectures_own(look: Any, config: Any, pooling: str) -> None:
    assert look(config).pooling == pooling


@pytest.mark.parametrize("names", [None, [], ["SomebodysModel"], ["GPT2Model"], ["Tensor"], [5], "BertModel"])
def test_a_class_that_does_not_fit_gives_way_to_the_base_model(look: Any, names: Any) -> None:
    assert look(BERT | {"architectures": names, "num_hidden_layers": 1}).model_class == "BertModel"


def test_a_model_that_cannot_run_without_numbers_is_counted_all_the_same(look: Any) -> None:
    found = look({"model_type": "longformer", "num_hidden_layers": 2, "attention_window": [16, 16]})
    assert (found.multiply_adds, found.tokens, found.normalization) == (None, None, "LayerNorm")
    assert found.parameters.encoder > 2 * 12 * 768**2


# ---------------------------------------------------------------------------------------------------- what for


def test_uses_of_what_can_be_compressed(look: Any) -> None:
    plain = look(BERT)
    assert plain.uses[0] == "finetune"
    assert {"prune", "export", "quantize"} < set(plain.uses)
    assert plain.remarks == ("safetensors weights and a tokenizer.json are needed first",)
    masked = look(BERT | {"architectures": ["BertForMaskedLM"]})
    assert masked.uses == plain.uses
    assert "the head of BertForMaskedLM is dropped" in masked.remarks[0]
    assert look(BERT | {"architectures": ["BertForSequenceClassification"]}).uses[:2] == ("load", "finetune")
    assert any("no pooling cls, nor own" in remark for remark in look(LLAMA).remarks)
    assert not any("nor own" in remark for remark in look(LLAMA | {"pad_token_id": 0}).remarks)


@pytest.mark.parametrize("config", [BART, T5, T5 | {"architectures": ["T5EncoderModel"]}])
def test_encoder_decoders_are_of_no_use_yet(look: Any, config: Any) -> None:
    found = look(config)
    assert found.uses == ()
    (line,) = use_lines([found])
    assert ": no: an encoder-decoder" in line


# ---------------------------------------------------------------------------------------------------- where from


def test_artifacts_have_the_parameters_that_the_report_counted(tiny_run: Path) -> None:
    report = json.loads((tiny_run / "report.json").read_bytes())
    for candidate in report["candidates"]:
        found = inspect_model(str(tiny_run / "artifacts" / candidate["id"]))
        # an exported student has its one row of segments, 16 numbers, in its positions
        folded = 16 if candidate["format"].startswith("onnx") else 0
        assert found.parameters.total == candidate["parameters"] + folded, candidate["id"]
        assert found.weights_bytes == candidate["model_bytes"]


def test_an_artifact_is_described_by_its_own_shape(tiny_run: Path) -> None:
    found = inspect_model(str(tiny_run / "artifacts" / "student-int8"))
    assert (found.source, found.family, found.pooling) == ("artifact, onnx int8", "bert", "mean_max")
    assert (found.max_tokens, found.tokens, found.uses) == (32, 32, ("evaluate", "predict"))
    assert (found.width, found.encoder.layers, found.encoder.heads, found.encoder.ffn) == (16, 1, 2, 64)
    assert found.parameters.head == 2 * 16 * 6 + 6
    assert found.multiply_adds == layer(16, 64, 32) + 2 * 16 * 6
    assert "quantize" in inspect_model(str(tiny_run / "artifacts" / "student-onnx")).uses
    assert "export" in inspect_model(str(tiny_run / "artifacts" / "teacher")).uses
    tfidf = inspect_model(str(tiny_run / "artifacts" / "tfidf"))
    assert (tfidf.family, tfidf.encoder, tfidf.multiply_adds) == ("tfidf", None, None)
    assert tfidf.parameters.head == tfidf.vocabulary * 6 + 6


@pytest.mark.parametrize("pooling", ["own", "cls", "last4"])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_what_our_classifiers_write_describes_them(
    tmp_path: Path, tiny_encoder: Any, comment_task: Any, family: str, pooling: Any
) -> None:
    model = build_classifier(open_pretrained(tiny_encoder(family)), comment_task, pooling, 32)
    save_classifier(model, tmp_path)
    empty = build_artifact_model(read_config(tmp_path / "config.json"), tmp_path)
    found = count_parameters(empty)
    assert found.total == sum(parameter.numel() for parameter in model.parameters())
    inside = 32 * 32 if pooling == "own" else 0  # the architecture's head has one layer more
    assert run_once(empty, 32).multiply_adds == 2 * layer(32, 64, 32) + inside + 32 * 6


def test_a_folder_is_known_without_its_weights_being_read(tmp_path: Path, tiny_encoder: Any) -> None:
    folder = Path(shutil.copytree(tiny_encoder("roberta"), tmp_path / "model"))
    whole = inspect_model(str(folder))
    assert (whole.source, whole.remarks, whole.max_positions) == ("pretrained", (), 64)
    assert whole.weights_bytes == (folder / "model.safetensors").stat().st_size
    (folder / "model.safetensors").write_bytes(b"no weights")
    assert inspect_model(str(folder)).parameters == whole.parameters
    (folder / "model.safetensors").unlink()
    assert inspect_model(str(folder)).source == "configuration"


def test_a_package_and_the_hub_cache_lend_a_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site" / "lender"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('looking a model up must not run its package')")
    written(package / "inner", BERT)
    monkeypatch.syspath_prepend(str(package.parent))
    found = inspect_model("package:lender/inner")
    assert (found.parameters.total, short_names([found])) == (109_482_240, ("lender/inner",))

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--some--bert"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots").mkdir()
    written(cached / "snapshots" / "abc", BERT)
    assert inspect_model("some/bert").parameters.total == 109_482_240


def test_a_hub_id_without_a_network_fails_at_once(command: Command) -> None:
    began = time.monotonic()
    ended = command("inspect", "somebody/no-such-model")
    assert time.monotonic() - began < 10
    assert ended.code == 2
    assert "HF_HUB_OFFLINE" in ended.err


# ---------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "is no JSON"),
        ('"bert"', "holds no JSON object"),
        ("[" * 100_000, "is no JSON"),
        ({"hidden_size": 12}, "has no model_type"),
        ({"model_type": ["bert"]}, "has no model_type"),
        ({"_class_name": "UNet2DConditionModel", "sample_size": 64}, "of a UNet2DConditionModel"),
        ({"model_type": "brt"}, "did you mean bert?"),
        ({"model_type": "vit"}, "reads pixel_values, not text"),
        ({"model_type": "clip"}, "has a part for vision"),
        ({"model_type": "wav2vec2"}, "reads input_values, not text"),
        ({"model_type": "blip_text_model"}, "no base model of this family"),
        (BERT | {"hidden_size": "wide"}, "describes no model that can be built"),
        (BERT | {"hidden_size": 100}, "describes no model that can be built"),
        (BERT | {"hidden_act": "nothing"}, "describes no model that can be built"),
    ],
)
def test_what_is_no_text_model_is_said_so(tmp_path: Path, command: Command, config: Any, said: str) -> None:
    ended = command("inspect", written(tmp_path, config))
    assert ended.code == 2, ended
    assert said in ended.err
    assert str(tmp_path) in ended.err.replace("\n", "")
    assert not ended.out


def test_paths_that_hold_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(EncoderError, match="does not exist"):
        inspect_model(str(tmp_path / "nowhere"))
    with pytest.raises(EncoderError, match="Name the folder"):
        inspect_model(str(tmp_path / "model.onnx"))
    with pytest.raises(EncoderError, match=r"holds no config\.json"):
        inspect_model(str(tmp_path))


# ---------------------------------------------------------------------------------------------------- shown


def test_the_command_shows_models_side_by_side(tmp_path: Path, command: Command, tiny_run: Path) -> None:
    models = [written(tmp_path / "bert", BERT), written(tmp_path / "t5", T5), tiny_run / "artifacts" / "student"]
    ended = command("inspect", *models)
    assert ended.code == 0, ended.err
    lines = {cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in map(_cells, ended.out.splitlines())}
    assert lines[""] == ["bert", "t5", "student"]
    assert lines["family"] == ["bert", "t5", "bert"]
    assert lines["parameters"][:2] == ["109.5 M", "222.9 M"]
    assert lines["decoder layers"] == ["–", "12", "–"]
    assert lines["multiply-adds, 128 tokens"][0] == "11.17 G"
    assert lines["multiply-adds, 128 tokens"][2].endswith("(32 tokens)")
    assert "t5: no: an encoder-decoder" in ended.out


def _cells(line: str) -> list[str]:
    cells = line.replace("┃", "│").split("│")
    return cells if len(cells) > 2 else ["", line, ""]


def test_the_command_writes_json(tmp_path: Path, command: Command) -> None:
    ended = command("inspect", written(tmp_path, BART), "--json")
    (model,) = json.loads(ended.out)["models"]
    assert model["name"] == str(tmp_path / "config.json")
    attention, rest = 4 * (H * H + H) + 2 * H, 2 * H * F + F + H + 2 * H
    assert model["parameters"] == {
        "embeddings": (50265 + 2 * 1026) * H + 2 * 2 * H,
        "encoder": 6 * (attention + rest),
        "decoder": 6 * (2 * attention + rest),
        "head": 0,
        "total": 139_420_416,
    }
    assert (model["encoder"]["layers"], model["decoder"]["heads"], model["tokens"]) == (6, 12, 128)
    assert model["uses"] == []


def test_rows_that_no_model_has_are_left_out(look: Any) -> None:
    (encoder,), (both,) = comparisons([look(BERT)], 100), comparisons([look(BERT), look(BART)], 100)
    assert {row[0] for row in both.rows} - {row[0] for row in encoder.rows} == {"decoder layers", "  decoder"}
    assert all(set(row[1:]) != {"–"} for row in both.rows)


@given(width=st.integers(1, 300), count=st.integers(1, 7))
def test_tables_fit_the_terminal_and_hold_every_model_once(look: Any, width: int, count: int) -> None:
    models = [look(config) for config in (BERT, T5, BART, DISTILBERT, XLNET, ALBERT, LLAMA)][:count]
    models = [dataclasses.replace(model, name=f"m{number}") for number, model in enumerate(models)]
    tables = comparisons(models, width)
    assert [name for table in tables for name in table.headings] == [f"m{number}" for number in range(count)]
    for table in tables:
        drawn = Table(Column(no_wrap=True), *table.headings)
        for row in table.rows:
            drawn.add_row(*row)
        natural = Measurement.get(console := Console(width=1000), console.options, drawn).maximum
        assert natural <= width or len(table.headings) == 1


@pytest.mark.parametrize(
    ("names", "headings"),
    [
        (("a/teacher", "b/student"), ("teacher", "student")),
        (("x/a/teacher", "x/b/teacher"), ("a/teacher", "b/teacher")),
        (("x/bert/config.json", "bart.json"), ("bert", "bart.json")),
        (("same", "same"), ("same", "same")),
        ((".",), (".",)),
    ],
)
def test_headings_are_short_and_tell_models_apart(look: Any, names: Any, headings: Any) -> None:
    found = look(BERT | {"num_hidden_layers": 1})
    assert short_names([dataclasses.replace(found, name=name) for name in names]) == headings


def test_readable_numbers_by_hand() -> None:
    numbers = (0, 9_999, 12_346, 999_949, 999_950, 109_482_240, 11_174_215_680)
    assert [readable(number) for number in numbers] == [
        "0", "9,999", "12.35 k", "999.9 k", "1.000 M", "109.5 M", "11.17 G",
    ]  # fmt: skip


@given(st.integers(0, 10**15))
def test_readable_numbers_keep_four_digits(number: int) -> None:
    text, _, unit = readable(number).replace(",", "").partition(" ")
    assert math.isclose(float(text) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[unit], number, rel_tol=5.1e-4)
    assert len(text.replace(".", "")) <= 4
