"""The comparison table as formatted strings, one row a candidate: the terminal and report.md show the same one."""

from dataclasses import dataclass

from eval.contract import Interval
from eval.evaluator import Measurement
from eval.latency import LatencyRow
from eval.report.report import Report

MISSING = "–"  # not measured
UNDEFINED = "undefined"  # cannot be: no positive to measure on


@dataclass(frozen=True)
class Setting:
    """A way of running that latencies are compared at."""

    device: str
    threads: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.device}, {self.threads} thread{'s' if self.threads > 1 else ''}, batch {self.batch_size}"


@dataclass(frozen=True)
class ComparisonRow:
    """One candidate, ready to print. Quality is on the report's first test set, with 95 % intervals in brackets."""

    candidate: str
    size_mb: str
    gzip_mb: str
    parameters: str
    zeros: str
    macro_f1: str
    micro_f1: str
    macro_roc_auc: str
    p50_ms: str
    speedup: str


def comparison_rows(report: Report) -> tuple[ComparisonRow, ...]:
    """One row a candidate, in the report's order; p50 and speedup at `headline_setting`."""
    setting = headline_setting(report)
    return tuple(_comparison_row(candidate, report, setting) for candidate in report.candidates)


def comparison_headings(report: Report) -> tuple[str, ...]:
    """Headings of the fields of ComparisonRow, in order; they say at which setting the time was taken."""
    setting = headline_setting(report)
    where = f" ({setting})" if setting else ""
    quality = ("macro F1", "micro F1", "macro ROC-AUC")
    return ("candidate", "MB", "gzip MB", "parameters", "zeros", *quality, f"p50 ms{where}", "speedup")


def headline_setting(report: Report) -> Setting | None:
    """CPU, one thread, batch 1; or, where no candidate was timed so, the fewest threads and smallest batch present.

    One setting for the whole table: a time taken any other way is never shown under it. None without any latency.
    """
    present = {setting_of(row) for candidate in report.candidates for row in candidate.latency}
    return min(present, key=lambda it: (it.device != "cpu", it.threads, it.batch_size, it.device), default=None)


def setting_of(row: LatencyRow) -> Setting:
    """The way this row was run."""
    return Setting(row.device, row.threads, row.batch_size)


def latency_at(candidate: Measurement, setting: Setting | None) -> LatencyRow | None:
    """The candidate's row at this setting, or None if it was not timed so."""
    return next((row for row in candidate.latency if setting_of(row) == setting), None)


def number(value: float | None, digits: int = 3, missing: str = UNDEFINED) -> str:
    """Fixed decimals, or the word for what is not there."""
    return missing if value is None else f"{value:.{digits}f}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """`0.652 (0.630–0.671)`, or "undefined"."""
    if value is None:
        return UNDEFINED
    return number(value) if low is None or high is None else f"{value:.3f} ({low:.3f}–{high:.3f})"


def milliseconds(value: float | None) -> str:
    """Three significant digits, never in scientific notation."""
    return MISSING if value is None else significant(value)


def significant(value: float) -> str:
    """Three significant digits without an exponent: 1234, 12.3, 0.120."""
    if value == 0 or value >= 99.95:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-4 else f"{value:.6f}"


def megabytes(size_bytes: int) -> str:
    """Millions of bytes, three significant digits."""
    return significant(size_bytes / 1e6)


def speedup_text(speedup: Interval | None) -> str:
    """`12.3× (12.1–12.6)`, or a dash where there is no teacher."""
    if speedup is None or speedup.value is None or speedup.low is None or speedup.high is None:
        return MISSING
    return f"{significant(speedup.value)}× ({significant(speedup.low)}–{significant(speedup.high)})"


def _comparison_row(candidate: Measurement, report: Report, setting: Setting | None) -> ComparisonRow:
    quality, footprint = candidate.quality_by_set[report.first_set], candidate.footprint
    timed = latency_at(candidate, setting)
    return ComparisonRow(
        candidate=candidate.id,
        size_mb=megabytes(footprint.size_bytes),
        gzip_mb=megabytes(footprint.size_gzip_bytes),
        parameters=_parameters(footprint.parameters),
        zeros=f"{100 * footprint.zeros_share:.1f} %",
        macro_f1=_interval(quality.macro_f1),
        micro_f1=_interval(quality.micro_f1),
        macro_roc_auc=_interval(quality.macro_roc_auc),
        p50_ms=milliseconds(timed.p50_ms if timed else None),
        speedup=speedup_text(timed.speedup_vs_teacher if timed else None),
    )


def _interval(interval: Interval) -> str:
    return with_interval(interval.value, interval.low, interval.high)


def _parameters(count: int) -> str:
    if count < 1_000:
        return str(count)
    return f"{significant(count / 1e3)} k" if count < 1_000_000 else f"{significant(count / 1e6)} M"
