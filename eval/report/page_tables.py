"""The page's tables as plain strings: headings, rows, and by what a column is sorted."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from eval.contract import Interval
from eval.measurement import SHOWN_AVERAGES, Measurement, SetDetails
from eval.report.comparison import (
    MISSING,
    UNDEFINED,
    average_name,
    comparison_headings,
    comparison_rows,
    in_units,
    interval_text,
    megabytes,
    number,
    quality_name,
    significant,
    speedup_text,
)
from eval.report.gains import StageGain, stage_gains
from eval.report.latency import latency_tables
from eval.report.pareto import dominated
from eval.report.report import Report
from eval.values import RegressionQuality

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_WIDE, _LONG = 40, 24  # letters
_UNITS = {"k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class Cell:
    """text as shown; sort: the number in front of it, or None where there is none. kind: its style classes."""

    text: str
    sort: float | None
    kind: str


@dataclass(frozen=True)
class Table:
    """title: what a screen reader calls it. A row's first cell names it. faint: rows of less interest, by place.

    foot: rows that stay below however it is sorted.
    """

    title: str
    headings: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    faint: frozenset[int] = frozenset()
    foot: tuple[tuple[Cell, ...], ...] = ()


def sort_value(text: str) -> float | None:
    """The number that a cell begins with, its unit counted: "22.7 M" is 22,700,000. None of "undefined" or a dash."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    unit = text[found.end() :].strip().partition(" ")[0]
    return float(found.group()) * _UNITS.get(unit, 1)


def table(
    title: str,
    headings: Iterable[str],
    rows: Iterable[Sequence[str]],
    faint: Iterable[int] = (),
    words: int = 1,
    foot: Iterable[Sequence[str]] = (),
) -> Table:
    """Rows of strings as a table. words: so many columns from the left are sorted by their letters."""

    def cells(texts: Iterable[str]) -> tuple[Cell, ...]:
        return tuple(
            Cell(text, None if place < words else sort_value(text), cell_kind(text, place < words))
            for place, text in enumerate(texts)
        )

    return Table(title, cells(headings), tuple(map(cells, rows)), frozenset(faint), tuple(map(cells, foot)))


def cell_kind(text: str, words: bool = True) -> str:
    """How a cell is laid out: words to the left; wide where they are many; broken anywhere where one is very long."""
    wide = words and len(text) > _WIDE
    long = len(text) > _LONG and max(map(len, text.split()), default=0) > _LONG
    return " ".join(name for name, holds in (("words", words), ("wide", wide), ("long", long)) if holds)


def comparison_table(report: Report) -> Table:
    """Every candidate; the dominated ones faint."""
    beaten = dominated(report)
    faint = (place for place, it in enumerate(report.candidates) if it.id in beaten)
    rows = [[str(cell) for cell in astuple(row)] for row in comparison_rows(report)]
    return table("All candidates", comparison_headings(report), rows, faint)


def target_table(report: Report, test_set: str) -> Table:
    """Of a regression: candidates down, each target's metrics across."""
    measured = {
        it.id: quality
        for it in report.candidates
        if isinstance(quality := it.quality_by_set.get(test_set), RegressionQuality)
    }
    rows = [
        [
            name,
            target,
            interval_text(it.r2),
            in_units(it.rmse),
            in_units(it.mae),
            interval_text(it.spearman),
            f"{significant(it.mean)} ± {significant(it.deviation)}",
        ]
        for name, quality in measured.items()
        for target, it in quality.targets.items()
    ]
    headings = ("candidate", "target", "R²", "RMSE", "MAE", "Spearman", "mean ± deviation in truth")
    return table(f"By target on {test_set}", headings, rows, words=2)


def time_tables(report: Report) -> list[Table]:
    """The tables of times that report.md has too."""
    return [
        table(it.title, it.headings, it.rows, words=1 + sum(name in it.headings for name in ("device", "runtime")))
        for it in latency_tables(report.candidates)
    ]


