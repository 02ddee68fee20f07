"""What a goal is judged on: its number among what was measured, and how much lies behind it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from eval.contract import Interval
from eval.goals.goal import TEACHER, Goal, OneLabel, TimedAt
from eval.latency.conditions import threads_text
from eval.latency.rounds import LatencyRow
from eval.measurement import LabelQuality, Measurement, Quality, SetQuality
from eval.values import RegressionQuality

MINIMUM_POSITIVES = 10
MINIMUM_ROWS = 10  # of a regression
_NOTHING = Interval(None, None, None)
_MEGA = 1e6
_NONE_DECIDED = "no positive decisions"  # a precision is a share of them


@dataclass(frozen=True)
class Evidence:
    """What a candidate's goals are judged on. all_threads: how many `threads all` were."""

    candidate: Measurement
    teacher_id: str | None
    first_set: str
    all_threads: int


@dataclass(frozen=True)
class Found:
    """What a goal is about, as measured. count: of what lies behind the interval; least: with fewer nothing is decided.

    unit, of: what one of these is called; no unit where the interval does not narrow as a count grows. rows: of an
    average over labels, the rows that hold those, of which several may be on one. problem: why it decides nothing.
    undefined: why it is no number, where that is known. remark: what belongs to the number, e.g. the setting of a time.
    """

    measured: Interval
    count: int = 0
    unit: str = ""
    of: str = ""
    least: int = 0
    rows: int | None = None
    problem: str = ""
    undefined: str = ""
    remark: str = ""

    @property
    def positives(self) -> bool:
        """Whether positives lie behind it."""
        return self.unit == "positive"

    @property
    def is_thin(self) -> bool:
        """Whether too little lies behind it, whatever it says."""
        return self.carried < self.least

    @property
    def carried(self) -> int:
        """How many tell something of their own."""
        return self.count if self.rows is None else min(self.count, self.rows)

    def named(self, count: int) -> str:
        """`positives of threat`."""
        return f"{self.unit}{'' if count == 1 else 's'}{self.of}"


def find(goal: Goal, evidence: Evidence) -> Found:
    """What was measured of what the goal is about; a goal for each label has been made one for each before."""
    match goal.metric.kind:
        case "size":
            count = getattr(evidence.candidate.footprint, goal.metric.field)
            return Found(Interval(count / _MEGA if goal.metric.name.endswith("_mb") else float(count), None, None))
        case "time":
            return _timed(goal, evidence)
        case "average" | "label" | "values":
            return _scored(goal, evidence)
        case _ as unknown:
            assert_never(unknown)


def against(goal: Goal, evidence: Evidence) -> str | None:
    """The id of the model that the bound names."""
    return evidence.teacher_id or TEACHER if goal.reference == TEACHER else goal.reference


def _timed(goal: Goal, evidence: Evidence) -> Found:
    at = goal.at if isinstance(goal.at, TimedAt) else TimedAt()
    row = _row(at, evidence.candidate.latency, evidence.all_threads)
    if row is None:
        return Found(_NOTHING, problem=f"it was not timed at {at}" if str(at) else "it was not timed")
    threads = threads_text(row.threads)
    open_ = None in (at.device, at.batch_size, at.threads) or at.threads == "all"
    remark = f"at {row.device}, batch {row.batch_size}, {threads}" if open_ else ""
    if goal.metric.name == "speedup":
        if row.speedup_vs_teacher is None:
            return Found(_NOTHING, problem="no speedup was measured: there is no teacher")
        return Found(row.speedup_vs_teacher, remark=remark)  # its interval is over openings of the models, not rounds
    measured = Interval(*(getattr(row, f"{goal.metric.field}{end}_ms") for end in ("", "_low", "_high")))
    problem = f"{row.samples} rounds are too few for an interval" if measured.low is None else ""
    return Found(measured, row.samples, "round", problem=problem, remark=remark)


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


