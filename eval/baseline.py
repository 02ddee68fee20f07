"""The baseline every model must beat: TF-IDF of words (and characters) with balanced logistic regression.

A fitted model is plain arrays and strings: no pickle, and predicting imports neither scikit-learn nor SciPy. The terms
are scikit-learn's `TfidfVectorizer` ones (lower case, accents stripped, sublinear term frequency, smoothed idf, each
block of features normalised to length 1), counted here in plain Python.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats, LabelledTexts, Targets
from eval.errors import InvalidInputError
from eval.metrics import average_precision, macro

Kind: TypeAlias = Literal["words", "words_chars"]
Analyzer: TypeAlias = Literal["word", "char_wb"]

_WORD = re.compile(r"\b\w\w+\b")
_CHOICES_OF_C = (1.0, 3.0, 10.0)
_FOLDS = 3
# OpenBLAS spreads a dot product of more than 10,000 numbers over threads
_ONE_THREAD = 8192


@dataclass(frozen=True, eq=False)
class TermBlock:
    """One kind of terms. analyzer: word n-grams, or character n-grams inside words padded with a blank (`char_wb`).

    vocabulary: V terms, sorted; idf: (V,) float32.
    """

    analyzer: Analyzer
    ngram_range: tuple[int, int]
    vocabulary: tuple[str, ...]
    idf: Floats

    @cached_property
    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.vocabulary)}

    def transform(self, text: str) -> tuple[NDArray[np.int64], Floats]:
        """The text's known terms, as rising places in the vocabulary, and their TF-IDF values (length 1 or empty)."""
        known = map(self._places.get, terms_of(text, self.analyzer, self.ngram_range))
        places, counts = np.unique([place for place in known if place is not None], return_counts=True)
        places = places.astype(np.int64)
        values = (1 + np.log(counts)).astype(np.float32) * self.idf[places]
        parts = (values[start : start + _ONE_THREAD] for start in range(0, len(values), _ONE_THREAD))
        length = float(np.sqrt(sum((part @ part for part in parts), np.float32(0))))
        return places, values / max(length, np.finfo(np.float32).tiny)


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
        terms = sum(len(block.vocabulary) for block in self.blocks)
        if self.weights.shape != (terms, len(self.labels)) or self.bias.shape != (len(self.labels),):
            raise InvalidInputError(
                f"weights {self.weights.shape} and bias {self.bias.shape} do not fit {terms} terms, {self.labels}"
            )
        if any(len(block.vocabulary) != len(block.idf) for block in self.blocks):
            raise InvalidInputError("a block of TF-IDF terms has another number of idf values than of terms")

    def predict_logits(self, texts: Sequence[str]) -> Floats:
        """Raw scores, float32 (N, L); a text without a known term gets the bias.

        einsum stays on the calling thread; `@` would go to a BLAS that threads long texts whatever it was asked.
        """
        logits = np.tile(self.bias, (len(texts), 1)).astype(np.float32)
        offset = 0
        for block in self.blocks:
            for row, text in enumerate(texts):
                places, values = block.transform(text)
                logits[row] += np.einsum("t,tl->l", values, self.weights[places + offset])
            offset += len(block.vocabulary)
        return logits

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Probabilities, float32 (N, L): sigmoid of the logits, or their softmax for single-label."""
        return _probabilities(self.predict_logits(texts), self.single_label)


def terms_of(text: str, analyzer: Analyzer, ngram_range: tuple[int, int]) -> list[str]:
    """The n-grams of a text, repeated as often as they occur; the same as scikit-learn's analyzers of these names."""
    plain = _without_accents(text.lower())
    lengths = range(ngram_range[0], ngram_range[1] + 1)
    if analyzer == "word":
        words = _WORD.findall(plain)
        return [" ".join(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)]
    return [term for word in plain.split() for term in _character_terms(f" {word} ", lengths)]


def _character_terms(padded: str, lengths: range) -> list[str]:
    """A word shorter than a length counts once, whole, and not again for the lengths above."""
    terms: list[str] = []
    for n in lengths:
        if len(padded) <= n:
            return [*terms, padded]
        terms += [padded[i : i + n] for i in range(len(padded) - n + 1)]
    return terms


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


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
    blocks = tuple(_fit_block(texts, *choice) for choice in _block_choices(kind))
    if not any(block.vocabulary for block in blocks):
        raise InvalidInputError(f"the {len(texts)} training texts hold no word to learn from")
    features = _matrix(blocks, texts)
    trainer = _Trainer(single_label, seed)
    if validation is not None and len(validation):
        c, weights, bias = _choose_on_validation(
            trainer, features, targets, _matrix(blocks, validation.texts), validation
        )
    else:
        c = _choose_by_folds(trainer, features, targets)
        weights, bias = trainer.fit(features, targets, c)
    return TfidfModel(labels, single_label, blocks, weights, bias, c)


def _block_choices(kind: Kind) -> list[tuple[Analyzer, tuple[int, int], int]]:
    """(analyzer, n-gram lengths, fewest texts a term must be in). Rarer character terms add bytes, not quality."""
    words: tuple[Analyzer, tuple[int, int], int] = ("word", (1, 2), 2)
    return [words] if kind == "words" else [words, ("char_wb", (2, 5), 5)]


def _fit_block(texts: Sequence[str], analyzer: Analyzer, ngram_range: tuple[int, int], least: int) -> TermBlock:
    """A handful of texts may share no term; then every term is kept."""
    found_in = Counter(chain.from_iterable(set(terms_of(text, analyzer, ngram_range)) for text in texts))
    frequent = sorted(term for term, count in found_in.items() if count >= least)
    vocabulary = tuple(frequent or sorted(found_in))
    counts = np.array([found_in[term] for term in vocabulary], dtype=np.float64)
    idf = np.log((1 + len(texts)) / (1 + counts)) + 1
    return TermBlock(analyzer, ngram_range, vocabulary, idf.astype(np.float32))


def _matrix(blocks: Sequence[TermBlock], texts: Sequence[str]) -> Any:
    """SciPy CSR matrix (N, V) of all blocks side by side."""
    from scipy.sparse import csr_matrix, hstack

    parts = []
    for block in blocks:
        rows = [block.transform(text) for text in texts]
        starts = np.cumsum([0, *(len(places) for places, _ in rows)])
        values = np.concatenate([values for _, values in rows]).astype(np.float64)
        places = np.concatenate([places for places, _ in rows])
        parts.append(csr_matrix((values, places, starts), shape=(len(texts), len(block.vocabulary))))
    return hstack(parts, format="csr")


def _choose_on_validation(
    trainer: "_Trainer", features: Any, targets: Targets, held_out: Any, validation: LabelledTexts
) -> tuple[float, Floats, Floats]:
    fits = [(c, *trainer.fit(features, targets, c)) for c in _CHOICES_OF_C]
    return max(fits, key=lambda fit: trainer.quality(held_out @ fit[1] + fit[2], validation.targets))


def _choose_by_folds(trainer: "_Trainer", features: Any, targets: Targets) -> float:
    rows = len(targets)
    if rows < 2 * _FOLDS:
        return _CHOICES_OF_C[0]
    fold = np.random.default_rng(trainer.seed).permutation(rows) % _FOLDS
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
