"""Pretrained encoders: what a folder holds, and classifiers built on one, written and read again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from compress.classifier import Classifier
from compress.errors import EncoderError
from compress.pretrained import WEIGHTS, check_config, check_weights
from compress.recipe.data import Task, label_config
from compress.recipe.stages import Pooling


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
        # RoBERTa and its kin number positions from padding_idx + 1
        offset = int(getattr(self.config, "pad_token_id", None) or 0) + 1
        shifted = self.config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}
        return positions - offset if shifted else positions


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
    what, maker = f"{source.folder} ({source.config.model_type})", _auto_class(pooling)
    if type(source.config) not in maker._model_mapping:
        raise EncoderError(
            f"{what} cannot be built as a text classifier: transformers {version('transformers')} has no "
            f"{maker.__name__} for it. Name an encoder of text (BERT, RoBERTa, ...), or choose another pooling."
        )
    try:
        with _quiet_transformers(), torch.device("meta"):
            encoder = maker.from_config(
                source.config, trust_remote_code=False, **_without_pooler(source.config, pooling)
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


def set_attention_dropout(config: Any, share: float) -> None:
    """Sets the dropout of attention probabilities, whatever the architecture calls it; EncoderError if it has none."""
    names = [name for name in ("attention_probs_dropout_prob", "attention_dropout") if hasattr(config, name)]
    if not names:
        raise EncoderError(
            f"attention_dropout: {config.model_type} has no dropout of attention alone in transformers "
            f"{version('transformers')}; remove the key."
        )
    for name in names:
        setattr(config, name, share)


def build_classifier(
    source: Pretrained, task: Task, pooling: Pooling, max_tokens: int, trained: bool = False
) -> Classifier:
    """A classifier on pretrained weights, with a fresh head for the task's labels.

    trained: the head must be among the weights. Raises EncoderError where they cannot be read or do not fit.
    """
    from safetensors import SafetensorError

    check_length(source, max_tokens)
    describe(source.config, task, pooling, max_tokens)
    maker = _auto_class(pooling)
    # fp32 master weights, whatever the file holds
    try:
        with _quiet_transformers():
            encoder, loaded = maker.from_pretrained(
                str(source.folder),
                config=source.config,
                local_files_only=True,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                # a checkpoint's own head may have been for other labels; it is made anew then
                ignore_mismatched_sizes=pooling == "own" and not trained,
                output_loading_info=True,
                **_without_pooler(source.config, pooling),
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EncoderError(f"the weights in {source.folder} cannot be read, or do not fit: {error}") from error
    _check_only_the_head_differs(source, encoder, loaded)
    if trained and loaded["missing_keys"]:
        raise EncoderError(
            f"{source.folder} is no classifier that was fine-tuned: it has no weights for "
            f"{', '.join(sorted(loaded['missing_keys']))}. Train it with a finetune stage."
        )
    return Classifier(encoder, pooling, len(task.labels), _dropout(source.config))


def _check_only_the_head_differs(source: Pretrained, encoder: Any, loaded: dict[str, Any]) -> None:
    """Raises EncoderError where weights of the encoder itself are of other sizes than its configuration says."""
    names = [item[0] if isinstance(item, tuple) else item for item in loaded["mismatched_keys"]]
    inner = sorted(name for name in names if name.startswith(f"{encoder.base_model_prefix}."))
    if inner:
        raise EncoderError(
            f"the weights in {source.folder} do not fit its config.json: {', '.join(inner)} have other sizes."
        )


def build_tiny(
    task: Task,
    vocabulary: int,
    layers: int,
    width: int,
    heads: int,
    ffn: int,
    pooling: Pooling,
    max_tokens: int,
    dropout: float,
) -> Classifier:
    """A BERT-shaped encoder from scratch (Devlin et al. 2019) with the given shape."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=vocabulary,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=ffn,
        max_position_embeddings=max_tokens,
        type_vocab_size=1,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
    )
    describe(config, task, pooling, max_tokens)
    return Classifier(BertModel(config, add_pooling_layer=False), pooling, len(task.labels), dropout)


