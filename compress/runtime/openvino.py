"""Runs OpenVINO artifacts on the CPU."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact, Floats
from compress.environment import check_extra
from compress.runtime.pieces import PiecesPredictor
from compress.telemetry import no_telemetry
from compress.tokenizer import Batch, Tokenizer

GRAPH = "model.xml"
Arithmetic = Literal["f32", "bf16"]
_INTEGERS = {"i8", "u8"}
_STEP = 16


class OpenvinoPredictor(PiecesPredictor):
    """An OpenVINO graph of logits, on the CPU. What int8 leaves is computed in fp32, of bf16 artifacts in bf16."""

    runtime = "openvino"
    device = "cpu"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        super().__init__(artifact, threads)
        self.graph = open_graph(artifact.path / GRAPH, threads, arithmetic(artifact))

    def _run(self, batch: Batch) -> Floats:
        pieces = cast("Tokenizer", self.tokenizer)  # what reads n-grams never becomes a graph of OpenVINO's
        return self.graph.logits(rounded_up(batch, pieces))


def rounded_up(batch: Batch, tokenizer: Tokenizer) -> Batch:
    """A padded batch (B, T) padded on to a multiple of 16 tokens, or to where the tokenizer cuts.

    OpenVINO makes its kernels for each shape when it first comes: on a 3-layer model 300 texts as they come took 8.4 ms
    each, rounded up 2.4 ms.
    """
    tokens = batch["input_ids"].shape[1]
    more = max(min(-tokens % _STEP, tokenizer.max_tokens - tokens), 0)
    fill = {"input_ids": tokenizer.pad_id, "attention_mask": 0, "token_type_ids": tokenizer.pad_type}
    sides = (more, 0) if tokenizer.pad_left else (0, more)
    return {name: np.pad(array, ((0, 0), sides), constant_values=fill[name]) for name, array in batch.items()}


def arithmetic(artifact: Artifact) -> Arithmetic:
    """What is computed with where weights are not integers."""
    return "bf16" if artifact.manifest.precision == "bf16" else "f32"


def openvino() -> Any:
    """The library, which tells nobody of it. Raises MissingPackageError where it is not installed."""
    check_extra("openvino", needed=("openvino",))  # NNCF only makes graphs
    no_telemetry()
    import openvino

    return openvino


@dataclass(frozen=True)
class OpenGraph:
    """A compiled graph, and the inputs that it kept."""

    request: Any
    inputs: frozenset[str]

    @classmethod
    def of(cls, compiled: Any) -> "OpenGraph":
        """compiled: openvino.CompiledModel."""
        names = frozenset(name for item in compiled.inputs for name in item.get_names())
        return cls(compiled.create_infer_request(), names)

    def logits(self, batch: Batch) -> Floats:
        """Logits (B, L) of one padded batch."""
        given = {name: value for name, value in batch.items() if name in self.inputs}
        return np.array(self.request.infer(given, share_inputs=True)[0], np.float32)


def open_graph(file: Path, threads: int, arithmetic: Arithmetic = "f32") -> OpenGraph:
    """A graph on the CPU. threads: 0 is as many as OpenVINO likes.

    arithmetic: left to itself OpenVINO takes bf16 wherever the CPU has it, whatever the weights are.
    """
    core = openvino().Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": arithmetic,
        # a pinned thread waits for its core where others work, and two cores asked for may share one
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,
    }
    return OpenGraph.of(core.compile_model(core.read_model(str(file)), "CPU", options))


def weight_arrays(model: Path) -> Iterator[NDArray[np.generic]]:
    """The weights in a graph's file: tables of integers, whose 0 is 0.0, and numbers that are no scales of these.

    A single number is a bound of activations or a constant of the graph.
    """
    for node in openvino().Core().read_model(str(model)).get_ops():
        if node.get_type_name() != "Constant":
            continue
        kind = node.get_element_type().get_type_name()
        if kind in _INTEGERS or (kind in {"f32", "f16", "bf16"} and not _is_scale(node)):
            array = node.data
            if array.size > 1:
                yield array


def _is_scale(node: Any) -> bool:
    """Whether integers are multiplied by it, once they are converted to floats."""
    readers = [port.get_node() for port in node.output(0).get_target_inputs()]
    if len(readers) == 1 and readers[0].get_type_name() == "Convert":  # a scale in fp16
        return _is_scale(readers[0])
    return any(
        reader.get_type_name() == "Multiply" and any(_are_integers(value.get_node()) for value in reader.input_values())
        for reader in readers
    )


def _are_integers(node: Any) -> bool:
    while node.get_type_name() in {"Convert", "Subtract"}:
        node = node.input_value(0).get_node()
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in _INTEGERS
