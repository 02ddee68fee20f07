"""The facts of an architecture as plain data."""

from dataclasses import asdict, dataclass
from typing import Any

TOKENS = 128  # of the text whose multiply-adds are counted


@dataclass(frozen=True)
class Stack:
    """Layers one after the other. None: the architecture has no such thing, or its configuration does not say.

    kv_heads: heads of keys and values, fewer than heads where several queries share them. distinct: layers with
    weights of their own (ALBERT's 12 layers share those of 1). ffn: inner width of the feed-forward layers.
    heads_by_layer, ffn_by_layer: where pruning left layers of different sizes; heads and ffn are then the most.
    """

    layers: int | None
    heads: int | None
    kv_heads: int | None
    ffn: int | None
    distinct: int | None
    heads_by_layer: tuple[int, ...] | None = None
    ffn_by_layer: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Parameters:
    """Numbers in weights, those that are tied counted once, by part.

    embeddings: token, position and type tables with their norm and projection. head: pooler, classifier, language
    modelling head.
    """

    embeddings: int
    encoder: int
    decoder: int
    head: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.embeddings + self.encoder + self.decoder + self.head


@dataclass(frozen=True)
class Architecture:
    """A model's architecture. None: there is no such thing in it, or it cannot be known.

    name: as it was asked for. source: an artifact and its format, pretrained, or configuration. normalization: kind,
    and pre or post: before a layer's parts, or after each of them. max_positions: of the position table. max_tokens:
    the most an artifact reads at once. weights_bytes: of the files here. multiply_adds: of matrix products and
    convolutions (embeddings, norms and activations are left out) for one text of `tokens` tokens: 128, or as many as
    the model can read. An encoder-decoder reads the same number with its encoder and with its decoder. uses: what can
    be done with it here; remarks: what to know before.
    """

    name: str
    source: str
    family: str
    model_class: str | None
    encoder: Stack | None
    decoder: Stack | None
    width: int | None
    activation: str | None
    dropout: float | None
    attention_dropout: float | None
    normalization: str | None
    positions: str | None
    max_positions: int | None
    max_tokens: int | None
    vocabulary: int | None
    pooling: str | None
    parameters: Parameters
    weights_bytes: int | None
    multiply_adds: int | None
    tokens: int | None
    uses: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def fp32_bytes(self) -> int:
        """Of the weights alone, 4 bytes each."""
        return 4 * self.parameters.total

    @property
    def fp16_bytes(self) -> int:
        """Of the weights alone, 2 bytes each."""
        return 2 * self.parameters.total

    @property
    def int8_bytes(self) -> int:
        """Of the weights alone, 1 byte each; scales come on top, and what is left in fp32."""
        return self.parameters.total

    def as_json(self) -> dict[str, Any]:
        """Plain data for JSON: all fields, the total of the parameters, and the bytes by precision."""
        data = asdict(self)
        data["parameters"]["total"] = self.parameters.total
        data["bytes"] = {"fp32": self.fp32_bytes, "fp16": self.fp16_bytes, "int8": self.int8_bytes}
        return data
