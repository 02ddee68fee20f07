"""The command that times models: bench."""

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.app import app, typed
from compress.cli.timing import Artifacts, BatchSizes, MaxSeconds, Teacher, Threads, asked, numbers
from compress.screen import bars, console, show_bench


@app.command(
    epilog=(
        "Examples: compress bench runs/a/artifacts/student-int8\n\n"
        "compress bench A/student A/student-int8 --teacher A/teacher --data comments.csv --lengths 16,128,512"
    )
)
def bench(
    artifacts: Artifacts,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FILE", help="Texts, labelled or not, or one a line; by default generated ones."
        ),
    ] = None,
    teacher: Teacher = None,
    batch_sizes: BatchSizes = "1,32",
    threads: Threads = "1,all",
    lengths: Annotated[
        str, typer.Option("--lengths", metavar="N,N", help="Times also on texts of so many tokens each.")
    ] = "",
    rounds: Annotated[
        int, typer.Option("--rounds", min=5, help="Calls of each model in each setting, at most.")
    ] = 1000,
    max_seconds: MaxSeconds = 30.0,
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

    config = asked(
        batch_sizes=numbers("--batch-sizes", batch_sizes),
        threads=numbers("--threads", threads),
        lengths=numbers("--lengths", lengths),
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
