"""Logits of an artifact by optimum's ORTModelForSequenceClassification. Called by consumers.sh in a venv of its own.

python consumers_optimum.py ARTIFACT TEXTS.json OUT.json
"""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from onnxruntime import SessionOptions
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer


def main(artifact: str, texts_file: str, out: str) -> None:
    """Writes {"versions", "labels", "single": logits one text at a time, "batch": all padded together, "default"}.

    default: as single, in a session without options; the others are opened as compress does.
    """
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    options = SessionOptions()
    # as compress opens it: the fusion is slow on CPUs, and rounds differently where activations become int8
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    model = ORTModelForSequenceClassification.from_pretrained(artifact, session_options=options)

    stock = ORTModelForSequenceClassification.from_pretrained(artifact)

    def logits(part: Sequence[str], opened: Any = model) -> list[list[float]]:
        inputs = tokenizer(list(part), truncation=True, padding=True, return_tensors="np")
        return opened(**inputs).logits.tolist()

    result = {
        "versions": f"optimum-onnx {version('optimum-onnx')}, transformers {version('transformers')}",
        "labels": [model.config.id2label[index] for index in range(len(model.config.id2label))],
        "single": [logits([text])[0] for text in texts],
        "batch": logits(texts),
        "default": [logits([text], stock)[0] for text in texts],
    }
    Path(out).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
