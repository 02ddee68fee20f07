"""The command that takes reports: compare."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compress.cli.app import GOAL_MISSED, app
from compress.errors import UserError
from compress.screen import console, show_changes

if TYPE_CHECKING:
    from eval.report.compare import ReportChanges


@app.command(epilog="Example: compress compare runs/before/report.json runs/after/report.json")
def compare(
    before: Annotated[Path, typer.Argument(metavar="REPORT", help="A report.json, or the folder it is in.")],
    after: Annotated[Path, typer.Argument(metavar="REPORT", help="The one that is better or worse than the first.")],
    every: Annotated[bool, typer.Option("--all", help="Lists also what is the same, or has no verdict.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Writes JSON to standard output.")] = False,
    fail_if_worse: Annotated[
        bool,
        typer.Option(
            "--fail-if-worse", help="Exit code 3 where anything is worse beyond noise, 2 where nothing was judged."
        ),
    ] = False,
) -> None:
    """Says of each candidate in both reports what is better or worse beyond noise: quality, size, latency.

    Speed has a verdict only where both were timed on one machine with nothing else to do, against a teacher of the
    same size, and only where it changed by more than runs of the very same files differ.
    """
    from eval.report.compare import compare_reports
    from eval.report.report import load_report

    found = compare_reports(*(load_report(_file(path)) for path in (before, after)))
    if json_:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _show(found, every)
    if fail_if_worse and found.uncompared:  # a gate that judged nothing must not let pass
        raise UserError(f"--fail-if-worse: no quality was judged: {found.uncompared}")
    if fail_if_worse and found.any_worse:
        raise typer.Exit(GOAL_MISSED)


def _file(path: Path) -> Path:
    """The report itself. Raises UserError where there is none."""
    file = path / "report.json" if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{file} does not exist. A run writes it into its folder when it is done: compress compare runs/A runs/B."
        )
    return file


def _show(found: "ReportChanges", every: bool) -> None:
    from eval.report.compare import summary_lines

    for note in found.notes:
        console.print(f"note: {note}", soft_wrap=True)
    for word, names in (("added", found.added), ("removed", found.removed)):
        if names:
            console.print(f"{word}: {', '.join(names)}", soft_wrap=True)
    for candidate in found.candidates:
        show_changes(candidate, every)
    for line in summary_lines(found):
        console.print(line, soft_wrap=True)
    if found.uncompared:
        what = "No quality" if found.candidates else "Nothing"
        console.print(f"{what} was compared: {found.uncompared}", soft_wrap=True)
