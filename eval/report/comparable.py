"""What of two reports can be held against each other, and what a reader must know where something cannot. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from eval.contract import Interval
from eval.latency.conditions import threads_text
from eval.latency.rounds import LatencyRow
from eval.measurement import SHOWN_AVERAGES, Measurement, Quality, SetQuality
from eval.report.comparison import Setting, setting_of, shortened
from eval.report.report import Report

SAME_SIZE = 0.01  # a hundredth more or less of bytes is no change worth a verdict
VALUES = {"macro_r2": 1, "macro_spearman": 1, "macro_rmse": -1, "macro_mae": -1}  # -1: less is better
_MACHINE = ("cpu", "cpu_features", "cores", "memory_gb", "gpu", "gpu_driver", "system")
_NAMED = 4  # of what is in one report only
_LETTERS = 60

Opened: TypeAlias = tuple[str, int]  # device and threads


@dataclass(frozen=True)
class Way:
    """One way of timing a candidate: on one device a torch model has a row in fp32 and one in fp16."""

    setting: Setting
    tokens: int | None
    runtime: str


def times(candidate: Measurement) -> dict[Way, LatencyRow]:
    """Its rows, those by length too."""
    return {
        Way(setting_of(row), row.tokens, row.runtime): row for row in (*candidate.latency, *candidate.length_latency)
    }


def way_names(old: Measurement, new: Measurement) -> dict[Way, str]:
    """All ways of either, the runtime named where a setting has several."""
    ways = dict.fromkeys((*times(new), *times(old)))

    def name(way: Way) -> str:
        several = len({it.runtime for it in ways if it.setting == way.setting}) > 1
        length = "" if way.tokens is None else f", {way.tokens} tokens"
        return f"{way.setting}{length}{f', {way.runtime}' * several}"

    return {way: name(way) for way in ways}


def same_machine(before: Report, after: Report) -> bool:
    """Whether both name the same processor, memory, GPU and system; False where one says nothing of its machine."""
    named = [{key: it.environment.get(key) for key in _MACHINE} for it in (before, after)]
    return named[0] == named[1] and named[0]["cpu"] is not None


def quiet_both(before: Report, after: Report) -> frozenset[Opened]:
    """Where speedups compare: one machine, one teacher, and the machine is known to have done nothing else of note."""
    alike = same_machine(before, after) and _same_teacher(before, after)
    return _quiet(before) & _quiet(after) if alike else frozenset()


def averaged(quality: Quality, average: str) -> frozenset[str]:
    """The labels, or targets, that an average is over; average: a field's name. A micro one pools all decisions."""
    parts = quality.labels if isinstance(quality, SetQuality) else quality.targets
    kind, _, metric = average.partition("_")
    return frozenset(name for name, it in parts.items() if kind == "micro" or _value(getattr(it, metric)) is not None)


def notes(before: Report, after: Report) -> Iterator[str]:
    """What to know before any verdict."""
    yield (
        "unpaired: the two runs are taken as independent, also where they share test rows; then the intervals are too "
        "wide, and a difference that they call noise may be real. `compress evaluate` on artifacts of both runs, with "
        "one as --teacher, pairs them"
    )
    if before.candidates and after.candidates and (before.regression is None) != (after.regression is None):
        yield "one report is of classifiers and the other of regressions: their quality does not compare"
    else:
        yield from _test_set_notes(before, after)
    yield from _cost_notes(before, after)


def why_uncompared(before: Report, after: Report) -> str:
    """Why no quality of two reports compares, where none does, and the next step."""
    pairs = _pairs(before, after)
    if not pairs:
        first, second = ([it.id for it in report.candidates] for report in (before, after))
        return (
            f"no candidate is in both reports (the first has {_listed(first)}, the second {_listed(second)}). Give two "
            "runs whose stages have the same ids."
        )
    if (before.regression is None) != (after.regression is None):
        return "one report is of classifiers and the other of regressions. Give two reports of one task."
    first, second = (list(dict.fromkeys(name for pair in pairs for name in pair[i].quality_by_set)) for i in (0, 1))
    if not set(first) & set(second):
        return (
            f"no test set is in both reports (the first has {_listed(first)}, the second {_listed(second)}). Give the "
            "same rows one name in both runs, or judge the artifacts of both on one file with `compress evaluate`."
        )
    return (
        "what both reports have is over other labels, or undefined in one of them. Give two reports with the same "
        "labels and a positive of some in each."
    )


def _listed(names: list[str]) -> str:
    return _some(names) if names else "none"


