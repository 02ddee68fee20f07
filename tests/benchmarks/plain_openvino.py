"""What who knows OpenVINO gets from a model in an afternoon: its ONNX file through NNCF's static int8, no more.

    python tests/benchmarks/plain_openvino.py runs/NAME/artifacts/teacher-onnx train.csv comment_text plain.xml

Nothing of compress: nncf.quantize for transformers at its defaults on the first 300 texts, a tokenizer.json beside
model.onnx, OpenVINO at its own defaults (bf16 for what is not int8, where the CPU can) but for the threads.
against_plain.py times it beside compress' own artifacts.
"""

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

MAX_TOKENS = 256


def open_tokenizer(folder: Path, max_tokens: int = MAX_TOKENS):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def inputs_of(tokenizer, text: str) -> dict[str, np.ndarray]:
    encoding = tokenizer.encode(text)
    ids, mask = (np.array([values], np.int64) for values in (encoding.ids, encoding.attention_mask))
    return {"input_ids": ids, "attention_mask": mask}


def quantize(folder: Path, texts: Sequence[str], target: Path, max_tokens: int = MAX_TOKENS) -> None:
    """folder: with model.onnx and tokenizer.json. target: an .xml, its .bin beside it."""
    import nncf
    import openvino

    tokenizer = open_tokenizer(folder, max_tokens)
    data = nncf.Dataset(texts[:300], lambda text: inputs_of(tokenizer, text))
    model = openvino.Core().read_model(str(folder / "model.onnx"))
    small = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=300)
    openvino.save_model(small, str(target), compress_to_fp16=False)


def open_plain(
    folder: Path, model: Path, threads: int = 1, max_tokens: int = MAX_TOKENS
) -> Callable[[Sequence[str]], np.ndarray]:
    """A text in, its logits (1, L) out, one after the other."""
    import openvino

    tokenizer = open_tokenizer(folder, max_tokens)
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(str(model), "CPU", options).create_infer_request()

    def logits(texts: Sequence[str]) -> np.ndarray:
        return np.concatenate([request.infer(inputs_of(tokenizer, text))[0].copy() for text in texts])

    return logits


def read_texts(path: Path, column: str) -> list[str]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


if __name__ == "__main__":
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    artifact, rows, text_column, out = sys.argv[1:5]
    quantize(Path(artifact), read_texts(Path(rows), text_column), Path(out))
    print(f"{out}: {Path(out).with_suffix('.bin').stat().st_size:,} bytes")
