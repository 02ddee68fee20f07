"""What a classifier computes on the way to its logits, whatever its architecture."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from compress.classifier import pool
from compress.encoder.build import output_layer
from compress.errors import EncoderError


@dataclass
class Seen:
    """What one call computed. vector: (B, W), what the last layer read. hidden: (B, T, H) of every layer.

    hidden begins with the embeddings, as transformers has it; empty where it was not asked for.
    """

    vector: Tensor | None = None
    hidden: tuple[Tensor, ...] = ()


def answer_seen(
    model: nn.Module, inputs: dict[str, Tensor], labels: int, hidden: bool
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Logits (B, L), the pooled vectors (B, W) that they were made of, and the token states of all layers.

    hidden: whether these are asked for, of a model with an `encoder`. Raises EncoderError as vector_layer does.
    """
    found = Seen()
    with _watched(model, vector_layer(model, labels), found, hidden):
        logits: Tensor = model(**inputs)
    if found.vector is None:
        raise EncoderError(f"the classifier's last layer, of {labels} outputs, is not what gives its logits.")
    # decoders have a head on every token, and choose one token's answer afterwards
    vector = found.vector if found.vector.dim() == 2 else pool(found.vector, inputs["attention_mask"], "mean")
    return logits, vector, found.hidden


def vector_layer(model: nn.Module, labels: int) -> nn.Linear:
    """The layer whose input is the pooled vector. Raises EncoderError where there is none."""
    layer = output_layer(model, labels)
    if layer is None:
        raise EncoderError(f"the classifier has no linear layer with {labels} outputs, and so no pooled vector.")
    return layer


@contextmanager
def _watched(model: Any, last: nn.Linear, found: Seen, hidden: bool) -> Iterator[None]:
    """Writes into `found` what the model computes inside."""

    def keep_vector(layer: nn.Module, read: tuple[Tensor, ...]) -> None:
        found.vector = read[0]

    def ask(encoder: nn.Module, read: Any, words: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return read, words | {"output_hidden_states": True}

    def keep_hidden(encoder: nn.Module, read: Any, output: Any) -> None:
        found.hidden = tuple(output.hidden_states)

    hooks = [last.register_forward_pre_hook(keep_vector)]
    if hidden:
        hooks.append(model.encoder.register_forward_pre_hook(ask, with_kwargs=True))
        hooks.append(model.encoder.register_forward_hook(keep_hidden))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
