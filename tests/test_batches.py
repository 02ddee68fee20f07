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


# ------------------------------------------------------------------------------------------------- by tokens

budgets = st.integers(64, 2000)


def padded(batches: list[list[int]], lengths: list[int]) -> list[int]:
    """Tokens of each batch, padding included."""
    return [len(batch) * max(lengths[row] for row in batch) for batch in batches]


@given(lengths=lengths_lists, budget=budgets, seed=st.integers(0, 99), epochs=st.integers(1, 3))
def test_by_tokens_too_each_row_comes_once_and_every_epoch_has_as_many_batches(
    lengths: list[int], budget: int, seed: int, epochs: int
) -> None:
    batches = LengthBatches(lengths, 1, seed, budget)
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        found = list(batches)
        assert len(found) == len(batches)
        assert all(found)
        assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))


@given(lengths=lengths_lists, budget=budgets)
def test_in_one_pool_no_batch_is_above_the_budget_but_a_text_alone(lengths: list[int], budget: int) -> None:
    batches = LengthBatches(lengths, 1, 13, budget)
    found = list(batches)
    if len(found) <= 50:
        sizes = padded(found, lengths)
        assert all(size <= budget or len(batch) == 1 for size, batch in zip(sizes, found, strict=True))


def test_batches_of_tokens_have_about_as_many_and_little_padding() -> None:
    random = np.random.default_rng(0)
    lengths = np.minimum(200, random.lognormal(4, 0.9, 20_000).astype(int) + 3).tolist()
    batches = LengthBatches(lengths, 64, 13, 4096)
    for epoch in range(2):
        batches.set_epoch(epoch)
        sizes = padded(list(batches), lengths)
        assert 0.97 * 4096 < np.mean(sizes) < 1.05 * 4096
        assert max(sizes) < 1.15 * 4096
        assert sum(sizes) < 1.05 * sum(lengths)


@given(lengths=lengths_lists, budget=budgets)
def test_weights_make_every_row_count_the_same(lengths: list[int], budget: int) -> None:
    """A batch's mean loss times its weight, over all batches: each row has the same share, and they sum to the mean."""
    batches = LengthBatches(lengths, 1, 13, budget)
    shares = [batches.weight(batch) / len(batch) for batch in batches]
    np.testing.assert_allclose(shares, len(batches) / len(lengths))
    assert LengthBatches(lengths, 4, 13).weight([0, 1]) == 1


def test_no_rows_make_no_batches() -> None:
    assert list(LengthBatches([], 4, 13, 64)) == list(LengthBatches([], 4, 13)) == []
