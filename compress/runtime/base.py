"""What every runtime's predictor shares: logits to calibrated probabilities, or a regression's outputs to values."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from compress.artifact import Artifact, Decision, Floats
from compress.scaling import Scaling
from compress.threads import all_threads

__all__ = ["Device", "LogitsPredictor", "all_threads"]

Device = Literal["cpu", "cuda"]


class LogitsPredictor(ABC):
    """A predictor that computes logits; the calibration temperature and the sigmoid or softmax are applied here.

    A regression has a scaling in place of the decision, and `predict_values` in place of `predict_proba`.

    device and runtime say where it really runs. threads: 1 binds tokenizer and model to the calling thread.
    """

    runtime: str
    device: Device
    threads: int

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.task = artifact.manifest.task
        self._readout = artifact.scaling() if self.task.type == "regression" else artifact.decision()

    @property
    def labels(self) -> tuple[str, ...]:
        """The L label names, in the order of the columns."""
        return self.task.labels

    @property
    def decision(self) -> Decision:
        """How probabilities become decisions. Raises ArtifactError for a regression."""
        return self._readout if isinstance(self._readout, Decision) else self.artifact.decision()

    @property
    def scaling(self) -> Scaling:
        """How outputs become values. Raises ArtifactError for a classifier."""
        return self._readout if isinstance(self._readout, Scaling) else self.artifact.scaling()

    def predict_values(self, texts: Sequence[str]) -> Floats:
        """A regression's values in the targets' units, float32 (N, L). Raises ArtifactError for a classifier."""
        return self.scaling.values(self.predict_logits(texts))

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities, float32 (N, L). Raises ArtifactError for a regression."""
        return self.decision.probabilities(self.predict_logits(texts), self.task)

    def judged(self) -> "LogitsPredictor | Values":
        """What the judge is given: this predictor, or of a regression one without probabilities."""
        return Values(self) if self.task.type == "regression" else self

    @abstractmethod
    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits (a regression's outputs, before scaling), float32 (N, L)."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Any:
        """The first step of `predict_logits` alone; of TF-IDF the known terms of each text."""

    @abstractmethod
    def run(self, tokens: Any) -> Floats:
        """The second step: raw logits, float32 (N, L), of what `tokenize` gave."""


@dataclass(frozen=True)
class Values:
    """A regression with nothing but its values: what has `predict_proba` is judged as a classifier."""

    predictor: LogitsPredictor

    @property
    def labels(self) -> tuple[str, ...]:
        """The L targets' names, in the order of the columns."""
        return self.predictor.labels

    def predict_values(self, texts: Sequence[str]) -> Floats:
        """Values in the targets' units, float32 (N, L)."""
        return self.predictor.predict_values(texts)

    def tokenize(self, texts: Sequence[str]) -> Any:
        """The first step alone."""
        return self.predictor.tokenize(texts)

    def run(self, tokens: Any) -> Floats:
        """The second step: raw outputs, float32 (N, L)."""
        return self.predictor.run(tokens)
