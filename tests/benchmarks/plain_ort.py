"""What who knows ONNX Runtime gets from a model in an afternoon: quantize_dynamic at its defaults, no more.

    python tests/benchmarks/plain_ort.py runs/NAME/artifacts/teacher-onnx plain.onnx

Nothing of compress: int8 weights of MatMul, Gemm and embeddings, one scale for each, and a session at its defaults but
for the threads.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from plain_openvino import MAX_TOKENS, inputs_of, open_tokenizer


def quantize(folder: Path, target: Path) -> None:
    """folder: with model.onnx."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(folder / "model.onnx"))
    del model.graph.value_info[:]  # the dynamo exporter's symbolic shapes make the quantizer's shape inference fail
    quantize_dynamic(model, str(target), op_types_to_quantize=["MatMul", "Gemm", "Gather"], weight_type=QuantType.QInt8)


def open_plain(
    folder: Path, model: Path, threads: int = 1, max_tokens: int = MAX_TOKENS
) -> Callable[[Sequence[str]], np.ndarray]:
    """A text in, its logits (1, L) out, one after the other."""
    import onnxruntime

    tokenizer = open_tokenizer(folder, max_tokens)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    known = {item.name for item in session.get_inputs()}

    def logits(texts: Sequence[str]) -> np.ndarray:
        given = (inputs_of(tokenizer, text) for text in texts)
        return np.concatenate(
            [session.run(None, {name: value for name, value in one.items() if name in known})[0] for one in given]
        )

    return logits


if __name__ == "__main__":
    artifact, out = sys.argv[1:3]
    quantize(Path(artifact), Path(out))
    print(f"{out}: {Path(out).stat().st_size:,} bytes")
