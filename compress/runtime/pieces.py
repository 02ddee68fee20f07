"""What the predictors share whose models read a tokenizer's pieces."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from compress.artifact import Artifact, Floats
from compress.batches import pieces_logits, text_logits
from compress.pieces import Pieces
from compress.runtime.base import LogitsPredictor
from compress.tokenizer import Batch, open_tokenizer


class PiecesPredictor(LogitsPredictor):
    """A predictor that tokenizes in Python and gives its model padded batches."""

    def __init__(self, artifact: Artifact, threads: int) -> None:
        super().__init__(artifact)
        self.threads = threads
        self.tokenizer = open_tokenizer(artifact.path, artifact.manifest.token_limit, artifact.manifest.long_text)

    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits, float32 (N, L)."""
        return text_logits(self._run, texts, self.tokenizer, len(self.labels), self.threads, progress)

    def tokenize(self, texts: Sequence[str]) -> list[Pieces]:
        """The texts as the model reads them."""
        return list(self.tokenizer.runs(texts, self.threads))

    def run(self, tokens: list[Pieces]) -> Floats:
        """Raw logits, float32 (N, L)."""
        return pieces_logits(self._run, tokens, self.tokenizer, len(self.labels))

    @abstractmethod
    def _run(self, batch: Batch) -> Floats:
        """Logits (B, L) of one padded batch."""
