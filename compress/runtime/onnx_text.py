"""Runs ONNX graphs that take texts: splitting is inside the graph, so nothing but the texts is given to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact, Floats
from compress.ngrams.graph import LOGITS, TEXT
from compress.runtime.base import LogitsPredictor
from compress.runtime.onnx import open_session

# characters in one call, as if every text were as long as the longest: the graph pads all to it. 500 short comments
CHARACTER_BUDGET = 262_144


@dataclass(frozen=True)
class TextBatch:
    """Texts for one call of the graph (B,), and which they are of those that were given."""

    rows: Sequence[int]
    texts: NDArray[np.object_]


class OnnxTextPredictor(LogitsPredictor):
    """An ONNX graph from texts to logits. It runs on the CPU, where ONNX Runtime's string operators are."""

    runtime = "onnxruntime"
    device = "cpu"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        super().__init__(artifact)
        self.threads = threads
        self.session = open_session(str(artifact.path / "model.onnx"), "cpu", threads)

    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits, float32 (N, L)."""
        return run_texts(self.session, text_batches(texts), len(texts), len(self.labels), progress)

    def tokenize(self, texts: Sequence[str]) -> list[TextBatch]:
        """The texts by calls of the graph; splitting them is a part of `run`."""
        return list(text_batches(texts))

    def run(self, tokens: list[TextBatch]) -> Floats:
        """Raw logits, float32 (N, L)."""
        return run_texts(self.session, tokens, sum(len(batch.rows) for batch in tokens), len(self.labels))


def run_texts(
    session: Any,
    batches: Iterable[TextBatch],
    count: int,
    outputs: int,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Logits (N, L) of N texts in batches, in their given order. count: N. outputs: L."""
    result = np.empty((count, outputs), np.float32)
    done = 0
    for batch in batches:
        logits = session.run([LOGITS], {TEXT: batch.texts})[0]
        if len(batch.rows) == count:  # all in one call, in their order
            result = logits
        else:
            result[batch.rows] = logits
        done += len(batch.rows)
        if progress is not None:
            progress(done, count)
    return result


def text_batches(texts: Sequence[str], budget: int = CHARACTER_BUDGET) -> Iterator[TextBatch]:
    """All texts in their order where they fit into one call; else in order of length, and a huge one alone.

    budget: of characters, as if every text of a call were as long as the longest.
    """
    lengths = [len(text) for text in texts]
    if len(texts) * max(lengths, default=0) <= budget:
        parts = [list(range(len(texts)))] if texts else []
    else:
        parts = list(_cut(lengths, budget))
    for rows in parts:
        # filled by place: NumPy must not look into a text, as it does with sequences
        array = np.empty(len(rows), object)
        array[:] = [_encodable(texts[row]) for row in rows]
        yield TextBatch(rows, array)


def _cut(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in order of length, so many together that rows x longest is within the budget, or one alone."""
    rows: list[int] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if rows and (len(rows) + 1) * lengths[row] > budget:
            yield rows
            rows = []
        rows.append(row)
    yield rows


def _encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which have no UTF-8 and part words in the reference too."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
