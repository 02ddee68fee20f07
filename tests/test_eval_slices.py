"""Slices: which rows they hold, their scores, and that intervals cover what they should."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from eval.contract import Interval, LabelledTexts
from eval.details.slices import RowSet, row_sets, score_slices
from eval.errors import InvalidInputError

LABELS = ("a", "b")


def rows(texts: list[str], **columns: tuple[str, ...]) -> LabelledTexts:
    return LabelledTexts(tuple(texts), LABELS, np.zeros((len(texts), 2), np.int8), columns)


def held(sets: tuple[RowSet, ...], name: str) -> dict[str, list[int]]:
    return {it.value: np.flatnonzero(it.held).tolist() for it in sets if it.name == name}


def test_lengths_are_cut_into_quarters() -> None:
    sets = row_sets(rows(["x" * length for length in (8, 1, 2, 3, 4, 5, 6, 7)]))
    assert held(sets, "length") == {
        "1–2 characters": [1, 2], "3–4 characters": [3, 4], "5–6 characters": [5, 6], "7–8 characters": [0, 7],
    }  # fmt: skip


def test_texts_of_one_length_are_one_slice() -> None:
    assert held(row_sets(rows(["abc"] * 9)), "length") == {"3 characters": list(range(9))}


def test_capitals_and_spelling_leave_out_what_holds_no_row() -> None:
    sets = row_sets(rows(["READ THE MANUAL NOW", "a cl0wn", "a plain text"]))
    assert held(sets, "capitals") == {"shouting": [0], "other": [1, 2]}
    assert held(sets, "spelling") == {"disguised": [1], "plain": [0, 2]}
    assert held(row_sets(rows(["a plain text"])), "spelling") == {"plain": [0]}


def test_a_columns_values_by_how_often_they_stand_and_the_rare_ones_together() -> None:
    cells = (*(f"v{number:02}" for number in range(22)), "v05", "v05", " ", "")
    sets = row_sets(rows(["t"] * 26, source=cells))
    values = held(sets, "source")
    assert list(values)[:3] == ["v05", "", "v00"]  # three times, twice, then by the alphabet
    assert values["v05"] == [5, 22, 23]
    assert values[""] == [24, 25]
    assert len(values) == 21
    assert values["other (3 values)"] == [19, 20, 21]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=40))
def test_each_row_is_in_one_slice_of_each_kind(texts: list[str]) -> None:
    sets = row_sets(rows(texts, copy=tuple(texts)))
    for name in ("length", "capitals", "spelling", "copy"):
        assert sum(it.held.astype(int) for it in sets if it.name == name).tolist() == [1] * len(texts)


def whole(count: int) -> RowSet:
    return RowSet("all", "", np.ones(count, np.bool_))


def test_scores_of_a_slice_worked_by_hand() -> None:
    """In the slice a has 2 hits of 3 decided and 2 positives, F1 .8; b has none, so macro counts a alone; the row left
    out would change both.
    """
    targets = np.array([[1, 0], [1, 0], [0, 0], [1, 1]], np.int8)
    decided = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.int8)
    (found,) = score_slices(targets, decided, [RowSet("n", "v", np.array([True, True, True, False]))])
    assert (found.name, found.value, found.rows, found.positives) == ("n", "v", 3, 2)
    assert (found.macro_f1.value, found.micro_f1.value) == (0.8, 0.8)
    assert found.macro_f1.low == pytest.approx(0.3440, abs=1e-3)  # J = 2 of 3, Wilson (.2077, .9385), 2J / (1 + J)
    assert found.macro_f1.high == pytest.approx(0.9683, abs=1e-3)


def test_without_a_positive_nothing_is_shown_as_a_number() -> None:
    (found,) = score_slices(np.zeros((3, 2), np.int8), np.ones((3, 2), np.int8), [whole(3)])
    assert (found.positives, found.macro_f1, found.micro_f1) == (0, *[Interval(None, None, None)] * 2)


def test_nothing_decided_is_a_score_of_zero_with_room_above() -> None:
    targets = np.array([[1, 0]] * 4, np.int8)
    (found,) = score_slices(targets, np.zeros((4, 2), np.int8), [whole(4)])
    assert (found.micro_f1.value, found.micro_f1.low) == (0, 0)
    assert found.micro_f1.high is not None
    assert 0.3 < found.micro_f1.high < 1


def answers(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    """Two labels that go together, decided rightly most of the time."""
    common = rng.random((count, 1)) < 0.25
    targets = np.hstack([common, common & (rng.random((count, 1)) < 0.6)]).astype(np.int8)
    flipped = rng.random(targets.shape) < np.where(targets == 1, 0.3, 0.05)
    return targets, np.where(flipped, 1 - targets, targets).astype(np.int8)


def test_values_equal_scikit_learns() -> None:
    targets, decided = answers(np.random.default_rng(3), 500)
    (found,) = score_slices(targets, decided, [whole(500)])
    assert found.macro_f1.value == pytest.approx(f1_score(targets, decided, average="macro"), abs=1e-5)
    assert found.micro_f1.value == pytest.approx(f1_score(targets, decided, average="micro"), abs=1e-5)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth_targets, truth_decided = answers(np.random.default_rng(0), 2_000_000)
    known = {kind: f1_score(truth_targets, truth_decided, average=kind) for kind in ("macro", "micro")}
    covered = {"macro": 0, "micro": 0}
    for seed in range(400):
        (found,) = score_slices(*answers(np.random.default_rng([1, seed]), 150), [whole(150)])
        for kind, spread in (("macro", found.macro_f1), ("micro", found.micro_f1)):
            assert spread.low is not None
            assert spread.high is not None
            covered[kind] += spread.low <= known[kind] <= spread.high
    assert 0.92 * 400 <= min(covered.values()) <= max(covered.values()) <= 0.985 * 400


def test_columns_must_fit_the_texts() -> None:
    with pytest.raises(InvalidInputError, match="'source' has 1 cells for 2 texts"):
        rows(["a", "b"], source=("x",))
