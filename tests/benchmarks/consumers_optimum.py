"""Logits of an artifact by optimum's ORTModelForSequenceClassification. Called by consumers.sh in a venv of its own.

python consumers_optimum.py ARTIFACT TEXTS.json OUT.json
"""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from onnxruntime import SessionOptions
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer


def main(artifact: str, texts_file: str, out: str) -> None:
    """Writes {"versions", "labels", "single": logits one text at a time, "batch": all texts padded together}."""
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    options = SessionOptions()
    # as compress opens it: the fusion is slow on CPUs, and rounds differently where activations become int8
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    model = ORTModelForSequenceClassification.from_pretrained(artifact, session_options=options)

    def logits(part: Sequence[str]) -> list[list[float]]:
        inputs = tokenizer(list(part), truncation=True, padding=True, return_tensors="np")
        return model(**inputs).logits.tolist()

    result = {
        "versions": f"optimum-onnx {version('optimum-onnx')}, transformers {version('transformers')}",
        "labels": [model.config.id2label[index] for index in range(len(model.config.id2label))],
        "single": [logits([text])[0] for text in texts],
        "batch": logits(texts),
    }
    Path(out).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
