"""Whether a goal is met: from what was measured of a candidate to verdicts. Pure.

Met: the whole 95 % interval lies on the good side of the bound. Missed: all of it on the bad side. Else undecided, and
with fewer than 10 positives undecided whatever the interval says. Against another model the interval is that of the
paired difference. What has no interval (a size, a number of parameters) is met or missed as it is.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from eval.contract import Interval
from eval.goals.goal import TEACHER, EachLabel, Goal, OneLabel, Relation, TimedAt, is_share
from eval.latency.rounds import LatencyRow
from eval.measurement import LabelQuality, Measurement, Quality, SetQuality

State: TypeAlias = Literal["met", "missed", "undecided"]
MINIMUM_POSITIVES = 10
_NOTHING = Interval(None, None, None)
_MEGA = 1e6
_HOPELESS = 100  # times as far from the value as the bound: 10,000 times the rows would be needed


@dataclass(frozen=True)
class Verdict:
    """What came of one goal of one candidate; of a goal for each label, one verdict a label.

    goal: its text, of one label. measured: in the metric's unit, with `against` the difference candidate - against;
    low and high are None where no interval is measured, all is None where there is nothing to judge on. bound: what
    measured is to be at least (>=) or at most (<=). slack: how far measured is from it, above 0 on the good side.
    reason: what a reader must know beside, or nothing. more_positives: about how many more positives in the test set
    would decide an undecided goal if what was measured stays; None where more would not, or where it is no matter of
    positives.
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


@dataclass(frozen=True)
class Evidence:
    """What a candidate's goals are judged on. all_threads: how many `threads all` were."""

    candidate: Measurement
    teacher_id: str | None
    first_set: str
    all_threads: int


@dataclass(frozen=True)
class _Found:
    """What a goal is about, as measured. count: of what lies behind the interval.

    unit, of: what one of these is called. problem: why it decides nothing. remark: what belongs to the number, e.g. the
    setting of a time.
    """

    measured: Interval
    count: int = 0
    unit: str = ""
    of: str = ""
    problem: str = ""
    remark: str = ""

    @property
    def positives(self) -> bool:
        """Whether positives lie behind it."""
        return self.unit == "positive"

    def named(self, count: int) -> str:
        """`positives of threat`."""
        return f"{self.unit}{'' if count == 1 else 's'}{self.of}"


def judge_goal(goal: Goal, evidence: Evidence) -> tuple[Verdict, ...]:
    """One verdict; of a goal for each label, one for each, in the labels' order."""
    quality = evidence.candidate.quality_by_set.get(goal.test_set or evidence.first_set)
    if isinstance(goal.at, EachLabel) and isinstance(quality, SetQuality):
        return tuple(it for label in quality.labels for it in judge_goal(replace(goal, at=OneLabel(label)), evidence))
    found = _find(goal, evidence)
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
        reason=_reason(found, state, more),
        more_positives=more if found.positives else None,
        against=_against(goal, evidence),
    )
    return (verdict,)


