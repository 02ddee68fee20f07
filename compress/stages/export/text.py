"""Writes a model of words and runs of words as one ONNX file that takes texts."""

import tempfile
from pathlib import Path

import numpy as np

from compress.encoder.files import Model
from compress.ngrams.graph import with_front
from compress.ngrams.tokenizer import NgramTokenizer
from compress.pieces import TokenIds
from compress.stages.export.write import write_onnx


def write_text_model(model: Model, tokenizer: NgramTokenizer, path: Path) -> str:
    """One file with the input text (B,) and the output logits (B, L). Returns a note of how it was written."""
    import onnx

    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        inner = Path(scratch) / "body.onnx"
        note = write_onnx(model, tokenizer.pad(_sample(tokenizer)), inner)
        body = onnx.load(str(inner))
    onnx.save(with_front(body, tokenizer.features, tokenizer.max_tokens), str(path))
    return f"{note}; words are split inside the graph"


def _sample(tokenizer: NgramTokenizer) -> list[TokenIds]:
    """Ids of two texts of 16 and 20 terms: an export from a batch or a length of one would fix that axis."""
    ids = [np.arange(1, length + 1, dtype=np.int32) % tokenizer.vocabulary_size for length in (16, 20)]
    return [TokenIds(item, np.zeros(len(item), np.int32)) for item in ids]
