"""What the command line shows: progress while it works, tables at the end."""

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from compress.architecture import Architecture
    from compress.bench import Bench
    from compress.data.overview import Overview
    from compress.plan import Plan
    from eval.report.compare import CandidateChanges
    from eval.report.report import Report

# file names and texts are printed as they are: no markup, no emoji codes, no colours of rich's own
_plain = partial(Console, markup=False, emoji=False, highlight=False)
console = _plain()
errors = _plain(stderr=True)
_EVERY = 30.0  # seconds between two lines on the same work, where there is no terminal
_PIPE_WIDTH = 200  # characters of a table that goes into a file or a pipe
_STATES = {"met": "green", "missed": "bold red", "undecided": "yellow"}
_VERDICTS = {"better": "green", "worse": "bold red"}


def show_note(note: str) -> None:
    """On stderr, while a run goes on: something to know before hours are spent."""
    errors.print(f"note: {note}", style="yellow", soft_wrap=True)


class Screen:
    """Draws progress: a bar for the stages, one for what the stage does; plain lines where there is no terminal.

    clock: seconds, as time.monotonic.
    """

    def __init__(self, bars: Progress, clock: Callable[[], float] = monotonic) -> None:
        self.bars = bars
        self.clock = clock
        self.told_at = 0.0
        self.overall: TaskID | None = None
        self.current: TaskID | None = None
        self.shown = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` are done of what is being done."""
        overall = what.startswith("stage ") or what == "evaluation"
        if not console.is_terminal:
            self._tell(what, done, total)
        if overall or what != self.shown:
            self._drop_current()
        if overall:
            self.overall = self._update(self.overall, what, done, total)
        else:
            self.current = self._update(self.current, what, done, total)
        self.shown = what

    def _tell(self, what: str, done: int, total: int) -> None:
        """A line where something else begins, and one every half minute of how far it is."""
        if what != self.shown:
            line = f"[{done + 1}/{total}] {what}" if what.startswith("stage ") else f"      {what}"
        elif self.clock() - self.told_at >= _EVERY:
            line = f"      {what}: {done:,} of {total:,}"
        else:
            return
        errors.print(line, soft_wrap=True)
        self.told_at = self.clock()

    def _update(self, task: TaskID | None, what: str, done: int, total: int) -> TaskID:
        if task is None:
            task = self.bars.add_task(what, total=total)
        self.bars.update(task, description=what, completed=done, total=total)
        return task

    def _drop_current(self) -> None:
        if self.current is not None:
            self.bars.remove_task(self.current)
            self.current = None


@contextmanager
def bars() -> Iterator[Screen]:
    """A Progress to hand to a run, drawn while the block lasts."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not console.is_terminal) as shown:
        yield Screen(shown)


def show_report(report: "Report", told: Container[str] = ()) -> None:
    """The notes that were not told before, then the comparison, in as many tables as the terminal's width asks for."""
    from eval.report.comparison import comparison_headings, comparison_rows
    from eval.report.seeds import seed_lines

    for note in report.notes:
        if note not in told:
            console.print(f"note: {note}", soft_wrap=True)
    headings, rows = comparison_headings(report), [astuple(row) for row in comparison_rows(report)]
    title = f"{report.name}: quality on {report.first_set}"
    for columns in packed(headings, rows, console.width if console.is_terminal else _PIPE_WIDTH):
        table = Table(title=title, title_justify="left")
        for column in columns:
            widest = max((len(row[column]) for row in rows), default=1)
            table.add_column(headings[column], justify="right" if column else "left", min_width=widest)
        for row in rows:
            table.add_row(*(row[column] for column in columns))
        _print_wide(table)
        title = ""
    for line in seed_lines(report):
        console.print(line, soft_wrap=True)
    _show_verdicts(report)


def _show_verdicts(report: "Report") -> None:
    """A table of the goals, if there are any, how many came to what, and the closest miss."""
    from eval.report.verdicts import HEADINGS, verdict_lines, verdict_rows

    if not report.verdicts:
        return
    table = Table(*(Column(heading, overflow="fold") for heading in HEADINGS), title="goals", title_justify="left")
    for row in verdict_rows(report):
        goal, candidate, verdict, *rest = astuple(row)
        table.add_row(goal, candidate, Text(verdict, _STATES[verdict]), *rest)
    _print_wide(table)
    for line in verdict_lines(report):
        console.print(line, soft_wrap=True)


def packed(headings: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[list[int]]:
    """Which columns stand in each table, so that none is wider than `room` characters if that can be; in all the first.

    Headings break between words, cells do not.
    """

    def width(column: int) -> int:
        words = [*headings[column].split(), *(row[column] for row in rows)]
        return max(map(len, words)) + 3  # a rule and two blanks

    tables: list[list[int]] = []
    left = 0
    for column in range(1, len(headings)):
        if not tables or width(column) > left:
            tables.append([0])
            left = room - width(0) - 1
        tables[-1].append(column)
        left -= width(column)
    return tables


def show_bench(found: "Bench") -> None:
    """The notes, then each table of times."""
    from eval.report.latency import latency_tables

    for note in found.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"Measured on: {found.machine}", soft_wrap=True, markup=False)
    for shown in latency_tables(found.candidates):
        table = Table(title=f"{shown.title}: {found.texts}", title_justify="left")
        for place, heading in enumerate(shown.headings):
            table.add_column(heading, justify="right" if place else "left", overflow="fold")
        for row in shown.rows:
            table.add_row(*row)
        _print_wide(table)


def show_changes(found: "CandidateChanges", every: bool) -> None:
    """What of a candidate is better or worse in one report than in another. every: what is not, too."""
    from eval.report.compare import change_rows

    headings, rows = change_rows(found, every)
    if not rows:
        return
    table = Table(title=found.candidate, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 0 < place < 4 else "left", overflow="fold")
    for row in rows:
        table.add_row(*row[:-1], Text(row[-1], _VERDICTS.get(row[-1], "")))
    _print_wide(table)


def show_plan(plan: "Plan", pending: Container[str] = ()) -> None:
    """Each stage with its state. pending: those that a fresh run has still to make, whatever is cached."""
    table = Table(title="plan")
    for heading in ("stage", "type", "from", "state", "MB"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for step in plan.steps:
        known = "not known yet" if step.forecast_bytes is None else f"{step.forecast_bytes / 1e6:.2f}"
        cached = step.artifact is not None and step.stage.id not in pending
        size = known if step.artifact or step.forecast_bytes is None else f"about {known}"
        table.add_row(step.stage.id, step.stage.type, ", ".join(step.inputs), "cached" if cached else "to run", size)
    _print_wide(table)


def show_overview(found: "Overview") -> None:
    """The notes, then each table with the lines that belong to it."""
    from compress.overview.tables import sections

    for note in found.notes:
        console.print(f"note: {note}", soft_wrap=True)
    for section in sections(found):
        console.print()
        if section.rows:
            table = Table(title=section.title, title_justify="left")
            for index, heading in enumerate(section.headings):
                table.add_column(heading, justify="left" if index in section.words else "right", overflow="fold")
            for row in section.rows:
                table.add_row(*row)
            _print_wide(table)
        else:
            console.print(section.title, style="italic", soft_wrap=not console.is_terminal)
        for line in section.lines:
            console.print(line, soft_wrap=not console.is_terminal)


def show_architectures(models: Sequence["Architecture"]) -> None:
    """Attributes down, models across, in as many tables as the terminal's width asks for; then each one's uses."""
    from compress.architecture.table import comparisons, use_lines

    for compared in comparisons(models, console.width if console.is_terminal else _PIPE_WIDTH):
        headings = (Column(heading, justify="right", overflow="fold") for heading in compared.headings)
        table = Table(Column(no_wrap=True), *headings)
        for row in compared.rows:
            table.add_row(*row)
        _print_wide(table)
    for line in use_lines(models):
        console.print(line, soft_wrap=not console.is_terminal)


def _print_wide(table: Table) -> None:
    """Into a file or a pipe a table is as wide as it needs; a terminal folds it."""
    if console.is_terminal:
        console.print(table)
    else:
        _plain(width=_PIPE_WIDTH).print(table)
