"""How far to trust a time, or the ratio of two: 95 % intervals that bear noise which comes in spells.

Two things make a plain bootstrap over rounds too narrow. A neighbour's work slows many rounds in a row, so they are not
independent; and the same file opened twice lies elsewhere in memory, which alone moves its speed by one or two per cent
for as long as it stays open. So rounds are taken in blocks, a block for each opening of the models where there were
several, and the interval is that of the mean of the blocks (batch means: Schmeiser 1982, "Batch size effects in the
analysis of simulation output").
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.contract import Interval

FEWEST_OPENINGS = 5  # with fewer Student's t is so wide that blocks of rounds say more
_BLOCKS = 12
_WIDE = 1.25
_EVEN = (0.9, 1.1)


def paired_speedup(
    teacher_seconds: NDArray[np.float64], seconds: NDArray[np.float64], openings: Sequence[int] = ()
) -> Interval:
    """How many times as fast: teacher time / candidate time, with a 95 % interval.

    The geometric mean over blocks of the median ratio in each, and Student's t on their logarithms. teacher_seconds,
    seconds: (rounds,), paired by round. openings: rounds taken with each opening of the models; under 5 of them blocks
    are 12 runs of neighbouring rounds (or each round where there are fewer). Undefined under 2 rounds. A teacher
    compared with itself gives exactly 1, 1, 1.
    """
    from scipy.special import stdtrit

    ratios = np.log(teacher_seconds / seconds)
    if len(ratios) < 2:
        return Interval(None, None, None)
    middles = np.array([np.median(block) for block in _blocks(ratios, openings)])
    mean, error = middles.mean(), middles.std(ddof=1) / np.sqrt(len(middles))
    reach = float(stdtrit(len(middles) - 1, 0.975)) * error
    return Interval(*(float(np.exp(bound)) for bound in (mean, mean - reach, mean + reach)))


def percentile_interval(values: NDArray[np.float64], share: float) -> tuple[float, float] | None:
    """95 % interval of a percentile: two of the values themselves, chosen by the binomial distribution.

    values: (N,). share: 0.5 is the median. Holds for any distribution, as far as the values are independent (Conover
    1999, section 3.2). None where N is too small for it: under 6 values for the median, under 72 for the 95th
    percentile.
    """
    from scipy.special import bdtr

    count = len(values)
    below = bdtr(np.arange(count), count, share)  # chance that at most so many values lie below the percentile
    low = int(np.searchsorted(below, 0.025, side="right")) - 1
    high = int(np.searchsorted(below, 0.975))
    if low < 0 or high >= count:
        return None
    ordered = np.sort(values)
    return float(ordered[low]), float(ordered[high])


def doubt(speedup: Interval) -> Literal["", "inconclusive", "imprecise"]:
    """What of an interval is too wide to build on.

    Inconclusive: it holds 1 and reaches below 0.9 or above 1.1, so that neither "as fast" nor "faster" can be said.
    Imprecise: all of it lies on one side of 1 and its ends are more than 1.25 times apart: which is faster is
    beyond doubt, by how much is not.
    """
    low, high = speedup.low, speedup.high
    if low is None or high is None:
        return ""
    if low <= 1 <= high:
        return "inconclusive" if low < _EVEN[0] or high > _EVEN[1] else ""
    return "imprecise" if high > _WIDE * low else ""


def _blocks(ratios: NDArray[np.float64], openings: Sequence[int]) -> list[NDArray[np.float64]]:
    if len(openings) >= FEWEST_OPENINGS:
        return np.split(ratios, np.cumsum(openings)[:-1])
    return np.array_split(ratios, min(_BLOCKS, len(ratios)))
