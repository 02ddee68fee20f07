"""report.md: what a pull request or a terminal pager shows. Notes come before numbers."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import TypeVar

from eval.contract import Interval
from eval.measurement import SHOWN_AVERAGES, SetQuality
from eval.report.checks import check_section
from eval.report.comparison import (
    ACCURACY,
    MISSING,
    ComparisonRow,
    average_name,
    comparison_headings,
    comparison_rows,
    headline_setting,
    in_units,
    interval_text,
    number,
    quality_name,
    significant,
    with_interval,
)
from eval.report.details import detail_sections
from eval.report.latency import latency_tables
from eval.report.machine import machine_facts, timing_lines
from eval.report.page_tables import gains_table
from eval.report.page_warnings import weak_teacher
from eval.report.reading import GAINS, how_to_read, unchosen_text
from eval.report.report import Report
from eval.report.seeds import seeds_section
from eval.report.table import bold, code, markdown_table, plain
from eval.report.verdicts import goals_section
from eval.values import RegressionQuality, TargetQuality

__all__ = ["ComparisonRow", "comparison_headings", "comparison_rows", "headline_setting", "render_markdown"]

_Quality = TypeVar("_Quality", SetQuality, RegressionQuality)
_METRICS: dict[str, tuple[str, Callable[[Interval], str]]] = {
    "r2": ("R²", interval_text),
    "rmse": ("RMSE", in_units),
    "mae": ("MAE", in_units),
    "spearman": ("Spearman", interval_text),
}


def render_markdown(report: Report, picture: str | None) -> str:
    """The whole report as GitHub Markdown. picture: where the SVG lies, relative to the file, or None."""
    first = next((it.quality_by_set[report.first_set] for it in report.candidates), None)
    notes = (*report.notes, *weak_teacher(report))
    parts = [f"# {plain(report.name)}", *(f"> **Note:** {plain(note)}" for note in notes)]
    parts += [*goals_section(report), "## Comparison"]
    if first is not None:
        parts.append(f"Quality on test set {code(report.first_set)} ({first.rows} rows).")
    parts.append(_comparison(report))
    if picture is not None:
        parts.append(f"![{_capital(quality_name(report))} against latency; marker area is size]({picture})")
    unchosen = plain(unchosen_text(report))
    parts += [*_gains(report), *_label_sections(report), *([unchosen] if unchosen else [])]
    parts += detail_sections(report)
    parts += [*seeds_section(report), *check_section(report)]
    parts += [*_latency(report), "## How to read it", how_to_read(report)]
    parts += ["## How to reproduce it", _reproduce(report)]
    return "\n\n".join(parts) + "\n"


def _comparison(report: Report) -> str:
    return markdown_table(comparison_headings(report), (astuple(row) for row in comparison_rows(report)))


def _gains(report: Report) -> list[str]:
    table = gains_table(report)
    if table is None:
        return []
    headings, rows = [it.text for it in table.headings], ([it.text for it in row] for row in table.rows)
    return [f"## {table.title}", markdown_table(headings, rows, range(4)), GAINS]


def _label_sections(report: Report) -> list[str]:
    names = dict.fromkeys(name for candidate in report.candidates for name in candidate.quality_by_set)
    ordered = sorted(names, key=lambda name: name != report.first_set)
    title, table = ("F1 by label", _by_label) if report.regression is None else ("By target", _by_target)
    return [part for name in ordered for part in (f"## {title}: {plain(name)}", table(report, name))]


def _by_label(report: Report, test_set: str) -> str:
    """Labels down, candidates across; the averages, ROC-AUC and, of tuned thresholds, F1 without them below."""
    measured = _judged_on(report, test_set, SetQuality)
    qualities = list(measured.values())
    rows = [[label, str(it.support), *_label_cells(qualities, label)] for label, it in qualities[0].labels.items()]
    rows += [[bold(average_name(report, name)), "", *_average_cells(qualities, name)] for name in SHOWN_AVERAGES]
    if average_name(report, "micro_f1") != ACCURACY:
        half = bold(f"{average_name(report, 'macro_f1')} at 0.5")
        rows.append([half, "", *(number(it.macro_f1_at_half) for it in qualities)])
    return markdown_table(("label", "support", *measured), rows)


def _by_target(report: Report, test_set: str) -> str:
    """Each target's metrics down, candidates across; the means below where there are several targets."""
    measured = _judged_on(report, test_set, RegressionQuality)
    qualities = list(measured.values())
    rows = [
        [f"{target}: {heading}", _spread(it, name), *(show(getattr(one.targets[target], name)) for one in qualities)]
        for target, it in qualities[0].targets.items()
        for name, (heading, show) in _METRICS.items()
    ]
    if len(qualities[0].targets) > 1:
        rows += [
            [bold(f"macro {heading}"), "", *(show(getattr(one, f"macro_{name}")) for one in qualities)]
            for name, (heading, show) in _METRICS.items()
        ]
    return markdown_table(("target", "mean ± deviation in truth", *measured), rows)


def _spread(target: TargetQuality, metric: str) -> str:
    """What the true values are like, beside the target's first metric alone."""
    return f"{significant(target.mean)} ± {significant(target.deviation)}" if metric == next(iter(_METRICS)) else ""


def _judged_on(report: Report, test_set: str, kind: type[_Quality]) -> dict[str, _Quality]:
    """By id, what each candidate came to on this set. kind: of all the report's qualities."""
    found = {it.id: it.quality_by_set.get(test_set) for it in report.candidates}
    return {name: quality for name, quality in found.items() if isinstance(quality, kind)}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _label_cells(qualities: Sequence[SetQuality], label: str) -> list[str]:
    found = [quality.labels.get(label) for quality in qualities]
    return [with_interval(it.f1, it.f1_low, it.f1_high) if it else MISSING for it in found]


def _average_cells(qualities: Sequence[SetQuality], name: str) -> list[str]:
    return [interval_text(getattr(quality, name)) for quality in qualities]


def _latency(report: Report) -> list[str]:
    tables = latency_tables(report.candidates)
    found = [part for it in tables for part in (f"## {it.title}", markdown_table(it.headings, it.rows))]
    taken = "\n".join(f"- {plain(line)}" for line in timing_lines(report.timing))
    return [*found, *(["Times were taken in:", taken] if taken else [])]


def _reproduce(report: Report) -> str:
    how = f"    {report.command}" if report.command else "Run the recipe that `report.json` holds."
    facts = "\n".join(f"- {plain(key)}: {plain(text)}" for key, text in machine_facts(report.environment))
    return f"{how}\n\nMeasured on:\n\n{facts}" if facts else how
