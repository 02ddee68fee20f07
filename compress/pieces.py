"""What a model reads of a text: all its tokens, or the parts that a long one is cut into; and one answer of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from compress.recipe.long_text import WindowPooling

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
        sizes = np.array([len(item) for item in self.tokens], np.int64)
        return np.add.reduceat(sizes, self.starts) if len(sizes) else sizes

    def of(self, rows: Sequence[int]) -> "Pieces":
        """Those texts alone, in that order."""
        starts, counts = self.starts[rows], self.counts[rows]
        places = chain.from_iterable(range(at, at + count) for at, count in zip(starts, counts, strict=True))
        return Pieces([self.tokens[place] for place in places], counts)


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
