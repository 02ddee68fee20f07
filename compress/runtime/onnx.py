"""Runs ONNX artifacts with ONNX Runtime."""

import shutil
from pathlib import Path
from typing import Any

from compress.artifact import DECISION, SCALING, Artifact, Floats
from compress.environment import check_onnxruntime
from compress.runtime.base import Device
from compress.runtime.pieces import PiecesPredictor
from compress.tokenizer import Batch, copy_tokenizer

# on CPUs ONNX Runtime 1.31 takes longer over a SkipLayerNormalization than over the Add and the LayerNormalization that
# it fuses: without it encoders run 1.1 to 1.4 times as fast, one text at a time and in batches
_SLOWER_ON_CPUS = ["SkipLayerNormFusion"]
_PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class OnnxPredictor(PiecesPredictor):
    """An ONNX graph of logits. device is what the session really runs on, not what it was asked for."""

    runtime = "onnxruntime"

    def __init__(self, artifact: Artifact, device: Device, threads: int) -> None:
        super().__init__(artifact, threads)
        self.session = open_session(str(artifact.path / "model.onnx"), device, threads)
        self._kept = kept_inputs(self.session)
        # a session asked for CUDA falls back to the CPU without a word
        self.device = "cuda" if "CUDAExecutionProvider" in self.session.get_providers() else "cpu"

    def _run(self, batch: Batch) -> Floats:
        return run_session(self.session, batch, self._kept)


def inherit(parent: Path, folder: Path, tokenizer: bool = True) -> None:
    """Copies into `folder` what an ONNX artifact takes over: all but the weights.

    tokenizer: whether its files too, which a graph that takes texts does without.
    """
    if tokenizer:
        copy_tokenizer(parent, folder)
    for name in ("config.json", DECISION, SCALING):
        if (parent / name).exists():
            shutil.copyfile(parent / name, folder / name)


def kept_inputs(session: Any) -> frozenset[str]:
    """Names of the inputs that a graph kept; asked for once, because it takes a fiftieth of a tiny model's time."""
    return frozenset(item.name for item in session.get_inputs())


def run_session(session: Any, batch: Batch, kept: frozenset[str] | None = None) -> Floats:
    """Logits (B, L) of one padded batch, from those inputs that the graph kept; None asks the session for them."""
    names = kept_inputs(session) if kept is None else kept
    return session.run(["logits"], {name: value for name, value in batch.items() if name in names})[0]


def open_session(
    model: str | bytes, device: Device, threads: int, profile: Path | None = None, exact: bool = False
) -> Any:
    """An ONNX Runtime session whose threads do not spin after a call, so that others are not slowed.

    model: a file's path, or what one holds. profile: the beginning of a path for a profile of every node's time, which
    lies there after `end_profiling`. exact: int8 products without cut sums on CPUs without VNNI, which is slower there.
    """
    check_onnxruntime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    left_out = _SLOWER_ON_CPUS if device == "cpu" else None
    return onnxruntime.InferenceSession(model, options, providers=_PROVIDERS[device], disabled_optimizers=left_out)
