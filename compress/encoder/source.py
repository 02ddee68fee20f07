"""A pretrained encoder on this disk: what its folder holds, and whether a classifier can be built on it."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from compress.classifier import Classifier
from compress.encoder.attention import attention_kind
from compress.encoder.cut import sizes_said
from compress.encoder.factored import stored_rank
from compress.encoder.library import auto_class, quiet_transformers, without_pooler
from compress.errors import EncoderError
from compress.pretrained import check_config, check_weights
from compress.recipe.students import Pooling


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model found on this disk."""

    folder: Path
    config: Any

    @property
    def max_positions(self) -> int | None:
        """Longest input the position table allows; None where there is no such limit."""
        positions = getattr(self.config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions <= 0:
            return None
        offset = int(getattr(self.config, "pad_token_id", None) or 0) + 1
        return positions - offset if counts_from_padding(self.config) else positions


def counts_from_padding(config: Any) -> bool:
    """Whether the first position has the number after the padding's id, as of RoBERTa and its kin."""
    return config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}


def open_pretrained(folder: Path) -> Pretrained:
    """Reads the configuration at `folder`. Raises EncoderError where it is none, or of an encoder-decoder."""
    from transformers import AutoConfig

    check_config(folder)
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder}/config.json is not one transformers can read: {error}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise EncoderError(
            f"{folder} is an encoder-decoder ({config.model_type}); an encoder (BERT, RoBERTa, ...) is needed."
        )
    return Pretrained(folder, config)


def check_length(source: Pretrained, max_tokens: int) -> None:
    """Raises EncoderError where texts of max_tokens are longer than the model's position table."""
    limit = source.max_positions
    if limit is not None and max_tokens > limit:
        raise EncoderError(
            f"max_tokens {max_tokens} is above the {limit} positions of {source.folder}; set it to at most {limit}."
        )


def check_usable(source: Pretrained, pooling: Pooling, max_tokens: int) -> None:
    """All that can be known without reading the weights: the length, the weights' files, the architecture.

    Raises EncoderError.
    """
    check_length(source, max_tokens)
    check_weights(source.folder)
    if attention_kind(source.config) == "dot":
        raise EncoderError(
            f"{source.folder} has attention: dot, which transformers would give new query and key projections. Take it "
            "in with a load stage, or name another encoder."
        )
    if stored_rank(source.config) is not None:
        raise EncoderError(
            f"{source.folder} has embeddings that are a product (embedding_rank), which transformers cannot build. "
            "Take it in with a load stage, or name another encoder."
        )
    if sizes_said(source.config):
        raise EncoderError(
            f"{source.folder} has layers of different sizes, which transformers cannot build. Take it in with a load "
            "stage, or name another encoder."
        )
    what, maker = f"{source.folder} ({source.config.model_type})", auto_class(pooling)
    if type(source.config) not in maker._model_mapping:
        raise EncoderError(
            f"{what} cannot be built as a text classifier: transformers {version('transformers')} has no "
            f"{maker.__name__} for it. Name an encoder of text (BERT, RoBERTa, ...), or choose another pooling."
        )
    try:
        with quiet_transformers(), torch.device("meta"):
            encoder = maker.from_config(
                source.config, trust_remote_code=False, **without_pooler(source.config, pooling)
            )
            Classifier(encoder, pooling, labels=1)
    except (ValueError, ImportError, AttributeError) as error:
        raise EncoderError(f"{what} cannot be built as a text classifier: {error}") from error
    if encoder.main_input_name != "input_ids":
        raise EncoderError(f"{what} reads {encoder.main_input_name}, not text; an encoder of text is needed.")
    _check_decoder(what, encoder, pooling)


def _check_decoder(what: str, encoder: Any, pooling: Pooling) -> None:
    """Raises EncoderError where a pooling reads nothing of a text whose tokens see only those before them."""
    if not any(getattr(module, "is_causal", False) for module in encoder.modules()):
        return
    if pooling == "cls":
        raise EncoderError(
            f"{what} is a decoder: its first token, which pooling: cls takes, sees no other. Choose pooling: mean."
        )
    if pooling == "own" and encoder.config.pad_token_id is None:
        raise EncoderError(
            f"{what} is a decoder without a pad_token_id, by which its own head finds the end of a text. Write one "
            "into its config.json, or choose pooling: mean."
        )