def _test_set_notes(before: Report, after: Report) -> Iterator[str]:
    old, new = (
        {name: it for c in report.candidates for name, it in c.quality_by_set.items()} for report in (before, after)
    )
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old or name not in new:
            yield f"test set {name} is in one report only: not compared"
            continue
        yield from _rows_note(
            name, old[name].rows, new[name].rows, *(it.test_sha256s.get(name) for it in (before, after))
        )
        yield from _labels_note(name, old[name], new[name])


def _rows_note(name: str, old: int, new: int, old_sha256: str | None, new_sha256: str | None) -> Iterator[str]:
    """Intervals are those of separate samples, so that other rows of one source are allowed for."""
    chance = "; intervals allow for other rows of one source, not for rows of another kind"
    if old != new:
        yield f"test set {name} has {old} rows in the first report and {new} in the second{chance}"
    elif old_sha256 is None or new_sha256 is None:
        yield f"nothing says whether the rows of test set {name} are the same: a report names no sha256 of them{chance}"
    elif old_sha256 != new_sha256:
        yield f"test set {name} has as many rows in both reports, and other texts or labels{chance}"


def _labels_note(name: str, old: Quality, new: Quality) -> Iterator[str]:
    over = [
        (averaged(old, it), averaged(new, it)) for it in (SHOWN_AVERAGES if isinstance(new, SetQuality) else VALUES)
    ]
    first = frozenset().union(*(one - two for one, two in over))
    second = frozenset().union(*(two - one for one, two in over))
    if first or second:
        said = [
            f"only in the {which} report {_some(sorted(it))}"
            for which, it in (("first", first), ("second", second))
            if it
        ]
        yield f"test set {name}: averages are not over the same labels ({'; '.join(said)}): no verdict on those"


def _cost_notes(before: Report, after: Report) -> Iterator[str]:
    if not same_machine(before, after):
        yield "the machines differ, or are not named: no verdict on latency and memory"
    elif not _same_teacher(before, after):
        yield "the teachers differ in size, or one is missing, and speedups are relative to them: no verdict on latency"
    elif busy := (_opened(before) & _opened(after)) - (_quiet(before) & _quiet(after)):
        where = "; ".join(f"{device}, {threads_text(threads)}" for device, threads in sorted(busy))
        yield f"other work kept the machine busy in a run, or nothing is known of it: no verdict on latency ({where})"
    pairs = _pairs(before, after)
    if any(old.cold_start_ms and new.cold_start_ms for old, new in pairs):
        yield "cold starts: no verdict, for nothing says what else the machine did meanwhile"
    alone = dict.fromkeys(name for old, new in pairs for name in _in_one_only(old, new))
    if alone:
        yield f"measured in one report only, and not compared: {_some(list(alone), '; ')}"


def _in_one_only(old: Measurement, new: Measurement) -> Iterator[str]:
    for way, name in way_names(old, new).items():
        if way not in times(old) or way not in times(new):
            yield f"times at {name}"
    for field in ("cold_start_ms", "peak_memory_mb", "peak_memory_batch_mb"):
        if (getattr(old, field) is None) != (getattr(new, field) is None):
            yield field


def _pairs(before: Report, after: Report) -> list[tuple[Measurement, Measurement]]:
    old = {it.id: it for it in before.candidates}
    return [(old[it.id], it) for it in after.candidates if it.id in old]


def _opened(report: Report) -> frozenset[Opened]:
    return frozenset((way.setting.device, way.setting.threads) for it in report.candidates for way in times(it))


def _quiet(report: Report) -> frozenset[Opened]:
    """Device and threads of the times that are known to be taken while the machine did nothing else of note."""
    return frozenset((it.device, it.threads) for it in report.timing if not it.busy)


def _same_teacher(before: Report, after: Report) -> bool:
    """Speedups are relative to it; the same format and parameters in as many bytes are taken for the same speed."""
    found = [next((it for it in report.candidates if it.id == report.teacher_id), None) for report in (before, after)]
    old, new = found
    if old is None or new is None or old.format != new.format:
        return False
    bytes_before, bytes_after = old.footprint.size_bytes, new.footprint.size_bytes
    same_size = abs(bytes_after - bytes_before) <= SAME_SIZE * bytes_before
    return same_size and old.footprint.parameters == new.footprint.parameters


def _value(metric: Any) -> float | None:
    """A label's metric is a number with its ends beside it, a target's is an interval."""
    value: float | None = metric.value if isinstance(metric, Interval) else metric
    return value


def _some(names: list[str], between: str = ", ") -> str:
    """The first four, and how many more there are."""
    more = f"{between}and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return between.join(shortened(name, _LETTERS) for name in names[:_NAMED]) + more
