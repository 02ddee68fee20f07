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
from compress.runtime.onnx_text import run_texts, text_batches
from compress.stages.quantize.fp16 import to_fp16
from compress.stages.quantize.int8_dynamic import to_int8_dynamic
from compress.stages.quantize.tables import to_small_tables
from compress.tokenizer import open_tokenizer

Scheme = Literal["fp16", "int8_dynamic"]
_PRECISIONS: dict[Scheme, Literal["fp16", "int8"]] = {"fp16": "fp16", "int8_dynamic": "int8"}
CHECKED_TEXTS = 200
# also where validation is empty
_TEXTS = ("a first text", "and a second one that is a little longer")


def run(config: Quantize, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent's model.onnx by the configured scheme."""
    parent = inputs.followed()
    inherit(parent.path, folder)
    source, target = parent.path / "model.onnx", folder / "model.onnx"
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    notes = _convert(config.scheme, source, target, takes_texts=parent.manifest.format == "onnx_text")
    texts = (*_TEXTS, *inputs.splits().validation.texts[:CHECKED_TEXTS])
    _check_answers(target, parent.manifest, texts, len(inputs.task.labels))
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    made_of, tokens, long_text = parent.manifest.format, parent.manifest.max_tokens, parent.manifest.long_text
    return Made(made_of, tokens, _PRECISIONS[config.scheme], notes, long_text=long_text)


def _convert(scheme: Scheme, source: Path, target: Path, takes_texts: bool) -> tuple[str, ...]:
    """Writes the smaller file; notes of what was done."""
    if takes_texts:
        return (to_small_tables(source, target, scheme),)
    match scheme:
        case "fp16":
            to_fp16(source, target)
            return ()
        case "int8_dynamic":
            return (to_int8_dynamic(source, target),)
        case _ as unknown:
            assert_never(unknown)


def _check_answers(model: Path, manifest: Manifest, texts: tuple[str, ...], labels: int) -> None:
    """Raises ParityError if the converted graph does not open or gives something other than finite logits."""
    try:
        session = open_session(str(model), "cpu", 0)
        if manifest.format == "onnx_text":
            logits = run_texts(session, text_batches(texts), len(texts), labels)
        else:
            tokenizer = open_tokenizer(model.parent, manifest.token_limit, manifest.long_text)
            logits = text_logits(partial(run_session, session), texts, tokenizer, labels)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ParityError(f"the converted graph does not run: {error}. Nothing was kept.") from error
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise ParityError(
            f"the converted graph gives infinite or undefined logits for {bad} of {len(texts)} texts. "
            "Nothing was kept. Values beyond 65,504 do not fit fp16; use scheme: int8_dynamic."
        )
