"""The commands that follow a recipe: run, check, plan."""

from pathlib import Path
from typing import Annotated

import typer

from compress import processes
from compress.cli.app import GOAL_MISSED, Out, Recipe, Sets, app, typed
from compress.screen import bars, console, show_note, show_plan, show_report


@app.command(epilog="Example: compress run quickstart --out runs/try --set stages.teacher.epochs=2")
def run(
    recipe: Recipe,
    out: Out = None,
    set_: Sets = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Runs everything again, also what is cached.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="An undecided goal counts as a missed one.")] = False,
) -> None:
    """Runs what is not already done: stages, evaluation, report. Interrupted, it goes on with the same command.

    Exit code 3 where a goal of the recipe is missed, or a stage's result fell further than its max_drop; artifacts and
    report are kept all the same.
    """
    from compress.beginnings import vector_mistakes
    from compress.environment import check_onnxruntime
    from compress.recipe.load import load_recipe

    check_onnxruntime()
    loaded = load_recipe(recipe, set_ or [], vector_mistakes)
    folder = out or Path("runs") / loaded.name
    from compress.pipeline import run_recipe, take_part

    if processes.number():
        take_part(loaded, folder)
        return
    with bars() as progress:
        told: list[str] = []

        def tell(note: str) -> None:
            told.append(note)
            show_note(note)

        outcome = run_recipe(loaded, folder, fresh, progress, tell, typed())
    show_report(outcome.report, told)
    done = f"ran {', '.join(outcome.ran)}" if outcome.ran else "all stages are cached: nothing to run"
    console.print(f"{done}; {'measured' if outcome.measured else 'measurements are cached'}.")
    console.print(f"Report: {folder / 'report.html'}    Artifacts: {folder / 'artifacts'}", soft_wrap=True)
    if strict and not loaded.goals:
        show_note("--strict asks for goals, and the recipe has none")
    failing = {"missed", "undecided"} if strict else {"missed"}
    if outcome.marked or any(verdict.state in failing for verdict in outcome.report.verdicts):
        raise typer.Exit(GOAL_MISSED)


@app.command(epilog="Example: compress check my.yaml --set data.dir=jigsaw")
def check(recipe: Recipe, set_: Sets = None) -> None:
    """Finds every mistake of a recipe at once, each with its place. Reads no data and trains nothing."""
    from compress.beginnings import check_families, vector_mistakes
    from compress.errors import MissingPackageError
    from compress.preflight import check_backend, seen_notes
    from compress.recipe.load import load_recipe

    loaded = load_recipe(recipe, set_ or [], vector_mistakes)
    check_families(loaded.all_stages)
    stages = ", ".join(stage.id for stage in loaded.all_stages)
    how_many, again = len(loaded.all_stages), len(loaded.repeats)
    more = f", and {again} more stage{'s' * (again > 1)} with other seeds" if again else ""
    console.print(f"{recipe} is right: {how_many} stage{'s' * (how_many > 1)} ({stages}){more}.", soft_wrap=True)
    for stage in loaded.all_stages:
        try:
            check_backend(stage)
        except MissingPackageError as error:  # it may run elsewhere
            show_note(str(error))
    console.print("Its data and models were not opened: `compress data` and `compress run` do that first of all.")
    for note in seen_notes(loaded):
        console.print(f"note: {note}", soft_wrap=True)


@app.command(epilog="Example: compress plan quickstart")
def plan(recipe: Recipe, out: Out = None, set_: Sets = None) -> None:
    """Shows the stages, which of them are cached, and how big each result will be. Touches nothing."""
    from compress.beginnings import vector_mistakes
    from compress.inputs import RecipeData
    from compress.plan import make_plan
    from compress.preflight import seen_notes
    from compress.recipe.load import load_recipe
    from compress.run_folder import Pending

    loaded = load_recipe(recipe, set_ or [], vector_mistakes)
    folder = out or Path("runs") / loaded.name
    facts = RecipeData(loaded, folder / "cache", keep=False).facts
    show_plan(make_plan(loaded, folder, facts), Pending(folder).stages)
    for note in (*facts.notes, *seen_notes(loaded)):
        console.print(f"note: {note}", soft_wrap=True)
