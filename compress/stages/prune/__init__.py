"""Takes weights out of a trained model."""

from pathlib import Path

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.pruning import Prune, PruneLayers, PruneMagnitude, PruneStructured
from compress.stages.prune import layers, magnitude, structured


def run(config: Prune, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Prunes by the configured method, with recovery training."""
    match config:
        case PruneMagnitude():
            return magnitude.run(config, inputs, context, folder)
        case PruneStructured():
            return structured.run(config, inputs, context, folder)
        case PruneLayers():
            return layers.run(config, inputs, context, folder)
        case _:
            raise TypeError(f"{type(config).__name__} is no method of pruning")
