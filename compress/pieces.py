"""What a model reads of a text: all its tokens, or the parts that a long one is cut into; and one answer of these."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Literal, Protocol, assert_never, overload

import numpy as np
from numpy.typing import NDArray

from compress.recipe.long_text import LongText, WindowPooling

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class TokenIds:
    """Tokens of a text, or of a window of it: ids (T,) and segment numbers (T,)."""

    ids: Ids
    types: Ids

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, places: NDArray[np.int64]) -> "TokenIds":
        """The tokens at these places alone."""
        return TokenIds(self.ids[places], self.types[places])


class FlatTokens(Sequence[TokenIds]):
    """Tokens of P pieces in one array, of which they are views.

    ids: of all tokens (T,). types: segment numbers (T,); None where they are 0. sizes: tokens of each piece (P,).
    """

    def __init__(self, ids: Ids, types: Ids | None, sizes: NDArray[np.int64]) -> None:
        self.ids, self.types, self.sizes = ids, types, sizes
        self.ends = np.cumsum(sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, place: int) -> TokenIds: ...
    @overload
    def __getitem__(self, place: slice) -> list[TokenIds]: ...
    def __getitem__(self, place: int | slice) -> TokenIds | list[TokenIds]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        end, size = int(self.ends[place]), int(self.sizes[place])
        own = slice(end - size, end)
        return TokenIds(self.ids[own], np.zeros(size, np.int32) if self.types is None else self.types[own])


@dataclass(frozen=True)
class Pieces:
    """N texts as a model reads them. tokens: of every piece, a text's own side by side. counts: pieces a text (N,).

    A text is one piece; a long one that is read through windows has a piece for each.
    """

    tokens: Sequence[TokenIds]
    counts: NDArray[np.int64]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each text's pieces begin (N,)."""
        return np.cumsum(self.counts) - self.counts

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text (N,), over all its pieces."""
        tokens = self.tokens
        sizes = tokens.sizes if isinstance(tokens, FlatTokens) else np.array([len(item) for item in tokens], np.int64)
        return np.add.reduceat(sizes, self.starts) if len(sizes) else sizes

    def of(self, rows: Sequence[int]) -> "Pieces":
        """Those texts alone, in that order."""
        starts, counts = self.starts[rows], self.counts[rows]
        places = chain.from_iterable(range(at, at + count) for at, count in zip(starts, counts, strict=True))
        return Pieces([self.tokens[place] for place in places], counts)


class Reader(Protocol):
    """Text to ids, as a model reads them, whatever it reads: pieces of words, or words and runs of words."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that a piece holds."""

    @property
    def long_text(self) -> LongText:
        """What becomes of texts above max_tokens."""

    @property
    def needs_types(self) -> bool:
        """Whether the model is given segment numbers."""

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""

    @property
    def digest(self) -> str:
        """sha256 of all that the ids depend on but the text: two readers that have it in common read alike."""

    def encode(self, texts: Sequence[str], threads: int = 0) -> list[TokenIds]:
        """Ids of every piece of the texts."""

    def pieces(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Pieces:
        """The texts as the model reads them."""

    def runs(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Iterator[Pieces]:
        """The same by runs of neighbouring texts."""

    def pad(self, tokens: Sequence[TokenIds]) -> dict[str, NDArray[np.int64]]:
        """Arrays (B, T): input_ids, attention_mask, and token_type_ids where they are needed."""


def text_runs(texts: Sequence[str], characters: int) -> Iterator[list[str]]:
    """Neighbouring texts of so many characters together, at most, or one longer text alone."""
    run: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        if run and size > characters:
            yield run
            run, size = [], len(text)
        run.append(text)
    if run:
        yield run


def cuts(
    special: NDArray[np.bool_], max_tokens: int, how: Literal["head_tail", "windows"], most: int | None = None
) -> list[NDArray[np.int64]]:
    """Which tokens of a text above max_tokens are in each of its pieces: places in the text (at most max_tokens,).

    special: 1 where the tokenizer added a token (T,); those before and after the text's own stand in every piece, and
    what LongText says is of the places between them. most: at least 2.
    """
    own = np.flatnonzero(~special)
    places = np.arange(len(special))
    before, inside, after = np.split(places, [own[0], own[-1] + 1])
    room = max_tokens - len(before) - len(after)
    match how:
        case "head_tail":
            tail = room * 3 // 4
            parts = [np.concatenate([inside[: room - tail], inside[-tail:]])]
        case "windows":
            overlap = room // 4
            starts: Sequence[int] = range(0, len(inside) - overlap, room - overlap)
            if most is not None and len(starts) > most:
                starts = [starts[index * (len(starts) - 1) // (most - 1)] for index in range(most)]
            parts = [inside[start : start + room] for start in starts]
        case _ as unknown:
            assert_never(unknown)
    return [np.concatenate([before, part, after]) for part in parts]


def pool_windows(logits: NDArray[np.float32], counts: NDArray[np.int64], pooling: WindowPooling) -> NDArray[np.float32]:
    """Logits (P, L) of pieces to those of their texts (N, L). counts: pieces of each text (N,), at least one."""
    if len(logits) == len(counts):
        return logits
    starts = np.cumsum(counts) - counts
    if pooling == "max":
        return np.maximum.reduceat(logits, starts)
    sums = np.add.reduceat(logits, starts, dtype=np.float64)
    return np.asarray(sums / counts[:, None], np.float32)
