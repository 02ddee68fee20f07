"""Streams rows through a predictor: memory does not grow with the input."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from compress.data import ResultWriter, Row
from compress.runtime.base import LogitsPredictor
from eval.contract import check_values
from eval.metrics import decide

CHUNK = 256


def score_rows(predictor: LogitsPredictor, rows: Iterable[Row], results: ResultWriter) -> int:
    """Writes what `results` holds of every row, in the given order; returns the number of rows.

    Raises InvalidInputError where a probability or a value is not finite.
    """
    count = 0
    for chunk in _chunks(rows):
        found = _results(predictor, [row.text for row in chunk], count)
        for row, *numbers in zip(chunk, *found, strict=True):
            results.write(row.id, *numbers)
        count += len(chunk)
    return count


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
