"""Texts of like length together: the batches of training and of prediction, so that little padding is computed."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from compress.pieces import Pieces, Reader, TokenIds, pool_windows
from compress.tokenizer import Batch

Rows = NDArray[np.int64]
# tokens in one forward pass, padding included: 32 texts of 512 tokens, or 512 texts of 32
TOKEN_BUDGET = 16_384
# a batch holds texts of up to one and a half times its shortest, and a little more: on CPUs several small batches are
# two to three times faster than one that pads short texts to the longest of 32
_STRETCH, _SLACK = 1.5, 8
_POOL_BATCHES = 50


class LengthBatches:
    """Training batches of rows of like length, in random order; each row once an epoch.

    A batch has `batch_size` rows, or, where batch_tokens is given, so many rows that it has about so many tokens,
    padding included. Rows are shuffled, cut into pools of about 50 batches and sorted by length within a pool. Every
    epoch has the same number of batches. The order depends on seed and epoch alone, so that a resumed epoch goes on as
    it began.
    """

    def __init__(
        self, lengths: Sequence[int] | Rows, batch_size: int, seed: int, batch_tokens: int | None = None
    ) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        self.batch_size, self.batch_tokens = batch_size, batch_tokens
        self.seed = seed
        self.epoch = 0
        if batch_tokens is None:
            self._count = -(-len(self.lengths) // batch_size)
        else:
            self._count = len(_filled(np.sort(self.lengths), batch_tokens))

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch's order; called by the Trainer."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def weight(self, rows: Sequence[int]) -> float:
        """Of a batch's mean loss, so that every row counts as much as another where batches differ in rows."""
        return 1.0 if self.batch_tokens is None else len(rows) * len(self) / len(self.lengths)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(len(self.lengths))
        batches = self._of_size(order) if self.batch_tokens is None else self._of_tokens(order)
        for index in random.permutation(len(batches)):
            yield batches[index].tolist()

    def _of_size(self, order: Rows) -> list[Rows]:
        pool = self.batch_size * _POOL_BATCHES
        batches = []
        for start in range(0, len(order), pool):
            part = self._sorted(order[start : start + pool])
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return batches

    def _of_tokens(self, order: Rows) -> list[Rows]:
        """As many batches as there would be with all rows in one pool; so a pool's are a little above the budget."""
        pools = -(-len(self) // _POOL_BATCHES)
        batches = []
        for number, rows in enumerate(np.array_split(order, pools) if pools else []):
            part = self._sorted(rows)
            count = len(self) // pools + (number < len(self) % pools)
            batches += np.split(part, _even_ends(self.lengths[part], count)[:-1])
        return batches

    def _sorted(self, rows: Rows) -> Rows:
        return rows[np.argsort(self.lengths[rows], kind="stable")]


def _even_ends(lengths: NDArray[np.int64], count: int) -> list[int]:
    """Cuts N rows, sorted by length, into `count` batches whose largest has the fewest tokens, padding included.

    A text that is longer alone is no matter. Gives where each batch ends. count: from 1 to N.
    """
    low, high = 1, int(lengths[-1]) * len(lengths)
    while low < high:
        budget = (low + high) // 2
        low, high = (low, budget) if len(_filled(lengths, budget)) <= count else (budget + 1, high)
    ends = _filled(lengths, low)
    while len(ends) < count:  # fewer do as well; the one with the most rows is halved
        starts = [0, *ends[:-1]]
        most = max(range(len(ends)), key=lambda place: ends[place] - starts[place])
        ends.insert(most, (starts[most] + ends[most]) // 2)
    return ends


def _filled(lengths: NDArray[np.int64], budget: int) -> list[int]:
    """Ends of the batches that rows sorted by length make, each of all that the budget holds, and one at least."""
    ends: list[int] = []
    start = 0
    while start < len(lengths):
        start += max(1, _fitting(lengths[start:], budget))
        ends.append(start)
    return ends


def _fitting(lengths: NDArray[np.int64], budget: int) -> int:
    """How many of the first rows, sorted by length, make a batch within the budget."""
    return bisect_right(range(len(lengths)), budget, key=lambda row: (row + 1) * int(lengths[row]))


def text_logits(
    run: Callable[[Batch], NDArray[np.float32]],
    texts: Sequence[str],
    tokenizer: Reader,
    outputs: int,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits (N, L) of N texts, long ones read as the tokenizer says: what every prediction of the project is.

    run: logits (B, L) of a padded batch. threads: of tokenization. progress is told texts.
    """
    return pieces_logits(run, tokenizer.runs(texts, threads), tokenizer, outputs, progress, len(texts))


def pieces_logits(
    run: Callable[[Batch], NDArray[np.float32]],
    runs: Iterable[Pieces],
    tokenizer: Reader,
    outputs: int,
    progress: Callable[[int, int], None] | None = None,
    total: int = 0,
) -> NDArray[np.float32]:
    """The same of texts that are already cut into tokens. total: texts, for progress."""
    parts = []
    done = 0
    for pieces in runs:
        told = _in_texts(progress, done, len(pieces.counts), total) if progress else None
        logits = run_in_batches(run, pieces.tokens, tokenizer, outputs, told)
        parts.append(pool_windows(logits, pieces.counts, tokenizer.long_text.window_pooling))
        done += len(pieces.counts)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros((0, outputs), np.float32)


def _in_texts(progress: Callable[[int, int], None], before: int, texts: int, total: int) -> Callable[[int, int], None]:
    """Tells of pieces in texts: those of this run, after the `before` of earlier ones."""
    return lambda done, pieces: progress(before + texts * done // pieces, total)


def run_in_batches(
    run: Callable[[Batch], NDArray[np.float32]],
    tokens: Sequence[TokenIds],
    tokenizer: Reader,
    outputs: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits (N, L) of N token lists: sorted by length, in batches under the token budget, back in the given order."""
    if len(tokens) == 1 and progress is None:  # what a server asks for; the rest is a twentieth of a tiny model's time
        return np.asarray(run(tokenizer.pad(tokens)), np.float32)
    result = np.empty((len(tokens), outputs), np.float32)
    done = 0
    for rows in _budget_batches([len(item) for item in tokens]):
        result[rows] = run(tokenizer.pad([tokens[row] for row in rows]))
        done += len(rows)
        if progress is not None:
            progress(done, len(tokens))
    return result


def _budget_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows in order of length, cut so that rows x longest stays within the budget and little padding is computed."""
    rows: list[int] = []
    for row in np.argsort(np.asarray(lengths, np.int64), kind="stable").tolist():
        full = (len(rows) + 1) * lengths[row] > TOKEN_BUDGET
        if rows and (full or lengths[row] > _STRETCH * lengths[rows[0]] + _SLACK):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
