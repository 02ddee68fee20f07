"""One report beside another: what is better or worse beyond noise. Pure.

Two runs need not have one test row in common, so nothing is paired: the interval of a difference is made of the two
reports' own intervals by the method of variance estimates recovery (MOVER: Zou and Donner 2008, "Construction of
confidence limits about effect measures"). Where the runs do share their rows that is too wide, never too narrow.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

from eval.contract import Interval
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement, SetQuality
from eval.report.comparison import MISSING, UNDEFINED, number, setting_of, significant
from eval.report.report import Report
from eval.values import RegressionQuality

Verdict: TypeAlias = Literal["better", "worse", "same", "undecided"]
SAME_SIZE = 0.01  # a hundredth more or less of bytes is no change worth a verdict
_Z = NormalDist().inv_cdf(0.975)
_AVERAGES = ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision")
_VALUES = {"macro_r2": 1, "macro_spearman": 1, "macro_rmse": -1, "macro_mae": -1}  # -1: less is better
_TARGET = {"r2": 1, "spearman": 1, "rmse": -1, "mae": -1}
_NOTHING = Interval(None, None, None)
_SAID: dict[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "same": "same within noise",
    "undecided": "no verdict",
}
_MACHINE = ("cpu", "cpu_features", "cores", "memory_gb", "gpu", "gpu_driver", "system")


@dataclass(frozen=True)
class Change:
    """One number in both reports. difference: after - before, or of a speedup after / before, with its 95 % interval.

    what: quality, size or latency. verdict: same is "within noise"; undecided where a number or an interval is missing,
    or times do not compare: two machines, other work on one, two teachers.
    """

    what: Literal["quality", "label", "size", "latency"]
    name: str
    before: float | None
    after: float | None
    difference: Interval
    verdict: Verdict


@dataclass(frozen=True)
class CandidateChanges:
    """Of one candidate that both reports have."""

    candidate: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class ReportChanges:
    """The second report less the first one. added, removed: ids that only the second, or the first, has."""

    candidates: tuple[CandidateChanges, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def any_worse(self) -> bool:
        """Whether anything of any candidate is worse beyond noise."""
        return any(change.verdict == "worse" for it in self.candidates for change in it.changes)


def compare_reports(before: Report, after: Report) -> ReportChanges:
    """Every candidate by id, over the test sets that both reports have."""
    old, new = ({it.id: it for it in report.candidates} for report in (before, after))
    shared = [name for name in new if name in old]
    alike = same_machine(before, after) and _same_teacher(before, after)
    timed = _quiet(before) & _quiet(after) if alike else frozenset()
    return ReportChanges(
        candidates=tuple(CandidateChanges(name, tuple(_changes(old[name], new[name], timed))) for name in shared),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        notes=tuple(_notes(before, after)),
    )


def change_rows(found: CandidateChanges) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row a change, ready to print; labels that are the same within noise share one row."""
    headings = ("what", "before", "after", "difference (95 % interval)", "verdict")
    quiet = [it for it in found.changes if it.what == "label" and it.verdict == "same"]
    rows: list[tuple[str, ...]] = [
        (it.name, _number(it, it.before), _number(it, it.after), _difference(it), _said(it))
        for it in found.changes
        if it not in quiet
    ]
    if quiet:
        rows.append((f"{len(quiet)} more of single labels", "", "", "", _SAID["same"]))
    return headings, rows


def mover(before: Interval, after: Interval, widen: float = 1.0) -> Interval:
    """after - before, with a 95 % interval from two independent ones; undefined where either has none.

    widen: how many times as wide both are taken first. Zou and Donner 2008, equation 6.
    """
    if before.value is None or after.value is None:
        return Interval(None, None, None)
    value = after.value - before.value
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return Interval(value, None, None)
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Interval(value, value - widen * down, value + widen * up)


def mover_ratio(before: Interval, after: Interval) -> Interval:
    """after / before of positive numbers, by `mover` of their logarithms."""
    logs = _logarithms(before), _logarithms(after)
    found = mover(*logs)
    return Interval(*(None if end is None else math.exp(end) for end in (found.value, found.low, found.high)))


def _logarithms(positive: Interval) -> Interval:
    """Undefined where one of the three is missing or not above 0."""
    ends = (positive.value, positive.low, positive.high)
    logs = [math.log(end) for end in ends if end is not None and end > 0]
    return Interval(*logs) if len(logs) == len(ends) else _NOTHING


def same_machine(before: Report, after: Report) -> bool:
    """Whether both name the same processor, memory, GPU and system; False where one says nothing of its machine."""
    named = [{key: it.environment.get(key) for key in _MACHINE} for it in (before, after)]
    return named[0] == named[1] and named[0]["cpu"] is not None


def _quiet(report: Report) -> frozenset[tuple[str, int]]:
    """Device and threads of the times that are known to be taken while the machine did nothing else of note."""
    return frozenset((it.device, it.threads) for it in report.timing if not it.busy)


def _changes(old: Measurement, new: Measurement, timed: frozenset[tuple[str, int]]) -> Iterator[Change]:
    """timed: device and threads of the times that can be compared."""
    for name, quality in new.quality_by_set.items():
        earlier = old.quality_by_set.get(name)
        if isinstance(quality, SetQuality) and isinstance(earlier, SetQuality):
            yield from _classifier(name, earlier, quality)
        elif isinstance(quality, RegressionQuality) and isinstance(earlier, RegressionQuality):
            yield from _regression(name, earlier, quality)
    for name in ("size_bytes", "size_gzip_bytes", "parameters"):
        yield _size(name, getattr(old.footprint, name), getattr(new.footprint, name))
    earlier_rows = {setting_of(row): row for row in old.latency}
    for row in new.latency:
        if setting_of(row) in earlier_rows:
            yield _speed(earlier_rows[setting_of(row)], row, (row.device, row.threads) in timed)


