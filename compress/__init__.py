"""Compress: recipes that turn a text classifier that is too big and slow into the smallest, fastest one that is still
good enough, with proof.

From a script: `load_recipe(path)`, `run(recipe, out)`, `open_predictor(folder)`. Each imports what it needs when it is
called.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.version import __version__

if TYPE_CHECKING:
    from compress.judge import Outcome
    from compress.recipe.recipe import Recipe
    from compress.runtime.base import LogitsPredictor

__all__ = ["__version__", "load_recipe", "open_predictor", "run"]


def load_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> "Recipe":
    """The recipe at `path` or the shipped one of that name, with `KEY=VALUE` overrides. Raises RecipeError."""
    from compress.telemetry import no_telemetry

    no_telemetry()
    from compress.recipe.load import load_recipe as load

    return load(path, overrides)


def run(recipe: "Recipe", out: str | Path, fresh: bool = False) -> "Outcome":
    """Runs what is not already done and writes artifacts and report into the folder `out`."""
    from compress.telemetry import no_telemetry

    no_telemetry()
    from compress.context import silent
    from compress.pipeline import run_recipe

    return run_recipe(recipe, Path(out), fresh, silent)


def open_predictor(folder: str | Path, **how: Any) -> "LogitsPredictor":
    """A predictor for the artifact at `folder`, verified first. how: device ("cpu" or "cuda"), threads."""
    from compress.telemetry import no_telemetry

    no_telemetry()
    from compress.artifact import open_artifact
    from compress.runtime import open_predictor as open_

    return open_(open_artifact(Path(folder)), **how)
