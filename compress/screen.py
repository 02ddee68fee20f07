"""What the command line shows: progress while it works, tables at the end."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
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
from rich.table import Table

if TYPE_CHECKING:
    from compress.plan import Plan
    from eval.report.report import Report

# file names and texts are printed as they are: no markup, no emoji codes, no colours of rich's own
_plain = partial(Console, markup=False, emoji=False, highlight=False)
console = _plain()
errors = _plain(stderr=True)


def show_note(note: str) -> None:
    """On stderr, while a run goes on: something to know before hours are spent."""
    errors.print(f"note: {note}", style="yellow", soft_wrap=True)


class Screen:
    """Draws progress: a bar for the stages, one for what the stage does; plain lines where there is no terminal."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.overall: TaskID | None = None
        self.current: TaskID | None = None
        self.shown = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` are done of what is being done."""
        overall = what.startswith("stage ") or what == "evaluation"
        if what != self.shown and not console.is_terminal:
            errors.print(
                f"[{done + 1}/{total}] {what}" if what.startswith("stage ") else f"      {what}", soft_wrap=True
            )
        if overall or what != self.shown:
            self._drop_current()
        if overall:
            self.overall = self._update(self.overall, what, done, total)
        else:
            self.current = self._update(self.current, what, done, total)
        self.shown = what

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


def show_report(report: "Report") -> None:
    """The notes, then the comparison."""
    from eval.report.comparison import comparison_headings, comparison_rows

    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    table = Table(title=f"{report.name}: quality on {report.first_set}")
    for index, heading in enumerate(comparison_headings(report)):
        table.add_column(heading, justify="right" if index else "left", overflow="fold")
    for row in comparison_rows(report):
        table.add_row(*astuple(row))
    _print_wide(table)


def show_plan(plan: "Plan", pending: Container[str] = ()) -> None:
    """Each stage with its state. pending: those that a fresh run has still to make, whatever is cached."""
    table = Table(title="plan")
    for heading in ("stage", "type", "from", "state", "MB"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for step in plan.steps:
        known = "after download" if step.forecast_bytes is None else f"{step.forecast_bytes / 1e6:.2f}"
        cached = step.artifact is not None and step.stage.id not in pending
        size = known if step.artifact or step.forecast_bytes is None else f"about {known}"
        table.add_row(step.stage.id, step.stage.type, ", ".join(step.inputs), "cached" if cached else "to run", size)
    _print_wide(table)


def _print_wide(table: Table) -> None:
    """Into a file or a pipe a table is as wide as it needs; a terminal folds it."""
    if console.is_terminal:
        console.print(table)
    else:
        _plain(width=200).print(table)
