"""What can be judged: anything with `labels` and `predict_proba(texts)`. No torch, no ONNX Runtime, no compress."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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
