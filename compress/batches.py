"""Texts of like length together: the batches of training and of prediction, so that little padding is computed."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from compress.pieces import Pieces, TokenIds, pool_windows
from compress.tokenizer import Batch, Tokenizer

# tokens in one forward pass, padding included: 32 texts of 512 tokens, or 512 texts of 32
TOKEN_BUDGET = 16_384
# a batch holds texts of up to one and a half times its shortest, and a little more: on CPUs several small batches are
# two to three times faster than one that pads short texts to the longest of 32
_STRETCH, _SLACK = 1.5, 8
_POOL_BATCHES = 50


class LengthBatches:
    """Training batches of `batch_size` rows of like length, in random order; each row once an epoch.

    Rows are shuffled, cut into pools of 50 batches and sorted by length within a pool. The order depends on seed and
    epoch alone, so that a resumed epoch goes on as it began.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch's order; called by the Trainer."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(len(self.lengths))
        pool = self.batch_size * _POOL_BATCHES
        batches = []
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        for index in random.permutation(len(batches)):
            yield batches[index].tolist()


def text_logits(
    run: Callable[[Batch], NDArray[np.float32]],
    texts: Sequence[str],
    tokenizer: Tokenizer,
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
    tokenizer: Tokenizer,
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
    tokenizer: Tokenizer,
    outputs: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Logits (N, L) of N token lists: sorted by length, in batches under the token budget, back in the given order."""
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
