"""What a configuration and the model it describes say of an architecture, each in one vocabulary for all families."""

from pathlib import Path
from typing import Any

from torch import nn

from compress.architecture.count import inner_model, is_norm
from compress.architecture.types import Parameters, Stack
from compress.encoder.cut import parts_of, sizes_said
from compress.encoder.source import Pretrained

# optimum's table knows widths, layers, heads and vocabularies; for these transformers' families have names of their own
_ACTIVATION = (
    "feed_forward_proj",
    "hidden_act",
    "hidden_activation",
    "activation_function",
    "ff_activation",
    "activation",
)
_DROPOUT = ("hidden_dropout_prob", "hidden_dropout", "dropout", "dropout_rate", "resid_pdrop", "embedding_dropout")
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")
_FFN = ("encoder_ffn_dim", "ffn_dim", "intermediate_size", "d_ff", "d_inner", "n_inner", "hidden_dim")
_ROTARY = ("rope_parameters", "rope_theta", "rotary_dim", "rotary_value")


class Facts:
    """Looks things up in a configuration, by optimum's names where it knows the family."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self._normalized = _normalized(config)

    def number(self, name: str) -> int | None:
        """A field by optimum's name: hidden_size, num_layers, num_attention_heads, vocab_size."""
        value = _field(self._normalized, name)
        return value if isinstance(value, int) else None

    def first(self, names: tuple[str, ...], kind: type | tuple[type, ...]) -> Any:
        """The first field of these names that holds such a value; None where none does."""
        values = (_field(self.config, name) for name in names)
        return next((value for value in values if isinstance(value, kind) and not isinstance(value, bool)), None)

    @property
    def width(self) -> int | None:
        """Of the token states."""
        return self.number("hidden_size")

    @property
    def activation(self) -> str | None:
        """Of the feed-forward layers, by its name in transformers."""
        found: str | None = self.first(_ACTIVATION, str)
        return found

    @property
    def dropout(self) -> float | None:
        """Share of the states that training sets to zero."""
        return self._share(_DROPOUT)

    @property
    def attention_dropout(self) -> float | None:
        """Share of the attention probabilities that training sets to zero."""
        return self._share(_ATTENTION_DROPOUT)

    def _share(self, names: tuple[str, ...]) -> float | None:
        found = self.first(names, (int, float))
        return None if found is None else float(found)

    @property
    def max_positions(self) -> int | None:
        """Longest input of the position table, in tokens."""
        return Pretrained(Path(), self.config).max_positions

    def stack(self) -> Stack:
        """The encoder, or what there is where there is one stack alone."""
        layers, heads, ffn = self.number("num_layers"), self.number("num_attention_heads"), self._ffn(_FFN)
        said = sizes_said(self.config)
        if said:  # where a structured pruning left layers of different sizes
            parts = parts_of(self.config)
            heads, ffn = max(parts.heads or (heads or 0,)), max(parts.neurons or (ffn or 0,))
        by_layer = (tuple(said[name]) if name in said else None for name in ("heads", "ffn"))
        return Stack(layers, heads, self._kv_heads(heads), ffn, self._distinct(layers), *by_layer)

    def decoder(self) -> Stack:
        """The decoder beside an encoder."""
        first = self.stack()
        layers = self.first(("decoder_layers", "num_decoder_layers"), int) or first.layers
        heads = self.first(("decoder_attention_heads",), int) or first.heads
        return Stack(layers, heads, heads, self._ffn(("decoder_ffn_dim", *_FFN)), layers)

    def _kv_heads(self, heads: int | None) -> int | None:
        found: int | None = self.first(("num_key_value_heads",), int)
        return heads if found is None else found

    def _ffn(self, names: tuple[str, ...]) -> int | None:
        found: int | None = self.first(names, int)
        if found is None and self.width and hasattr(self.config, "n_inner"):  # GPT-2 and its kin: null is four widths
            return 4 * self.width
        return found

    def _distinct(self, layers: int | None) -> int | None:
        groups: int | None = self.first(("num_hidden_groups",), int)
        return layers if groups is None else groups


def _field(config: Any, name: str) -> Any:
    """None where there is no such field, or where transformers says that it differs from layer to layer."""
    try:
        return getattr(config, name, None)
    except RuntimeError:
        return None


def _normalized(config: Any) -> Any:
    from optimum.utils import NormalizedConfigManager, NormalizedTextConfig

    try:
        return NormalizedConfigManager.get_normalized_config_class(config.model_type)(config)
    except KeyError:  # by transformers' own common names, which most families answer to
        return NormalizedTextConfig(config)


def stacks(config: Any, parameters: Parameters, causal: bool) -> tuple[Stack | None, Stack | None]:
    """Encoder and decoder; None for what the model has no weights of."""
    facts = Facts(config)
    if causal:
        return None, facts.stack()
    return facts.stack() if parameters.encoder else None, facts.decoder() if parameters.decoder else None


def normalization(model: nn.Module, norms: tuple[bool, bool] | None) -> str | None:
    """Kind and place of the norms: pre stands before each part of a layer, post after it."""
    kinds = sorted({_norm_kind(module) for module in model.modules() if is_norm(module)})
    if not kinds:
        return None
    match norms:
        case (True, True):
            place = ", pre and post"
        case (True, False):
            place = ", pre"
        case (False, True):
            place = ", post"
        case _:
            place = ""
    return " and ".join(kinds) + place


def _norm_kind(module: nn.Module) -> str:
    name = type(module).__name__
    if "RMSNorm" in name or "T5LayerNorm" in name:  # T5's has no mean to subtract, whatever it is called
        return "RMSNorm"
    return "LayerNorm" if name.endswith("LayerNorm") else name


def positions(model: nn.Module, config: Any) -> str | None:
    """How the model knows where a token stands; several ways are joined by a plus."""
    found = [*_tables(model, config)]
    if _field(config, "relative_attention"):
        found.append("disentangled relative")
    buckets = _field(config, "relative_attention_num_buckets")
    if isinstance(buckets, int):
        found.append(f"relative, {buckets} buckets")
    if any(name.endswith("r_r_bias") for name, _ in model.named_parameters()):
        found.append("relative, Transformer-XL")
    if any(_field(config, name) is not None for name in _ROTARY):
        found.append("rotary")
    if _field(config, "alibi") or hasattr(inner_model(model).base_model, "build_alibi_tensor"):
        found.append("ALiBi")
    return " + ".join(found) or None


def _tables(model: nn.Module, config: Any) -> set[str]:
    """Position tables: learned, or set once as sines."""
    sines = _field(config, "sinusoidal_pos_embds")
    found = set()
    for name, module in model.named_modules():
        last = name.rsplit(".", 1)[-1]
        if isinstance(module, nn.Embedding) and ("position" in last or last == "wpe"):
            found.add("sinusoidal" if sines or "Sinusoidal" in type(module).__name__ else "learned absolute")
    return found


def own_pooling(model: nn.Module) -> str:
    """How an architecture of transformers makes one vector of a text: the class that does it, or none."""
    names = [type(module).__name__ for name, module in model.named_modules() if name.rsplit(".", 1)[-1] == "pooler"]
    names += [type(m).__name__ for m in model.modules() if type(m).__name__.endswith(("Summary", "ClassificationHead"))]
    if names:
        return f"own ({names[0]})"
    return "own" if type(model).__name__.endswith("ForSequenceClassification") else "none"
