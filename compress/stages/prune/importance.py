"""What heads and neurons are worth: how far the loss would move without them, to first order; and which of them go."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress.encoder.cut import Layer

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Importance(NamedTuple):
    """A score for each head and each neuron of every layer: arrays (H,) and (F,), a layer each."""

    heads: list[Scores]
    neurons: list[Scores]


def first_order(layers: Sequence[Layer], losses: Iterable[Tensor]) -> Importance:
    """|gradient x activation|, summed over texts: Michel et al. 2019, eq. 3; Molchanov et al. 2019.

    losses: sums of the losses of B pieces of text, each computed when it is asked for. Within a piece products are
    added up before the absolute value is taken, over tokens and over the numbers of a head, and where layers share
    their weights over those layers: a part goes from all of them at once.
    """
    heads = [torch.zeros(layer.heads, dtype=torch.float64) for layer in layers]
    neurons = [torch.zeros(layer.neurons, dtype=torch.float64) for layer in layers]
    watched = [matrix for layer in layers for matrix in (layer.output, layer.down)]
    seen: list[tuple[int, Tensor]] = []
    hooks = [matrix.register_forward_pre_hook(_keeping(seen, place)) for place, matrix in enumerate(watched)]
    try:
        for loss in losses:
            moved = _products(loss, seen)
            seen.clear()
            for number, layer in enumerate(layers):
                of_heads, of_neurons = moved[2 * number], moved[2 * number + 1]
                heads[number] += of_heads.unflatten(1, (layer.heads, layer.head_size)).sum(2).abs().sum(0).cpu()
                neurons[number] += of_neurons.abs().sum(0).cpu()
    finally:
        for hook in hooks:
            hook.remove()
    return Importance([found.numpy() for found in heads], [found.numpy() for found in neurons])


def _keeping(seen: list[tuple[int, Tensor]], place: int) -> Any:
    return lambda module, given: seen.append((place, given[0]))


def _products(loss: Tensor, seen: Sequence[tuple[int, Tensor]]) -> dict[int, Tensor]:
    """Place of a matrix -> gradient x what it was given, summed over tokens and over its calls: float64 (B, W)."""
    gradients = torch.autograd.grad(loss, [given for _, given in seen])
    found: dict[int, Tensor] = {}
    for (place, given), gradient in zip(seen, gradients, strict=True):
        product = (given.detach() * gradient).sum(dim=1, dtype=torch.float64)
        found[place] = found[place] + product if place in found else product
    return found


def normalized(scores: Sequence[Scores]) -> list[Scores]:
    """Each layer's scores divided by their root of squares: layers differ in the size of their gradients.

    Molchanov et al. 2017, section 2.2, and Michel et al. 2019, section 4.
    """
    sizes = [float(np.linalg.norm(layer)) for layer in scores]
    return [layer / size if size > 0 else layer for layer, size in zip(scores, sizes, strict=True)]


def least_out(scores: Sequence[Scores], count: int, together: int = 1) -> list[Numbers]:
    """The numbers that stay in each layer, in order, when the `count` parts with the least scores go.

    They go `together` at a time, of one layer, so that the number that is left of each layer is a multiple of it, and
    each layer keeps so many at least: `count` is then met as nearly as can be. Where a layer's number was no multiple,
    its first step takes out what is above one.
    """
    groups = [_groups(layer, together) for layer in scores]
    free = [
        (score, layer, place)
        for layer, found in enumerate(groups)
        for place, score in enumerate(_rising(scores[layer], found[:-1]))
    ]
    gone: list[set[int]] = [set() for _ in scores]
    taken = 0
    for _, layer, place in sorted(free):
        size = len(groups[layer][place])
        if 2 * (count - taken) < size:
            break
        gone[layer].update(groups[layer][place].tolist())
        taken += size
    return [
        np.array([it for it in range(len(layer)) if it not in out], np.int64)
        for layer, out in zip(scores, gone, strict=True)
    ]


def _rising(scores: Scores, groups: Sequence[Numbers]) -> list[float]:
    """The groups' mean scores, which rounding must not put out of order: a layer's own go one after the other."""
    means = np.array([scores[group].mean() for group in groups])
    return np.maximum.accumulate(means).tolist() if len(means) else []


def _groups(scores: Scores, together: int) -> list[Numbers]:
    """A layer's numbers, those with the least scores first, `together` to a group; the first may have fewer."""
    order = np.argsort(scores, kind="stable").astype(np.int64)
    first = len(order) % together
    rest = [order[at : at + together] for at in range(first, len(order), together)]
    return [order[:first], *rest] if first else rest
