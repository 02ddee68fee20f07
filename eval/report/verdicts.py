"""Verdicts in words: the table that the terminal and report.md show, and the sentence on the closest miss."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial

from eval.goals.goal import is_share
from eval.goals.verdicts import Verdict, closest_miss
from eval.report.comparison import UNDEFINED, number, significant
from eval.report.report import Report
from eval.report.table import markdown_table, plain

HEADINGS = ("goal", "candidate", "verdict", "measured", "bound", "remark")
_UNITS = {"p50_ms": " ms", "p95_ms": " ms", "size_mb": " MB", "size_gzip_mb": " MB", "speedup": "×"}


@dataclass(frozen=True)
class VerdictRow:
    """One verdict, ready to print. measured: with its 95 % interval in brackets; against a model, the difference."""

    goal: str
    candidate: str
    verdict: str
    measured: str
    bound: str
    remark: str


def verdict_rows(report: Report) -> tuple[VerdictRow, ...]:
    """One row a verdict, in the report's order."""
    return tuple(_row(verdict) for verdict in report.verdicts)


def verdict_lines(report: Report) -> list[str]:
    """How many goals came to what, and the closest miss where there is one; nothing where there are no goals."""
    if not report.verdicts:
        return []
    missed = closest_miss(report.verdicts)
    return [counted(report), *([miss_sentence(missed)] if missed else [])]


def counted(report: Report) -> str:
    """`3 goals: 2 met, 1 undecided.`"""
    states = [verdict.state for verdict in report.verdicts]
    parts = [f"{states.count(state)} {state}" for state in ("met", "missed", "undecided") if state in states]
    return f"{len(states)} goal{'s' if len(states) > 1 else ''}: {', '.join(parts)}."


def miss_sentence(verdict: Verdict) -> str:
    """What was missed, and by how much."""
    asked = f"{_about(verdict)}{measured_text(verdict)} where {bound_text(verdict)} was asked for"
    return f"Closest miss: {verdict.candidate}, {verdict.goal}, by {_amount(verdict)}: {asked}."


def measured_text(verdict: Verdict) -> str:
    """`0.755 (0.729 to 0.779)`, `-0.031 (-0.052 to -0.010)`, `1.29 MB`, or "undefined"."""
    value, low, high = verdict.measured.value, verdict.measured.low, verdict.measured.high
    if value is None:
        return UNDEFINED
    ends = "" if low is None or high is None else f" ({_signed(verdict, low)} to {_signed(verdict, high)})"
    return f"{_signed(verdict, value)}{_UNITS.get(verdict.metric, '')}{ends}"


def bound_text(verdict: Verdict) -> str:
    """`at least -0.010`, `at most 15.0 ms`."""
    unit = _UNITS.get(verdict.metric, "")
    return f"at {'least' if verdict.relation == '>=' else 'most'} {_signed(verdict, verdict.bound)}{unit}"


def goals_section(report: Report) -> list[str]:
    """Of report.md: heading, table, and how to read it; nothing where the recipe has no goals."""
    if not report.verdicts:
        return []
    rows = (astuple(row) for row in verdict_rows(report))
    return [
        "## Goals",
        " ".join(map(plain, verdict_lines(report))),
        markdown_table(HEADINGS, rows, range(len(HEADINGS))),
        HOW_TO_READ,
    ]


HOW_TO_READ = (
    "*Met*: the whole 95 % interval lies on the good side of the bound; *missed*: all of it on the bad side; else "
    "*undecided*, as is what rests on fewer than 10 positives (of a regression, rows). Against another model what is "
    "measured is the paired difference on the same rows. Sizes have no interval."
)


def _row(verdict: Verdict) -> VerdictRow:
    return VerdictRow(
        goal=verdict.goal,
        candidate=verdict.candidate,
        verdict=verdict.state,
        measured=_about(verdict) + measured_text(verdict),
        bound=bound_text(verdict),
        remark=verdict.reason,
    )


def _about(verdict: Verdict) -> str:
    return f"less {verdict.against}: " if verdict.against is not None and verdict.measured.value is not None else ""


def _signed(verdict: Verdict, value: float) -> str:
    """Without its unit. A difference has its sign, also above 0."""
    text = _show(verdict)(value)
    return f"+{text}" if verdict.against is not None and value > 0 and text.strip("0.") else text


def _show(verdict: Verdict) -> Callable[[float], str]:
    """As few digits as the comparison has, or as many more as show that a number is off the bound and not on it."""
    if verdict.metric == "parameters":
        return "{:,.0f}".format
    found = (verdict.measured.value, verdict.measured.low, verdict.measured.high)
    off = [value for value in found if value is not None and value != verdict.bound]
    shows: list[Callable[[float], str]] = [number if is_share(verdict.metric) else significant]
    shows += [_finer(verdict, digits) for digits in (4, 5, 6)]
    return next((show for show in shows if all(show(it) != show(verdict.bound) for it in off)), shows[-1])


def _finer(verdict: Verdict, digits: int) -> Callable[[float], str]:
    return partial(number, digits=digits) if is_share(verdict.metric) else f"{{:.{digits}g}}".format


def _amount(verdict: Verdict) -> str:
    """The shortfall, with its unit."""
    short = abs(verdict.slack or 0.0)
    return f"{f'{short:.2g}' if is_share(verdict.metric) else _show(verdict)(short)}{_UNITS.get(verdict.metric, '')}"
