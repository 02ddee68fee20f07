"""Attention heads and feed-forward neurons taken out of an encoder for good: its matrices become smaller.

transformers has one number of heads and one feed-forward width for all layers. Where layers differ after a cut, their
sizes stand in the configuration's `compress` entry, and `shrink` gives them to an encoder that is built anew from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from compress.encoder.attention import attention_kind
from compress.errors import EncoderError
from compress.recipe.fits_pruning import FAMILIES, Parts, misfit
from compress.recipe.pruning import Prune

Numbers = Sequence[int]


@dataclass(frozen=True)
class _Family:
    """Where a layer of transformers keeps its matrices. ffn: what the configuration calls the feed-forward width."""

    attention: str
    inputs: tuple[str, ...]
    output: str
    up: str = "intermediate.dense"
    down: str = "output.dense"
    ffn: str = "intermediate_size"


_BERT = _Family("attention.self", ("query", "key", "value"), "attention.output.dense")
_PROJECTED = ("query_proj", "key_proj", "value_proj", "pos_key_proj", "pos_query_proj")
_FAMILIES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "deberta-v2": _Family("attention.self", _PROJECTED, "attention.output.dense"),
    "mpnet": _Family("attention.attn", ("q", "k", "v"), "attention.attn.o"),
    "albert": _Family("attention", ("query", "key", "value"), "attention.dense", "ffn", "ffn_output"),
    "distilbert": _Family(
        "attention", ("q_lin", "k_lin", "v_lin"), "attention.out_lin", "ffn.lin1", "ffn.lin2", "hidden_dim"
    ),
}


@dataclass(frozen=True)
class Layer:
    """The matrices of a layer, or of several that share them. inputs: what makes queries, keys and values of states.

    output: what brings the heads together. up, down: to the feed-forward neurons and back.
    """

    attention: Any
    inputs: tuple[nn.Linear, ...]
    output: nn.Linear
    up: nn.Linear
    down: nn.Linear

    @property
    def head_size(self) -> int:
        """Numbers of a head's vectors."""
        return int(self.attention.attention_head_size)

    @property
    def heads(self) -> int:
        """How many are left."""
        return self.output.in_features // self.head_size

    @property
    def neurons(self) -> int:
        """How many are left."""
        return self.down.in_features


def cut_layers(encoder: Any) -> list[Layer]:
    """The layers with weights of their own, in order. Raises EncoderError for a family that is not known here."""
    family = _family(encoder.config)
    return [_layer(module, family) for module in encoder.modules() if _has(module, family)]


def parts_of(config: Any) -> Parts:
    """What an encoder of this configuration has to give."""
    family, said = _FAMILIES.get(config.model_type), sizes_said(config)
    layers = int(config.num_hidden_layers)
    if family is None:
        return Parts(None, None, layers, unknown=config.model_type)
    sets = int(getattr(config, "num_hidden_groups", layers)) * int(getattr(config, "inner_group_num", 1))
    heads = said.get("heads", [config.num_attention_heads] * sets)
    neurons = said.get("ffn", [getattr(config, family.ffn)] * sets)
    return Parts(tuple(heads), tuple(neurons), layers, attention_kind(config) != "dot")


def check_prune(stage: Prune, config: Any) -> None:
    """Raises EncoderError, with the stage's place, where an encoder of this configuration has not so much to give."""
    found = misfit(stage, parts_of(config))
    if found is not None:
        raise EncoderError(f"stages.{stage.id}.{': '.join(found)}.")


def sizes_said(config: Any) -> dict[str, list[Any]]:
    """What an artifact's configuration says of layers that differ: heads, ffn, and MPNet's position_heads."""
    said = getattr(config, "compress", None) or {}
    return {name: said[name] for name in ("heads", "ffn", "position_heads") if name in said}


def take_out(encoder: Any, heads: Sequence[Numbers], neurons: Sequence[Numbers]) -> None:
    """Keeps of every layer the heads and the neurons of these numbers alone, and writes its sizes down in the config.

    Answers are those of the whole encoder with zeros in place of what those heads and neurons give. Raises EncoderError
    for heads of attention without projections.
    """
    layers = cut_layers(encoder)
    taken = any(len(kept) < layer.heads for kept, layer in zip(heads, layers, strict=True))
    if taken and attention_kind(encoder.config) == "dot":
        raise EncoderError("heads: attention: dot has no query and key projections to make smaller; use ffn alone.")
    for layer, kept_heads, kept_neurons in zip(layers, heads, neurons, strict=True):
        _keep_heads(layer, kept_heads)
        _keep_neurons(layer, kept_neurons)
    if encoder.config.model_type == "mpnet" and taken:
        before = sizes_said(encoder.config).get(
            "position_heads", [range(encoder.config.num_attention_heads)] * len(layers)
        )
        _set_position_heads(layers, [[seen[head] for head in kept] for seen, kept in zip(before, heads, strict=True)])
    _write_down(encoder.config, _sizes(layers))


