"""Runs torch artifacts."""

from collections.abc import Callable, Sequence

import torch

from compress.artifact import Artifact, Floats
from compress.batches import pieces_logits, text_logits
from compress.classifier import Classifier, forward, to_bf16
from compress.encoder.files import load_model
from compress.pieces import Pieces
from compress.runtime.base import Device, LogitsPredictor
from compress.tokenizer import Batch, open_tokenizer


class TorchPredictor(LogitsPredictor):
    """A torch classifier in its artifact's precision, fp32 or bf16. device is where it really runs: the CPU where CUDA
    is asked for and absent.

    half: on CUDA weights and arithmetic in fp16, of what is in fp32.
    """

    def __init__(self, artifact: Artifact, device: Device, threads: int, half: bool = False) -> None:
        super().__init__(artifact)
        self.device = device if torch.cuda.is_available() else "cpu"
        self.threads = threads
        self.tokenizer = open_tokenizer(artifact.path, artifact.manifest.token_limit, artifact.manifest.long_text)
        self.model = load_model(artifact.path).to(self.device)
        self.runtime = "torch"
        if artifact.manifest.precision == "bf16" and isinstance(self.model, Classifier):
            to_bf16(self.model)
        elif half and self.device == "cuda":
            self.model.half()
            self.runtime = "torch fp16"

    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits, float32 (N, L)."""
        self._bind_threads()
        return text_logits(self._run, texts, self.tokenizer, len(self.labels), self.threads, progress)

    def tokenize(self, texts: Sequence[str]) -> list[Pieces]:
        """The texts as the model reads them."""
        return list(self.tokenizer.runs(texts, self.threads))

    def run(self, tokens: list[Pieces]) -> Floats:
        """Raw logits, float32 (N, L)."""
        self._bind_threads()
        return pieces_logits(self._run, tokens, self.tokenizer, len(self.labels))

    def _bind_threads(self) -> None:
        """torch's thread count is the process's; another predictor may have set its own."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)

    def _run(self, batch: Batch) -> Floats:
        return forward(self.model, batch, self.device)