def _classifier(test_set: str, old: SetQuality, new: SetQuality) -> Iterator[Change]:
    for name in _AVERAGES:
        yield _quality("quality", f"{test_set}: {name}", getattr(old, name), getattr(new, name))
    shared = [label for label in new.labels if label in old.labels]
    widen = NormalDist().inv_cdf(1 - 0.025 / max(len(shared), 1)) / _Z
    for label in shared:
        one, two = (Interval(it.f1, it.f1_low, it.f1_high) for it in (old.labels[label], new.labels[label]))
        yield _quality("label", f"{test_set}: label_f1[{label}]", one, two, widen=widen)


def _regression(test_set: str, old: RegressionQuality, new: RegressionQuality) -> Iterator[Change]:
    for name, sense in _VALUES.items():
        yield _quality("quality", f"{test_set}: {name}", getattr(old, name), getattr(new, name), sense)
    shared = [target for target in new.targets if target in old.targets]
    widen = NormalDist().inv_cdf(1 - 0.025 / max(len(shared), 1)) / _Z
    for target in shared if len(shared) > 1 else ():
        for name, sense in _TARGET.items():
            one, two = (getattr(it.targets[target], name) for it in (old, new))
            yield _quality("label", f"{test_set}: {name}[{target}]", one, two, sense, widen)


def _quality(
    what: Literal["quality", "label"], name: str, old: Interval, new: Interval, sense: int = 1, widen: float = 1.0
) -> Change:
    found = mover(old, new, widen)
    return Change(what, name, old.value, new.value, found, _verdict(found, 0.0, sense))


def _size(name: str, old: int, new: int) -> Change:
    ends = float(new - old)
    same = abs(new - old) <= SAME_SIZE * old
    verdict: Verdict = "same" if same else "better" if new < old else "worse"
    return Change("size", name, float(old), float(new), Interval(ends, ends, ends), verdict)


def _speed(old: LatencyRow, new: LatencyRow, timed: bool) -> Change:
    """Of speedups: they are paired by round with their own run's teacher. timed: whether they can be compared."""
    name = f"speedup [{setting_of(new)}]"
    one, two = old.speedup_vs_teacher, new.speedup_vs_teacher
    if one is None or two is None:
        return Change("latency", f"p50_ms [{setting_of(new)}]", old.p50_ms, new.p50_ms, _NOTHING, "undecided")
    found = mover_ratio(one, two) if timed else _NOTHING
    return Change("latency", name, one.value, two.value, found, _verdict(found, 1.0, 1) if timed else "undecided")


def _said(change: Change) -> str:
    """A size has no noise."""
    return "same" if (change.what, change.verdict) == ("size", "same") else _SAID[change.verdict]


def _number(change: Change, value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return (
        significant(value) if change.what == "latency" else f"{value:,.0f}" if change.what == "size" else number(value)
    )


def _difference(change: Change) -> str:
    """Of a size in percent, of a speedup as a ratio, else with its sign."""
    value, low, high = change.difference.value, change.difference.low, change.difference.high
    if change.what == "size" and change.before:
        return f"{100 * ((change.after or 0.0) / change.before - 1):+z.1f} %"
    if value is None or low is None or high is None:
        return MISSING if value is None else f"{value:+z.3f}"
    if change.what == "latency":
        return f"×{significant(value)} ({significant(low)} to {significant(high)})"
    return f"{value:+z.3f} ({low:+z.3f} to {high:+z.3f})"


def _verdict(found: Interval, nothing: float, sense: int) -> Verdict:
    if found.low is None or found.high is None:
        return "undecided"
    if found.low <= nothing <= found.high:
        return "same"
    return "better" if (found.low > nothing) == (sense > 0) else "worse"


def _same_teacher(before: Report, after: Report) -> bool:
    """Speedups are relative to it; the same format and parameters in as many bytes are taken for the same speed."""
    found = [next((it for it in report.candidates if it.id == report.teacher_id), None) for report in (before, after)]
    old, new = found
    if old is None or new is None or old.format != new.format:
        return False
    bytes_before, bytes_after = old.footprint.size_bytes, new.footprint.size_bytes
    same_size = abs(bytes_after - bytes_before) <= SAME_SIZE * bytes_before
    return same_size and old.footprint.parameters == new.footprint.parameters


def _notes(before: Report, after: Report) -> Iterator[str]:
    yield (
        "unpaired: the two runs are taken as independent, also where they share test rows; then the intervals are too "
        "wide, and a difference that they call noise may be real. `compress evaluate` on artifacts of both runs, with "
        "one as --teacher, pairs them"
    )
    old, new = (
        {name: it.rows for c in report.candidates for name, it in c.quality_by_set.items()}
        for report in (before, after)
    )
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old or name not in new:
            yield f"test set {name} is in one report only: not compared"
        elif old[name] != new[name]:
            yield f"test set {name} has {old[name]} rows in the first report and {new[name]} in the second"
    if not same_machine(before, after):
        yield "the machines differ, or are not named: no verdict on latency"
    elif not _same_teacher(before, after):
        yield "the teachers differ in size, or one is missing, and speedups are relative to them: no verdict on latency"
    elif not _quiet(before) & _quiet(after):
        yield "other work kept the machine busy in one run, or nothing is known of that: no verdict on latency"
    if any(
        len(it.labels) > 1 for c in after.candidates for it in c.quality_by_set.values() if isinstance(it, SetQuality)
    ):
        yield "of single labels the intervals hold for all of a candidate's labels at once (Bonferroni)"
