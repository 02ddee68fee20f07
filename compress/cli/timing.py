"""The options that every command which times models has, and how they are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.errors import UserError
from compress.threads import beyond, thread_limit

if TYPE_CHECKING:
    from compress.recipe.recipe import Evaluate

Artifacts = Annotated[list[Path], typer.Argument(metavar="ARTIFACT...", help="Artifact folders.")]
Teacher = Annotated[Path | None, typer.Option("--teacher", metavar="ARTIFACT", help="What speedups are relative to.")]
BatchSizes = Annotated[str, typer.Option("--batch-sizes", metavar="N,N", help="Texts in a call.")]
Threads = Annotated[
    str, typer.Option("--threads", metavar="N,N", help="Numbers, or all: every core this process may use.")
]
MaxSeconds = Annotated[
    float,
    typer.Option(
        "--max-seconds",
        help="For each setting, batch size and length, opening the models included; never under five openings, each "
        "with a call of each model, and of cold starts nothing is counted.",
    ),
]


def numbers(option: str, text: str) -> tuple[int | str, ...]:
    """Numbers, or `all`, with commas between them. UserError on anything else."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = next((part for part in parts if not (part.isascii() and part.isdecimal()) and part != "all"), None)
    if wrong is not None:
        raise UserError(f"{option} {text}: {wrong!r} is no number; give numbers with commas between them, e.g. 1,32")
    return tuple(part if part == "all" else int(part) for part in parts)


def asked(**given: Any) -> "Evaluate":
    """What is measured, as the recipe's `evaluate` has it. UserError that names the option with a mistake in it."""
    from pydantic import ValidationError

    from compress.recipe.recipe import Evaluate

    try:
        config = Evaluate(**given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{option} {first['input']}: {first['msg']}") from None
    above = ", ".join(map(str, beyond(config.threads)))
    if above:
        raise UserError(f"--threads {above}: {thread_limit()}; give no more, or all")
    return config


def untimed(config: "Evaluate") -> "Evaluate":
    """The same without any time: in no thread count, on no device."""
    return config.model_copy(update={"threads": (), "devices": "cpu", "lengths": ()})
