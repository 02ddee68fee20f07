"""Runs ONNX graphs that take texts: splitting is inside the graph, so nothing but the texts is given to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact, Floats
from compress.ngrams.graph import LOGITS, TEXT
from compress.runtime.base import LogitsPredictor
from compress.runtime.onnx import open_session

# characters in one call, as if every text were as long as the longest: the graph pads all to it. 500 short comments
CHARACTER_BUDGET = 262_144
_OUTPUTS = [LOGITS]


class TextBatch(NamedTuple):
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
    result: Floats | None = None
    done = 0
    for batch in batches:
        logits: Floats = session.run(_OUTPUTS, {TEXT: batch.texts})[0]
        if len(batch.rows) == count:  # all in one call, in their order
            result = logits
        else:
            result = np.empty((count, outputs), np.float32) if result is None else result
            result[batch.rows] = logits
        done += len(batch.rows)
        if progress is not None:
            progress(done, count)
    return np.empty((0, outputs), np.float32) if result is None else result


def text_batches(texts: Sequence[str], budget: int = CHARACTER_BUDGET) -> Iterator[TextBatch]:
    """All texts in their order where they fit into one call; else in order of length, and a huge one alone.

    budget: of characters, as if every text of a call were as long as the longest.
    """
    # a text alone is most of what is asked at once, and answered within microseconds: nothing is counted for it
    if len(texts) <= 1 or len(texts) * max(map(len, texts)) <= budget:
        if texts:
            yield TextBatch(range(len(texts)), _array(texts))
        return
    for rows in _cut([len(text) for text in texts], budget):
        yield TextBatch(rows, _array([texts[row] for row in rows]))


def _cut(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in order of length, so many together that rows x longest is within the budget, or one alone."""
    rows: list[int] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if rows and (len(rows) + 1) * lengths[row] > budget:
            yield rows
            rows = []
        rows.append(row)
    yield rows


def _array(texts: Sequence[str]) -> NDArray[np.object_]:
    return np.array([text if text.isascii() else _encodable(text) for text in texts], object)


def _encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which have no UTF-8 and part words in the reference too."""
    return text.encode("utf-8", "replace").decode("utf-8")
