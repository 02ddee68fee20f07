"""Threshold curves: worked by hand, equal to scikit-learn, with the current threshold among their points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from eval.details.curves import POINTS, threshold_curve, threshold_curves
from eval.errors import InvalidInputError
from eval.metrics import f1, precision, recall
from eval.report.page_plots import _curve_lines, _curve_says


def test_every_point_worked_by_hand() -> None:
    scores = np.array([0.9, 0.7, 0.4, 0.1], np.float32)
    found = threshold_curve(np.array([1, 0, 1, 0]), scores, 0.5)
    assert found.thresholds == (0.1, 0.4, 0.5, 0.7, 0.9)
    assert found.precision == (0.5, 0.6667, 0.5, 0.5, 1.0)
    assert found.recall == (1.0, 1.0, 0.5, 0.5, 0.5)
    assert found.f1 == (0.6667, 0.8, 0.5, 0.5, 0.6667)
    assert found.current == 2


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 300)), min_size=1, max_size=400).filter(
        lambda it: any(p[0] for p in it)
    ),
    st.integers(0, 301),
)
def test_points_are_those_of_the_metrics_and_of_scikit_learn(pairs: list[tuple[bool, int]], place: int) -> None:
    targets = np.array([pair[0] for pair in pairs], np.int8)
    scores = np.array([pair[1] for pair in pairs], np.float32) / np.float32(300)
    current = np.float32(place) / np.float32(300)
    found = threshold_curve(targets, scores, current)
    assert len(found.thresholds) <= POINTS
    assert list(found.thresholds) == sorted(set(found.thresholds))
    assert found.thresholds[found.current] == pytest.approx(float(current), rel=1e-5)
    decided = (scores >= current).astype(np.int8)
    known = precision(targets, decided)
    assert found.precision[found.current] == (None if known is None else pytest.approx(known, abs=1e-4))
    at_current = (found.recall[found.current], found.f1[found.current])
    assert at_current == pytest.approx([metric(targets, decided) for metric in (recall, f1)], abs=1e-4)
    known_precision, known_recall, known_thresholds = precision_recall_curve(targets, scores)
    for threshold, point_precision, point_recall in zip(found.thresholds, found.precision, found.recall, strict=True):
        at = np.flatnonzero(np.isclose(known_thresholds, threshold, rtol=1e-5, atol=1e-9))
        if at.size:  # the current threshold need not be a score
            assert (point_precision, point_recall) == pytest.approx(
                (known_precision[at[0]], known_recall[at[0]]), abs=1e-4
            )


def test_a_rare_label_keeps_all_its_positives_and_the_ends() -> None:
    random = np.random.default_rng(0)
    scores = random.random(5000).astype(np.float32) / 100
    targets = np.zeros(5000, np.int8)
    targets[:5], scores[:5] = 1, (0.2, 0.4, 0.6, 0.7, 0.9)
    found = threshold_curve(targets, scores, 0.5)
    assert {0.2, 0.4, 0.6, 0.7, 0.9, 0.5} <= set(found.thresholds)
    assert found.recall[0] == 1.0
    assert found.thresholds[0] == pytest.approx(float(scores.min()), rel=1e-5)
    assert len(found.thresholds) <= POINTS


def test_no_curve_without_positives_or_thresholds() -> None:
    targets, scores = np.array([[1, 0], [0, 0]], np.int8), np.array([[0.7, 0.2], [0.3, 0.1]], np.float32)
    assert list(threshold_curves(targets, scores, ("a", "b"), np.array([0.5, 0.5], np.float32))) == ["a"]
    assert threshold_curves(targets, scores, ("a", "b"), None) == {}
    with pytest.raises(InvalidInputError, match="one positive"):
        threshold_curve(targets[:, 1], scores[:, 1], 0.5)


def test_where_nothing_is_decided_precision_is_undefined_as_the_metric_is() -> None:
    found = threshold_curve(np.array([1, 0]), np.array([0.2, 0.1], np.float32), 0.9)
    assert (found.precision[-1], found.recall[-1], found.f1[-1], found.current) == (None, 0, 0, 2)
    precisions, recalls, _, own = _curve_lines(found)
    assert [place for place, _ in precisions] == list(found.thresholds[:2])  # the line ends where there is no number
    assert [place for place, _ in recalls] == list(found.thresholds)
    assert own == ((0.9, 0.0), (0.9, 1.0))
    assert "precision is undefined, recall 0.000" in _curve_says(found)
