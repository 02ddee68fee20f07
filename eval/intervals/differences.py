"""One candidate less another on the same rows: paired differences with intervals. Pure NumPy.

Both are scored on the same resamples, drawn with one seed, and the scores subtracted resample by resample (paired
bootstrap, Efron and Tibshirani 1993), so that what makes a resample hard for both cancels. The 95 % interval is the
difference and as many standard deviations of those draws; but where the two rarely disagree the draws vary less than
they should, or not at all: what was not seen in 20 positives may still befall one in ten. So the variance is that of
the draws and of z ** 2 = 3.84 positives more on which the two disagree, half of them for either side, as Agresti and
Min (2005) and Bonett and Price (2012) add some to paired shares. In a macro mean the labels' draws go together as they
do, and what is added as their positives do: a row that is lost is lost by all of its labels.

What one such positive, or a negative of a ROC-AUC with fewer of those, moves a metric by:

- F1: one of both finds it, the other does not. Where targets and decisions are one a row, the row that one label loses
  is another's false alarm: micro F1, there the accuracy, moves by 1 / N, and the macro mean by both labels' at once.
  Else micro F1 moves by all labels of a row at once: by the root of their mean square.
- ROC-AUC: it falls all the way down. Of 1 / 2 of the way as many as 13 % of models that rank some positives last would
  be called met at the margin, of .8 up to 5.5 %, of all of it 4 % (their number is binomial).
- Average precision: 1.5 times as far. A positive that falls from the top to the bottom moves it by 1 / P at most, but a
  negative that comes to lie anywhere among P positives by 1 / P in the mean and more than 3 / P in one of 20, so that
  with 1 up to 7 % would be called met, with 1.5 up to 3.5 %.

Measured with tests/benchmarks/bootstrap_coverage.py: a model whose F1 is worse by exactly the margin, .03 of a label or
.01 of the mean of six, has an interval above -margin in at most 2.2 % of 2,000 test sets, whatever the support (ROC-AUC
1.6 %, average precision 4 %), also where rows are lost with all of their labels; at 10 positives it never has.
Intervals of F1 held the truth in 95 to 100 %, mostly 99 or more: wider than 95 % asks for, at 100 positives too, since
they allow for what was not seen even where some was.

Not covered: of an average precision, false alarms so rare that none was seen and so sure of themselves that they rank
above all positives.

An exact copy differs by nothing: where all probabilities and decisions of a label are equal, nothing is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal, TypeAlias

import numpy as np

from eval.contract import Interval, Targets
from eval.intervals.proportions import carriers, correlations, few_rows, overlaps, variance_of
from eval.intervals.resample import Draws, Judged
from eval.intervals.shares import Z
from eval.metrics import Metric, average_precision, f1, micro, per_label, roc_auc

_Both: TypeAlias = tuple[Judged, Judged]  # own, reference
_METRICS: dict[str, Metric] = {"f1": f1, "roc_auc": roc_auc, "average_precision": average_precision}
_DIGITS = 5
_RANK_STEPS = {"roc_auc": 1.0, "average_precision": 1.5}  # of one row in as many as carry the metric


@dataclass(frozen=True)
class Differences:
    """Candidate less reference, so above 0 is better; 95 % intervals. Undefined where a metric is for either.

    label_f1, label_roc_auc, label_average_precision: by label. equal_decisions: share of all N x L decisions that are
    the same in both.
    """

    macro_f1: Interval
    micro_f1: Interval
    macro_roc_auc: Interval
    macro_average_precision: Interval
    label_f1: dict[str, Interval]
    label_roc_auc: dict[str, Interval] = field(default_factory=dict)
    label_average_precision: dict[str, Interval] = field(default_factory=dict)
    equal_decisions: float | None = None


def paired_differences(targets: Targets, labels: tuple[str, ...], own: Judged, reference: Judged) -> Differences:
    """How much better `own` is than `reference` on the same rows. targets: (N, L). Both resampled with one seed."""
    both = (own, reference)
    copied = ((own.decisions == reference.decisions) & (own.probabilities == reference.probabilities)).all(axis=0)
    one_each = all((it.sum(axis=1, dtype=np.int64) == 1).all() for it in (targets, own.decisions, reference.decisions))
    apart = {name: _apart(name, targets, both, copied) for name in _METRICS}
    unseen = overlaps(targets.astype(bool))
    macros = {name: _macro(it, _draws("labels", name, both), unseen) for name, it in apart.items()}
    by_label = {name: dict(zip(labels, it.parts(), strict=True)) for name, it in apart.items()}
    return Differences(
        macro_f1=_moved_together(macros["f1"], apart["f1"], both) if one_each else macros["f1"],
        micro_f1=_micro_f1(targets, both, copied=bool(copied.all()), one_each=one_each),
        macro_roc_auc=macros["roc_auc"],
        macro_average_precision=macros["average_precision"],
        label_f1=by_label["f1"],
        label_roc_auc=by_label["roc_auc"],
        label_average_precision=by_label["average_precision"],
        equal_decisions=round(float((own.decisions == reference.decisions).mean()), _DIGITS),
    )


@dataclass(frozen=True)
class _Apart:
    """How a metric differs, (L,) each: values, the variance of the draws, and what one unseen row moves it by."""

    values: list[float | None]
    variances: Draws
    steps: Draws

    @property
    def defined(self) -> list[int]:
        return [place for place, value in enumerate(self.values) if value is not None]

    def parts(self) -> list[Interval]:
        return [_around(*each) for each in zip(self.values, self.variances, self.steps, strict=True)]


def _apart(name: str, targets: Targets, both: _Both, copied: Targets) -> _Apart:
    own, reference = (
        per_label(_METRICS[name], targets, it.decisions if name == "f1" else it.probabilities) for it in both
    )
    values = [_less(*each) for each in zip(own, reference, strict=True)]
    few = [1.0 if name == "f1" else few_rows(it) for it in _carried(name, targets)]
    varies = [variance_of(draws) * more for draws, more in zip(_draws("labels", name, both).T, few, strict=True)]
    return _Apart(values, np.array(varies), np.where(copied, 0.0, _steps(name, targets, both)))


def _macro(apart: _Apart, draws: Draws, unseen: Draws) -> Interval:
    """Of the mean of the labels for which it is defined. draws: (R, L). unseen: (L, L), how added rows go together."""
    places = apart.defined
    if not places:
        return Interval(None, None, None)
    seen, added = correlations(draws[:, places], np.eye(len(places))), unseen[np.ix_(places, places)]
    spread, steps = np.sqrt(apart.variances[places]), apart.steps[places]
    varies, moved = (max(float(it @ related @ it), 0.0) for it, related in ((spread, seen), (steps, added)))
    value = float(np.mean([apart.values[place] for place in places]))
    return _around(value, varies / len(places) ** 2, sqrt(moved) / len(places))


def _moved_together(mean: Interval, apart: _Apart, both: _Both) -> Interval:
    """The macro mean's interval, at least as wide as rows ask for that change from one label to another: two steps."""
    defined = apart.steps[apart.defined]
    two = float(np.sort(defined)[-2:].sum()) / max(len(defined), 1)
    wide = _around(mean.value, variance_of(_draws("averages", "macro_f1", both)), two)
    if mean.low is None or mean.high is None or wide.low is None or wide.high is None:
        return mean
    return Interval(mean.value, min(mean.low, wide.low), max(mean.high, wide.high))