def _scored(goal: Goal, evidence: Evidence) -> Found:
    test_set = goal.test_set or evidence.first_set
    quality = evidence.candidate.quality_by_set.get(test_set)
    if quality is None:
        return Found(_NOTHING, problem=f"it was not judged on a test set {test_set}")
    measured = _difference(goal, evidence, test_set) if goal.reference else _own(goal, quality)
    if measured is None:
        versus = f" less that of {against(goal, evidence)}" if goal.reference else ""
        return Found(_NOTHING, problem=f"{goal.about}{versus} was not measured")
    if isinstance(quality, RegressionQuality):
        found = Found(measured, quality.rows, "row", least=MINIMUM_ROWS)
    else:
        found = _of_labels(goal, measured, quality)
    bare = measured.value is not None and measured.low is None and not found.is_thin
    return replace(found, problem="no interval was measured") if bare else found


def _of_labels(goal: Goal, measured: Interval, quality: SetQuality) -> Found:
    metric, labels = goal.metric.field.removeprefix("macro_").removeprefix("micro_"), quality.labels
    if isinstance(goal.at, OneLabel):
        label, of = labels[goal.at.name], f" of {goal.at.name}"
        why = _missing(metric, label, quality.rows)
        undefined = f"there are {why}{of}" if why else ""
        return Found(
            measured, *_behind(metric, [label.support], quality.rows), of, MINIMUM_POSITIVES, undefined=undefined
        )
    supports = [label.support for label in labels.values()]
    count = sum(supports)
    remark = _left_out(metric, quality) if goal.metric.field.startswith("macro_") else ""
    undefined = _missing_everywhere(metric, count, quality)
    pooled = goal.metric.field.startswith("micro_")
    behind = _behind(metric, [count] if pooled else supports, quality.rows * (len(labels) if pooled else 1))
    rows = max(supports, default=0) if quality.positive_rows is None else quality.positive_rows  # as many at least
    return Found(measured, *behind, " of all labels", MINIMUM_POSITIVES, rows=rows, undefined=undefined, remark=remark)


def _behind(metric: str, supports: Sequence[int], rows: int) -> tuple[int, str]:
    """How many rows a metric rests on and what they are: positives; of a ROC-AUC the fewer of these and negatives."""
    fewer = sum(min(support, rows - support) for support in supports)
    if metric != "roc_auc" or fewer == sum(supports):
        return sum(supports), "positive"
    return fewer, "negative" if all(rows - support <= support for support in supports) else "minority row"


def _missing(metric: str, label: LabelQuality, rows: int) -> str:
    """What a label lacks for a metric to be defined, or nothing."""
    if label.support == 0:
        return "no positives"
    if metric == "roc_auc" and label.support == rows:
        return "no negatives"
    return _NONE_DECIDED if metric == "precision" and label.precision is None else ""


def _missing_everywhere(metric: str, positives: int, quality: SetQuality) -> str:
    if positives == 0:
        return "there are no positives"
    if metric == "precision":
        return f"there are {_NONE_DECIDED}"
    if positives == quality.rows * len(quality.labels):
        return "there are no negatives"
    return "no label has both positives and negatives" if metric == "roc_auc" else ""


def _left_out(metric: str, quality: SetQuality) -> str:
    """Labels that are in no macro average, for whoever reads its verdict should know."""
    lacks: dict[str, list[str]] = {}
    for name, label in quality.labels.items():
        lacks.setdefault(_missing(metric, label, quality.rows), []).append(name)
    return "; ".join(f"without {', '.join(names)}: {why}" for why, names in lacks.items() if why)


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
    found = details.against.get(against(goal, evidence) or "") if details else None
    if found is None:
        return None
    if isinstance(goal.at, OneLabel):
        by_label: dict[str, Interval] = getattr(found, goal.metric.name)
        return by_label.get(goal.at.name)
    of_metric: Interval = getattr(found, goal.metric.field)
    return of_metric
