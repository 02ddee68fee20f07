"""What each node of an ONNX graph takes, by ONNX Runtime's own profile."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from compress.runtime.onnx import open_session, run_session
from compress.tokenizer import Batch

_REPEATS = 3
_KERNEL = "_kernel_time"


def node_times(model: bytes, batches: Sequence[Batch]) -> dict[str, float]:
    """Node -> seconds over all batches, of each the least of three runs."""
    with tempfile.TemporaryDirectory() as scratch:
        session = open_session(model, "cpu", 0, profile=Path(scratch) / "profile")
        for _ in range(_REPEATS):
            for batch in batches:
                run_session(session, batch)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    times: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            times.setdefault(event["name"].removesuffix(_KERNEL), []).append(event["dur"] / 1e6)
    whole = {name: taken for name, taken in times.items() if len(taken) == _REPEATS * len(batches)}
    return {name: float(np.reshape(taken, (_REPEATS, -1)).min(axis=0).sum()) for name, taken in whole.items()}


def time_of(product: str, times: Mapping[str, float]) -> float:
    """Seconds of a product's own nodes: under its name, that of its integers, or fused with more.

    As ONNX Runtime names them: `NAME_quant`, of a Gemm `NAME_MatMul_quant`, and `NAME/MatMulScaleFusion/`.
    """
    own = (f"{product}_quant", f"{product}_MatMul_quant", f"{product}/")
    return sum(taken for name, taken in times.items() if name == product or name.startswith(own))
