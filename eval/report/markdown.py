"""report.md: what a pull request or a terminal pager shows. Notes come before numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple

from eval.contract import Interval
from eval.evaluator import Measurement, SetQuality
from eval.report.comparison import (
    MISSING,
    ComparisonRow,
    comparison_headings,
    comparison_rows,
    headline_setting,
    milliseconds,
    number,
    significant,
    speedup_text,
    with_interval,
)
from eval.report.report import Report

__all__ = ["ComparisonRow", "comparison_headings", "comparison_rows", "headline_setting", "render_markdown"]

_HOW_TO_READ = """\
- Brackets hold 95 % intervals: for quality a bootstrap over the rows of the test set that keeps rare labels in; for
  speedups a bootstrap over rounds. They say how far a number may move on other rows of this kind; they are no paired
  test between two candidates.
- *Macro* is the mean over labels, so a rare label weighs as much as a common one; *micro* pools all decisions.
- *undefined*: the label has no positive in that test set. A dash (–): not measured; p99 needs 200 samples.
- Thresholds come from validation data only. "F1 at 0.5" is the same model without them.
- Time is wall clock from text to probabilities, tokenization included. *Speedup* is teacher time / candidate time,
  paired by round, on the same device, threads and batch: above 1 is faster.
- MB are millions of bytes of every file needed to predict; gzip MB the same files compressed (level 6)."""


def render_markdown(report: Report, picture: str | None) -> str:
    """The whole report as GitHub Markdown. picture: where the SVG lies, relative to the file, or None."""
    first = next((it.quality_by_set[report.first_set] for it in report.candidates), None)
    parts = [f"# {_plain(report.name)}", *(f"> **Note:** {_plain(note)}" for note in report.notes), "## Comparison"]
    if first is not None:
        parts.append(f"Quality on test set `{report.first_set}` ({first.rows} rows).")
    parts.append(_comparison(report))
    if picture is not None:
        parts.append(f"![Macro F1 against latency; marker area is size]({picture})")
    parts += _label_sections(report)
    parts += ["## Latency", _latency(report), "## How to read it", _HOW_TO_READ]
    parts += ["## How to reproduce it", _reproduce(report)]
    return "\n\n".join(parts) + "\n"


def _comparison(report: Report) -> str:
    return _table(comparison_headings(report), (astuple(row) for row in comparison_rows(report)))


def _label_sections(report: Report) -> list[str]:
    names = dict.fromkeys(name for candidate in report.candidates for name in candidate.quality_by_set)
    ordered = sorted(names, key=lambda name: name != report.first_set)
    return [part for name in ordered for part in (f"## F1 by label: {_plain(name)}", _by_label(report, name))]


def _by_label(report: Report, test_set: str) -> str:
    """Labels down, candidates across; the averages, ROC-AUC and F1 without tuned thresholds below."""
    measured = [it for it in report.candidates if test_set in it.quality_by_set]
    qualities = [it.quality_by_set[test_set] for it in measured]
    rows = [[label, str(it.support), *_label_cells(qualities, label)] for label, it in qualities[0].labels.items()]
    averages = ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision")
    rows += [[f"**{_spoken(name)}**", "", *_average_cells(qualities, name)] for name in averages]
    rows.append(["**macro F1 at 0.5**", "", *(number(it.macro_f1_at_half) for it in qualities)])
    return _table(("label", "support", *(it.id for it in measured)), rows)


def _label_cells(qualities: Sequence[SetQuality], label: str) -> list[str]:
    found = [quality.labels.get(label) for quality in qualities]
    return [with_interval(it.f1, it.f1_low, it.f1_high) if it else MISSING for it in found]


def _average_cells(qualities: Sequence[SetQuality], name: str) -> list[str]:
    intervals: list[Interval] = [getattr(quality, name) for quality in qualities]
    return [with_interval(it.value, it.low, it.high) for it in intervals]


def _spoken(name: str) -> str:
    return name.replace("roc_auc", "ROC-AUC").replace("_f1", " F1").replace("_", " ")


def _latency(report: Report) -> str:
    rows = [cells for candidate in report.candidates for cells in _latency_cells(candidate)]
    if not rows:
        return "Not measured."
    times = ("p50 ms", "p95 ms", "p99 ms")
    where = ("candidate", "device", "runtime", "threads", "batch")
    return _table((*where, "samples", *times, "texts/s", "speedup"), rows)


def _latency_cells(candidate: Measurement) -> list[list[str]]:
    return [
        [
            candidate.id,
            row.device,
            row.runtime,
            str(row.threads),
            str(row.batch_size),
            str(row.samples),
            *(milliseconds(value) for value in (row.p50_ms, row.p95_ms, row.p99_ms)),
            significant(row.texts_per_second),
            speedup_text(row.speedup_vs_teacher),
        ]
        for row in candidate.latency
    ]


def _reproduce(report: Report) -> str:
    how = f"    {report.command}" if report.command else "Run the recipe that `report.json` holds."
    facts = [(key, value) for key, value in report.environment.items() if isinstance(value, str | int | float)]
    listed = "\n".join(f"- {_plain(key)}: {_plain(str(value))}" for key, value in facts)
    return f"{how}\n\nMeasured on:\n\n{listed}" if facts else how


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Names to the left, numbers to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    lines = [[_plain(cell) for cell in headings], rule, *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Free text kept from breaking a table or a line."""
    return " ".join(text.split()).replace("|", "\\|")
