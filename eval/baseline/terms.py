"""TF-IDF features in plain arrays and strings, and linear scores of them: what both baselines are made of.

The terms are scikit-learn's `TfidfVectorizer` ones (lower case, accents stripped, sublinear term frequency, smoothed
idf, each block of features normalised to length 1), counted here in plain Python.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.contract import Floats
from eval.errors import InvalidInputError

Kind: TypeAlias = Literal["words", "words_chars"]
Analyzer: TypeAlias = Literal["word", "char_wb"]
TextTerms: TypeAlias = tuple[NDArray[np.int64], Floats]  # of one block: places in its vocabulary, TF-IDF values

_WORD = re.compile(r"\b\w\w+\b")
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

    def transform(self, text: str) -> TextTerms:
        """The text's known terms, as rising places in the vocabulary, and their TF-IDF values (length 1 or empty)."""
        known = map(self._places.get, terms_of(text, self.analyzer, self.ngram_range))
        places, counts = np.unique([place for place in known if place is not None], return_counts=True)
        places = places.astype(np.int64)
        values = (1 + np.log(counts)).astype(np.float32) * self.idf[places]
        parts = (values[start : start + _ONE_THREAD] for start in range(0, len(values), _ONE_THREAD))
        length = float(np.sqrt(sum((part @ part for part in parts), np.float32(0))))
        return places, values / max(length, np.finfo(np.float32).tiny)


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


def text_terms(blocks: Sequence[TermBlock], text: str) -> list[TextTerms]:
    """The known terms of a text, block by block."""
    return [block.transform(text) for block in blocks]


def linear_scores(
    blocks: Sequence[TermBlock], weights: Floats, bias: Floats, texts: Iterable[Sequence[TextTerms]]
) -> Floats:
    """TF-IDF times weights (V, L) plus bias (L,), float32 (N, L); a text without a known term gets the bias.

    texts: the terms of each. einsum stays on the calling thread; `@` would go to a BLAS that threads long texts
    whatever it was asked.
    """
    starts = np.cumsum([0, *(len(block.vocabulary) for block in blocks)])
    scores = []
    for terms in texts:
        score = bias.astype(np.float32)
        for start, (places, values) in zip(starts, terms, strict=False):
            score += np.einsum("t,tl->l", values, weights[places + start])
        scores.append(score)
    return np.array(scores, np.float32).reshape(-1, len(bias))


def check_fit(blocks: Sequence[TermBlock], weights: Floats, bias: Floats, labels: Sequence[str]) -> None:
    """Raises InvalidInputError unless weights are (V, L), bias is (L,), and each term has its idf."""
    terms = sum(len(block.vocabulary) for block in blocks)
    if weights.shape != (terms, len(labels)) or bias.shape != (len(labels),):
        raise InvalidInputError(f"weights {weights.shape} and bias {bias.shape} do not fit {terms} terms, {labels}")
    if any(len(block.vocabulary) != len(block.idf) for block in blocks):
        raise InvalidInputError("a block of TF-IDF terms has another number of idf values than of terms")


def fit_blocks(texts: Sequence[str], kind: Kind) -> tuple[TermBlock, ...]:
    """The terms of training texts. Raises InvalidInputError if they hold none at all."""
    blocks = tuple(_fit_block(texts, *choice) for choice in _block_choices(kind))
    if not any(block.vocabulary for block in blocks):
        raise InvalidInputError(f"the {len(texts)} training texts hold no word to learn from")
    return blocks


def folds(rows: int, count: int, seed: int) -> NDArray[np.int64]:
    """(N,): which of `count` folds each row is in, by seed."""
    return np.asarray(np.random.default_rng(seed).permutation(rows) % count, dtype=np.int64)


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


def feature_matrix(blocks: Sequence[TermBlock], texts: Sequence[str]) -> Any:
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
