"""Streams rows through a predictor: memory does not grow with the input."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from compress.data import ResultWriter, Row
from compress.runtime.base import LogitsPredictor
from eval.contract import check_values
from eval.metrics import decide

CHUNK = 256


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, and how many of them have no text. first_blank: the line of the first such."""

    rows: int = 0
    blank: int = 0
    first_blank: int | None = None

    def and_(self, chunk: Sequence[Row]) -> "Scored":
        """With these rows counted too."""
        blank = [row.line for row in chunk if not row.text.strip()]
        first = self.first_blank if self.first_blank is not None or not blank else blank[0]
        return Scored(self.rows + len(chunk), self.blank + len(blank), first)

    def note(self) -> str | None:
        """What to say of rows without a text; None where there is none."""
        if not self.blank:
            return None
        rows, scored = ("row has", "an empty text") if self.blank == 1 else ("rows have", "empty texts")
        return f"{self.blank:,} {rows} no text (first: line {self.first_blank}); scored as {scored}"


def score_rows(predictor: LogitsPredictor, rows: Iterable[Row], results: ResultWriter) -> Scored:
    """Writes what `results` holds of every row, in the given order.

    Raises InvalidInputError where a probability or a value is not finite.
    """
    scored = Scored()
    for chunk in _chunks(rows):
        found = _results(predictor, [row.text for row in chunk], scored.rows)
        for row, *numbers in zip(chunk, *found, strict=True):
            results.write(row.id, *numbers)
        scored = scored.and_(chunk)
    return scored


def _results(predictor: LogitsPredictor, texts: Sequence[str], first_row: int) -> tuple[NDArray[np.generic], ...]:
    """Probabilities and decisions, or a regression's predictions, each (N, L)."""
    if predictor.task.type == "regression":
        values, name = predictor.predict_values(texts), str(predictor.artifact.path)
        return (check_values(values, rows=len(texts), labels=values.shape[1], candidate=name, first_row=first_row),)
    thresholds = predictor.decision.thresholds
    probabilities = predictor.predict_proba(texts)
    return probabilities, decide(probabilities, None if thresholds is None else np.asarray(thresholds, np.float32))


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
