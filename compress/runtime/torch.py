"""Runs torch artifacts."""

import torch

from compress.artifact import Artifact, Floats
from compress.classifier import Classifier, forward, to_bf16
from compress.encoder.files import load_model
from compress.runtime.base import Device
from compress.runtime.pieces import PiecesPredictor
from compress.tokenizer import Batch


class TorchPredictor(PiecesPredictor):
    """A torch classifier in its artifact's precision, fp32 or bf16. device is where it really runs: the CPU where CUDA
    is asked for and absent.

    half: on CUDA weights and arithmetic in fp16, of what is in fp32.
    """

    def __init__(self, artifact: Artifact, device: Device, threads: int, half: bool = False) -> None:
        super().__init__(artifact, threads)
        self.device = device if torch.cuda.is_available() else "cpu"
        self.model = load_model(artifact.path).to(self.device)
        self.runtime = "torch"
        if artifact.manifest.precision == "bf16" and isinstance(self.model, Classifier):
            to_bf16(self.model)
        elif half and self.device == "cuda":
            self.model.half()
            self.runtime = "torch fp16"

    def _run(self, batch: Batch) -> Floats:
        bind_threads(self.threads)
        return forward(self.model, batch, self.device)


def bind_threads(threads: int) -> None:
    """torch's thread count is the process's; another predictor may have set its own."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
