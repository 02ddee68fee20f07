"""A unigram vocabulary: pieces and their log probabilities, by expectation maximization over all splits of the words.

tokenizers' own trainer walks over words in the order of a hash that is new in every process, so its sums of floats, and
with them the pieces at the margin, differ from one process to the next; here everything has one order.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compress.vocabulary.words import by_frequency, count_letters, letters_kept

_LONGEST_PIECE, _LONGEST_WORD = 16, 40
_SEEDS = 8  # so many times the size asked for, as a beginning
_SHRINK = 0.75  # of the pieces stay after a round
_ROUNDS_OF_EM = 2
_FEWEST = 0.5  # times that a piece is expected to be used, below which it is dropped
Floats = NDArray[np.float64]


def unigram_pieces(words: Mapping[str, int], size: int) -> list[tuple[str, float]]:
    """At most `size` pieces with their log probabilities, the likeliest first (Kudo 2018, section 3.2).

    words: how often each stands in the texts. Every frequent character is a piece, whatever else is dropped.
    """
    letters = by_frequency(count_letters(words))[: letters_kept(size)]
    known = set(letters)
    readable = {word: words[word] for word in sorted(words) if len(word) <= _LONGEST_WORD and known.issuperset(word)}
    pieces = _seeds(readable, letters, size)
    counts = np.array(list(readable.values()), float)
    in_words, in_pieces = _lattices(list(readable), pieces), _lattices(pieces, pieces)
    needed = np.arange(len(pieces)) < len(letters)
    alive = np.ones(len(pieces), bool)
    log_p = _normalized(np.array([counts.sum()] * len(pieces)), alive)
    while True:
        for _ in range(_ROUNDS_OF_EM):
            expected = _expected(in_words, log_p, counts, len(pieces))
            alive &= needed | (expected >= _FEWEST)
            log_p = _normalized(np.maximum(expected, _FEWEST), alive)
        left = int(alive.sum())
        if left <= size:
            break
        alive &= _largest(_losses(expected, log_p, in_pieces, alive, needed), max(size, int(_SHRINK * left)))
        log_p = _normalized(np.maximum(expected, _FEWEST), alive)
    found = [(pieces[place], round(float(log_p[place]), 6)) for place in np.flatnonzero(alive)]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _seeds(words: Mapping[str, int], letters: Sequence[str], size: int) -> list[str]:
    """The characters, then the substrings that cover most of the texts: times they occur x their length."""
    counts: Counter[str] = Counter()
    for word, times in words.items():
        for start in range(len(word) - 1):
            for end in range(start + 2, min(len(word), start + _LONGEST_PIECE) + 1):
                counts[word[start:end]] += times
    covered = {piece: times * len(piece) for piece, times in counts.items() if times > 1}
    return [*letters, *by_frequency(covered)[: _SEEDS * size]]


@dataclass(frozen=True)
class _Lattice:
    """N strings of one length. rows: their places among all. ids (N, S): the piece that each span (S,) is."""

    length: int
    rows: NDArray[np.int64]
    spans: list[tuple[int, int]]
    ids: NDArray[np.int64]


def _lattices(strings: Sequence[str], pieces: Sequence[str]) -> list[_Lattice]:
    """Spans that are no piece have the number len(pieces)."""
    number = {piece: place for place, piece in enumerate(pieces)}
    rows: dict[int, list[int]] = defaultdict(list)
    for row, string in enumerate(strings):
        rows[len(string)].append(row)
    found = []
    for length, places in sorted(rows.items()):
        spans = [(s, e) for e in range(1, length + 1) for s in range(max(0, e - _LONGEST_PIECE), e)]
        ids = [[number.get(strings[row][s:e], len(pieces)) for s, e in spans] for row in places]
        found.append(_Lattice(length, np.array(places), spans, np.array(ids, np.int64)))
    return found


def _normalized(expected: Floats, alive: NDArray[np.bool_]) -> Floats:
    """Log probabilities of the pieces that are left; of the others minus infinity."""
    weights = np.where(alive, expected, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weights / weights.sum()), np.float64)


def _scores(lattice: _Lattice, log_p: Floats) -> Floats:
    """Log probability of each span's piece (N, S); minus infinity where it is none."""
    return np.append(log_p, -np.inf)[lattice.ids]


def _forward(lattice: _Lattice, scores: Floats, how: Literal["sum", "max"]) -> Floats:
    """Log of the sum, or the maximum, over all splits of the first characters (N, length + 1)."""
    combine = np.logaddexp if how == "sum" else np.maximum
    best = np.full((len(scores), lattice.length + 1), -np.inf)
    best[:, 0] = 0
    for place, (start, end) in enumerate(lattice.spans):
        best[:, end] = combine(best[:, end], best[:, start] + scores[:, place])
    return best


def _expected(lattices: Sequence[_Lattice], log_p: Floats, counts: Floats, size: int) -> Floats:
    """How often each piece is expected in the words (size,), each word counted `counts` times."""
    found = np.zeros(size + 1)
    for lattice in lattices:
        scores = _scores(lattice, log_p)
        before = _forward(lattice, scores, "sum")
        after = np.full_like(before, -np.inf)
        after[:, -1] = 0
        for place in reversed(range(len(lattice.spans))):
            start, end = lattice.spans[place]
            after[:, start] = np.logaddexp(after[:, start], after[:, end] + scores[:, place])
        starts, ends = np.array(lattice.spans).T
        used = np.exp(before[:, starts] + scores + after[:, ends] - before[:, -1:])
        weights = used * counts[lattice.rows, None]
        found += np.bincount(lattice.ids.ravel(), weights.ravel(), minlength=size + 1)
    return found[:-1]


def _best_splits(lattices: Sequence[_Lattice], log_p: Floats, size: int) -> Floats:
    """Log probability of the likeliest way to write each piece with others (size,); minus infinity for a character."""
    found = np.full(size, -np.inf)
    for lattice in lattices:
        if lattice.length > 1:
            scores = _scores(lattice, log_p)
            scores[:, lattice.spans.index((0, lattice.length))] = -np.inf
            found[lattice.rows] = _forward(lattice, scores, "max")[:, -1]
    return found


def _losses(
    expected: Floats, log_p: Floats, lattices: Sequence[_Lattice], alive: NDArray[np.bool_], needed: NDArray[np.bool_]
) -> Floats:
    """What the texts' log probability loses without each piece (P,), where its uses become its best split."""
    with np.errstate(invalid="ignore"):  # of pieces that are dropped already
        loss = expected * (log_p - _best_splits(lattices, log_p, len(log_p)))
    return np.where(needed, np.inf, np.where(alive, loss, -np.inf))


def _largest(values: Floats, count: int) -> NDArray[np.bool_]:
    """Which are the `count` largest; of equal ones those that stand first."""
    chosen = np.zeros(len(values), bool)
    chosen[np.argsort(-values, kind="stable")[:count]] = True
    return chosen
