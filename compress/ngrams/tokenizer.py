"""Text to ids of its words and runs of words: what a linear model and a bag of hashed words read.

The reference for the ONNX graph of `graph.py`, which gives the same ids. Id 0 is padding and never counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compress.artifact import sha256_text
from compress.errors import EncoderError
from compress.ngrams.words import hashes_of, runs_of, words_of
from compress.pieces import Ids, Pieces, TokenIds, text_runs
from compress.recipe.long_text import TRUNCATE, LongText

NGRAMS = "ngrams.json"
_RUN_CHARACTERS = 1_000_000


class _Saved(BaseModel):
    """ngrams.json: terms or buckets, one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    longest: int = Field(ge=1, le=3)
    terms: tuple[str, ...] | None = None
    buckets: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class Terms:
    """An explicit list: a term's id is its place in it and one, and what is not in it is left out.

    terms: distinct runs of up to `longest` words, joined by a blank.
    """

    terms: tuple[str, ...]
    longest: int

    @property
    def ids(self) -> int:
        """Numbers of ids, padding among them."""
        return len(self.terms) + 1

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Term -> id."""
        return {term: place for place, term in enumerate(self.terms, 1)}

    def of(self, words: Sequence[str]) -> list[int]:
        """Ids of the known terms among a text's words, a term as often as it occurs."""
        places = self.places
        return [places[term] for term in runs_of(words, self.longest) if term in places]


@dataclass(frozen=True)
class Buckets:
    """No list: a run of up to `longest` words has the id that its hash gives, from 1 to `buckets`."""

    buckets: int
    longest: int

    @property
    def ids(self) -> int:
        """Numbers of ids, padding among them."""
        return self.buckets + 1

    def of(self, words: Sequence[str]) -> list[int]:
        """Ids of all runs of a text's words."""
        return [number % self.buckets + 1 for number in hashes_of(words, self.longest)]


class NgramTokenizer:
    """Ids of a text's terms; of its words the first max_tokens are read, and what is longer is always cut.

    It has what `compress.tokenizer.Tokenizer` has. A text without any term is one id of padding.
    """

    needs_types = False
    long_text: LongText = TRUNCATE

    def __init__(self, features: Terms | Buckets, max_tokens: int) -> None:
        self.features, self.max_tokens = features, max_tokens

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, padding included."""
        return self.features.ids

    def encode(self, texts: Sequence[str], threads: int = 0) -> list[TokenIds]:
        """Ids of each text, words first, then runs of two, and so on."""
        return [self._ids(text) for text in texts]

    def pieces(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Pieces:
        """The texts as the model reads them: a piece each."""
        return Pieces(self.encode(texts), np.ones(len(texts), np.int64))

    def runs(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Iterator[Pieces]:
        """The same by runs of neighbouring texts of a million characters at most, or of one text."""
        for run in text_runs(texts, _RUN_CHARACTERS):
            yield self.pieces(run)

    def pad(self, tokens: Sequence[TokenIds]) -> dict[str, NDArray[np.int64]]:
        """Arrays (B, T) padded to the longest: input_ids, and attention_mask, which is 0 where the id is."""
        ids = np.zeros((len(tokens), max(len(item) for item in tokens)), np.int64)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = item.ids
        return {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}

    @property
    def digest(self) -> str:
        """sha256 of all that the ids depend on but the text."""
        return sha256_text(f"{self.max_tokens}:{self._saved()}")

    def save(self, folder: Path) -> None:
        """Writes ngrams.json."""
        (folder / NGRAMS).write_text(self._saved() + "\n", encoding="utf-8")

    def _saved(self) -> str:
        features = self.features
        saved = (
            _Saved(longest=features.longest, terms=features.terms)
            if isinstance(features, Terms)
            else _Saved(longest=features.longest, buckets=features.buckets)
        )
        return json.dumps(saved.model_dump(exclude_none=True), ensure_ascii=False)

    def _ids(self, text: str) -> TokenIds:
        found = self.features.of(words_of(text, self.max_tokens)) or [0]
        ids: Ids = np.array(found, np.int32)
        return TokenIds(ids, np.zeros(len(ids), np.int32))


def open_ngrams(folder: Path, max_tokens: int) -> NgramTokenizer:
    """The tokenizer that `save` wrote. Raises EncoderError where it cannot be read."""
    path = folder / NGRAMS
    try:
        saved = _Saved.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EncoderError(f"{path} cannot be read as a list of terms: {error}") from error
    if saved.terms is not None:
        return NgramTokenizer(Terms(saved.terms, saved.longest), max_tokens)
    if saved.buckets is None:
        raise EncoderError(f"{path} holds neither terms nor buckets. Make the artifact again.")
    return NgramTokenizer(Buckets(saved.buckets, saved.longest), max_tokens)
