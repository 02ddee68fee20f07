"""Schemes that turn an ONNX file into a smaller one."""

import tempfile
from functools import partial
from pathlib import Path
from typing import assert_never

import numpy as np

from compress.artifact import Artifact, Floats, Manifest
from compress.batches import text_logits
from compress.context import Context
from compress.errors import DataError, ParityError
from compress.inputs import Inputs, Made
from compress.products import int8_share
from compress.recipe.quantizing import Fp16, Int8Dynamic, Int8Static
from compress.runtime.onnx import inherit, open_session, run_session
from compress.runtime.onnx_text import run_texts, text_batches
from compress.stages.quantize.beside import asked_texts
from compress.stages.quantize.calibrate import absence_notes, calibration_batches, clamp_masks, drawn_rows
from compress.stages.quantize.fallback_run import fall_back
from compress.stages.quantize.fp16 import to_fp16
from compress.stages.quantize.int8_dynamic import int8_dynamic
from compress.stages.quantize.int8_static import int8_static
from compress.stages.quantize.mixed import TwoForms, mixed
from compress.stages.quantize.tables import to_small_tables
from compress.tokenizer import open_tokenizer

_CLAMPED = 1e-4


def run(config: Fp16 | Int8Dynamic | Int8Static, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent's model.onnx by the configured scheme."""
    parent = inputs.followed()
    inherit(parent.path, folder)
    target = folder / "model.onnx"
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    notes = _convert(config, inputs, context, target)
    logits = _answers(target, parent.manifest, asked_texts(inputs), len(inputs.task.labels))
    _check_finite(logits)
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    made_of, tokens, long_text = parent.manifest.format, parent.manifest.max_tokens, parent.manifest.long_text
    return Made(made_of, tokens, "fp16" if isinstance(config, Fp16) else "int8", notes, long_text=long_text)


def _convert(
    config: Fp16 | Int8Dynamic | Int8Static, inputs: Inputs, context: Context, target: Path
) -> tuple[str, ...]:
    """Writes the smaller file; notes of what was done."""
    parent = inputs.followed()
    source = parent.path / "model.onnx"
    if parent.manifest.format == "onnx_text":
        if isinstance(config, Int8Static):
            raise ParityError("the graph takes texts, and no product of it can be calibrated; use scheme: int8_dynamic")
        return (to_small_tables(source, target, config.scheme),)
    match config:
        case Fp16():
            to_fp16(source, target)
            return ()
        case Int8Dynamic():
            # products go back to fp32 one by one
            return _save_int8(config, int8_dynamic(source, fuse=config.fallback is None), (), inputs, context, target)
        case Int8Static():
            forms, notes = _calibrated(config, inputs, context, source)
            return _save_int8(config, forms, notes, inputs, context, target)
        case _ as unknown:
            assert_never(unknown)


def _save_int8(
    config: Int8Dynamic | Int8Static,
    forms: TwoForms,
    notes: tuple[str, ...],
    inputs: Inputs,
    context: Context,
    target: Path,
) -> tuple[str, ...]:
    """Writes the int8 graph, with those products in fp32 that fall back; notes of what was done."""
    import onnx

    model = forms.small
    if config.fallback is not None:
        fallen = fall_back(config, config.fallback, forms, inputs, context)
        notes = (*notes, *fallen.notes)
        model = mixed(forms.whole, forms.small, fallen.products)
        onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return (f"int8: {int8_share(model):.1%} of the weights in matrix products", *notes)


def _calibrated(config: Int8Static, inputs: Inputs, context: Context, source: Path) -> tuple[TwoForms, tuple[str, ...]]:
    """Static int8 by ranges on train rows, and notes on these."""
    import onnx

    train, manifest = inputs.splits().train, inputs.followed().manifest
    rows = drawn_rows(train, config.calibration.rows, context.seed)
    if not len(rows):
        raise DataError(f"stages.{config.id}: static int8 is calibrated on train rows, and there are none.")
    tokenizer = open_tokenizer(source.parent, manifest.token_limit, manifest.long_text)
    batches = calibration_batches([train.texts[row] for row in rows], tokenizer)
    model = onnx.load(str(source))
    with tempfile.TemporaryDirectory() as scratch:
        plain = source
        if clamp_masks(model):
            plain = Path(scratch) / "model.onnx"
            onnx.save(model, str(plain))
            _check_clamped(inputs, plain)
        forms = int8_static(plain, batches, config.calibration, config.reduce_range)
    return forms, absence_notes(train, rows, "calibration.rows")


def _check_clamped(inputs: Inputs, plain: Path) -> None:
    """Raises ParityError where the fp32 graph answers otherwise once its masks are clamped."""
    parent = inputs.followed()
    texts, labels = asked_texts(inputs), len(inputs.task.labels)
    before, after = (
        _answers(path, parent.manifest, texts, labels, parent) for path in (parent.path / "model.onnx", plain)
    )
    sizes = np.maximum(1, np.abs(before).max(axis=0))
    largest = float((np.abs(before - after) / sizes).max())
    if not largest <= _CLAMPED:
        raise ParityError(
            f"with its mask constants clamped to 1e4 the fp32 graph's logits differ by up to {largest:.1e} on "
            f"{len(texts)} texts (at most {_CLAMPED:.0e} is allowed), so it cannot be calibrated. Nothing was kept; "
            "use scheme: int8_dynamic."
        )


def _answers(
    model: Path, manifest: Manifest, texts: tuple[str, ...], labels: int, beside: Artifact | None = None
) -> Floats:
    """Logits (N, L) of an ONNX file. beside: the artifact whose tokenizer it has; by default it lies in its folder.

    Raises ParityError if the graph does not open or run.
    """
    try:
        session = open_session(str(model), "cpu", 0)
        if manifest.format == "onnx_text":
            return run_texts(session, text_batches(texts), len(texts), labels)
        folder = beside.path if beside is not None else model.parent
        tokenizer = open_tokenizer(folder, manifest.token_limit, manifest.long_text)
        return text_logits(partial(run_session, session), texts, tokenizer, labels)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ParityError(f"the converted graph does not run: {error}. Nothing was kept.") from error


def _check_finite(logits: Floats) -> None:
    """Raises ParityError where logits (N, L) are not finite."""
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise ParityError(
            f"the converted graph gives infinite or undefined logits for {bad} of {len(logits)} texts. "
            "Nothing was kept. Values beyond 65,504 do not fit fp16; use scheme: int8_dynamic."
        )
