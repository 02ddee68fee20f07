"""Opens an artifact for prediction, whatever its format."""

from typing import assert_never

from compress.artifact import Artifact
from compress.runtime.base import Device, LogitsPredictor
from compress.threads import all_threads

__all__ = ["all_threads", "open_predictor"]


def open_predictor(
    artifact: Artifact, device: Device = "cpu", threads: int | None = None, half: bool = False
) -> LogitsPredictor:
    """A predictor for a verified artifact. threads: None is every core this process may use.

    half: a torch artifact on CUDA runs in fp16; of no effect on others, whose precision is the file's.
    """
    count = threads or all_threads()
    match artifact.manifest.format:
        case "torch":
            from compress.runtime.torch import TorchPredictor

            return TorchPredictor(artifact, device, count, half)
        case "onnx":
            from compress.runtime.onnx import OnnxPredictor

            return OnnxPredictor(artifact, device, count)
        case "onnx_text":
            from compress.runtime.onnx_text import OnnxTextPredictor

            return OnnxTextPredictor(artifact, count)
        case "openvino":
            from compress.runtime.openvino import OpenvinoPredictor

            return OpenvinoPredictor(artifact, count)
        case "torch_export":
            from compress.runtime.torch_export import TorchExportPredictor

            return TorchExportPredictor(artifact, count)
        case "tfidf":
            from compress.runtime.tfidf import TfidfPredictor

            return TfidfPredictor(artifact, count)
        case _ as unknown:
            assert_never(unknown)
