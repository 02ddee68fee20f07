"""The difference of two numbers that were measured apart, from their own intervals. Pure.

By the method of variance estimates recovery (MOVER: Zou and Donner 2008, "Construction of confidence limits about
effect measures"), for two independent samples. Of the same rows it is too wide, never too narrow.
"""

import math
from statistics import NormalDist

from eval.contract import Interval
from eval.intervals.shares import Z

_NOTHING = Interval(None, None, None)


def mover(before: Interval, after: Interval, widen: float = 1.0) -> Interval:
    """after - before, with a 95 % interval from two independent ones; undefined where either has none.

    widen: how many times as wide both are taken first. Zou and Donner 2008, equation 6.
    """
    if before.value is None or after.value is None:
        return _NOTHING
    value = after.value - before.value
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return Interval(value, None, None)
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Interval(value, value - widen * down, value + widen * up)


def mover_ratio(before: Interval, after: Interval, widen: float = 1.0) -> Interval:
    """after / before of positive numbers, by `mover` of their logarithms."""
    found = mover(_logarithms(before), _logarithms(after), widen)
    return Interval(*(None if end is None else math.exp(end) for end in (found.value, found.low, found.high)))


def widening(count: int) -> float:
    """How many times as wide to take each of `count` 95 % intervals, that all of them hold at once in 95 %.

    Bonferroni, their tails taken for a normal distribution's. 1 for one or none.
    """
    return NormalDist().inv_cdf(1 - 0.025 / max(count, 1)) / Z


def _logarithms(positive: Interval) -> Interval:
    """Undefined where one of the three is missing or not above 0."""
    ends = (positive.value, positive.low, positive.high)
    logs = [math.log(end) for end in ends if end is not None and end > 0]
    return Interval(*logs) if len(logs) == len(ends) else _NOTHING
