"""What can be judged: anything with `labels` and `predict_proba(texts)`. No torch, no ONNX Runtime, no compress."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.errors import InvalidInputError

Floats = NDArray[np.float32]
Targets = NDArray[np.int8]


class Predictor(Protocol):
    """A classifier as the judge sees it. Tokenization is inside; what returns lies in host memory."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The L label names, in the order of the columns of `predict_proba`."""

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities in [0, 1], float32 (N, L)."""


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval. All None where the number is undefined: never NaN, never a made-up zero."""

    value: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """Plain dict; `Interval(**it)` reads it back exactly."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class LabelledTexts:
    """N texts with their labels. targets: (N, L) int8, 1 where the label holds."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    targets: Targets

    def __post_init__(self) -> None:
        expected = (len(self.texts), len(self.labels))
        if self.targets.shape != expected:
            raise InvalidInputError(f"targets have shape {self.targets.shape}; {expected} (texts, labels) was expected")

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Footprint:
    """What a model weighs; counted by the maker from the files, recorded by the judge.

    size_bytes: every file needed to predict (model, tokenizer, configuration). model_bytes: the weights file(s) alone.
    size_gzip_bytes: the same files as size_bytes, gzip level 6. parameters: numbers in the weights. zeros_share: share
    of parameters that are exactly zero, in [0, 1].
    """

    size_bytes: int
    model_bytes: int
    size_gzip_bytes: int
    parameters: int
    zeros_share: float


@dataclass(frozen=True)
class Candidate:
    """A model opened one way (device, runtime, threads), ready to be judged.

    id: the stage's id. stage: the stage's type. thresholds: (L,) for multi-label; None for single-label, where the
    decision is the argmax. The same id may come several times, once for each way it was opened.
    """

    id: str
    stage: str
    format: str
    runtime: str
    device: str
    threads: int
    footprint: Footprint
    thresholds: Floats | None
    predictor: Predictor


def check_probabilities(
    probabilities: NDArray[Any], *, rows: int, labels: int, candidate: str, first_row: int = 0
) -> Floats:
    """What a candidate answered, as float32 (rows, labels), once it is seen to be probabilities.

    first_row: where these rows start in the whole set, so that the error names the row a user can look up (from 0).
    Raises InvalidInputError naming the candidate, and the first bad row: wrong shape, NaN, or outside [0, 1].
    """
    array = np.asarray(probabilities)
    if array.shape != (rows, labels):
        raise InvalidInputError(
            f"{candidate}: predict_proba gave shape {array.shape} for rows {first_row} to {first_row + rows - 1}; "
            f"{(rows, labels)} (texts, labels) was expected"
        )
    array = array.astype(np.float32, copy=False)
    good = (array >= 0) & (array <= 1)  # False for NaN too
    if not good.all():
        row, column = (int(place) for place in np.argwhere(~good)[0])
        raise InvalidInputError(
            f"{candidate}: predict_proba gave {array[row, column]} for row {first_row + row}, label number {column}; "
            "a probability in [0, 1] was expected"
        )
    return array
