"""The command line: parses, calls, renders, exits. With screen.py the only place that prints or sets up logging.

Exit codes: 0 done, 2 the recipe, the input or the machine is wrong, 3 a goal of the recipe is missed or a max_drop (the
work is done all the same), 1 a fault of ours, 130 interrupted, 141 the output was closed by its reader.
"""

import os
import sys
import warnings

import typer

# in the order that --help shows their commands in
from compress.cli import recipes, data, models, bench, reports  # isort: skip
from compress import processes
from compress.cli.app import app
from compress.cli.failures import said
from compress.memory import keep_freed_memory
from compress.screen import errors
from compress.telemetry import no_telemetry

__all__ = ["app", "bench", "data", "main", "models", "recipes", "reports"]

_INTERRUPTED = 130
_PIPE_CLOSED = 141  # as a shell reports a process that SIGPIPE ended


def main() -> None:
    """Entry point: runs a command and turns errors into one paragraph and an exit code."""
    try:
        _main()
    except SystemExit as ended:
        if isinstance(ended.code, int) and ended.code:
            processes.end_at_once(ended.code)
        raise


def _main() -> None:
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    _quiet_libraries()
    _settle_process()
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
    text, code = said(error)
    errors.print(f"error: {text}", style="red", soft_wrap=True)
    return code


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


def _settle_process() -> None:
    """How the system's libraries use threads and memory, before any of them starts."""
    # OpenMP threads that spin at a barrier stand in each other's way as soon as another process wants a core: a
    # training step then took ten times as long. They give way after a short spin instead.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    keep_freed_memory()
