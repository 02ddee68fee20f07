"""The baseline every model must beat: TF-IDF of words (and characters) with balanced logistic regression.

A fitted model is plain arrays and strings: no pickle, and predicting imports neither scikit-learn nor SciPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.baseline.terms import (
    Kind,
    TermBlock,
    check_fit,
    feature_matrix,
    fit_blocks,
    folds,
    linear_scores,
    terms_of,
    text_terms,
)
from eval.contract import Floats, LabelledTexts, Targets
from eval.errors import InvalidInputError
from eval.metrics import average_precision, macro

__all__ = ["Kind", "TermBlock", "TfidfModel", "fit_tfidf", "terms_of"]

_CHOICES_OF_C = (1.0, 3.0, 10.0)
_FOLDS = 3


@dataclass(frozen=True, eq=False)
class TfidfModel:
    """A Predictor made of plain arrays.

    weights: (V, L) float32, V terms of all blocks one after another; bias: (L,) float32. single_label: probabilities
    are a softmax over the labels, else a sigmoid each. chosen_c: the inverse regularization that won (a record).
    Raises InvalidInputError if the shapes do not fit.
    """

    labels: tuple[str, ...]
    single_label: bool
    blocks: tuple[TermBlock, ...]
    weights: Floats
    bias: Floats
    chosen_c: float

    def __post_init__(self) -> None:
        check_fit(self.blocks, self.weights, self.bias, self.labels)

    def predict_logits(self, texts: Sequence[str]) -> Floats:
        """Raw scores, float32 (N, L); a text without a known term gets the bias."""
        terms = (text_terms(self.blocks, text) for text in texts)
        return linear_scores(self.blocks, self.weights, self.bias, terms)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Probabilities, float32 (N, L): sigmoid of the logits, or their softmax for single-label."""
        return _probabilities(self.predict_logits(texts), self.single_label)


def fit_tfidf(
    texts: Sequence[str],
    targets: Targets,
    labels: Sequence[str],
    *,
    kind: Kind,
    single_label: bool,
    seed: int,
    validation: LabelledTexts | None,
) -> TfidfModel:
    """Fits the baseline on training rows. targets: (N, L).

    C is chosen among 1, 3 and 10 by macro average precision: on `validation` where given, else by 3-fold
    cross-validation on the training rows (terms and idf come from all of them; they do not see labels). A label that
    is never (or always) positive cannot be learnt: its weights are 0 and its bias is the logit of the smoothed base
    rate (n + 1/2) / (N + 1), so its probability is near 0 (or 1) for every text. Raises InvalidInputError if shapes
    or labels do not fit, or if the texts hold no term at all.
    """
    labels = tuple(labels)
    if targets.shape != (len(texts), len(labels)) or not texts:
        raise InvalidInputError(f"targets {targets.shape} do not fit {len(texts)} texts and {len(labels)} labels")
    if validation is not None and validation.labels != labels:
        raise InvalidInputError(f"validation has labels {validation.labels}; {labels} were expected")
    blocks = fit_blocks(texts, kind)
    features = feature_matrix(blocks, texts)
    trainer = _Trainer(single_label, seed)
    if validation is not None and len(validation):
        c, weights, bias = _choose_on_validation(
            trainer, features, targets, feature_matrix(blocks, validation.texts), validation
        )
    else:
        c = _choose_by_folds(trainer, features, targets)
        weights, bias = trainer.fit(features, targets, c)
    return TfidfModel(labels, single_label, blocks, weights, bias, c)


def _choose_on_validation(
    trainer: "_Trainer", features: Any, targets: Targets, held_out: Any, validation: LabelledTexts
) -> tuple[float, Floats, Floats]:
    fits = [(c, *trainer.fit(features, targets, c)) for c in _CHOICES_OF_C]
    return max(fits, key=lambda fit: trainer.quality(held_out @ fit[1] + fit[2], validation.targets))


def _choose_by_folds(trainer: "_Trainer", features: Any, targets: Targets) -> float:
    rows = len(targets)
    if rows < 2 * _FOLDS:
        return _CHOICES_OF_C[0]
    fold = folds(rows, _FOLDS, trainer.seed)
    qualities = []
    for c in _CHOICES_OF_C:
        logits = np.zeros(targets.shape, dtype=np.float32)
        for held_out in range(_FOLDS):
            weights, bias = trainer.fit(features[fold != held_out], targets[fold != held_out], c)
            logits[fold == held_out] = features[fold == held_out] @ weights + bias
        qualities.append(trainer.quality(logits, targets))
    return _CHOICES_OF_C[int(np.argmax(qualities))]


@dataclass(frozen=True)
class _Trainer:
    single_label: bool
    seed: int

    def fit(self, features: Any, targets: Targets, c: float) -> tuple[Floats, Floats]:
        """weights (V, L) and bias (L,), float32."""
        weights = np.zeros((features.shape[1], targets.shape[1]), dtype=np.float32)
        bias = _base_rate_logits(targets)
        if self.single_label:
            self._fit_softmax(features, targets, c, weights, bias)
        else:
            self._fit_each(features, targets, c, weights, bias)
        return weights, bias

    def _fit_each(self, features: Any, targets: Targets, c: float, weights: Floats, bias: Floats) -> None:
        from sklearn.linear_model import LogisticRegression

        for label in range(targets.shape[1]):
            truth = targets[:, label]
            if truth.min() == truth.max():
                continue
            model = LogisticRegression(
                C=c, class_weight="balanced", solver="liblinear", max_iter=1000, random_state=self.seed
            )
            model.fit(features, truth)
            weights[:, label], bias[label] = model.coef_[0], model.intercept_[0]

    def _fit_softmax(self, features: Any, targets: Targets, c: float, weights: Floats, bias: Floats) -> None:
        """Labels never seen keep their base rate, which a softmax makes small beside the others."""
        from sklearn.linear_model import LogisticRegression

        truth = targets.argmax(axis=1)
        if truth.min() == truth.max():
            return
        model = LogisticRegression(C=c, class_weight="balanced", solver="lbfgs", max_iter=300)
        model.fit(features, truth)
        coefficients, intercepts = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # one logit z then stands for both; softmax(-z/2, z/2) is sigmoid(z)
            coefficients = np.vstack([-coefficients[0], coefficients[0]]) / 2
            intercepts = np.array([-intercepts[0], intercepts[0]]) / 2
        weights[:, model.classes_] = coefficients.T
        bias[model.classes_] = intercepts

    def quality(self, logits: Floats, targets: Targets) -> float:
        """Macro average precision; -1 where no label has a positive, so that nothing is preferred."""
        value = macro(average_precision, targets, _probabilities(logits, self.single_label))
        return -1.0 if value is None else value


def _base_rate_logits(targets: Targets) -> Floats:
    rate = (targets.sum(axis=0) + 0.5) / (len(targets) + 1)
    return np.asarray(np.log(rate / (1 - rate)), dtype=np.float32)


def _probabilities(logits: Floats, single_label: bool) -> Floats:
    if single_label:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), dtype=np.float32)
