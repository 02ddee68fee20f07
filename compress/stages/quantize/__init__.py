"""Makes a model smaller by fewer bits. Decision, tokenizer and configuration are the parent's."""

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.quantizing import (
    Bf16,
    Fp16,
    IncInt8,
    Int8Dynamic,
    Int8Static,
    OpenvinoBf16,
    OpenvinoInt8,
    Scheme,
)
from compress.stages.quantize.drop import drop_marks


def run(config: Scheme, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent by the configured scheme, and marks a result that falls further than max_drop.

    Raises ParityError where the result does not answer.
    """
    made = _convert(config, inputs, context, folder)
    return replace(made, marks=drop_marks(config, inputs, made, folder))


def _convert(config: Scheme, inputs: Inputs, context: Context, folder: Path) -> Made:
    match config:
        case Fp16() | Int8Dynamic() | Int8Static():
            from compress.stages.quantize import onnx_file

            return onnx_file.run(config, inputs, context, folder)
        case Bf16():
            from compress.stages.quantize import bf16

            return bf16.run(config, inputs, context, folder)
        case OpenvinoInt8() | OpenvinoBf16():
            from compress.stages.quantize import openvino

            return openvino.run(config, inputs, context, folder)
        case IncInt8():
            from compress.stages.quantize import inc

            return inc.run(config, inputs, context, folder)
        case _ as unknown:
            assert_never(unknown)
