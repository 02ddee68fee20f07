"""Label-aware mixed precision: the fewest products that must stay in fp32 so that no label loses too much. Pure.

What int8 costs a product is counted by label, as the divergence of its answers; what it saves is its time. A product
that costs the labels in need much and saves little goes back first. Search and order are ours; that products differ in
how much int8 hurts them, and are best ranked by cost against gain, is from HAWQ (Dong et al. 2019).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.metrics import decide, f1, per_label, roc_auc

Array = NDArray[np.float64]
# F1 of fewer positives is chance
LEAST_SUPPORT = 30
_LEAST = 1e-7


@dataclass(frozen=True)
class Losses:
    """What each of L labels lost, in ROC-AUC and in F1, (L,); NaN where it is undefined or does not count.

    limits: the most that a label may lose, of ROC-AUC and of F1.
    """

    roc_auc: Array
    f1: Array
    limits: tuple[float, float]

    @property
    def excess(self) -> Array:
        """Each label's loss in limits (L,): above 1 it does not hold; 0 where nothing is defined of it."""
        shares = [loss / max(limit, _LEAST) for loss, limit in zip((self.roc_auc, self.f1), self.limits, strict=True)]
        return np.maximum(*(np.nan_to_num(share, nan=0.0) for share in shares))

    @property
    def worst(self) -> float:
        """Of all labels."""
        return float(self.excess.max(initial=0.0))

    @property
    def holds(self) -> bool:
        """Whether no label loses more than it may."""
        return self.worst <= 1

    @property
    def label(self) -> int:
        """Which label comes nearest to its limit, or is furthest beyond."""
        return int(self.excess.argmax())

    def said(self, label: int) -> str:
        """What a label lost where it lost most: `it loses 0.0051 of ROC-AUC, 0.003 is allowed`."""
        lost, limit, metric = max(
            (
                (float(losses[label]), limit, name)
                for losses, limit, name in zip((self.roc_auc, self.f1), self.limits, ("ROC-AUC", "F1"), strict=True)
                if not np.isnan(losses[label])
            ),
            key=lambda it: it[0] / max(it[1], _LEAST),
            default=(0.0, self.limits[0], "ROC-AUC"),
        )
        return f"it loses {max(lost, 0):.4f} of {metric}, {limit:g} is allowed"


def losses(
    targets: NDArray[Any],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    thresholds: tuple[float, ...] | None,
    limits: tuple[float, float],
) -> Losses:
    """What labels lost between two sets of probabilities (N, L). F1 counts where a label has 30 positives or more.

    thresholds: (L,), or None of single-label, where argmax decides.
    """
    bound = None if thresholds is None else np.asarray(thresholds, np.float32)
    auc = _difference(per_label(roc_auc, targets, before), per_label(roc_auc, targets, after))
    scores = [per_label(f1, targets, decide(it, bound)) for it in (before, after)]
    lost = np.where(targets.sum(axis=0) >= LEAST_SUPPORT, _difference(*scores), np.nan)
    return Losses(auc, lost, limits)


def _difference(before: Sequence[float | None], after: Sequence[float | None]) -> Array:
    undefined = [one is None or other is None for one, other in zip(before, after, strict=True)]
    first, second = (np.array([0.0 if it is None else it for it in values]) for values in (before, after))
    return np.where(undefined, np.nan, first - second)


def label_divergence(before: NDArray[np.float32], after: NDArray[np.float32]) -> Array:
    """Mean Kullback-Leibler divergence KL(before || after) of each label, in nats (L,). before, after: (N, L).

    Of each label against its absence, also where they are softmax's: then one label against all others, which is at
    most the divergence of the whole distribution (Cover and Thomas 2006, theorem 2.8.1).
    """
    p, q = (np.clip(np.asarray(it, np.float64), _LEAST, 1 - _LEAST) for it in (before, after))
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return np.asarray(divergence.mean(axis=0)) if len(p) else np.zeros(p.shape[1])


@dataclass(frozen=True)
class Found:
    """Which products stay in fp32, and why.

    kept: their numbers. losses: of that mix. binding: the number of a product and the losses with it in int8 as well:
    of the kept ones the one that came nearest to holding when it was tried; None where none was. ended: "done", or
    "time" where the clock cut the search short. tried: mixes that were judged.
    """

    kept: frozenset[int]
    losses: Losses
    binding: tuple[int, Losses] | None
    ended: Literal["done", "time"]
    tried: int


def search(
    costs: Array, savings: Array, judge: Callable[[Collection[int]], Losses], in_time: Callable[[], bool]
) -> Found:
    """The fewest products in fp32 with which every label holds: none of them alone can be int8 too, given the time.

    costs: (P, L), what int8 costs each label. savings: (P,), above 0. judge: the losses with these products in fp32.
    First as many go back as it takes, doubling their number; then each is tried in int8 again, the least needed first.
    Where no mix holds, or none is found in time, it is the one whose worst label is the least beyond its limit.
    """
    tried: dict[frozenset[int], Losses] = {}

    def look(kept: frozenset[int]) -> Losses:
        if kept not in tried:
            tried[kept] = judge(kept)
        return tried[kept]

    kept: frozenset[int] = frozenset()
    current, products = look(kept), len(savings)
    while not current.holds and len(kept) < products and in_time():
        order = np.argsort(-need(costs, savings, current), kind="stable").tolist()
        kept |= frozenset([it for it in order if it not in kept][: max(1, len(kept))])
        current = look(kept)
    if not current.holds:
        best = min(tried, key=lambda it: (tried[it].worst, len(it)))
        return Found(best, tried[best], None, "done" if len(kept) == products else "time", len(tried))
    return _without_surplus(kept, need(costs, savings, tried[frozenset()]), tried, look, in_time)


def need(costs: Array, savings: Array, found: Losses) -> Array:
    """How much each product should go back (P,): what it costs the labels beyond their limits, by what it saves."""
    beyond = np.maximum(found.excess - 1, 0)
    return np.asarray(costs @ beyond / savings)


def _without_surplus(
    kept: frozenset[int],
    needed: Array,
    tried: dict[frozenset[int], Losses],
    look: Callable[[frozenset[int]], Losses],
    in_time: Callable[[], bool],
) -> Found:
    failed: dict[int, Losses] = {}
    ended: Literal["done", "time"] = "done"
    before: frozenset[int] | None = None
    while before != kept and ended == "done":  # what failed may hold once others are int8: errors can cancel out
        before = kept
        for product in sorted(kept, key=lambda it: (needed[it], it)):
            if not in_time():
                ended = "time"
                break
            found = look(kept - {product})
            if found.holds:
                kept -= {product}
                failed.pop(product, None)
            else:
                failed[product] = found
    binding = min(failed.items(), key=lambda it: it[1].worst, default=None)
    return Found(kept, tried[kept], binding, ended, len(tried))