def shrink(encoder: Any, config: Any) -> None:
    """Gives an encoder that was just built, with all heads and neurons, the sizes that its configuration says."""
    said = sizes_said(config)
    if not said:
        return
    layers = cut_layers(encoder)
    for layer, heads in zip(layers, said.get("heads", ()), strict=False):
        _keep_heads(layer, range(heads))
    for layer, neurons in zip(layers, said.get("ffn", ()), strict=False):
        _keep_neurons(layer, range(neurons))
    _set_position_heads(layers, said.get("position_heads", ()))


def pick_layers(config: Any, layers: Numbers) -> None:
    """Keeps of what a configuration says of each layer that of these alone, in this order."""
    said = {name: [sizes[layer] for layer in layers] for name, sizes in sizes_said(config).items()}
    if said:
        _write_down(config, said)


def _family(config: Any) -> _Family:
    found = _FAMILIES.get(config.model_type)
    if found is None:
        raise EncoderError(
            f"method: structured cannot take heads and neurons out of a {config.model_type}, only of {FAMILIES}; use "
            "magnitude or layers."
        )
    return found


def _has(module: nn.Module, family: _Family) -> bool:
    try:
        return isinstance(attrgetter(family.up)(module), nn.Linear) and isinstance(
            attrgetter(family.output)(module), nn.Linear
        )
    except AttributeError:
        return False


def _layer(module: nn.Module, family: _Family) -> Layer:
    attention = attrgetter(family.attention)(module)
    found = (getattr(attention, name, None) for name in family.inputs)
    output, up, down = (attrgetter(name)(module) for name in (family.output, family.up, family.down))
    return Layer(attention, tuple(item for item in found if isinstance(item, nn.Linear)), output, up, down)


def _keep_heads(layer: Layer, heads: Numbers) -> None:
    if len(heads) == layer.heads:
        return
    size = layer.head_size
    places = [head * size + place for head in heads for place in range(size)]
    for linear in layer.inputs:
        _keep_outputs(linear, places)
    _keep_inputs(layer.output, places)
    for name in ("num_attention_heads", "n_heads"):
        if hasattr(layer.attention, name):
            setattr(layer.attention, name, len(heads))
    if hasattr(layer.attention, "all_head_size"):
        layer.attention.all_head_size = len(places)


def _keep_neurons(layer: Layer, neurons: Numbers) -> None:
    if len(neurons) < layer.neurons:
        _keep_outputs(layer.up, neurons)
        _keep_inputs(layer.down, neurons)


def _keep_outputs(linear: nn.Linear, places: Numbers) -> None:
    linear.weight = _picked(linear.weight, places, 0)
    if linear.bias is not None:
        linear.bias = _picked(linear.bias, places, 0)
    linear.out_features = len(places)


def _keep_inputs(linear: nn.Linear, places: Numbers) -> None:
    linear.weight = _picked(linear.weight, places, 1)
    linear.in_features = len(places)


def _picked(weight: Tensor, places: Numbers, axis: int) -> nn.Parameter:
    index = torch.tensor(list(places), dtype=torch.long, device=weight.device)
    return nn.Parameter(weight.detach().index_select(axis, index).contiguous())


def _set_position_heads(layers: Sequence[Layer], heads: Sequence[Numbers]) -> None:
    """MPNet adds one table of relative positions to the scores of every layer: each takes the columns of its heads."""
    for layer, kept in zip(layers, heads, strict=False):
        if not hasattr(layer.attention, "position_heads"):
            layer.attention.register_forward_pre_hook(_with_own_positions)
        layer.attention.position_heads = list(kept)


def _with_own_positions(attention: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The third argument is the table (1, heads, T, T)."""
    states, mask, positions = given
    return states, mask, positions[:, attention.position_heads]


def _sizes(layers: Sequence[Layer]) -> dict[str, list[Any]]:
    """What sizes_said would say of these layers."""
    found: dict[str, list[Any]] = {
        "heads": [layer.heads for layer in layers],
        "ffn": [layer.neurons for layer in layers],
    }
    if all(hasattr(layer.attention, "position_heads") for layer in layers):
        found["position_heads"] = [layer.attention.position_heads for layer in layers]
    return found


def _write_down(config: Any, sizes: dict[str, list[Any]]) -> None:
    """Sizes that a configuration of transformers can say, where all layers are alike, stand where it says them."""
    known = getattr(config, "compress", None) or {}
    said = known | sizes
    if set(sizes.get("heads", ())) <= {config.num_attention_heads}:  # its size of a head is the width by their number
        said = {name: value for name, value in said.items() if name not in {"heads", "position_heads"}}
    if len(set(sizes.get("ffn", ()))) == 1:
        setattr(config, _family(config).ffn, said.pop("ffn")[0])
    config.compress = said
