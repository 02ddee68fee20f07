"""Classifiers: on pretrained weights, from scratch, or empty, for the weights of an artifact."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import torch
from torch import nn

from compress.classifier import Classifier
from compress.encoder.attention import attention_kind, drop_projections
from compress.encoder.cut import shrink
from compress.encoder.factored import put_factors, stored_rank
from compress.encoder.library import auto_class, head_dropout, quiet_transformers, without_pooler
from compress.encoder.source import Pretrained, check_length
from compress.errors import EncoderError
from compress.recipe.data import Task, label_config
from compress.recipe.students import Pooling


def build_classifier(
    source: Pretrained, task: Task, pooling: Pooling, max_tokens: int, trained: bool = False
) -> Classifier:
    """A classifier on pretrained weights, with a fresh head for the task's labels.

    trained: the head must be among the weights. Raises EncoderError where they cannot be read or do not fit.
    """
    from safetensors import SafetensorError

    check_length(source, max_tokens)
    describe(source.config, task, pooling, max_tokens)
    maker = auto_class(pooling)
    # fp32 master weights, whatever the file holds
    try:
        with quiet_transformers():
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
                **without_pooler(source.config, pooling),
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EncoderError(f"the weights in {source.folder} cannot be read, or do not fit: {error}") from error
    _check_only_the_head_differs(source, encoder, loaded)
    if trained and loaded["missing_keys"]:
        raise EncoderError(
            f"{source.folder} is no classifier that was fine-tuned: it has no weights for "
            f"{', '.join(sorted(loaded['missing_keys']))}. Train it with a finetune stage."
        )
    return Classifier(encoder, pooling, len(task.labels), head_dropout(source.config))


def _check_only_the_head_differs(source: Pretrained, encoder: Any, loaded: dict[str, Any]) -> None:
    """Raises EncoderError where weights of the encoder itself are of other sizes than its configuration says."""
    names = [item[0] if isinstance(item, tuple) else item for item in loaded["mismatched_keys"]]
    inner = sorted(name for name in names if name.startswith(f"{encoder.base_model_prefix}."))
    if inner:
        raise EncoderError(
            f"the weights in {source.folder} do not fit its config.json: {', '.join(inner)} have other sizes."
        )


def empty_classifier(config: Any, attention: Literal["sdpa", "eager"] | None = None) -> Classifier:
    """The classifier that an artifact's config.json describes, its weights not read; on torch's current device."""
    pooling: Pooling = config.compress["pooling"]
    extra: dict[str, Any] = without_pooler(config, pooling)
    if attention:
        extra["attn_implementation"] = attention
    encoder = auto_class(pooling).from_config(config, dtype=torch.float32, trust_remote_code=False, **extra)
    if attention_kind(config) == "dot":
        drop_projections(encoder)
    shrink(encoder, config)
    if (rank := stored_rank(config)) is not None:
        put_factors(encoder, rank)
    return Classifier(encoder, pooling, len(config.id2label), head_dropout(config))


def describe(config: Any, task: Task, pooling: Pooling, max_tokens: int) -> None:
    """Writes what the classifier predicts into its configuration, as the wider ecosystem reads it."""
    for name, value in label_config(task).items():
        setattr(config, name, value)
    known = getattr(config, "compress", None) or {}  # of an artifact: its attention stays what it is
    config.compress = known | {"pooling": pooling, "max_tokens": max_tokens}


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


def output_layer(model: nn.Module, labels: int) -> nn.Linear | None:
    """The last linear layer with `labels` outputs: what gives the logits. None where there is none."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return next((layer for layer in reversed(linear) if layer.out_features == labels), None)


def reorder_outputs(model: nn.Module, order: Sequence[int], labels: int) -> None:
    """Makes the last linear layer with `labels` outputs give them in `order`. Raises EncoderError if there is none."""
    last = output_layer(model, labels)
    if last is None:
        raise EncoderError(
            f"the classifier has no linear layer with {labels} outputs, so its labels cannot be put in order."
        )
    with torch.no_grad():
        last.weight.copy_(last.weight[list(order)].clone())
        if last.bias is not None:
            last.bias.copy_(last.bias[list(order)].clone())
