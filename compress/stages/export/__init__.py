"""Writes a torch classifier as ONNX, and keeps it only if it answers as the torch model does."""

from pathlib import Path

from compress.artifact import Artifact, Floats, Format
from compress.batches import text_logits
from compress.classifier import forward
from compress.context import Context
from compress.encoder.files import load_model
from compress.inputs import Inputs, Made
from compress.ngrams.tokenizer import NgramTokenizer
from compress.pieces import Reader, TokenIds
from compress.recipe.stages import Export
from compress.runtime.onnx import inherit, open_session, run_session
from compress.runtime.onnx_text import run_texts, text_batches
from compress.stages.export.parity import compare, compare_outputs
from compress.stages.export.text import write_text_model
from compress.stages.export.write import write_onnx
from compress.tokenizer import open_tokenizer

PARITY_TEXTS = 200
_SAMPLE = ("a first text of some length, so that no axis is fixed at one", "a second one that is shorter, and padded")
# what splits texts inside a graph must split these as Python does
_ODD = ("", " \t\n", "...", "\x00a\x00", "ÀÉ \u212a \u0130 don’t", "中文 and 😀", "word " * 20_000, "x" * 100_000)


def run(config: Export, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Exports the parent; raises ParityError if probabilities (or outputs) move by more than 1e-4.

    A model of words and runs of words becomes a graph that takes texts; all others take token ids.
    """
    parent = inputs.followed()
    max_tokens, long_text = parent.manifest.token_limit, parent.manifest.long_text
    tokenizer = open_tokenizer(parent.path, max_tokens, long_text)
    context.progress(f"{config.id}: tracing", 0, 2)
    # eager attention is the one form every architecture has and every exporter knows
    model = load_model(parent.path, attention="eager")
    if isinstance(tokenizer, NgramTokenizer):
        made_of: Format = "onnx_text"
        inherit(parent.path, folder, tokenizer=False)
        exporter = write_text_model(model, tokenizer, folder / "model.onnx")
    else:
        made_of = "onnx"
        inherit(parent.path, folder)
        exporter = write_onnx(model, tokenizer.pad(_sample(tokenizer)), folder / "model.onnx")
    context.progress(f"{config.id}: comparing with torch", 1, 2)
    note = _check_parity(parent, folder, tokenizer, inputs)
    context.progress(f"{config.id}: comparing with torch", 2, 2)
    return Made(made_of, max_tokens, notes=(exporter, note), long_text=long_text)


def _sample(tokenizer: Reader) -> list[TokenIds]:
    """Two texts of 16 tokens or more: an export from a batch or a length of one would fix that axis."""
    return tokenizer.encode([text + " and on it goes" * 3 for text in _SAMPLE])


def _check_parity(parent: Artifact, folder: Path, tokenizer: Reader, inputs: Inputs) -> str:
    """Raises ParityError, or returns a note with the largest difference found."""
    texts = inputs.splits().validation.texts[:PARITY_TEXTS]
    if isinstance(tokenizer, NgramTokenizer):
        texts = (*_ODD, *texts)
    model = load_model(parent.path)
    torch_logits = text_logits(lambda batch: forward(model, batch, "cpu"), texts, tokenizer, len(inputs.task.labels))
    onnx_logits = _onnx_logits(folder / "model.onnx", texts, tokenizer, len(inputs.task.labels))
    if inputs.task.type == "regression":
        return compare_outputs(torch_logits, onnx_logits)
    decision = parent.decision()
    before, after = (decision.probabilities(logits, inputs.task) for logits in (torch_logits, onnx_logits))
    return compare(before, after, decision.thresholds)


def _onnx_logits(path: Path, texts: tuple[str, ...], tokenizer: Reader, labels: int) -> Floats:
    session = open_session(str(path), "cpu", 0)
    if isinstance(tokenizer, NgramTokenizer):
        return run_texts(session, text_batches(texts), len(texts), labels)
    return text_logits(lambda batch: run_session(session, batch), texts, tokenizer, labels)
