"""The commands that take models: evaluate, predict, inspect."""

import json
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.app import app, typed
from compress.screen import bars, console, show_architectures, show_report


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
        Path | None, typer.Option("--out", metavar="DIR", help="Writes report.html, report.json and report.md here.")
    ] = None,
) -> None:
    """Judges any artifacts on labelled rows: quality with intervals, size, paired latency."""
    from compress.environment import check_onnxruntime
    from compress.judge import evaluate_artifacts, write_report
    from compress.run_folder import working_folder

    check_onnxruntime()
    with working_folder(out, "evaluate") as scratch, bars() as progress:
        report = evaluate_artifacts(artifacts, teacher, data, scratch, progress, typed())
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
    text_column: Annotated[
        str | None,
        typer.Option("--text-column", metavar="NAME", help="By default the column the model was trained on."),
    ] = None,
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
            count = score_rows(predictor, rows, results)
    if output is not None:
        console.print(f"{count} texts scored: {output}", soft_wrap=True)


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
