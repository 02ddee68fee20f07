"""Makes an ONNX model smaller: fp16 or dynamic int8. Decision, tokenizer and configuration are the parent's."""

from functools import partial
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from compress.artifact import Manifest
from compress.batches import text_logits
from compress.context import Context
from compress.errors import ParityError
from compress.inputs import Inputs, Made
from compress.recipe.stages import Quantize
from compress.runtime.onnx import inherit, open_session, run_session
from compress.stages.quantize.fp16 import to_fp16
from compress.stages.quantize.int8_dynamic import to_int8_dynamic
from compress.tokenizer import open_tokenizer

CHECKED_TEXTS = 200
# also where validation is empty
_TEXTS = ("a first text", "and a second one that is a little longer")


def run(config: Quantize, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent's model.onnx by the configured scheme."""
    parent = inputs.followed()
    inherit(parent.path, folder)
    source, target = parent.path / "model.onnx", folder / "model.onnx"
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    precision: Literal["fp16", "int8"]
    notes: tuple[str, ...] = ()
    match config.scheme:
        case "fp16":
            to_fp16(source, target)
            precision = "fp16"
        case "int8_dynamic":
            notes = (to_int8_dynamic(source, target),)
            precision = "int8"
        case _ as unknown:
            assert_never(unknown)
    texts = (*_TEXTS, *inputs.splits().validation.texts[:CHECKED_TEXTS])
    _check_answers(target, parent.manifest, texts, len(inputs.task.labels))
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    return Made("onnx", parent.manifest.max_tokens, precision, notes, long_text=parent.manifest.long_text)


def _check_answers(model: Path, manifest: Manifest, texts: tuple[str, ...], labels: int) -> None:
    """Raises ParityError if the converted graph does not open or gives something other than finite logits."""
    tokenizer = open_tokenizer(model.parent, manifest.token_limit, manifest.long_text)
    try:
        session = open_session(str(model), "cpu", 0)
        logits = text_logits(partial(run_session, session), texts, tokenizer, labels)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ParityError(f"the converted graph does not run: {error}. Nothing was kept.") from error
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise ParityError(
            f"the converted graph gives infinite or undefined logits for {bad} of {len(texts)} texts. "
            "Nothing was kept. Values beyond 65,504 do not fit fp16; use scheme: int8_dynamic."
        )
