"""The command that times models: bench."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.app import app, typed
from compress.errors import UserError
from compress.screen import bars, console, show_bench

if TYPE_CHECKING:
    from compress.recipe.recipe import Evaluate


@app.command(
    epilog=(
        "Examples: compress bench runs/a/artifacts/student-int8\n\n"
        "compress bench A/student A/student-int8 --teacher A/teacher --data comments.csv --lengths 16,128,512"
    )
)
def bench(
    artifacts: Annotated[list[Path], typer.Argument(metavar="ARTIFACT...", help="Artifact folders.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FILE", help="Texts, labelled or not, or one a line; by default generated ones."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="ARTIFACT", help="What speedups are relative to.")
    ] = None,
    batch_sizes: Annotated[str, typer.Option("--batch-sizes", metavar="N,N", help="Texts in a call.")] = "1,32",
    threads: Annotated[str, typer.Option("--threads", metavar="N,N", help="Numbers, or all.")] = "1,all",
    lengths: Annotated[
        str, typer.Option("--lengths", metavar="N,N", help="Times also on texts of so many tokens each.")
    ] = "",
    rounds: Annotated[
        int, typer.Option("--rounds", min=5, help="Calls of each model in each setting, at most.")
    ] = 1000,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="For each setting, batch size and length.")
    ] = 30.0,
    price_per_hour: Annotated[
        float | None, typer.Option("--price-per-hour", help="Of this machine: gives the cost of a million texts.")
    ] = None,
    cold_start: Annotated[
        bool, typer.Option("--cold-start/--no-cold-start", help="Times fresh processes too, and their memory.")
    ] = True,
    json_: Annotated[bool, typer.Option("--json", help="Writes JSON to standard output.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Writes bench.json and bench.md here.")
    ] = None,
) -> None:
    """Times any artifacts, text to answer, without labels: paired speedups, tokenization apart, cold start, memory."""
    from compress.bench import bench_artifacts, dump_bench, write_bench
    from compress.environment import check_onnxruntime
    from compress.run_folder import working_folder

    config = _asked(
        batch_sizes=_listed("--batch-sizes", batch_sizes),
        threads=_listed("--threads", threads),
        lengths=_listed("--lengths", lengths),
        rounds=rounds,
        max_seconds=max_seconds,
        price_per_hour=price_per_hour,
        cold_start=cold_start,
    )
    check_onnxruntime()
    with working_folder(out, "bench") as scratch, bars() as progress:
        found = bench_artifacts(artifacts, teacher, data, config, scratch, progress, typed())
        if out is not None:
            write_bench(found, out)
    if json_:
        typer.echo(dump_bench(found), nl=False)
        return
    show_bench(found)
    if out is not None:
        console.print(f"Written: {out / 'bench.md'}", soft_wrap=True)


def _listed(option: str, text: str) -> tuple[int | str, ...]:
    """Numbers, or `all`, with commas between them."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = next((part for part in parts if not part.isdigit() and part != "all"), None)
    if wrong is not None:
        raise UserError(f"{option} {text}: {wrong!r} is no number; give numbers with commas between them, e.g. 1,32")
    return tuple(part if part == "all" else int(part) for part in parts)


def _asked(**given: Any) -> "Evaluate":
    from pydantic import ValidationError

    from compress.recipe.recipe import Evaluate

    try:
        return Evaluate(**given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{option} {first['input']}: {first['msg']}") from None
