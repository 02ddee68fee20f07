"""Agreement and churn: counts worked by hand, and laws of two models that change places."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.details.agreement import LabelChurn, agreement
from eval.errors import InvalidInputError
from eval.intervals.resample import BootstrapDraws, Judged

LABELS = ("a", "b")


def judged(decisions: Any, probabilities: Any = None) -> Judged:
    decided = np.asarray(decisions, np.int8)
    given = decided * np.float32(0.6) + np.float32(0.2) if probabilities is None else probabilities
    return Judged(decided, np.asarray(given, np.float32), BootstrapDraws({}, {}))


def test_churn_worked_by_hand() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], np.int8)
    teacher = judged([[1, 0], [1, 0], [1, 1], [0, 0]])
    own = judged([[0, 0], [0, 1], [1, 1], [0, 1]])
    found = agreement(truth, LABELS, own, teacher)
    # row 0: a's yes became no, wrongly; row 1: a's became no, rightly, and b's no became yes, wrongly; row 3: rightly
    assert found.labels["a"] == LabelChurn(2, 0, mended=1, broken=1, equal=0.5, probability_difference=0.3)
    assert found.labels["b"] == LabelChurn(0, 2, mended=1, broken=1, equal=0.5, probability_difference=0.3)
    assert (found.equal_rows.value, found.equal_decisions, found.probability_difference) == (0.25, 0.5, 0.3)
    assert found.equal_rows.low == pytest.approx(0.0456, abs=1e-4)  # Wilson, 1 of 4
    assert found.equal_rows.high == pytest.approx(0.6994, abs=1e-4)


def test_a_model_agrees_with_itself_and_probabilities_may_differ_all_the_same() -> None:
    truth = np.array([[1, 0]], np.int8)
    one = judged([[1, 0]])
    itself = agreement(truth, LABELS, one, one)
    assert (itself.equal_rows.value, itself.equal_decisions, itself.probability_difference) == (1, 1, 0)
    softer = agreement(truth, LABELS, judged([[1, 0]], [[0.6, 0.1]]), one)
    assert (softer.equal_rows.value, softer.probability_difference) == (1, 0.15)


@given(*[arrays(np.int8, (7, 2), elements=st.integers(0, 1)) for _ in range(3)])
def test_changing_places_turns_churn_round(truth: Any, first: Any, second: Any) -> None:
    there, back = (
        agreement(truth, LABELS, judged(one), judged(two)) for one, two in ((first, second), (second, first))
    )
    assert (there.equal_rows, there.equal_decisions) == (back.equal_rows, back.equal_decisions)
    for label in LABELS:
        go, come = there.labels[label], back.labels[label]
        assert (go.yes_to_no, go.no_to_yes, go.mended, go.broken) == (
            come.no_to_yes, come.yes_to_no, come.broken, come.mended,
        )  # fmt: skip
        assert go.mended + go.broken == go.yes_to_no + go.no_to_yes == round((1 - go.equal) * 7)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="do not fit"):
        agreement(np.zeros((2, 2), np.int8), LABELS, judged(np.zeros((2, 2))), judged(np.zeros((1, 2))))
