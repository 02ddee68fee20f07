"""The baseline every regression must beat: TF-IDF of words (and characters) with ridge regression.

As `eval.baseline.classifier`'s, a fitted model is plain arrays and strings, and predicting imports neither
scikit-learn nor SciPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.baseline.terms import Kind, TermBlock, check_fit, feature_matrix, fit_blocks, folds, linear_scores, text_terms
from eval.contract import Floats, LabelledTexts
from eval.errors import InvalidInputError
from eval.metrics import macro
from eval.regression import r2

_CHOICES_OF_ALPHA = (0.1, 0.3, 1.0, 3.0, 10.0)
_FOLDS = 3


@dataclass(frozen=True, eq=False)
class TfidfRegression:
    """A ValuePredictor made of plain arrays.

    weights: (V, L) float32, V terms of all blocks one after another; bias: (L,) float32; both in the targets' units.
    chosen_alpha: the regularization that won (a record). Raises InvalidInputError if the shapes do not fit.
    """

    labels: tuple[str, ...]
    blocks: tuple[TermBlock, ...]
    weights: Floats
    bias: Floats
    chosen_alpha: float

    def __post_init__(self) -> None:
        check_fit(self.blocks, self.weights, self.bias, self.labels)

    def predict_values(self, texts: Sequence[str]) -> Floats:
        """Values in the targets' units, float32 (N, L); a text without a known term gets the bias."""
        terms = (text_terms(self.blocks, text) for text in texts)
        return linear_scores(self.blocks, self.weights, self.bias, terms)


def fit_tfidf_regression(
    texts: Sequence[str],
    targets: Floats,
    labels: Sequence[str],
    *,
    kind: Kind,
    seed: int,
    validation: LabelledTexts | None,
) -> TfidfRegression:
    """Fits the baseline on training rows. targets: (N, L).

    alpha is chosen among five from 0.1 to 10 by macro R²: on `validation` where given, else by 3-fold
    cross-validation on the training rows. Raises InvalidInputError if shapes or labels do not fit, or if the texts
    hold no term at all.
    """
    labels = tuple(labels)
    if targets.shape != (len(texts), len(labels)) or not texts:
        raise InvalidInputError(f"targets {targets.shape} do not fit {len(texts)} texts and {len(labels)} targets")
    if validation is not None and validation.labels != labels:
        raise InvalidInputError(f"validation has targets {validation.labels}; {labels} were expected")
    blocks = fit_blocks(texts, kind)
    features = feature_matrix(blocks, texts)
    if validation is not None and len(validation):
        alpha = _best_on_validation(features, targets, feature_matrix(blocks, validation.texts), validation)
    else:
        alpha = _best_by_folds(features, targets, seed)
    return TfidfRegression(labels, blocks, *_fit(features, targets, alpha), alpha)


def _best_on_validation(features: Any, targets: Floats, held_out: Any, validation: LabelledTexts) -> float:
    def quality(alpha: float) -> float:
        weights, bias = _fit(features, targets, alpha)
        return _quality(held_out @ weights + bias, validation.targets)

    return max(_CHOICES_OF_ALPHA, key=quality)


def _best_by_folds(features: Any, targets: Floats, seed: int) -> float:
    if len(targets) < 2 * _FOLDS:
        return _CHOICES_OF_ALPHA[-1]
    fold = folds(len(targets), _FOLDS, seed)

    def quality(alpha: float) -> float:
        values = np.zeros(targets.shape, dtype=np.float32)
        for number in range(_FOLDS):
            weights, bias = _fit(features[fold != number], targets[fold != number], alpha)
            values[fold == number] = features[fold == number] @ weights + bias
        return _quality(values, targets)

    return max(_CHOICES_OF_ALPHA, key=quality)


def _fit(features: Any, targets: Floats, alpha: float) -> tuple[Floats, Floats]:
    """weights (V, L) and bias (L,), float32."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=alpha, solver="sparse_cg").fit(features, targets.astype(np.float64))
    weights = np.asarray(model.coef_, dtype=np.float32).reshape(targets.shape[1], -1).T
    return np.ascontiguousarray(weights), np.asarray(model.intercept_, dtype=np.float32).reshape(-1)


def _quality(values: Floats, targets: Floats) -> float:
    """Macro R²; where no target varies nothing is preferred."""
    found = macro(r2, targets, values)
    return float("-inf") if found is None else found
