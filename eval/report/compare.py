"""One report beside another: what is better or worse beyond noise. Pure.

Two runs need not have one test row in common, so nothing is paired: the interval of a difference is made of the two
reports' own intervals (`eval.intervals.unpaired`), which are those of a number in all the rows that a test set was
drawn from. So it holds for other rows of the same source; where the runs share their rows it is too wide, never too
narrow.

Of averages, of single labels and of times each, the intervals hold for all of a report's at once, so that a run beside
another of the same is called better or worse anywhere in a kind in one of 20 cases at most.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from eval.contract import Interval
from eval.intervals.unpaired import mover, mover_ratio, widening
from eval.latency.rounds import LatencyRow
from eval.measurement import SHOWN_AVERAGES, Measurement, Quality, SetQuality
from eval.report.comparable import (
    SAME_SIZE,
    VALUES,
    Opened,
    averaged,
    notes,
    quiet_both,
    same_machine,
    times,
    way_names,
    why_uncompared,
)
from eval.report.comparison import MISSING, UNDEFINED, number, significant
from eval.report.report import Report
from eval.values import RegressionQuality

Kind: TypeAlias = Literal["quality", "label", "size", "latency"]
Verdict: TypeAlias = Literal["better", "worse", "same", "undecided"]

# A speedup's interval is of one run, and runs differ by more: the very same files, timed twice on one machine of
# 2 cores (recipes/quickstart.yaml, 28 speedups, one of the runs by an older method), came out 0.79 to 1.10 times as
# fast, 25 of them within 1.15, and 12 of them beyond their own intervals. With this floor 1 is called a change; with
# the correction for 28 none.
BETWEEN_RUNS = 1.15

_TARGET = {"r2": 1, "spearman": 1, "rmse": -1, "mae": -1}
_NOTHING = Interval(None, None, None)
_KINDS: dict[Kind, str] = {"quality": "averages", "label": "single labels", "size": "sizes", "latency": "speeds"}
_SAID: dict[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "same": "same within noise",
    "undecided": "no verdict",
}


@dataclass(frozen=True)
class Change:
    """One number in both reports. difference: after - before, or of a time or a speedup after / before, with its 95 %
    interval, which holds for all of its kind in the report at once.

    what: quality, label, size (memory too) or latency. verdict: same is "within noise", for times also within
    BETWEEN_RUNS; undecided where a number or an interval is missing, averages are over other labels, or times do not
    compare: two machines, other work on one, two teachers.
    """

    what: Kind
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
    """The second report less the first one. added, removed: ids that only the second, or the first, has.

    uncompared: why there is no verdict on the quality of any candidate, with the next step; empty where there is one.
    """

    candidates: tuple[CandidateChanges, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...]
    uncompared: str = ""

    @property
    def any_worse(self) -> bool:
        """Whether anything of any candidate is worse beyond noise."""
        return any(change.verdict == "worse" for it in self.candidates for change in it.changes)


@dataclass(frozen=True)
class _Pair:
    """One number in both reports, not judged yet. sense: -1 where less is better. held: whether they compare."""

    what: Kind
    name: str
    old: Interval
    new: Interval
    sense: int = 1
    held: bool = True

    def difference(self, widen: float = 1.0) -> Interval:
        if not self.held:
            return _NOTHING
        return (mover_ratio if self.what == "latency" else mover)(self.old, self.new, widen)

    @property
    def uncertain(self) -> bool:
        """Whether chance can make a difference of it; it makes none of a teacher's speedup over itself."""
        found = self.difference()
        return self.what != "size" and found.low is not None and found.low != found.high


def compare_reports(before: Report, after: Report) -> ReportChanges:
    """Every candidate by id, over the test sets that both reports have."""
    old, new = ({it.id: it for it in report.candidates} for report in (before, after))
    timed, alike = quiet_both(before, after), same_machine(before, after)
    pairs = {name: tuple(_pairs(old[name], new[name], timed, alike)) for name in new if name in old}
    counts = Counter(pair.what for it in pairs.values() for pair in it if pair.uncertain)
    candidates = tuple(CandidateChanges(name, tuple(_change(it, counts) for it in of)) for name, of in pairs.items())
    judged = [it for of in candidates for it in of.changes if it.what in {"quality", "label"}]
    return ReportChanges(
        candidates=candidates,
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        notes=(*notes(before, after), *_noise_notes(counts)),
        uncompared="" if any(it.verdict != "undecided" for it in judged) else why_uncompared(before, after),
    )


