"""95 % intervals of a metric that lies in [0, 1]: Wilson's, from an exact or an effective number of trials.

A share of n trials has Wilson's score interval (Wilson 1927), which holds at few trials and at 0 and 1, where a
percentile bootstrap shrinks to a point. F1 is no share, but F1 = 2J / (1 + J), and J = TP / (TP + FP + FN) is a share
of the rows that were positive or decided so: the interval of F1 is that of J, transformed (Lam, Gopal and Qian 2024,
"Confidence intervals for the F1 score: a comparison of four methods", the Wilson indirect one).

Of any other metric the bootstrap says how much it varies, and so of how many trials it would be a share: n = v (1 - v)
/ variance. Its interval is Wilson's of that many (as Korn and Graubard 1998 do for surveys).
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.contract import Interval
from eval.intervals.resample import Draws
from eval.intervals.shares import Z, wilson

_Number = TypeVar("_Number", float, Draws)


def share_interval(share: float, trials: float) -> Interval:
    """Of a share of that many trials; of none all of [0, 1], for nothing is known of it."""
    of = wilson(share * trials, trials)
    low, high = of.low or 0.0, 1.0 if of.high is None else of.high
    return Interval(share, min(low, share), max(high, share))


def f1_interval(f1: float, trials: float) -> Interval:
    """Of F1 = 2 TP / (2 TP + FP + FN). trials: TP + FP + FN."""
    of = share_interval(jaccard(f1), trials)
    return Interval(f1, min(f1, _f1(of.low)), max(f1, _f1(of.high)))


def jaccard(f1: _Number) -> _Number:
    """J = TP / (TP + FP + FN) of F1 = 2 TP / (2 TP + FP + FN)."""
    return f1 / (2 - f1)


def _f1(share: float | None) -> float:
    return 0.0 if share is None else 2 * share / (1 + share)


def effective_trials(value: float, draws: Draws) -> float:
    """Of how many trials a share `value` would vary as much as its draws do; inf where they do not vary.

    draws: (R,), NaN where undefined.
    """
    variance = variance_of(draws)
    return value * (1 - value) / variance if variance > 0 else math.inf


def ranking_trials(positives: int, negatives: int, roc_auc: float) -> float:
    """Of how many trials a ROC-AUC is a share, by the variance that Newcombe (2006) gives it in his method 5.

    He takes Hanley and McNeil's (1982) for exponential scores and the mean of both numbers of rows for each. Near 1 and
    with few positives, where a sample holds none of the rare positive that ranks low, draws vary less than they should,
    and this does not. Every ROC-AUC has at least as many as the smaller of both numbers (Birnbaum and Klose 1957).
    """
    pull = (1 - roc_auc) / (2 - roc_auc) + roc_auc / (1 + roc_auc)
    mean = max((positives + negatives) / 2 - 1, 0)
    return max(positives * negatives / (1 + mean * pull), min(positives, negatives))


def few_rows(rows: int) -> float:
    """What draws' variance is multiplied with where `rows` rows carry a metric, above 1. See `carriers`.

    Draws vary as if divided by n, not n - 1; and a variance from few rows is itself unsure, hence Student's t.
    """
    from scipy.special import stdtrit

    freedom = max(rows - 1, 1)
    return float((stdtrit(freedom, 0.975) / Z) ** 2 * (freedom + 1) / freedom)


def carriers(name: str, positives: int, negatives: int) -> int:
    """How many rows carry a ranking's metric: its positives; of a ROC-AUC, in which both count alike, the fewer."""
    return min(positives, negatives) if name == "roc_auc" else positives


def variance_of(draws: Draws) -> float:
    """Variance of the defined ones of (R,) draws; 0 where fewer than two are."""
    defined = draws[~np.isnan(draws)]
    return float(defined.var()) if defined.size > 1 else 0.0


def overlaps(marked: NDArray[np.bool_]) -> Draws:
    """(N, L) rows marked for each of L labels -> (L, L): rows marked for both / root of the product of the two counts.

    The correlation of two numbers of lost rows, where whole rows are lost, each as likely as the other and few.
    """
    return _cosines(marked.astype(np.float64), np.eye(marked.shape[1]))


def correlations(draws: Draws, unseen: Draws) -> Draws:
    """(R, L) draws -> (L, L). An undefined draw counts as the mean. unseen: of what does not vary with any other."""
    defined = ~np.isnan(draws)
    means = np.where(defined, draws, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    return np.clip(_cosines(np.where(defined, draws - means, 0.0), unseen), -1, 1)


def _cosines(columns: Draws, otherwise: Draws) -> Draws:
    """(N, L) -> (L, L): of the angles between columns; `otherwise` where one of the two is all 0. 1 with itself."""
    together = columns.T @ columns
    lengths = np.sqrt(np.diag(together))
    scale = np.outer(lengths, lengths)
    found = np.divide(together, scale, out=otherwise.copy(), where=scale > 0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def mean_interval(parts: Sequence[Interval], draws: Draws, unseen: Draws | None = None) -> Interval:
    """Of the mean of L intervals, those undefined left out. draws: (R, L), from which their correlations come.

    unseen: (L, L), what they count as where draws do not vary; by default those parts are independent of all others.
    A label without an error shows no correlation, and its first may well be the row that others lose.

    MOVER (Zou and Donner 2008): each bound lies as far from the mean as the parts' own bounds from theirs, added up as
    standard deviations are; so what holds of every part, however thin, holds of the mean.
    """
    places = [place for place, part in enumerate(parts) if part.value is not None]
    if not places:
        return Interval(None, None, None)
    values, lows, highs = (
        np.array([getattr(parts[place], bound) for place in places]) for bound in ("value", "low", "high")
    )
    supposed = np.eye(len(places)) if unseen is None else unseen[np.ix_(places, places)]
    related = correlations(draws[:, places], supposed)
    value = float(values.mean())
    below, above = (float(np.sqrt(max(gaps @ related @ gaps, 0.0))) for gaps in (values - lows, highs - values))
    below, above = below / len(places), above / len(places)
    return Interval(value, max(value - below, float(lows.min())), min(value + above, float(highs.max())))


def at_least(mean: Interval, draws: Draws) -> Interval:
    """A mean's interval, on each side at least Z standard deviations of its draws, within [0, 1].

    A label that is perfect but for one row by bad luck has little room above in its own interval, and a mean of such
    labels too little.
    """
    if mean.value is None or mean.low is None or mean.high is None:
        return mean
    reach = Z * math.sqrt(variance_of(draws))
    return Interval(mean.value, min(mean.low, max(mean.value - reach, 0)), max(mean.high, min(mean.value + reach, 1)))
