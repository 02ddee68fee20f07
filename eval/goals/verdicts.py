"""Whether a goal is met: from what was measured of a candidate to verdicts. Pure.

Met: the whole 95 % interval lies on the good side of the bound. Missed: all of it on the bad side. Else undecided, and
with fewer than 10 positives, of a ROC-AUC 10 positives or negatives, of a regression 10 rows, undecided whatever the
interval says. Against another model the interval is that of the paired difference. What has no interval (a size, a
number of parameters) is met or missed as it is.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from eval.contract import Interval
from eval.goals.evidence import Evidence, Found, against, find
from eval.goals.goal import EachLabel, Goal, OneLabel, Relation, is_share
from eval.measurement import SetQuality

State: TypeAlias = Literal["met", "missed", "undecided"]
_HOPELESS = 100  # times as far from the value as the bound: 10,000 times the rows would be needed


@dataclass(frozen=True)
class Verdict:
    """What came of one goal of one candidate; of a goal for each label, one verdict a label.

    goal: its text, of one label. measured: in the metric's unit, with `against` the difference candidate - against;
    low and high are None where no interval is measured, all is None where there is nothing to judge on. bound: what
    measured is to be at least (>=) or at most (<=). slack: how far measured is from it, above 0 on the good side.
    reason: what a reader must know beside, or nothing. more_positives: about how many more positives in the test set
    would decide an undecided goal if what was measured stays; None where more would not, or where it is no matter of
    positives (a time, a size, something undefined for want of negatives or of positive decisions).
    """

    goal: str
    candidate: str
    state: State
    metric: str
    measured: Interval
    relation: Relation
    bound: float
    slack: float | None
    reason: str = ""
    more_positives: int | None = None
    against: str | None = None


def judge_goal(goal: Goal, evidence: Evidence) -> tuple[Verdict, ...]:
    """One verdict; of a goal for each label, one for each, in the labels' order."""
    quality = evidence.candidate.quality_by_set.get(goal.test_set or evidence.first_set)
    if isinstance(goal.at, EachLabel) and isinstance(quality, SetQuality):
        return tuple(it for label in quality.labels for it in judge_goal(replace(goal, at=OneLabel(label)), evidence))
    found = find(goal, evidence)
    state = _state(goal, found)
    more = _more(goal, found) if state == "undecided" else None
    verdict = Verdict(
        goal=str(goal),
        candidate=evidence.candidate.id,
        state=state,
        metric=goal.metric.name,
        measured=found.measured,
        relation=goal.relation,
        bound=goal.bound,
        slack=None if found.measured.value is None else _slack(goal, found.measured.value),
        reason=_reason(goal, found, state, more),
        more_positives=more if found.positives else None,
        against=against(goal, evidence),
    )
    return (verdict,)


def closest_miss(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The missed goal that is the least short of its bound: in points of a share, else in parts of the bound."""
    return min((it for it in verdicts if it.state == "missed"), key=_shortfall, default=None)


def _shortfall(verdict: Verdict) -> float:
    return abs(verdict.slack or 0.0) / (1.0 if is_share(verdict.metric) else abs(verdict.bound) or 1.0)


def _slack(goal: Goal, value: float) -> float:
    return value - goal.bound if goal.relation == ">=" else goal.bound - value


def _state(goal: Goal, found: Found) -> State:
    value, low, high = found.measured.value, found.measured.low, found.measured.high
    if value is None or found.problem or found.is_thin:
        return "undecided"
    if low is None or high is None:  # a fact
        low = high = value
    slacks = (_slack(goal, low), _slack(goal, high))
    if min(slacks) >= 0:
        return "met"
    return "missed" if max(slacks) < 0 else "undecided"


def _more(goal: Goal, found: Found) -> int | None:
    """How many more would decide, if the value stays and the interval narrows with the square root of the count.

    Of what is undefined: how many would define it, where it is for want of them.
    """
    value, low, high = found.measured.value, found.measured.low, found.measured.high
    if found.problem or not found.unit or (value is None and found.count):
        return None
    if value is None or low is None or high is None:
        return found.least - found.carried if found.is_thin else None
    distance = abs(value - goal.bound)
    towards = value - low if value > goal.bound else high - value
    if towards > _HOPELESS * distance:
        return None
    least = found.count + found.least - found.carried
    needed = max(found.count * (towards / distance) ** 2 if distance else 0, least)
    return max(1, _two_digits(needed - found.count))


def _two_digits(count: float) -> int:
    """Rounded up to two digits: 137.2 -> 140."""
    whole = math.ceil(count)
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / unit) * unit


def _reason(goal: Goal, found: Found, state: State, more: int | None) -> str:
    said, value = [found.remark, found.problem], found.measured.value
    if state == "undecided" and not found.problem:
        said += [_why_no_number(found)] if value is None else [_too_few(found), _what_decides(goal, found, value, more)]
    return "; ".join(filter(None, said))


def _why_no_number(found: Found) -> str:
    return f"undefined: {found.undefined}" if found.undefined else "undefined"


def _too_few(found: Found) -> str:
    if not found.is_thin:
        return ""
    lies = f"{found.count} {found.named(found.count)}"
    if found.carried < found.count:
        lies += f" on {found.carried} row{'' if found.carried == 1 else 's'}"
    return f"only {lies}, and fewer than {found.least} decide nothing"


def _what_decides(goal: Goal, found: Found, value: float, more: int | None) -> str:
    if not found.unit:
        return "the bound lies within the interval"
    if more is None:
        return f"it lies on the bound: more {found.named(0)} would hardly decide"
    then = "met" if _slack(goal, value) >= 0 else "missed"
    return f"about {more:,} more {found.named(more)} would decide: {then}, if the estimate stays"
