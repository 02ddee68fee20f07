"""The command line: parses, calls, renders, exits. The only file that prints or sets up logging.

Exit codes: 0 done, 2 the recipe or the input is wrong, 1 a fault of ours, 130 interrupted.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
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

from compress.errors import CompressError, UserError
from eval.errors import EvalError

if TYPE_CHECKING:
    from compress.plan import Plan
    from eval.report.report import Report

# file names and texts are printed as they are: no markup, no emoji codes, no colours of rich's own
_INTERRUPTED = 130
_plain = partial(Console, markup=False, emoji=False, highlight=False)
console = _plain()
errors = _plain(stderr=True)

app = typer.Typer(
    name="compress",
    help=(
        "Turns a text classifier that is too big and slow into the smallest, fastest one that is still good enough, "
        "with proof.\n\nGive --debug anywhere to see a traceback with an error."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's path, or the bare name of a shipped recipe.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides a value; list items by id: stages.teacher.epochs=1."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The run's folder; by default runs/NAME.")]


@app.command(epilog="Example: compress run quickstart --out runs/try --set stages.teacher.epochs=2")
def run(
    recipe: Recipe,
    out: Out = None,
    set_: Sets = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Runs everything again, also what is cached.")] = False,
) -> None:
    """Runs what is not already done: stages, evaluation, report. Interrupted, it goes on with the same command."""
    from compress.environment import check_onnxruntime
    from compress.recipe.load import load_recipe

    check_onnxruntime()
    loaded = load_recipe(recipe, set_ or [])
    folder = out or Path("runs") / loaded.name
    from compress.pipeline import run_recipe

    with _bars() as progress:
        outcome = run_recipe(loaded, folder, fresh, progress)
    _show_report(outcome.report)
    done = f"ran {', '.join(outcome.ran)}" if outcome.ran else "all stages are cached: nothing to run"
    console.print(f"{done}; {'measured' if outcome.measured else 'measurements are cached'}.")
    console.print(f"Report: {folder / 'report.md'}    Artifacts: {folder / 'artifacts'}", soft_wrap=True)


@app.command(epilog="Example: compress check my.yaml --set data.dir=jigsaw")
def check(recipe: Recipe, set_: Sets = None) -> None:
    """Finds every mistake of a recipe at once, each with its place. Reads no data and trains nothing."""
    from compress.recipe.load import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    stages = ", ".join(stage.id for stage in loaded.all_stages)
    console.print(f"{recipe} is right: {len(loaded.all_stages)} stages ({stages}).", soft_wrap=True)


@app.command(epilog="Example: compress plan quickstart")
def plan(recipe: Recipe, out: Out = None, set_: Sets = None) -> None:
    """Shows the stages, which of them are cached, and how big each result will be. Touches nothing."""
    from compress.inputs import RecipeData
    from compress.plan import make_plan
    from compress.recipe.load import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    folder = out or Path("runs") / loaded.name
    facts = RecipeData(loaded, folder / "cache", keep=False).facts
    _show_plan(make_plan(loaded, folder, facts))
    for note in facts.notes:
        console.print(f"note: {note}", soft_wrap=True)


@app.command(
    epilog="Example: compress evaluate runs/a/artifacts/student-int8 --data test.csv --teacher runs/a/artifacts/teacher"
)
def evaluate(
    artifacts: Annotated[list[Path], typer.Argument(metavar="ARTIFACT...", help="Artifact folders.")],
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="Labelled rows: csv, tsv, jsonl or parquet.")],
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="ARTIFACT", help="What speedups are relative to.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Writes report.json and report.md here.")
    ] = None,
) -> None:
    """Judges any artifacts on labelled rows: quality with intervals, size, paired latency."""
    from compress.environment import check_onnxruntime
    from compress.pipeline import evaluate_artifacts, write_report

    check_onnxruntime()
    if out is not None and (out / "recipe.lock").exists():
        raise UserError(f"{out} is the folder of a run, whose report would be lost; give --out another one.")
    with tempfile.TemporaryDirectory() as scratch, _bars() as progress:
        report = evaluate_artifacts(artifacts, teacher, data, (out / "cache") if out else Path(scratch), progress)
    _show_report(report)
    if out is not None:
        write_report(report, out)
        console.print(f"Report: {out / 'report.md'}", soft_wrap=True)


@app.command(epilog="Example: compress predict runs/a/artifacts/student-int8 --input comments.csv --output scored.csv")
def predict(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="An artifact's folder.")],
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="CSV, TSV, JSONL or plain lines; by default standard input."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="CSV, or JSONL; by default standard output.")
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option("--text-column", metavar="NAME", help="By default the column the model was trained on."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replaces an output file that is already there.")
    ] = False,
) -> None:
    """Scores texts: LABEL_probability and LABEL_decision for each label, in the order of the input, streaming."""
    from compress.artifact import open_artifact
    from compress.data import open_results, open_rows
    from compress.runtime import open_predictor
    from compress.scoring import score_rows

    opened = open_artifact(artifact)
    task = opened.manifest.task
    with open_rows(input_, (text_column,) if text_column else task.text, task.join) as rows:
        predictor = open_predictor(opened)
        with open_results(output, opened.manifest.labels, rows.has_id, input=input_, overwrite=overwrite) as results:
            count = score_rows(predictor, rows, results)
    if output is not None:
        console.print(f"{count} texts scored: {output}", soft_wrap=True)


def main() -> None:
    """Entry point: runs a command and turns errors into one paragraph and an exit code."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    _quiet_libraries()
    try:
        code = app(prog_name="compress", standalone_mode=False)
    except KeyboardInterrupt:
        raise SystemExit(_interrupted()) from None
    except Exception as error:
        if debug:
            raise
        raise SystemExit(_explain(error)) from None
    if code:  # Typer turns Ctrl-C into this answer
        raise SystemExit(_interrupted() if code == _INTERRUPTED else code)


