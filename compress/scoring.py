"""Streams rows through a predictor: memory does not grow with the input."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from compress.data import ResultWriter, Row
from compress.runtime.base import LogitsPredictor
from eval.metrics import decide

CHUNK = 256


def score_rows(predictor: LogitsPredictor, rows: Iterable[Row], results: ResultWriter) -> int:
    """Writes probabilities and decisions of every row in the given order; returns the number of rows."""
    thresholds = predictor.decision.thresholds
    bounds = None if thresholds is None else np.asarray(thresholds, np.float32)
    count = 0
    for chunk in _chunks(rows):
        probabilities = predictor.predict_proba([row.text for row in chunk])
        decisions = decide(probabilities, bounds)
        for row, probability, decision in zip(chunk, probabilities, decisions, strict=True):
            results.write(row.id, probability, decision)
        count += len(chunk)
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
