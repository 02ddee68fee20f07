"""The Typer app and the arguments that several commands share."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from compress.screen import console
from compress.version import __version__

GOAL_MISSED = 3  # exit code

app = typer.Typer(
    name="compress",
    help=(
        "Turns a text classifier that is too big and slow into the smallest, fastest one that is still good enough, "
        "with proof.\n\nGive --debug anywhere to see a traceback with an error."
    ),
    epilog=(
        "Examples: compress run quickstart (generated data, minutes)\n\n"
        "compress init reviews.csv, then compress check reviews.yaml, compress run reviews.yaml"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        console.print(f"compress {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Shows the version and ends.")
    ] = False,
) -> None:
    """Options of the program itself."""


Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's path, or the bare name of a shipped recipe.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Overrides a value; may be given again; list items by id: stages.teacher.epochs=1.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The run's folder; by default runs/NAME.")]


def typed() -> str:
    """The command as it was typed, for the report."""
    return shlex.join(["compress", *sys.argv[1:]])
