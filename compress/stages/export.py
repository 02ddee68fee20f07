"""Writes a torch classifier as ONNX, and keeps it only if it answers as the torch model does."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.artifact import Artifact, Floats
from compress.batches import text_logits
from compress.classifier import Classifier, forward
from compress.context import Context
from compress.encoder.files import load_classifier
from compress.errors import ParityError
from compress.inputs import Inputs, Made
from compress.pieces import TokenIds
from compress.products import plain_products
from compress.recipe.stages import Export
from compress.runtime.onnx import inherit, open_session, run_session
from compress.tokenizer import Batch, Tokenizer, open_tokenizer

TOLERANCE = 1e-4
PARITY_TEXTS = 200
_SAMPLE = ("a first text of some length, so that no axis is fixed at one", "a second one that is shorter, and padded")


def run(config: Export, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Exports the parent; raises ParityError if probabilities (or outputs) move by more than 1e-4."""
    parent = inputs.followed()
    max_tokens, long_text = parent.manifest.token_limit, parent.manifest.long_text
    inherit(parent.path, folder)
    tokenizer = open_tokenizer(folder, max_tokens, long_text)
    context.progress(f"{config.id}: tracing", 0, 2)
    # eager attention is the one form every architecture has and every exporter knows
    model = load_classifier(parent.path, attention="eager")
    exporter = write_onnx(model, tokenizer.pad(_sample(tokenizer)), folder / "model.onnx")
    context.progress(f"{config.id}: comparing with torch", 1, 2)
    note = _check_parity(parent, folder, tokenizer, inputs)
    context.progress(f"{config.id}: comparing with torch", 2, 2)
    return Made("onnx", max_tokens, notes=(exporter, note), long_text=long_text)


def write_onnx(model: Classifier, batch: Batch, path: Path) -> str:
    """One self-contained file with inputs input_ids, attention_mask (B, T) and output logits (B, L), both axes dynamic.

    transformers' exporter is young, so it stays behind this function; where it fails torch's older tracer is used.
    Returns a note that says which of them it was, and why.
    """
    inputs = {name: torch.from_numpy(value) for name, value in batch.items()}
    wrapped = _Named(model).eval()
    with _quiet():
        try:
            _export_dynamo(wrapped, inputs, path)
        except Exception as error:  # any failure of the young exporter: the old one is the answer, parity is the judge
            for half in path.parent.glob(f"{path.name}*"):
                half.unlink()
            _export_traced(wrapped, inputs, path)
            return f"exported by torch's tracer, because transformers' exporter failed: {_brief(error)}"
    return "exported by transformers' exporter"


def _brief(error: Exception) -> str:
    """The kind of error and its first line; exporters append pages of graph."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


class _Named(nn.Module):
    """Gives the exporter an output called logits."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        return {"logits": self.model(input_ids, attention_mask, token_type_ids)}


def _export_dynamo(model: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    import onnx_ir
    from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    config = OnnxConfig(dynamic=True, dynamic_shapes=dict.fromkeys(inputs, axes))
    exported = OnnxExporter().export(model, inputs, config=config)
    _tidy(exported.program)
    plain_products(exported.program)
    onnx_ir.save(exported.program, str(path))


def _export_traced(model: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    import onnx_ir

    axes = {name: {0: "batch", 1: "sequence"} for name in inputs} | {"logits": {0: "batch"}}
    torch.onnx.export(
        model,
        (dict(inputs),),
        str(path),
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    program = onnx_ir.load(str(path))
    plain_products(program)
    onnx_ir.save(program, str(path))


def _tidy(program: Any) -> None:
    """Names the axes batch and sequence, not s43 and s53, and drops the exporter's notes on every node.

    The notes (stack traces of the export) are a fifth of a small int8 model's bytes.
    """
    import onnx_ir

    for value in program.graph.inputs:
        value.shape = onnx_ir.Shape(["batch", "sequence"])
    for value in program.graph.outputs:
        value.shape = onnx_ir.Shape(["batch", value.shape[1]])
    program.graph.metadata_props.clear()
    for node in program.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _sample(tokenizer: Tokenizer) -> list[TokenIds]:
    """Two texts of 16 tokens or more: an export from a batch or a length of one would fix that axis."""
    return tokenizer.encode([text + " and on it goes" * 3 for text in _SAMPLE])


def _check_parity(parent: Artifact, folder: Path, tokenizer: Tokenizer, inputs: Inputs) -> str:
    """Raises ParityError, or returns a note with the largest difference found."""
    texts = inputs.splits().validation.texts[:PARITY_TEXTS]
    labels = len(inputs.task.labels)
    model = load_classifier(parent.path)
    torch_logits = text_logits(lambda batch: forward(model, batch, "cpu"), texts, tokenizer, labels)
    session = open_session(str(folder / "model.onnx"), "cpu", 0)
    onnx_logits = text_logits(lambda batch: run_session(session, batch), texts, tokenizer, labels)
    if inputs.task.type == "regression":
        return compare_outputs(torch_logits, onnx_logits)
    decision = parent.decision()
    before, after = (decision.probabilities(logits, inputs.task) for logits in (torch_logits, onnx_logits))
    return compare(before, after, decision.thresholds)


def compare(before: Floats, after: Floats, thresholds: tuple[float, ...] | None) -> str:
    """A note with the largest difference of two (N, L) probability arrays.

    Raises ParityError where one exceeds 1e-4, or a decision differs that was further than 1e-4 from its threshold.
    """
    largest = float(np.abs(before - after).max()) if before.size else 0.0
    if not largest <= TOLERANCE:  # also when it is NaN
        raise ParityError(
            f"the ONNX model's probabilities differ from torch's by up to {largest:.2e} on {len(before)} validation "
            f"texts (at most {TOLERANCE:.0e} is allowed). Nothing was kept."
        )
    flipped = _flipped(before, after, thresholds)
    if flipped:
        raise ParityError(
            f"the ONNX model decides {flipped} labels of {len(before)} validation texts otherwise. Nothing was kept."
        )
    return (
        f"ONNX equals torch on {len(before)} validation texts: probabilities within {largest:.1e}, no decision flipped"
    )


def compare_outputs(before: Floats, after: Floats) -> str:
    """A note with the largest difference of a regression's outputs (N, L), of which 1 is a deviation of the target.

    Where a target's outputs go beyond 1 it is a share of the largest: those of a loaded model are values of any size.
    Raises ParityError where it exceeds 1e-4.
    """
    sizes = np.maximum(1, np.abs(before).max(axis=0)) if before.size else np.ones(before.shape[1], np.float32)
    largest = float((np.abs(before - after) / sizes).max()) if before.size else 0.0
    if not largest <= TOLERANCE:
        raise ParityError(
            f"the ONNX model's outputs differ from torch's by up to {largest:.2e} of the largest on {len(before)} "
            f"validation texts (at most {TOLERANCE:.0e} is allowed). Nothing was kept."
        )
    return f"ONNX equals torch on {len(before)} validation texts: outputs within {largest:.1e} of the largest"


def _flipped(before: Floats, after: Floats, thresholds: tuple[float, ...] | None) -> int:
    if thresholds is None:
        top = np.sort(before, axis=1)
        clear = (top[:, -1] - top[:, -2]) > TOLERANCE
        return int(((before.argmax(axis=1) != after.argmax(axis=1)) & clear).sum())
    bound = np.asarray(thresholds, np.float32)
    clear = np.abs(before - bound) > TOLERANCE
    return int((((before >= bound) != (after >= bound)) & clear).sum())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporters' chatter off the user's screen; their errors still arrive as exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
