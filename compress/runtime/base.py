"""What every runtime's predictor shares: logits to calibrated probabilities."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

from compress.artifact import Artifact, Floats
from compress.threads import all_threads

__all__ = ["Device", "LogitsPredictor", "all_threads"]

Device = Literal["cpu", "cuda"]


class LogitsPredictor(ABC):
    """A predictor that computes logits; the calibration temperature and the sigmoid or softmax are applied here.

    device and runtime say where it really runs. threads: 1 binds tokenizer and model to the calling thread.
    """

    runtime: str
    device: Device
    threads: int

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.task = artifact.manifest.task
        self.decision = artifact.decision()

    @property
    def labels(self) -> tuple[str, ...]:
        """The L label names, in the order of the columns."""
        return self.task.labels

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities, float32 (N, L)."""
        return self.decision.probabilities(self.predict_logits(texts), self.task)

    @abstractmethod
    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits, float32 (N, L)."""
