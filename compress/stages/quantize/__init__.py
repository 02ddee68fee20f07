"""Makes an ONNX model smaller: fp16 or dynamic int8. Decision, tokenizer and configuration are the parent's."""

import shutil
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from compress.context import Context
from compress.errors import ParityError
from compress.inputs import Inputs, Made
from compress.recipe.stages import Quantize
from compress.runtime.onnx import open_session
from compress.stages.quantize.fp16 import to_fp16
from compress.stages.quantize.int8_dynamic import to_int8_dynamic
from compress.tokenizer import copy_tokenizer, open_tokenizer


def run(config: Quantize, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent's model.onnx by the configured scheme."""
    parent = inputs.followed()
    copy_tokenizer(parent.path, folder)
    for name in ("config.json", "decision.json"):
        shutil.copyfile(parent.path / name, folder / name)
    source, target = parent.path / "model.onnx", folder / "model.onnx"
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    precision: Literal["fp16", "int8"]
    match config.scheme:
        case "fp16":
            to_fp16(source, target)
            precision = "fp16"
        case "int8_dynamic":
            to_int8_dynamic(source, target)
            precision = "int8"
        case _ as unknown:
            assert_never(unknown)
    _check_answers(target, parent.manifest.max_tokens or 512)
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    return Made("onnx", parent.manifest.max_tokens, precision)


def _check_answers(model: Path, max_tokens: int) -> None:
    """Raises ParityError if the converted graph does not open or gives something other than finite logits."""
    tokenizer = open_tokenizer(model.parent, max_tokens)
    batch = tokenizer.pad(tokenizer.encode(["a first text", "and a second one that is a little longer"]))
    try:
        logits = open_session(str(model), "cpu", 1).run(["logits"], batch)[0]
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ParityError(f"the converted graph does not run: {error}. Nothing was kept.") from error
    if not np.isfinite(logits).all():
        raise ParityError("the converted graph gives infinite or undefined logits. Nothing was kept.")
