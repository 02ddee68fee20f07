"""A BERT with outlier channels: it answers as before, and a range over all its channels no longer fits the others."""

from collections.abc import Sequence
from typing import Any


def plant_outliers(model: Any, layers: Sequence[int], scale: float, channels: int = 4) -> None:
    """Multiplies the first `channels` value channels of every head in these layers, and undoes it in the next product.

    Attention mixes positions, not channels: what leaves it has these channels `scale` times as large, and the output
    product's weights for them are as much smaller. model: a Classifier on a BERT; it answers as it did.
    """
    import torch

    for number in layers:
        layer = model.encoder.encoder.layer[number].attention
        size = layer.self.attention_head_size
        chosen = [place for place in range(layer.self.all_head_size) if place % size < channels]
        with torch.no_grad():
            layer.self.value.weight[chosen] *= scale
            layer.self.value.bias[chosen] *= scale
            layer.output.dense.weight[:, chosen] /= scale
