"""The list of the worst disagreements: which, in which order, and how much of their texts."""

import numpy as np

from eval.contract import LabelledTexts
from eval.details.disagreements import Disagreement, cut, worst_disagreements
from eval.intervals.resample import BootstrapDraws, Judged

ROWS = LabelledTexts(("one", "two", "x" * 400), ("a", "b"), np.array([[1, 0], [0, 0], [0, 1]], np.int8))


def judged(probabilities: list[list[float]]) -> Judged:
    given = np.array(probabilities, np.float32)
    return Judged((given >= 0.5).astype(np.int8), given, BootstrapDraws({}, {}))


OWN = judged([[0.4, 0.9], [0.7, 0.1], [0.2, 0.9]])
TEACHER = judged([[0.9, 0.8], [0.45, 0.55], [0.1, 0.05]])


def test_the_furthest_apart_comes_first_and_what_is_decided_alike_is_not_there() -> None:
    found = worst_disagreements(ROWS, OWN, TEACHER, 20)
    assert [(it.row, it.label) for it in found] == [(2, "b"), (0, "a"), (1, "b"), (1, "a")]
    assert found[1] == Disagreement(0, "one", "a", 0.4, 0.9, decided=False, truth=True)
    assert [(it.decided, it.truth) for it in found] == [(True, True), (False, True), (False, False), (True, False)]


def test_where_each_row_has_one_class_a_row_is_listed_once_with_all_three_classes() -> None:
    def chosen(probabilities: list[list[float]]) -> Judged:
        given = np.array(probabilities, np.float32)
        return Judged(np.eye(3, dtype=np.int8)[given.argmax(axis=1)], given, BootstrapDraws({}, {}))

    rows = LabelledTexts(("one", "two", "three"), ("a", "b", "c"), np.eye(3, dtype=np.int8))
    own = chosen([[0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.0, 0.4, 0.6]])
    teacher = chosen([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.0, 0.1, 0.9]])
    first, second = worst_disagreements(rows, own, teacher, 20, argmax=True)
    assert first == Disagreement(1, "two", "c", 0.7, 0.05, True, truth=False, teacher_label="a", true_label="b")
    assert second == Disagreement(0, "one", "b", 0.7, 0.3, True, truth=False, teacher_label="a", true_label="a")


def test_as_many_as_asked_for() -> None:
    assert len(worst_disagreements(ROWS, OWN, TEACHER, 3)) == 3
    assert worst_disagreements(ROWS, OWN, TEACHER, 0) == ()
    assert worst_disagreements(ROWS, OWN, OWN, 20) == ()


def test_of_equal_differences_the_earlier_row_and_label_comes_first() -> None:
    yes, no = judged([[0.75, 0.75]] * 3), judged([[0.25, 0.25]] * 3)
    assert [(it.row, it.label) for it in worst_disagreements(ROWS, yes, no, 3)] == [(0, "a"), (0, "b"), (1, "a")]


def test_a_long_text_is_cut() -> None:
    (first, *_) = worst_disagreements(ROWS, OWN, TEACHER, 1)
    assert first.text == "x" * 297 + "..."
    assert cut("y" * 300) == "y" * 300
