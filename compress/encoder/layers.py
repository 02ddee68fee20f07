"""A student that begins as some of the layers of a classifier (Sanh et al. 2019, section 3)."""

import re
from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from compress.classifier import Classifier
from compress.encoder.build import empty_classifier
from compress.encoder.cut import pick_layers
from compress.errors import EncoderError

_KEY = "student.init.layers"


def take_layers(model: Classifier, layers: Sequence[int], key: str = _KEY) -> Classifier:
    """A classifier of those layers of `model` alone, in that order; embeddings, pooling and head are copies of its.

    key: of the recipe, that named them. Raises EncoderError where it has no such layer, or its layers cannot stand so.
    """
    check_layers(model.config, layers, key)
    config = deepcopy(model.config)
    stack = _stack(model, config.num_hidden_layers, key)
    pick_layers(config, layers)
    config.num_hidden_layers = len(layers)
    if hasattr(config, "num_hidden_groups"):  # ALBERT's name for sets of weights, here one for each layer
        config.num_hidden_groups = len(layers)
    if isinstance(getattr(config, "layer_types", None), list):
        config.layer_types = [config.layer_types[layer] for layer in layers]
    taken = empty_classifier(config)
    place = {layer: number for number, layer in enumerate(layers)}
    inside = re.compile(rf"^{re.escape(stack)}\.(\d+)\.")
    state = {}
    for name, value in model.state_dict().items():
        found = inside.match(name)
        if found is None:
            state[name] = value
        elif int(found[1]) in place:
            state[inside.sub(f"{stack}.{place[int(found[1])]}.", name)] = value
    try:
        taken.load_state_dict(state)
    except RuntimeError as error:
        raise EncoderError(
            f"{key}: the layers {list(layers)} of this {config.model_type} cannot stand in this order: "
            f"{' '.join(str(error).split())[:200]}. Keep layer 0, and the order."
        ) from error
    return taken


def leave_out_layers(model: Classifier, dropped: Collection[int]) -> Classifier:
    """A classifier without these layers; where all of them share their weights, one that uses them less often.

    Raises EncoderError as above.
    """
    count = int(model.config.num_hidden_layers)
    kept = [layer for layer in range(count) if layer not in dropped]
    if not are_one(model.config):
        return take_layers(model, kept, "drop")
    config = deepcopy(model.config)
    config.num_hidden_layers = len(kept)
    fewer = empty_classifier(config)
    fewer.load_state_dict(model.state_dict())
    return fewer


def are_one(config: Any) -> bool:
    """Whether one set of weights is all the layers', as ALBERT's is."""
    return getattr(config, "num_hidden_groups", None) == 1 and config.num_hidden_layers > 1


def check_layers(config: Any, layers: Sequence[int], key: str = _KEY) -> None:
    """Raises EncoderError where an encoder of this configuration has no such layers to take. key: that named them."""
    count = int(config.num_hidden_layers)
    if getattr(config, "num_hidden_groups", count) != count:
        way = "Name another student, e.g. a shape with share_layers: true." if key == _KEY else "Remove the stage."
        raise EncoderError(
            f"{key}: the layers of this {config.model_type} share their weights, so that there is none to choose. {way}"
        )
    missing = [layer for layer in layers if layer >= count]
    if missing:
        raise EncoderError(f"{key}: there is no layer {missing[0]}: the model has {count}, numbered 0 to {count - 1}.")


def _stack(model: Classifier, count: int, key: str) -> str:
    """Name of the list of the encoder's layers. Raises EncoderError where there is none of that length."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name
    raise EncoderError(f"{key}: the layers of a {model.config.model_type} cannot be told apart; name an encoder.")