def change_rows(found: CandidateChanges, every: bool = False) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row for what is better or worse, ready to print. every: also for what is not."""
    headings = ("what", "before", "after", "difference (95 % interval)", "verdict")
    shown = [it for it in found.changes if every or it.verdict in {"better", "worse"}]
    return headings, [
        (it.name, _number(it, it.before), _number(it, it.after), _difference(it), _said(it)) for it in shown
    ]


def summary_lines(found: ReportChanges) -> list[str]:
    """What it all came to, and what `change_rows` leaves out: how many numbers did not change or have no verdict."""
    numbers = [(of.candidate, it) for of in found.candidates for it in of.changes]
    if not numbers:
        return []
    better, worse, same, undecided = (
        [(name, it) for name, it in numbers if it.verdict == verdict]
        for verdict in ("better", "worse", "same", "undecided")
    )
    lines = [f"{len(better)} better and {len(worse)} worse."] if better or worse else []
    lines += ["Nothing is better or worse."] if not lines and not found.uncompared else []
    lines += [f"Within noise, or of the same size: {_counted(same)}."] if same else []
    lines += [f"No verdict, as the notes say or for want of an interval: {_counted(undecided)}."] if undecided else []
    return lines


def _counted(several: Sequence[tuple[str, Change]]) -> str:
    """`37 measures of 6 candidates (averages 12, single labels 25)`."""
    kinds = Counter(it.what for _, it in several)
    parts = ", ".join(f"{name} {kinds[kind]}" for kind, name in _KINDS.items() if kinds[kind])
    candidates = len({name for name, _ in several})
    measures = f"{len(several)} measure{'s' * (len(several) != 1)}"
    return f"{measures} of {candidates} candidate{'s' * (candidates != 1)} ({parts})"


def _pairs(old: Measurement, new: Measurement, timed: frozenset[Opened], same_machine: bool) -> Iterator[_Pair]:
    """timed: device and threads of the speedups that can be compared."""
    for name, quality in new.quality_by_set.items():
        earlier = old.quality_by_set.get(name)
        if isinstance(quality, SetQuality) and isinstance(earlier, SetQuality):
            yield from _classifier(name, earlier, quality)
        elif isinstance(quality, RegressionQuality) and isinstance(earlier, RegressionQuality):
            yield from _regression(name, earlier, quality)
    for name in ("size_bytes", "size_gzip_bytes", "parameters"):
        yield _Pair("size", name, _exact(getattr(old.footprint, name)), _exact(getattr(new.footprint, name)), -1)
    for name in ("peak_memory_mb", "peak_memory_batch_mb"):
        before, after = getattr(old, name), getattr(new, name)
        if before is not None and after is not None:
            yield _Pair("size", name, _exact(before), _exact(after), -1, same_machine)
    earlier_rows, names = times(old), way_names(old, new)
    for way, row in times(new).items():
        if way in earlier_rows:
            yield _speed(names[way], earlier_rows[way], row, (row.device, row.threads) in timed)
    if old.cold_start_ms is not None and new.cold_start_ms is not None:
        yield _Pair("latency", "cold_start_ms", old.cold_start_ms, new.cold_start_ms, -1, held=False)


def _classifier(test_set: str, old: SetQuality, new: SetQuality) -> Iterator[_Pair]:
    yield from _averages(test_set, old, new, dict.fromkeys(SHOWN_AVERAGES, 1))
    for label in new.labels:
        if label in old.labels:
            one, two = (Interval(it.f1, it.f1_low, it.f1_high) for it in (old.labels[label], new.labels[label]))
            yield _Pair("label", f"{test_set}: label_f1[{label}]", one, two)


def _regression(test_set: str, old: RegressionQuality, new: RegressionQuality) -> Iterator[_Pair]:
    yield from _averages(test_set, old, new, VALUES)
    shared = [target for target in new.targets if target in old.targets]
    alone = len(old.targets) == len(new.targets) == 1  # then the averages are its own
    for target in () if alone else shared:
        for name, sense in _TARGET.items():
            one, two = (getattr(it.targets[target], name) for it in (old, new))
            yield _Pair("label", f"{test_set}: {name}[{target}]", one, two, sense)


def _averages(test_set: str, old: Quality, new: Quality, senses: dict[str, int]) -> Iterator[_Pair]:
    for name, sense in senses.items():
        held = averaged(old, name) == averaged(new, name)
        yield _Pair("quality", f"{test_set}: {name}", getattr(old, name), getattr(new, name), sense, held)


def _speed(where: str, old: LatencyRow, new: LatencyRow, timed: bool) -> _Pair:
    """Of speedups: they are paired by round with their own run's teacher. timed: whether they can be compared."""
    one, two = old.speedup_vs_teacher, new.speedup_vs_teacher
    if one is None or two is None:
        before, after = (Interval(it.p50_ms, it.p50_low_ms, it.p50_high_ms) for it in (old, new))
        return _Pair("latency", f"p50_ms [{where}]", before, after, -1, held=False)
    return _Pair("latency", f"speedup [{where}]", one, two, held=timed)


def _exact(value: float) -> Interval:
    return Interval(float(value), float(value), float(value))


def _change(pair: _Pair, counts: Counter[Kind]) -> Change:
    """counts: of each kind, how many verdicts a report has."""
    found = pair.difference(widening(counts[pair.what]))
    return Change(pair.what, pair.name, pair.old.value, pair.new.value, found, _verdict(pair, found))


def _verdict(pair: _Pair, found: Interval) -> Verdict:
    if found.low is None or found.high is None:
        return "undecided"
    low, high = (1 / BETWEEN_RUNS, BETWEEN_RUNS) if pair.what == "latency" else (0.0, 0.0)
    if pair.what == "size":
        high = SAME_SIZE * (pair.old.value or 0.0)
        low = -high
    if found.low <= high and found.high >= low:
        return "same"
    return "better" if (found.low > high) == (pair.sense > 0) else "worse"


def _noise_notes(counts: Counter[Kind]) -> Iterator[str]:
    several = [f"{counts[kind]} {name}" for kind, name in _KINDS.items() if counts[kind] > 1]
    if several:
        yield f"intervals hold for all of a kind at once (Bonferroni): {', '.join(several)}"
    if counts["latency"]:
        yield (
            "runs of the very same files differ in speed by more than the noise within one: a speedup is better or "
            f"worse where its whole interval lies beyond {BETWEEN_RUNS} times"
        )


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
