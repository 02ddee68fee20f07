"""A student that begins as some of the layers of a classifier (Sanh et al. 2019, section 3)."""

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from compress.classifier import Classifier
from compress.encoder.build import empty_classifier
from compress.errors import EncoderError


def take_layers(model: Classifier, layers: Sequence[int]) -> Classifier:
    """A classifier of those layers of `model` alone, in that order; embeddings, pooling and head are copies of its.

    Raises EncoderError where it has no such layer, or its layers cannot stand so.
    """
    check_layers(model.config, layers)
    config = deepcopy(model.config)
    stack = _stack(model, config.num_hidden_layers)
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
            f"student.init.layers: the layers {list(layers)} of this {config.model_type} cannot stand in this order: "
            f"{' '.join(str(error).split())[:200]}. Begin with layer 0, and keep the order."
        ) from error
    return taken


def check_layers(config: Any, layers: Sequence[int]) -> None:
    """Raises EncoderError where an encoder of this configuration has no such layers to take."""
    count = int(config.num_hidden_layers)
    if getattr(config, "num_hidden_groups", count) != count:
        raise EncoderError(
            f"student.init.layers: the layers of this {config.model_type} share their weights, so that there is none "
            "to choose. Name another student, e.g. a shape with share_layers: true."
        )
    missing = [layer for layer in layers if layer >= count]
    if missing:
        raise EncoderError(
            f"student.init.layers: there is no layer {missing[0]}: the model has {count}, numbered 0 to {count - 1}."
        )


def _stack(model: Classifier, count: int) -> str:
    """Name of the list of the encoder's layers. Raises EncoderError where there is none of that length."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name
    raise EncoderError(
        f"student.init: the layers of a {model.config.model_type} cannot be told apart; name an encoder."
    )
