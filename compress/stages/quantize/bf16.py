"""Weights of a torch model in bf16: the upper half of fp32's bits."""

from pathlib import Path

from compress.classifier import to_bf16
from compress.context import Context
from compress.encoder.files import load_classifier, save_classifier
from compress.inputs import Inputs, Made
from compress.recipe.quantizing import Bf16
from compress.runtime.onnx import inherit
from compress.stages.quantize.beside import beside_parent


def run(config: Bf16, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Rounds the parent's weights to bf16, those of the last layer apart.

    Raises ParityError where the result does not answer.
    """
    parent = inputs.followed()
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    inherit(parent.path, folder)
    model = load_classifier(parent.path)
    to_bf16(model)
    save_classifier(model, folder)
    made = Made("torch", parent.manifest.max_tokens, "bf16", long_text=parent.manifest.long_text)
    found = beside_parent(inputs, made, folder)
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    return found
