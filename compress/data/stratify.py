"""Splitting rows off by seed so that rare labels are on both sides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.intervals.resample import strata


def held_out(targets: NDArray[Any], share: float, seed: int) -> NDArray[np.bool_]:
    """(N,) True for the rows to hold out: about `share` of the rows of each rarest label, and of those with no label.

    A label of 20 rows so gets its share too. The only row of its kind stays on this side. Rows of a regression (float
    targets) are all of one kind. The order of the columns decides which of equally rare labels counts as the rarer, and
    which rows chance takes.
    """
    generator = np.random.default_rng([seed, 0x5EED])
    stratum = np.zeros(len(targets), np.int64) if targets.dtype.kind == "f" else strata(targets)
    held = np.zeros(len(targets), dtype=np.bool_)
    for value in np.unique(stratum):
        rows = np.flatnonzero(stratum == value)
        count = min(int(share * len(rows) + 0.5), len(rows) - 1)
        held[generator.permutation(rows)[: max(count, min(1, len(rows) - 1))]] = True
    return held
