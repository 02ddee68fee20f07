"""How much faster is a linear model as one ONNX graph of texts than scikit-learn's transform and one matrix product?

    python tests/benchmarks/text_in_speed.py --texts DIR/train.csv
    python tests/benchmarks/text_in_speed.py --texts train.csv --artifact runs/ladder/artifacts/linear-text

In each round both answer the same texts, in turns of 50 calls or of 5 batches, who comes first drawn anew, on one
thread; the ratio of two times is taken within a round. scikit-learn has words and pairs of words of the same texts, as
many as the graph has, and NumPy the product with its weights. `median` is the one comment of middle length, `any` are
random ones, `any x 32` that many at once. Wanted: 12 times as fast with one text, and faster with 32. Exit code 1 where
the interval's lower end does not come to that.

Without --artifact the graph has the 50,000 words and pairs that most texts hold and random weights for 6 labels: speed
does not depend on what they are.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read by NumPy when it is imported

import numpy as np

from compress.artifact import open_artifact
from compress.ngrams.graph import with_front
from compress.ngrams.tokenizer import Terms
from compress.ngrams.words import frequent_terms
from compress.runtime.onnx import open_session
from compress.runtime.onnx_text import run_texts, text_batches
from eval.latency.intervals import paired_speedup

WANTED = {"median": 12.0, "any": 12.0, "any x 32": 1.0}
LABELS, FEATURES = 6, 50_000
_WARM_UP = 3
Answer = Callable[[Sequence[str]], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, required=True, help="CSV with a column of texts")
    parser.add_argument("--column", default="comment_text")
    parser.add_argument("--artifact", type=Path, help="of format onnx_text")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    texts = read_texts(options.texts, options.column)
    with tempfile.TemporaryDirectory() as folder:
        model = open_artifact(options.artifact).path / "model.onnx" if options.artifact else random_model(texts, folder)
        session = open_session(str(model), "cpu", 1)
        size = model.stat().st_size
    outputs = session.get_outputs()[0].shape[1]
    answers: tuple[Answer, Answer] = (
        lambda some: run_texts(session, text_batches(some), len(some), outputs),
        scikit_learn(texts, outputs),
    )
    print(f"model.onnx: {size / 1e6:.2f} MB")
    reached = [report(name, answers, options.rounds, batches) for name, batches in workloads(texts).items()]
    sys.exit(not all(reached))


def read_texts(path: Path, column: str) -> list[str]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def random_model(texts: Sequence[str], folder: str) -> Path:
    """A graph of texts whose body is the least that a linear model can be: rows of weights, their sum, and the bias."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    terms = Terms(frequent_terms(texts, 2, 4096, 2)[:FEATURES], 2)
    weights = np.random.default_rng(0).normal(size=(terms.ids, LABELS)).astype(np.float32)
    weights[0] = 0
    arrays = {"weights": weights, "bias": np.ones(LABELS, np.float32), "axis": np.array([1])}
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["logits"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "terms"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", LABELS])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    path = Path(folder) / "model.onnx"
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(with_front(model, terms, max_tokens=4096), str(path))
    return path


def scikit_learn(texts: Sequence[str], outputs: int) -> Answer:
    """TfidfVectorizer's words and pairs of words, then one product."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=FEATURES, dtype=np.float32).fit(texts)
    weights = np.random.default_rng(0).normal(size=(len(vectorizer.vocabulary_), outputs)).astype(np.float32)
    return lambda some: vectorizer.transform(some) @ weights


def workloads(texts: Sequence[str]) -> dict[str, Callable[[np.random.Generator], list[list[str]]]]:
    """Name -> the batches of a turn, all of one size."""
    middle = sorted(texts, key=len)[len(texts) // 2]

    def some(random: np.random.Generator, size: int) -> list[str]:
        return [texts[row] for row in random.integers(len(texts), size=size)]

    return {
        "median": lambda random: [[middle]] * 50,
        "any": lambda random: [some(random, 1) for _ in range(50)],
        "any x 32": lambda random: [some(random, 32) for _ in range(5)],
    }


def report(
    name: str, answers: tuple[Answer, Answer], rounds: int, turn: Callable[[np.random.Generator], list[list[str]]]
) -> bool:
    """Times one workload and prints a line; whether it came to what is wanted."""
    random = np.random.default_rng(1)
    seconds = np.array([one_round(answers, turn(random), random) for _ in range(_WARM_UP + rounds)])[_WARM_UP:]
    ratio = paired_speedup(seconds[:, 1], seconds[:, 0])
    graph, other = np.median(seconds, axis=0) / sum(map(len, turn(random))) * 1e6
    print(
        f"{name}: graph {graph:.1f} us a text, scikit-learn {other:.1f} us; "
        f"{ratio.value:.1f} times as fast ({ratio.low:.1f} to {ratio.high:.1f})",
        flush=True,
    )
    return ratio.low is not None and ratio.low >= WANTED[name]


def one_round(answers: tuple[Answer, Answer], turn: list[list[str]], random: np.random.Generator) -> list[float]:
    """Seconds of each, in their own order whatever the order they ran in."""
    seconds = [0.0] * len(answers)
    for place in random.permutation(len(answers)):
        started = time.perf_counter()
        for texts in turn:
            answers[place](texts)
        seconds[place] = time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    main()