def _micro_f1(targets: Targets, both: _Both, *, copied: bool, one_each: bool) -> Interval:
    own, reference = (micro(f1, targets, it.decisions) for it in both)
    pooled = [it.decisions.reshape(-1, 1) for it in both]
    step = 1 / len(targets) if one_each else float(_f1_steps(targets.reshape(-1, 1), pooled)[0]) * _at_once(targets)
    draws = _draws("averages", "micro_f1", both)
    return _around(_less(own, reference), variance_of(draws), 0.0 if copied else step)


def _at_once(targets: Targets) -> float:
    """Labels that a row with any has, the root of their mean square."""
    held = targets.sum(axis=1, dtype=np.float64)
    return sqrt(float((held[held > 0] ** 2).mean())) if held.any() else 1.0


def _steps(name: str, targets: Targets, both: _Both) -> Draws:
    """(L,): how far a label's metric moves with one more row on which both disagree."""
    if name == "f1":
        return _f1_steps(targets, [it.decisions for it in both])
    return np.asarray(_RANK_STEPS[name] / np.maximum(_carried(name, targets), 1))


def _carried(name: str, targets: Targets) -> list[int]:
    positives: list[int] = targets.sum(axis=0, dtype=np.int64).tolist()
    return [carriers(name, it, len(targets) - it) for it in positives]


def _f1_steps(targets: Targets, both: Sequence[Targets]) -> Draws:
    """(L,): how far the difference in F1 = 2 TP / S moves with one more positive that only one of both finds.

    The one that finds it gains 2 (1 - F1) / S, the other loses F1 / S; of both ways the larger.
    """
    positives = targets.sum(axis=0, dtype=np.int64)
    gains, losses = [], []
    for decisions in both:
        total = np.maximum(positives + decisions.sum(axis=0, dtype=np.int64), 1)
        value = 2 * (targets & decisions).sum(axis=0, dtype=np.int64) / total
        gains.append(2 * (1 - value) / total)
        losses.append(value / total)
    return np.asarray(np.maximum(gains[0] + losses[1], gains[1] + losses[0]))


def _draws(kind: Literal["labels", "averages"], name: str, both: _Both) -> Draws:
    own, reference = (getattr(it.draws, kind)[name] for it in both)
    return np.asarray(own - reference)


def _around(value: float | None, variance: float, step: float) -> Interval:
    """value: in [-1, 1]. variance: of its draws. step: what one unseen disagreement would move it by."""
    if value is None:
        return Interval(None, None, None)
    reach = Z * sqrt(variance + (Z * step) ** 2)
    return Interval(value, max(value - reach, -1.0), min(value + reach, 1.0))


def _less(own: float | None, reference: float | None) -> float | None:
    return None if own is None or reference is None else own - reference
