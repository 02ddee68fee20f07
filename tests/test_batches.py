"""Batches: every row once, an order that can be had again, and no more padding than the budget allows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compress.batches import TOKEN_BUDGET, LengthBatches, run_in_batches
from compress.pieces import TokenIds
from compress.tokenizer import Batch

lengths_lists = st.lists(st.integers(1, 600), min_size=1, max_size=300)


class Padder:
    """Stands for the tokenizer: pads with zeros, and counts what it pads."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def pad(self, tokens: list[TokenIds]) -> Batch:
        longest = max(len(item) for item in tokens)
        ids = np.zeros((len(tokens), longest), np.int64)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = item.ids
        self.shapes.append(ids.shape)
        return {"input_ids": ids}


def token_lists(lengths: list[int]) -> list[TokenIds]:
    """Row number r has length lengths[r] and first token r + 1."""
    made = []
    for row, length in enumerate(lengths):
        ids = np.zeros(length, np.int32)
        ids[0] = row + 1
        made.append(TokenIds(ids, np.zeros(length, np.int32)))
    return made


@given(lengths=lengths_lists, size=st.integers(1, 9), seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_each_row_comes_once_an_epoch(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    batches = LengthBatches(lengths, size, seed)
    batches.set_epoch(epoch)
    found = list(batches)
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in found)


@given(lengths=lengths_lists, size=st.integers(1, 9))
def test_the_number_of_batches_is_known_beforehand(lengths: list[int], size: int) -> None:
    batches = LengthBatches(lengths, size, 13)
    assert len(list(batches)) == len(batches)


@given(lengths=lengths_lists, seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_order_is_a_function_of_seed_and_epoch(lengths: list[int], seed: int, epoch: int) -> None:
    went_on, resumed = LengthBatches(lengths, 4, seed), LengthBatches(lengths, 4, seed)
    for earlier in range(epoch):
        went_on.set_epoch(earlier)
        list(went_on)
    went_on.set_epoch(epoch)
    resumed.set_epoch(epoch)
    assert list(went_on) == list(resumed)


def test_other_seeds_and_epochs_give_other_orders() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = LengthBatches(range(1, 201), 4, seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(13, 0) != order(13, 1)
    assert order(13, 0) != order(14, 0)


def test_batches_hold_texts_of_like_length_in_an_order_that_is_random_again() -> None:
    lengths = np.random.default_rng(0).permutation(1600) + 1
    found = list(LengthBatches(lengths.tolist(), 32, 13))
    # one pool: each batch is a run of neighbouring lengths
    assert all(np.ptp(lengths[batch]) == 31 for batch in found)
    starts = [int(lengths[batch].min()) for batch in found]
    assert starts != sorted(starts)


@given(lengths=lengths_lists)
def test_answers_come_back_in_the_order_of_the_rows(lengths: list[int]) -> None:
    padder = Padder()
    found = run_in_batches(lambda batch: batch["input_ids"][:, :1] * [1.0, 2.0], token_lists(lengths), padder, 2)
    rows = np.arange(1, len(lengths) + 1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.stack([rows, 2 * rows], axis=1))
    assert all(rows * longest <= TOKEN_BUDGET for rows, longest in padder.shapes)


def test_the_budget_is_filled_and_a_longer_text_goes_alone() -> None:
    padder = Padder()
    run_in_batches(lambda b: np.zeros((len(b["input_ids"]), 1), np.float32), token_lists([512] * 33), padder, 1)
    assert padder.shapes == [(32, 512), (1, 512)]
    padder.shapes.clear()
    long = TOKEN_BUDGET + 1
    run_in_batches(lambda b: np.zeros((len(b["input_ids"]), 1), np.float32), token_lists([long, 1, long]), padder, 1)
    assert padder.shapes == [(1, 1), (1, long), (1, long)]


def test_progress_grows_to_the_number_of_rows() -> None:
    told: list[tuple[int, int]] = []
    run_in_batches(
        lambda batch: np.zeros((len(batch["input_ids"]), 1), np.float32),
        token_lists([512] * 70),
        Padder(),
        1,
        lambda done, total: told.append((done, total)),
    )
    assert told == [(32, 70), (64, 70), (70, 70)]


def test_no_rows_give_no_answers() -> None:
    assert run_in_batches(lambda batch: batch["input_ids"], [], Padder(), 3).shape == (0, 3)