def closest_miss(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The missed goal that is the least short of its bound: in points of a share, else in parts of the bound."""
    return min((it for it in verdicts if it.state == "missed"), key=_shortfall, default=None)


def _shortfall(verdict: Verdict) -> float:
    return abs(verdict.slack or 0.0) / (1.0 if is_share(verdict.metric) else abs(verdict.bound) or 1.0)


def _slack(goal: Goal, value: float) -> float:
    return value - goal.bound if goal.relation == ">=" else goal.bound - value


def _state(goal: Goal, found: _Found) -> State:
    value, low, high = found.measured.value, found.measured.low, found.measured.high
    if value is None or found.problem or _is_thin(found):
        return "undecided"
    if low is None or high is None:  # a fact
        low = high = value
    slacks = (_slack(goal, low), _slack(goal, high))
    if min(slacks) >= 0:
        return "met"
    return "missed" if max(slacks) < 0 else "undecided"


def _is_thin(found: _Found) -> bool:
    return found.positives and found.count < MINIMUM_POSITIVES


def _more(goal: Goal, found: _Found) -> int | None:
    """How many more would decide, if the value stays and the interval narrows with the square root of the count."""
    value, low, high = found.measured.value, found.measured.low, found.measured.high
    least = MINIMUM_POSITIVES if found.positives else 0
    if found.problem:
        return None
    if value is None or low is None or high is None:
        return least - found.count if _is_thin(found) else None
    distance = abs(value - goal.bound)
    towards = value - low if value > goal.bound else high - value
    if towards > _HOPELESS * distance:
        return None
    needed = max(found.count * (towards / distance) ** 2 if distance else 0, least)
    return max(1, _two_digits(needed - found.count))


def _two_digits(count: float) -> int:
    """Rounded up to two digits: 137.2 -> 140."""
    whole = math.ceil(count)
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / unit) * unit


def _reason(found: _Found, state: State, more: int | None) -> str:
    said = [found.remark] if found.remark else []
    if found.problem or state != "undecided":
        return "; ".join([*said, *([found.problem] if found.problem else [])])
    if found.measured.value is None:
        return "; ".join([*said, "undefined" if found.count else f"undefined: there are no {found.named(0)}"])
    if _is_thin(found):
        said.append(f"only {found.count} {found.named(found.count)}, and fewer than {MINIMUM_POSITIVES} decide nothing")
    if more is None:
        said.append(f"it lies on the bound: more {found.named(0)} would hardly decide")
    else:
        said.append(f"about {more:,} more {found.named(more)} would decide")
    return "; ".join(said)


def _against(goal: Goal, evidence: Evidence) -> str | None:
    """The id of the model that the bound names."""
    return evidence.teacher_id or TEACHER if goal.reference == TEACHER else goal.reference


def _find(goal: Goal, evidence: Evidence) -> _Found:
    match goal.metric.kind:
        case "size":
            count = getattr(evidence.candidate.footprint, goal.metric.field)
            return _Found(Interval(count / _MEGA if goal.metric.name.endswith("_mb") else float(count), None, None))
        case "time":
            return _timed(goal, evidence)
        case "average" | "label" | "values":
            return _scored(goal, evidence)
        case _ as unknown:
            assert_never(unknown)


def _timed(goal: Goal, evidence: Evidence) -> _Found:
    at = goal.at if isinstance(goal.at, TimedAt) else TimedAt()
    row = _row(at, evidence.candidate.latency, evidence.all_threads)
    if row is None:
        return _Found(_NOTHING, problem=f"it was not timed at {at}" if str(at) else "it was not timed")
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    open_ = None in (at.device, at.batch_size, at.threads) or at.threads == "all"
    remark = f"at {row.device}, batch {row.batch_size}, {threads}" if open_ else ""
    if goal.metric.name == "speedup":
        if row.speedup_vs_teacher is None:
            return _Found(_NOTHING, problem="no speedup was measured: there is no teacher")
        return _Found(row.speedup_vs_teacher, row.samples, "round", remark=remark)
    measured = Interval(*(getattr(row, f"{goal.metric.field}{end}_ms") for end in ("", "_low", "_high")))
    problem = f"{row.samples} rounds are too few for an interval" if measured.low is None else ""
    return _Found(measured, row.samples, "round", problem=problem, remark=remark)


def _row(at: TimedAt, rows: Iterable[LatencyRow], all_threads: int) -> LatencyRow | None:
    """What was timed as the goal says; of what it leaves open the CPU, fewest threads and smallest batch come first."""
    threads = all_threads if at.threads == "all" else at.threads
    fits = [
        row
        for row in rows
        if row.tokens is None  # texts as they come
        and at.device in (None, row.device)
        and at.batch_size in (None, row.batch_size)
        and threads in (None, row.threads)
    ]
    return min(fits, key=lambda row: (row.device != "cpu", row.threads, row.batch_size), default=None)


def _scored(goal: Goal, evidence: Evidence) -> _Found:
    test_set = goal.test_set or evidence.first_set
    quality = evidence.candidate.quality_by_set.get(test_set)
    if quality is None:
        return _Found(_NOTHING, problem=f"it was not judged on a test set {test_set}")
    measured = _difference(goal, evidence, test_set) if goal.reference else _own(goal, quality)
    if measured is None:
        versus = f" less that of {_against(goal, evidence)}" if goal.reference else ""
        return _Found(_NOTHING, problem=f"{goal.about}{versus} was not measured")
    problem = "no interval was measured" if measured.value is not None and measured.low is None else ""
    if not isinstance(quality, SetQuality):
        return _Found(measured, quality.rows, "row", problem=problem)
    labels = quality.labels
    if isinstance(goal.at, OneLabel):
        name = goal.at.name
        return _Found(measured, labels[name].support, "positive", f" of {name}", problem)
    count = sum(label.support for label in labels.values())
    return _Found(measured, count, "positive", " of all labels", problem, remark=_left_out(goal, labels))


def _left_out(goal: Goal, labels: Mapping[str, LabelQuality]) -> str:
    """Labels without a positive are in no macro average, and whoever reads its verdict should know."""
    missing = [name for name, label in labels.items() if label.support == 0]
    return f"without {', '.join(missing)}: no positives" if missing and goal.metric.name.startswith("macro_") else ""


def _own(goal: Goal, quality: Quality) -> Interval | None:
    if not isinstance(goal.at, OneLabel):
        found: Interval | None = getattr(quality, goal.metric.field, None)
        return found
    label = quality.labels.get(goal.at.name) if isinstance(quality, SetQuality) else None
    if label is None:
        return None
    return Interval(*(getattr(label, f"{goal.metric.field}{end}") for end in ("", "_low", "_high")))


def _difference(goal: Goal, evidence: Evidence, test_set: str) -> Interval | None:
    details = evidence.candidate.details_by_set.get(test_set)
    found = details.against.get(_against(goal, evidence) or "") if details else None
    if found is None:
        return None
    if isinstance(goal.at, OneLabel):
        by_label: dict[str, Interval] = getattr(found, goal.metric.name)
        return by_label.get(goal.at.name)
    of_metric: Interval = getattr(found, goal.metric.field)
    return of_metric