def save_classifier(model: Classifier, folder: Path) -> None:
    """Writes config.json and model.safetensors under the names transformers itself would use for the encoder."""
    from safetensors.torch import save_file

    model.config.architectures = [type(model.encoder).__name__]
    # a path on this machine would make equal artifacts differ
    model.config.name_or_path = ""
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    tensors = {
        _outer_name(model, name): value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})


def load_classifier(folder: Path, attention: Literal["sdpa", "eager"] | None = None) -> Classifier:
    """The classifier an artifact's folder holds, in evaluation mode."""
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    model = empty_classifier(config, attention)
    names = {_outer_name(model, name): name for name in model.state_dict()}
    state = {names.get(name, name): value for name, value in load_file(str(folder / WEIGHTS)).items()}
    model.load_state_dict(state)
    return model.eval()


def empty_classifier(config: Any, attention: Literal["sdpa", "eager"] | None = None) -> Classifier:
    """The classifier that an artifact's config.json describes, its weights not read; on torch's current device."""
    pooling: Pooling = config.compress["pooling"]
    extra: dict[str, Any] = _without_pooler(config, pooling)
    if attention:
        extra["attn_implementation"] = attention
    encoder = _auto_class(pooling).from_config(config, dtype=torch.float32, trust_remote_code=False, **extra)
    return Classifier(encoder, pooling, len(config.id2label), _dropout(config))


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No bar and no table of the head's weights that are not there: they never are, before a fine-tuning."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _auto_class(pooling: Pooling) -> Any:
    """The transformers class for a pooling, by optimum's table of tasks: with the architecture's head, or without."""
    from optimum.exporters.tasks import TasksManager

    return TasksManager.get_model_class_for_task("text-classification" if pooling == "own" else "feature-extraction")


def stored_labels(config: Any) -> tuple[str, ...]:
    """Label names of a classifier's configuration, in the order of its logits."""
    return tuple(str(config.id2label[index]) for index in sorted(config.id2label))


def reorder_outputs(model: nn.Module, order: Sequence[int], labels: int) -> None:
    """Makes the last linear layer with `labels` outputs give them in `order`. Raises EncoderError if there is none."""
    last = next(
        (m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear) and m.out_features == labels), None
    )
    if last is None:
        raise EncoderError(
            f"the classifier has no linear layer with {labels} outputs, so its labels cannot be put in order."
        )
    with torch.no_grad():
        last.weight.copy_(last.weight[list(order)].clone())
        if last.bias is not None:
            last.bias.copy_(last.bias[list(order)].clone())


def _outer_name(model: Classifier, name: str) -> str:
    """`encoder.x` as transformers names it: `bert.x`, so that AutoModel opens the file; `x` for its own classifiers."""
    if not name.startswith("encoder."):
        return name
    inner = name.removeprefix("encoder.")
    return inner if model.pooling == "own" else f"{model.encoder.base_model_prefix}.{inner}"


def describe(config: Any, task: Task, pooling: Pooling, max_tokens: int) -> None:
    """Writes what the classifier predicts into its configuration, as the wider ecosystem reads it."""
    for name, value in label_config(task).items():
        setattr(config, name, value)
    config.compress = {"pooling": pooling, "max_tokens": max_tokens}


def _without_pooler(config: Any, pooling: Pooling) -> dict[str, Any]:
    """What builds the base model without its pooler, which our heads never use, where it can be."""
    takes = config.model_type in {"bert", "roberta", "xlm-roberta", "camembert", "albert", "mpnet"}
    return {"add_pooling_layer": False} if takes and pooling != "own" else {}


def _dropout(config: Any) -> float:
    found = getattr(config, "classifier_dropout", None)
    return float(found if found is not None else getattr(config, "hidden_dropout_prob", 0.1))
