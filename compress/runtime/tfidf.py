"""Runs TF-IDF artifacts: terms as JSON, idf and weights as safetensors."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from compress.artifact import Artifact, Floats
from compress.runtime.base import LogitsPredictor
from eval.baseline.classifier import TfidfModel
from eval.baseline.ridge import TfidfRegression
from eval.baseline.terms import TermBlock, TextTerms, linear_scores, text_terms

_TERMS, _WEIGHTS = "terms.json", "model.safetensors"
_CHUNK = 256


class TfidfPredictor(LogitsPredictor):
    """The baseline; it runs on the CPU and on the calling thread alone, whatever `threads` says."""

    runtime = "numpy"
    device = "cpu"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        super().__init__(artifact)
        self.threads = threads
        self.model = load_tfidf(artifact.path)

    def predict_logits(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Floats:
        """Raw logits, float32 (N, L); of a regression, values."""
        model = self.model
        score = model.predict_values if isinstance(model, TfidfRegression) else model.predict_logits
        parts = []
        for start in range(0, len(texts), _CHUNK):
            parts.append(score(texts[start : start + _CHUNK]))
            if progress is not None:
                progress(min(start + _CHUNK, len(texts)), len(texts))
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)

    def tokenize(self, texts: Sequence[str]) -> list[list[TextTerms]]:
        """Each text's known terms with their weights, block by block."""
        return [text_terms(self.model.blocks, text) for text in texts]

    def run(self, tokens: list[list[TextTerms]]) -> Floats:
        """Raw logits, float32 (N, L); of a regression, values."""
        return linear_scores(self.model.blocks, self.model.weights, self.model.bias, tokens)


def save_tfidf(model: TfidfModel | TfidfRegression, folder: Path) -> None:
    """Writes the model's terms and arrays into `folder`."""
    from safetensors.numpy import save_file

    blocks = [
        {"analyzer": block.analyzer, "ngram_range": block.ngram_range, "vocabulary": block.vocabulary}
        for block in model.blocks
    ]
    facts = {"labels": model.labels, **_choices(model), "blocks": blocks}
    (folder / _TERMS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    arrays = {f"idf.{index}": block.idf for index, block in enumerate(model.blocks)}
    save_file({"weights": model.weights, "bias": model.bias, **arrays}, str(folder / _WEIGHTS))


def _choices(model: TfidfModel | TfidfRegression) -> dict[str, object]:
    if isinstance(model, TfidfRegression):
        return {"chosen_alpha": model.chosen_alpha}
    return {"single_label": model.single_label, "chosen_c": model.chosen_c}


def load_tfidf(folder: Path) -> TfidfModel | TfidfRegression:
    """Reads what save_tfidf wrote."""
    from safetensors.numpy import load_file

    facts = json.loads((folder / _TERMS).read_text(encoding="utf-8"))
    arrays = load_file(str(folder / _WEIGHTS))
    blocks = tuple(
        TermBlock(item["analyzer"], tuple(item["ngram_range"]), tuple(item["vocabulary"]), arrays[f"idf.{index}"])
        for index, item in enumerate(facts["blocks"])
    )
    labels, weights, bias = tuple(facts["labels"]), arrays["weights"], arrays["bias"]
    if "chosen_alpha" in facts:
        return TfidfRegression(labels, blocks, weights, bias, facts["chosen_alpha"])
    return TfidfModel(labels, facts["single_label"], blocks, weights, bias, facts["chosen_c"])
