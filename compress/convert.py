"""Pretrained models in another architecture's names, where the two compute the same: files in, files out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import EncoderError
from compress.pretrained import WEIGHTS

_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_EMBEDDINGS = ("word_embeddings", "position_embeddings", "LayerNorm")
Weights = dict[str, NDArray[Any]]
_EPSILON = 1e-12  # DistilBERT's layer normalization has no other


def check_convertible(folder: Path) -> None:
    """Raises EncoderError unless the model at `folder` is a BERT that DistilBERT can compute exactly."""
    config = _config(folder)
    kind = config.get("model_type")
    if kind != "bert":
        raise EncoderError(f"convert: distilbert needs a BERT; {folder} is {kind}. Leave the key out.")
    other = {"position_embedding_type": "absolute", "layer_norm_eps": _EPSILON, "is_decoder": False}
    for key, value in other.items():
        if config.get(key, value) != value:
            raise EncoderError(f"convert: distilbert: {folder} has {key} {config[key]}; DistilBERT knows {value} only.")


def bert_to_distilbert(source: Path, target: Path) -> None:
    """Writes the BERT at `source` as a DistilBERT (Sanh et al. 2019) with the same answers, bit for bit.

    DistilBERT is BERT without segment embeddings and pooler. Every token of a single text is of segment 0, so that
    row is added to each word's embedding, as BERT adds it first of all. A masked language model's head is left out, and
    so is the tokenizer, which stays BERT's.

    Raises EncoderError as check_convertible does, or where weights are missing.
    """
    from safetensors.numpy import load_file, save_file

    check_convertible(source)
    weights = {name.removeprefix("bert."): value for name, value in load_file(str(source / WEIGHTS)).items()}
    config = _config(source)
    try:
        renamed = _renamed(weights, int(config["num_hidden_layers"]))
    except KeyError as error:
        raise EncoderError(
            f"{source / WEIGHTS} has no {error.args[0]}: it is not the BERT that its config says."
        ) from None
    target.mkdir(parents=True, exist_ok=True)
    save_file(renamed, str(target / WEIGHTS), metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(_distilbert_config(config), indent=2) + "\n", encoding="utf-8")


def _config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _renamed(weights: Weights, layers: int) -> Weights:
    names = {f"embeddings.{name}": f"embeddings.{name}" for name in _EMBEDDINGS}
    for layer in range(layers):
        names |= {f"encoder.layer.{layer}.{old}": f"transformer.layer.{layer}.{new}" for old, new in _LAYER.items()}
    # embeddings have a weight alone; what has a bias beside it brings that too
    renamed = {f"{new}.weight": weights[f"{old}.weight"] for old, new in names.items()}
    renamed |= {f"{new}.bias": weights[f"{old}.bias"] for old, new in names.items() if not old.endswith("embeddings")}
    words = "embeddings.word_embeddings.weight"
    renamed[words] = weights[words] + weights["embeddings.token_type_embeddings.weight"][0]
    return {f"distilbert.{name}": np.ascontiguousarray(value) for name, value in renamed.items()}


def _distilbert_config(config: dict[str, Any]) -> dict[str, Any]:
    kept = ("vocab_size", "max_position_embeddings", "initializer_range", "pad_token_id")
    return {
        "model_type": "distilbert",
        "architectures": ["DistilBertModel"],
        "dim": config["hidden_size"],
        "n_layers": config["num_hidden_layers"],
        "n_heads": config["num_attention_heads"],
        "hidden_dim": config["intermediate_size"],
        "activation": config.get("hidden_act", "gelu"),
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
        "sinusoidal_pos_embds": False,
        **{key: config[key] for key in kept if key in config},
    }
