"""The command line: parses, calls, renders, exits. The only file that prints or sets up logging.

Exit codes: 0 done, 2 the recipe, the input or the machine is wrong, 1 a fault of ours, 130 interrupted, 141 the output
was closed by its reader.
"""

import errno
import os
import shlex
import sys
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from compress.errors import CompressError, UserError
from compress.screen import bars, console, errors, show_note, show_plan, show_report
from compress.telemetry import no_telemetry
from eval.errors import EvalError

_INTERRUPTED = 130
_PIPE_CLOSED = 141  # as a shell reports a process that SIGPIPE ended

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

    with bars() as progress:
        outcome = run_recipe(loaded, folder, fresh, progress, show_note, _typed())
    show_report(outcome.report)
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
    from compress.run_folder import Pending

    loaded = load_recipe(recipe, set_ or [])
    folder = out or Path("runs") / loaded.name
    facts = RecipeData(loaded, folder / "cache", keep=False).facts
    show_plan(make_plan(loaded, folder, facts), Pending(folder).stages)
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
    from compress.judge import evaluate_artifacts, write_report
    from compress.run_folder import run_folder

    check_onnxruntime()
    with ExitStack() as stack:
        if out is not None:
            stack.enter_context(run_folder(out, "evaluate"))
        scratch = out / "cache" if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        progress = stack.enter_context(bars())
        report = evaluate_artifacts(artifacts, teacher, data, scratch, progress, _typed())
        if out is not None:
            write_report(report, out)
    show_report(report)
    if out is not None:
        console.print(f"Report: {out / 'report.md'}", soft_wrap=True)


@app.command(epilog="Example: compress predict runs/a/artifacts/student-int8 --input comments.csv --output scored.csv")
def predict(
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="An artifact's folder.")],
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="CSV, TSV, JSONL or plain lines; by default standard input."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="CSV, TSV or JSONL by its suffix; by default standard output."),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option("--text-column", metavar="NAME", help="By default the column the model was trained on."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replaces an output file that is already there.")
    ] = False,
) -> None:
    """Scores texts: LABEL_probability and LABEL_decision (0 or 1) for each label, in the order of the input, streaming.

    An `id` column is passed through; other columns are not. Standard output is CSV.
    """
    from compress.artifact import open_artifact
    from compress.data import open_results, open_rows
    from compress.runtime import open_predictor
    from compress.scoring import score_rows

    opened = open_artifact(artifact)
    task = opened.manifest.task
    columns = task.text if text_column is None else (text_column,)
    with open_rows(input_, columns, task.join, named=text_column is not None) as rows:
        predictor = open_predictor(opened)
        with open_results(output, opened.manifest.labels, rows.has_id, source=input_, overwrite=overwrite) as results:
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
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(_interrupted()) from None
    except SystemExit as ended:  # Typer and rich answer so when what they write to is closed
        raise SystemExit(_pipe_closed() if isinstance(ended.__context__, BrokenPipeError) else ended.code) from None
    except BrokenPipeError:
        raise SystemExit(_pipe_closed()) from None
    except Exception as error:
        if debug:
            raise
        raise SystemExit(_explain(error)) from None
    if code:  # Typer turns Ctrl-C into this answer
        raise SystemExit(_interrupted() if code == _INTERRUPTED else code)


def _typed() -> str:
    """The command as it was typed, for the report."""
    return shlex.join(["compress", *sys.argv[1:]])


def _explain(error: Exception) -> int:
    """Prints an error as one paragraph; returns the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort) and isinstance(error.__cause__, EOFError):  # Typer takes it for Ctrl-D
        error = error.__cause__
    if isinstance(error, typer.Abort):
        return _interrupted()
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of the command line itself
        error.show()
        return int(error.exit_code)
    said, code = _said(error)
    errors.print(f"error: {said}", style="red", soft_wrap=True)
    return code


def _said(error: Exception) -> tuple[str, int]:
    """One paragraph, and the exit code."""
    if isinstance(error, CompressError):
        return str(error), error.exit_code
    machine = _of_the_machine(error)
    if machine is not None or isinstance(error, EvalError | OSError):
        return machine or str(error), UserError.exit_code
    text = f"this is a fault of compress, not of yours: {type(error).__name__}: {error}"
    return f"{text}\nRun it again with --debug for the traceback.", 1


def _of_the_machine(error: Exception) -> str | None:
    """What is missing, where the machine has too little of it. Libraries each say it in their own way."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text:
        return (
            "the GPU's memory is full. Give the stage a smaller batch_size or max_tokens, or end what else uses the "
            "GPU; the same command goes on from what was finished."
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return (
            "this machine's memory is full. Give the stage a smaller batch_size or max_tokens, or end other programs; "
            "the same command goes on from what was finished."
        )
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
        name = getattr(error, "filename", None)
        return (
            f"the disk is full{f' (writing {name})' if name else ''}. Free some space, or give --out a folder on "
            "another disk; nothing half-written is kept, and the same command goes on from what was finished."
        )
    if isinstance(error, EOFError):
        return (
            f"a file ends before its content does{f' ({text})' if text else ''}: it was not copied or downloaded "
            "whole. Fetch it again; --debug shows which one it is."
        )
    return None


def _pipe_closed() -> int:
    """Whoever read the output has enough. What is still buffered has nowhere to go, and must not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _PIPE_CLOSED


def _interrupted() -> int:
    errors.print("\nInterrupted. What was finished is kept; the same command goes on from there.")
    return _INTERRUPTED


def _quiet_libraries() -> None:
    """No telemetry, no second set of progress bars, no advice of libraries on the user's screen."""
    no_telemetry()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    warnings.simplefilter("ignore", append=True)  # after what -W or PYTHONWARNINGS asks for
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for processes that libraries start
    # OpenMP threads that spin at a barrier stand in each other's way as soon as another process wants a core: a
    # training step then took ten times as long. They give way after a short spin instead.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
