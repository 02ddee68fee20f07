"""The commands that take models: evaluate, predict, inspect."""

import json
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.app import app, typed
from compress.cli.timing import Artifacts, BatchSizes, MaxSeconds, Teacher, Threads, asked, numbers, untimed
from compress.screen import bars, console, show_architectures, show_note, show_report

TextColumn = Annotated[
    str | None, typer.Option("--text-column", metavar="NAME", help="By default the column the model was trained on.")
]


@app.command(
    epilog=(
        "Examples: compress evaluate runs/a/artifacts/student-int8 --data test.csv --teacher runs/a/artifacts/teacher"
        "\n\ncompress evaluate A/student --data chat.csv --text-column message --slices language --no-latency"
    )
)
def evaluate(
    artifacts: Artifacts,
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="Labelled rows: csv, tsv, jsonl or parquet.")],
    teacher: Teacher = None,
    text_column: TextColumn = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the test set in the report; by default the file's.")
    ] = None,
    slices: Annotated[
        str, typer.Option("--slices", metavar="COL,COL", help="Columns by whose values quality is told apart.")
    ] = "",
    batch_sizes: BatchSizes = "1,32",
    threads: Threads = "1,all",
    max_seconds: MaxSeconds = 60.0,
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Whether anything is timed.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Writes report.html, report.json and report.md here.")
    ] = None,
) -> None:
    """Judges any artifacts on labelled rows: quality with intervals, size, paired latency."""
    from compress.environment import check_onnxruntime
    from compress.judge import Judged, evaluate_artifacts, write_report
    from compress.run_folder import working_folder

    config = asked(
        batch_sizes=numbers("--batch-sizes", batch_sizes),
        threads=numbers("--threads", threads),
        max_seconds=max_seconds,
        slices=tuple(column.strip() for column in slices.split(",") if column.strip()),
    )
    if not latency:
        config = untimed(config)
    check_onnxruntime()
    with working_folder(out, "evaluate") as scratch, bars() as progress:
        judged = Judged(data, (name or "").strip() or None, text_column)
        report = evaluate_artifacts(artifacts, teacher, judged, config, scratch, progress, typed())
        if out is not None:
            write_report(report, out)
    show_report(report)
    if out is not None:
        console.print(f"Report: {out / 'report.html'}", soft_wrap=True)


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
    text_column: TextColumn = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replaces an output file that is already there.")
    ] = False,
) -> None:
    """Scores texts: LABEL_probability and LABEL_decision (0 or 1) for each label, in the order of the input, streaming.

    Of a regression, TARGET_prediction for each target. An `id` column is passed through; other columns are not.
    Standard output is CSV.
    """
    from compress.artifact import open_artifact
    from compress.data import open_results, open_rows, result_kinds
    from compress.runtime import open_predictor
    from compress.scoring import score_rows

    opened = open_artifact(artifact)
    task = opened.manifest.task
    columns = task.text if text_column is None else (text_column,)
    with open_rows(input_, columns, task.join, named=text_column is not None, unheaded=task.columns or ()) as rows:
        predictor = open_predictor(opened)
        kinds = result_kinds(task)
        with open_results(output, task.labels, rows.has_id, input_, overwrite, kinds) as results:
            scored = score_rows(predictor, rows, results)
    note = scored.note()
    if note is not None:
        show_note(note)
    if output is not None:
        console.print(f"{scored.rows} texts scored: {output}", soft_wrap=True)


@app.command(epilog="Example: compress inspect runs/a/artifacts/teacher runs/a/artifacts/student package:NAME/PATH")
def inspect(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Artifact, model's folder, config.json, hub id, or package:NAME/PATH."),
    ],
    json_: Annotated[bool, typer.Option("--json", help="Writes JSON to standard output.")] = False,
) -> None:
    """Shows architectures side by side: layers, widths, positions, parameters by part, bytes, multiply-adds, uses.

    No weights are read. Multiply-adds are those of one text of 128 tokens, or as many as the model reads; an
    encoder-decoder reads them with both halves.
    """
    from compress.architecture.read import inspect_model

    found = [inspect_model(model) for model in models]
    if json_:
        typer.echo(json.dumps({"models": [model.as_json() for model in found]}, indent=2, ensure_ascii=False))
    else:
        show_architectures(found)
