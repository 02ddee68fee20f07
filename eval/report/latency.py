"""The tables of times, as formatted strings: report.md and `compress bench` show the same ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement
from eval.report.comparison import MISSING, megabytes, milliseconds, significant, speedup_text

HOW_TO_READ = """\
- Brackets after p50 and p95 hold 95 % intervals, taking calls as independent; those of a speedup come from blocks of
  rounds, a block for each time that the models were opened anew. *Inconclusive*: the interval holds 1 and reaches
  below 0.9 or above 1.1. *Imprecise*: all of it lies on one side of 1, so that which is faster is beyond doubt, but its
  ends are more than 1.25 times apart.
- *tokenize* and *model* are medians of the two steps timed apart (of TF-IDF, of finding terms and of adding them up) on
  as many of the same texts as a tenth of the time allows; what follows the model is in neither."""


@dataclass(frozen=True)
class Table:
    """What any renderer needs: a title, headings, and cells row by row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def latency_tables(candidates: Sequence[Measurement]) -> tuple[Table, ...]:
    """Times; times by length and cold starts where they were measured. A table without rows is left out."""
    tables = (
        _times("Latency", [(it.id, row) for it in candidates for row in it.latency]),
        _times("Latency by length", [(it.id, row) for it in candidates for row in it.length_latency]),
        _cold_starts(candidates),
    )
    return tuple(table for table in tables if table.rows)


def _times(title: str, rows: Sequence[tuple[str, LatencyRow]]) -> Table:
    """Of the columns that not every report has, those that a row fills."""
    shown = {
        heading: cell
        for heading, (cell, always) in _COLUMNS.items()
        if always or any(cell(row) != MISSING for _, row in rows)
    }
    cells = tuple((name, *(cell(row) for cell in shown.values())) for name, row in rows)
    return Table(title, ("candidate", *shown), cells)


def _spread(value: float, low: float | None, high: float | None) -> str:
    """`0.559 (0.551–0.566)`, or the number alone."""
    interval = "" if low is None or high is None else f" ({significant(low)}–{significant(high)})"
    return f"{significant(value)}{interval}"


# heading -> what its cell shows, and whether the column is there in any case
_COLUMNS: dict[str, tuple[Callable[[LatencyRow], str], bool]] = {
    "device": (lambda row: row.device, True),
    "runtime": (lambda row: row.runtime, True),
    "threads": (lambda row: str(row.threads), True),
    "batch": (lambda row: str(row.batch_size), True),
    "tokens": (lambda row: MISSING if row.tokens is None else str(row.tokens), False),
    "samples": (lambda row: str(row.samples), True),
    "p50 ms": (lambda row: _spread(row.p50_ms, row.p50_low_ms, row.p50_high_ms), True),
    "p95 ms": (lambda row: _spread(row.p95_ms, row.p95_low_ms, row.p95_high_ms), True),
    "p99 ms": (lambda row: milliseconds(row.p99_ms), True),
    "tokenize ms": (lambda row: milliseconds(row.tokenize_ms), False),
    "model ms": (lambda row: milliseconds(row.model_ms), False),
    "texts/s": (lambda row: significant(row.texts_per_second), True),
    "cost per million": (lambda row: milliseconds(row.cost_per_million), False),
    "speedup": (lambda row: speedup_text(row.speedup_vs_teacher), False),
}


def _cold_starts(candidates: Sequence[Measurement]) -> Table:
    headings = ("candidate", "ms to the first answer", "peak MB then", "peak MB after a batch of 32", "MB on disk")
    rows = tuple(
        (
            it.id,
            _spread(it.cold_start_ms.value, it.cold_start_ms.low, it.cold_start_ms.high),
            *(MISSING if peak is None else f"{peak:.0f}" for peak in (it.peak_memory_mb, it.peak_memory_batch_mb)),
            megabytes(it.footprint.size_bytes),
        )
        for it in candidates
        if it.cold_start_ms is not None and it.cold_start_ms.value is not None
    )
    return Table("Cold start", headings, rows)
