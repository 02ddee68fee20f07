"""The comparison table as formatted strings, one row a candidate: the terminal and report.md show the same one."""

from dataclasses import dataclass
from typing import TypeAlias

from eval.contract import Interval
from eval.latency.conditions import threads_text
from eval.latency.intervals import doubt
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement, SetQuality
from eval.report.report import Report
from eval.values import RegressionQuality

ACCURACY = "accuracy"  # what micro F1 is where each row has one class and is given one
MISSING = "–"  # not measured
UNDEFINED = "undefined"  # cannot be: no positive to measure on, or nothing but one value


@dataclass(frozen=True)
class Setting:
    """A way of running that latencies are compared at."""

    device: str
    threads: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.device}, {threads_text(self.threads)}, batch {self.batch_size}"


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


@dataclass(frozen=True)
class RegressionRow:
    """One regression, ready to print, as ComparisonRow; of several targets, quality is the mean over them."""

    candidate: str
    size_mb: str
    gzip_mb: str
    parameters: str
    zeros: str
    r2: str
    rmse: str
    mae: str
    spearman: str
    p50_ms: str
    speedup: str


Row: TypeAlias = ComparisonRow | RegressionRow


def comparison_rows(report: Report) -> tuple[Row, ...]:
    """One row a candidate, in the report's order; p50 and speedup at `headline_setting`."""
    setting = headline_setting(report)
    return tuple(_comparison_row(candidate, report, setting) for candidate in report.candidates)


def comparison_headings(report: Report) -> tuple[str, ...]:
    """Headings of the rows' fields, in order; they say at which setting the time was taken."""
    setting = headline_setting(report)
    where = f" ({setting})" if setting else ""
    quality = tuple(average_name(report, name) for name in ("macro_f1", "micro_f1", "macro_roc_auc"))
    if report.regression is not None:
        quality = tuple(f"{averaged(report.regression)}{name}" for name in ("R²", "RMSE", "MAE", "Spearman"))
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
    """Fixed decimals, or the word for what is not there. What rounds to 0 has no sign: an R² may lie just below."""
    return missing if value is None else f"{value:z.{digits}f}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """`0.652 (0.630–0.671)`, or "undefined"."""
    if value is None:
        return UNDEFINED
    return number(value) if low is None or high is None else f"{number(value)} ({number(low)}–{number(high)})"


def milliseconds(value: float | None) -> str:
    """Three significant digits, never in scientific notation."""
    return MISSING if value is None else significant(value)


def significant(value: float) -> str:
    """Three significant digits without an exponent: 1234, 12.3, 0.120, -0.120."""
    if value < 0:
        return f"-{significant(-value)}"
    if value == 0 or value >= 99.95:
        return f"{value:.0f}"
    return f"{value:#.3g}" if value >= 1e-4 else f"{value:.6f}"


def megabytes(size_bytes: int) -> str:
    """Millions of bytes, three significant digits."""
    return significant(size_bytes / 1e6)


def speedup_text(speedup: Interval | None) -> str:
    """`12.3× (12.1–12.6)`, with "inconclusive" or "imprecise" where that is too wide; or a dash where there is none.

    Without an interval the number alone.
    """
    if speedup is None or speedup.value is None:
        return MISSING
    if speedup.low is None or speedup.high is None:
        return f"{significant(speedup.value)}×"
    shown = f"{significant(speedup.value)}× ({significant(speedup.low)}–{significant(speedup.high)})"
    return f"{shown} {doubt(speedup)}".rstrip()


def shortened(name: str, letters: int) -> str:
    """Its first letters and three dots in one, where it has more than so many."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def averaged(quality: RegressionQuality) -> str:
    """ "macro " where a number is the mean over several targets."""
    return "macro " if len(quality.targets) > 1 else ""


def average_name(report: Report, name: str) -> str:
    """A classifier's average in words: over one label nothing is averaged, and micro F1 of one class a row is accuracy.

    name: a field of SetQuality, e.g. macro_f1.
    """
    spoken = name.replace("roc_auc", "ROC-AUC").replace("_f1", " F1").replace("_", " ")
    if name == "micro_f1" and report.recipe.get("task", {}).get("type") == "single_label":
        return ACCURACY
    qualities = (it.quality_by_set[report.first_set] for it in report.candidates)
    alone = any(isinstance(it, SetQuality) and len(it.labels) == 1 for it in qualities)
    return spoken.removeprefix("macro ") if alone else spoken


def quality_name(report: Report) -> str:
    """What the picture shows upwards."""
    return average_name(report, "macro_f1") if report.regression is None else f"{averaged(report.regression)}R²"


def in_units(interval: Interval) -> str:
    """A number of whatever size with its interval, three significant digits each; or "undefined"."""
    value, low, high = interval.value, interval.low, interval.high
    if value is None:
        return UNDEFINED
    if low is None or high is None:
        return significant(value)
    return f"{significant(value)} ({significant(low)}–{significant(high)})"


def interval_text(interval: Interval) -> str:
    """`0.652 (0.630–0.671)`, or "undefined"."""
    return with_interval(interval.value, interval.low, interval.high)


def _comparison_row(candidate: Measurement, report: Report, setting: Setting | None) -> Row:
    quality, footprint = candidate.quality_by_set[report.first_set], candidate.footprint
    timed = latency_at(candidate, setting)
    facts = {
        "candidate": candidate.id,
        "size_mb": megabytes(footprint.size_bytes),
        "gzip_mb": megabytes(footprint.size_gzip_bytes),
        "parameters": _parameters(footprint.parameters),
        "zeros": f"{100 * footprint.zeros_share:.1f} %",
        "p50_ms": milliseconds(timed.p50_ms if timed else None),
        "speedup": speedup_text(timed.speedup_vs_teacher if timed else None),
    }
    if isinstance(quality, RegressionQuality):
        return RegressionRow(
            **facts,
            r2=interval_text(quality.macro_r2),
            rmse=in_units(quality.macro_rmse),
            mae=in_units(quality.macro_mae),
            spearman=interval_text(quality.macro_spearman),
        )
    return ComparisonRow(
        **facts,
        macro_f1=interval_text(quality.macro_f1),
        micro_f1=interval_text(quality.micro_f1),
        macro_roc_auc=interval_text(quality.macro_roc_auc),
    )


def _parameters(count: int) -> str:
    if count < 1_000:
        return str(count)
    return f"{significant(count / 1e3)} k" if count < 1_000_000 else f"{significant(count / 1e6)} M"
