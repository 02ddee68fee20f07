"""Takes weights out of a trained model."""

from pathlib import Path

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.stages import Prune
from compress.stages.prune import magnitude


def run(config: Prune, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Prunes by the configured method, with recovery training."""
    match config.method:
        case "magnitude":
            return magnitude.run(config, inputs, context, folder)
