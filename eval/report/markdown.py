"""report.md: what a pull request or a terminal pager shows. Notes come before numbers."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import TypeVar

from eval.contract import Interval
from eval.measurement import SetQuality
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
from eval.report.latency import HOW_TO_READ, latency_tables
from eval.report.report import Report
from eval.report.seeds import seeds_section
from eval.report.table import markdown_table, plain
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
_HOW_TO_READ = """\
{quality}
- Time is wall clock from text to {answers}, tokenization included. *Speedup* is teacher time / candidate time,
  paired by round, on the same device, threads and batch: above 1 is faster.
{times}
- MB are millions of bytes of every file needed to predict; gzip MB the same files compressed (level 6)."""
_CLASSIFIERS = """\
- Brackets after quality hold 95 % intervals: of a label's F1 Wilson's, which holds at a dozen positives and at a
  perfect score; of averages and rankings from a bootstrap over the rows of the test set that keeps rare labels in. They
  say how far a number may move on other rows of this kind; they are no paired test between two candidates.
- *Macro* is the mean over labels, so a rare label weighs as much as a common one; *micro* pools all decisions.
- *undefined*: the label has no positive in that test set. A dash (–): not measured; p99 needs 200 samples.
- Thresholds come from validation data only. "F1 at 0.5" is the same model without them."""
_REGRESSIONS = """\
- Brackets after quality hold 95 % intervals, a bootstrap over the rows of the test set. They say how far a number may
  move on other rows of this kind; they are no paired test between two candidates.
- *RMSE* and *MAE* are in the target's own unit. *R²* is the share of the variance explained: 1 is all of it, 0 as good
  as always giving the mean. *Spearman* is the correlation of the ranks. *Macro* is the mean over targets, for
  RMSE and MAE of no use where their units differ.
- *undefined*: all rows of that test set have one value. A dash (–): not measured; p99 needs 200 samples."""


def render_markdown(report: Report, picture: str | None) -> str:
    """The whole report as GitHub Markdown. picture: where the SVG lies, relative to the file, or None."""
    first = next((it.quality_by_set[report.first_set] for it in report.candidates), None)
    parts = [f"# {plain(report.name)}", *(f"> **Note:** {plain(note)}" for note in report.notes)]
    parts += [*goals_section(report), "## Comparison"]
    if first is not None:
        parts.append(f"Quality on test set `{report.first_set}` ({first.rows} rows).")
    parts.append(_comparison(report))
    if picture is not None:
        parts.append(f"![{_capital(quality_name(report))} against latency; marker area is size]({picture})")
    parts += _label_sections(report)
    parts += detail_sections(report)
    parts += seeds_section(report)
    parts += [*_latency(report), "## How to read it", _how_to_read(report)]
    parts += ["## How to reproduce it", _reproduce(report)]
    return "\n\n".join(parts) + "\n"


def _comparison(report: Report) -> str:
    return markdown_table(comparison_headings(report), (astuple(row) for row in comparison_rows(report)))


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
    averages = ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision")
    rows += [[f"**{average_name(report, name)}**", "", *_average_cells(qualities, name)] for name in averages]
    if average_name(report, "micro_f1") != ACCURACY:
        half = f"**{average_name(report, 'macro_f1')} at 0.5**"
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
            [f"**macro {heading}**", "", *(show(getattr(one, f"macro_{name}")) for one in qualities)]
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


def _how_to_read(report: Report) -> str:
    if report.regression is None:
        return _HOW_TO_READ.format(quality=_CLASSIFIERS, answers="probabilities", times=HOW_TO_READ)
    return _HOW_TO_READ.format(quality=_REGRESSIONS, answers="values", times=HOW_TO_READ)


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
    return found or ["## Latency", "Not measured."]


def _reproduce(report: Report) -> str:
    how = f"    {report.command}" if report.command else "Run the recipe that `report.json` holds."
    facts = [(key, value) for key, value in report.environment.items() if isinstance(value, str | int | float)]
    listed = "\n".join(f"- {plain(key)}: {plain(str(value))}" for key, value in facts)
    return f"{how}\n\nMeasured on:\n\n{listed}" if facts else how
