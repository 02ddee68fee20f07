"""Attention without query and key projections: a token attends to those whose states are like its own."""

from typing import Any, Literal

from torch import nn

AttentionKind = Literal["scaled_dot", "dot"]


def attention_kind(config: Any) -> AttentionKind:
    """What an artifact's configuration says of its attention; that of transformers where it says nothing."""
    kind: AttentionKind = (getattr(config, "compress", None) or {}).get("attention", "scaled_dot")
    return kind


def drop_projections(encoder: nn.Module) -> None:
    """Scores become products of the states themselves, head by head: Luong et al. 2015, "dot".

    The scale 1 / sqrt(width of a head) stays: states are normalized, so without it each token would see itself alone.
    """
    for module in encoder.modules():
        if isinstance(getattr(module, "query", None), nn.Module) and isinstance(
            getattr(module, "key", None), nn.Module
        ):
            module.query, module.key = nn.Identity(), nn.Identity()
