"""The commands about rows: data shows a recipe's, init makes a recipe for them."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from compress.cli.app import Recipe, Sets, app
from compress.screen import bars, console, show_note, show_overview


@app.command(epilog="Example: compress data jigsaw-minilm --set data.dir=DIR --out overview")
def data(
    recipe: Recipe,
    set_: Sets = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Writes data.json, data.md and data.svg here.")
    ] = None,
) -> None:
    """Shows what the data are before anything is trained: labels, lengths in tokens, texts that recur, odd rows.

    No text is shown, and no row is changed. Nothing is written without --out.
    """
    from compress.data import load_splits
    from compress.data.overview import overview
    from compress.overview.files import write_overview
    from compress.overview.tokens import token_lengths
    from compress.recipe.load import load_recipe
    from compress.run_folder import run_folder

    loaded = load_recipe(recipe, set_ or [])
    with ExitStack() as stack:
        if out is not None:
            stack.enter_context(run_folder(out, "data"))
        progress = stack.enter_context(bars())
        progress("reading the rows", 0, 1)
        splits = load_splits(loaded.data, loaded.task, loaded.seed, loaded.evaluate.slices)
        lengths = token_lengths(loaded, splits, progress)
        progress("labels, recurring texts, odd rows", 0, 1)
        found = overview(loaded.name, loaded.task.type, splits, lengths)
        if out is not None:
            write_overview(found, out)
    show_overview(found)
    if out is not None:
        console.print(f"Overview: {out / 'data.md'}", soft_wrap=True)


@app.command(epilog="Example: compress init reviews.csv --text title --text body --label-column stars")
def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A data file, a folder of them, or a hub dataset's id.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="By default NAME.yaml, here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Takes every guess instead of asking.")] = False,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="COLUMN", help="A text column; several are joined.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--labels", metavar="A,B", help="Columns of 0 and 1, or of numbers to predict.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option("--label-column", metavar="COLUMN", help="The column that names the class or labels.")
    ] = None,
    task: Annotated[
        Literal["multi_label", "single_label", "regression"] | None,
        typer.Option("--task", help="By default what the columns look like."),
    ] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="NAME", help="Of a hub dataset that has several.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replaces a file that is already there.")] = False,
) -> None:
    """Looks at labelled rows and writes a short commented recipe for them, asking where it is not sure.

    The train file, and validation, test and unlabeled files beside it by their names. Without a test file the recipe
    takes a share of train for it.
    """
    from compress.cli.questions import asked_for, settled
    from compress.data.found import find_data, place_data
    from compress.starter import check_new, recipe_text

    answers = asked_for(header, text, labels, label_column, task)
    found = find_data(data, config)
    file = out or Path(f"{found.name}.yaml")
    check_new(file, overwrite=overwrite)
    guessed = settled(found.sheet, answers, found.label_names, yes=yes)
    file.write_text(recipe_text(found, guessed, place_data(found, guessed), str(file)), encoding="utf-8")
    for note in guessed.notes:
        show_note(note)
    for doubt in guessed.doubts:
        console.print(f"guessed: {doubt.flag} ({doubt.question})", soft_wrap=True)
    count = len(guessed.labels.labels)
    found_labels = f"{count} {'label' if count == 1 else 'labels'} in {', '.join(guessed.labels.columns)}"
    console.print(
        f"{file}: {guessed.labels.task}, text in {', '.join(guessed.text)}, {found_labels}. Next:", soft_wrap=True
    )
    for command in ("check", "data", "run"):
        console.print(f"  compress {command} {shlex.quote(str(file))}", soft_wrap=True)