def _explain(error: Exception) -> int:
    """Prints an error as one paragraph; returns the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return _interrupted()
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of the command line itself
        error.show()
        return int(error.exit_code)
    if isinstance(error, CompressError | EvalError | OSError):
        errors.print(f"error: {error}", style="red", soft_wrap=True)
        return error.exit_code if isinstance(error, CompressError) else UserError.exit_code
    text = f"error: this is a fault of compress, not of yours: {type(error).__name__}: {error}"
    text += "\nRun it again with --debug for the traceback."
    errors.print(text, style="red", soft_wrap=True)
    return 1


def _interrupted() -> int:
    errors.print("\nInterrupted. What was finished is kept; the same command goes on from there.")
    return _INTERRUPTED


def _quiet_libraries() -> None:
    """No telemetry, no second set of progress bars, no advice of libraries on the user's screen."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    # OpenMP threads that spin at a barrier stand in each other's way as soon as another process wants a core: a
    # training step then took ten times as long. They give way after a short spin instead.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class _Screen:
    """Draws progress: a bar for the stages, one for what the stage does; plain lines where there is no terminal."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.overall: TaskID | None = None
        self.current: TaskID | None = None
        self.shown = ""

    def __call__(self, what: str, done: int, total: int) -> None:
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
def _bars() -> Iterator[_Screen]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not console.is_terminal) as bars:
        yield _Screen(bars)


def _show_report(report: "Report") -> None:
    from eval.report.comparison import comparison_headings, comparison_rows

    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    table = Table(title=f"{report.name}: quality on {report.first_set}")
    for index, heading in enumerate(comparison_headings(report)):
        table.add_column(heading, justify="right" if index else "left", overflow="fold")
    for row in comparison_rows(report):
        table.add_row(*astuple(row))
    _print_wide(table)


def _show_plan(plan: "Plan") -> None:
    table = Table(title="plan")
    for heading in ("stage", "type", "from", "state", "MB"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for step in plan.steps:
        known = "after download" if step.forecast_bytes is None else f"{step.forecast_bytes / 1e6:.2f}"
        state = "cached" if step.artifact else "to run"
        size = known if step.artifact or step.forecast_bytes is None else f"about {known}"
        table.add_row(step.stage.id, step.stage.type, ", ".join(step.inputs), state, size)
    _print_wide(table)


def _print_wide(table: Table) -> None:
    """Into a file or a pipe a table is as wide as it needs; a terminal folds it."""
    if console.is_terminal:
        console.print(table)
    else:
        _plain(width=200).print(table)