def differences_table(report: Report, reference: str, test_set: str) -> Table | None:
    """Each candidate less the reference, on the same rows; None where that was not measured."""
    found = {it.id: details.against[reference] for it, details in judged(report, test_set, reference)}
    if not found:
        return None
    labels = list(dict.fromkeys(label for it in found.values() for label in it.label_f1))
    rows = [
        [
            name,
            *(signed(*astuple(getattr(it, average))) for average in SHOWN_AVERAGES),
            *(signed(*astuple(it.label_f1[label])) if label in it.label_f1 else MISSING for label in labels),
        ]
        for name, it in found.items()
    ]
    headings = (
        "candidate",
        *(average_name(report, name) for name in SHOWN_AVERAGES),
        *(f"F1 {label}" for label in labels),
    )
    return table(f"Less {reference}, on {test_set}", headings, rows)


def judged(report: Report, test_set: str, reference: str) -> list[tuple[Measurement, SetDetails]]:
    """The candidates that were compared row by row with the reference on this test set."""
    pairs = ((it, it.details_by_set.get(test_set)) for it in report.candidates)
    return [(it, details) for it, details in pairs if details is not None and reference in details.against]


def gains_table(report: Report) -> Table | None:
    """What each stage cut and gave; None where no stage began with another candidate."""
    gains = stage_gains(report)
    if not gains:
        return None
    headings: tuple[str, ...] = (
        "stage", "type", "began with", "settings", "size", "gzip size", "parameters", "zeros", "speed",
        f"{quality_name(report)}, change",
    )  # fmt: skip
    rows = [_gain_cells(gain) for gain in gains]
    if report.regression is None:
        headings = (*headings, f"{average_name(report, 'macro_roc_auc')}, change", "decisions changed")
        rows = [[*row, *_ranking_cells(gain)] for row, gain in zip(rows, gains, strict=True)]
    return table("What each stage cut, and what it gave", headings, rows, words=4)


def signed(value: float | None, low: float | None, high: float | None) -> str:
    """`+0.012 (-0.003 to +0.028)`, the interval where there is one, or "undefined"."""
    if value is None:
        return UNDEFINED
    if low is None or high is None:
        return f"{value:+z.3f}"
    return f"{value:+z.3f} ({low:+z.3f} to {high:+z.3f})"


def _gain_cells(gain: StageGain) -> list[str]:
    parameters = MISSING if gain.parameters_share is None else _percent(gain.parameters_share)
    return [
        gain.stage,
        gain.kind,
        gain.began_with,
        ", ".join(gain.asked),
        _percent(gain.size_share),
        _percent(gain.gzip_share),
        parameters,
        f"{100 * gain.zeros:.1f} % (was {100 * gain.zeros_before:.1f} %)",
        speedup_text(gain.speed),
        signed(gain.quality.value, gain.quality.low, gain.quality.high),
    ]


def _ranking_cells(gain: StageGain) -> list[str]:
    ranking = MISSING if gain.ranking is None else _fine(gain.ranking)
    return [ranking, MISSING if gain.changed is None else f"{100 * gain.changed:.2f} %"]


def _fine(found: Interval) -> str:
    """With four digits: most stages move a ranking by less than a hundredth."""
    if found.value is None or found.low is None or found.high is None:
        return UNDEFINED
    return f"{found.value:+z.4f} ({found.low:+z.4f} to {found.high:+z.4f})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def size_text(candidate: Measurement) -> str:
    """`90.9 MB`."""
    return f"{megabytes(candidate.footprint.size_bytes)} MB"


def seeds_table(report: Report) -> Table | None:
    """Averages of the stages that have several seeds; None where none has."""
    rows = [
        [
            it.stage,
            test_set,
            metric,
            ", ".join(map(str, it.seeds)),
            number(found.mean),
            number(found.deviation, 4, MISSING),
        ]
        for it in report.seeds
        for test_set, metrics in it.by_set.items()
        for metric, found in metrics.items()
        if "[" not in metric
    ]
    headings = ("stage", "test set", "metric", "seeds", "mean", "deviation")
    return table("Several seeds", headings, rows, words=4) if rows else None
