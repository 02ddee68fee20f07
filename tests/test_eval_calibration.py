"""Calibration: errors worked by hand, planted miscalibration that is found, and laws of the bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from eval.details.calibration import (
    CalibrationErrors,
    bin_count,
    calibration,
    calibration_errors,
    equal_mass_bins,
    equal_width_bins,
)
from eval.errors import InvalidInputError


def drawn(rows: int = 20_000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truth drawn from them."""
    random = np.random.default_rng(seed)
    probabilities = random.beta(0.5, 3, rows).astype(np.float32)
    return (random.random(rows) < probabilities).astype(np.int8), probabilities


def test_two_bins_worked_by_hand() -> None:
    """20 rows at .1 with 4 positives, 20 at .8 with 12. Both binnings part them: |.1 - .2| / 2 + |.8 - .6| / 2.

    Brier: (16 x .01 + 4 x .81 + 12 x .04 + 8 x .64) / 40 = 9 / 40.
    """
    probabilities = np.repeat([0.1, 0.8], 20)
    targets = np.array([1] * 4 + [0] * 16 + [1] * 12 + [0] * 8)
    found = calibration_errors(targets, probabilities)
    assert bin_count(40) == 2
    assert (found.ece, found.ece_equal_width, found.brier, found.positives) == (0.15, 0.15, 0.225, 16)
    bins = found.bins
    assert (bins.mean_probability, bins.observed, bins.rows) == ((0.1, 0.8), (0.2, 0.6), (20, 20))
    assert bins.low[0] == pytest.approx(0.0807, abs=1e-4)  # Wilson, 4 of 20
    assert bins.high[0] == pytest.approx(0.4160, abs=1e-4)


def test_binnings_differ_where_most_probabilities_are_small() -> None:
    """30 rows at .01 without a positive, 10 at .3 with 5.

    Equal width, two bins: all lie below .5, so one bin: |(30 x .01 + 10 x .3) / 40 - 5 / 40| = .0425. Equal mass: equal
    probabilities stay together, so the first bin holds 30, the second 10: (30 x .01 + 10 x .2) / 40 = .0575.
    """
    probabilities = np.array([0.01] * 30 + [0.3] * 10)
    targets = np.array([0] * 30 + [1] * 5 + [0] * 5)
    found = calibration_errors(targets, probabilities)
    assert (found.ece, found.ece_equal_width) == (0.0575, 0.0425)
    assert found.bins.rows == (30, 10)


def test_a_perfect_model_is_near_zero_and_a_planted_shift_is_found() -> None:
    targets, probabilities = drawn()
    fair = calibration_errors(targets, probabilities)
    shifted = calibration_errors(targets, np.minimum(probabilities + 0.2, 1))
    assert fair.ece is not None
    assert shifted.ece is not None
    assert fair.ece < 0.012
    assert shifted.ece == pytest.approx(0.2, abs=0.015)
    held = [low <= said <= high for said, low, high in zip(*_curve(fair), strict=True)]
    assert sum(held) >= 12  # of 15 bins with 95 % intervals


def _curve(errors: CalibrationErrors) -> tuple[tuple[float, ...], ...]:
    return errors.bins.mean_probability, errors.bins.low, errors.bins.high


def test_bins_equal_scikit_learns_where_no_scores_are_tied() -> None:
    targets, probabilities = drawn(3000)
    assert len(np.unique(probabilities)) == 3000
    bins = calibration_errors(targets, probabilities).bins
    observed, claimed = calibration_curve(targets, probabilities, n_bins=15, strategy="quantile")
    np.testing.assert_allclose(bins.observed, observed, atol=1e-5)
    np.testing.assert_allclose(bins.mean_probability, claimed, rtol=1e-4)
    width = equal_width_bins(probabilities, 15)
    observed, claimed = calibration_curve(targets, probabilities, n_bins=15, strategy="uniform")
    held = np.unique(width)
    np.testing.assert_allclose([targets[width == it].mean() for it in held], observed)
    np.testing.assert_allclose([probabilities[width == it].mean() for it in held], claimed, rtol=1e-5)


def test_brier_equals_scikit_learns() -> None:
    targets, probabilities = drawn(500)
    known = brier_score_loss(targets, probabilities)
    assert calibration_errors(targets, probabilities).brier == pytest.approx(known, abs=1e-5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=20, max_size=400), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_is_no_matter_and_no_equal_scores_are_parted(
    pairs: list[tuple[bool, int]], seed: int
) -> None:
    targets = np.array([it[0] for it in pairs], np.int8)
    probabilities = np.array([it[1] / 12 for it in pairs], np.float32)
    found = calibration_errors(targets, probabilities)
    mixed = np.random.default_rng(seed).permutation(len(pairs))
    assert calibration_errors(targets[mixed], probabilities[mixed]) == found
    bins = equal_mass_bins(probabilities, bin_count(len(pairs)))
    assert all(len(set(bins[probabilities == value])) == 1 for value in np.unique(probabilities))
    assert sum(found.bins.rows) == len(pairs)
    assert found.ece is not None
    assert 0 <= found.ece <= 1
    assert list(found.bins.mean_probability) == sorted(found.bins.mean_probability)


def test_what_says_nothing_is_no_number() -> None:
    """Below 20 rows errors are undefined; a label without positives is defined: none of its rows is one."""
    few = calibration_errors(np.array([1, 0]), np.array([0.9, 0.1]))
    assert (few.ece, few.ece_equal_width, few.brier, few.bins.rows) == (None, None, 0.01, ())
    never = calibration_errors(np.zeros(60, np.int8), np.full(60, 0.25, np.float32))
    assert (never.ece, never.positives, never.bins.observed) == (0.25, 0, (0.0,))
    with pytest.raises(InvalidInputError, match="rows"):
        calibration_errors(np.zeros(0), np.zeros(0))
    with pytest.raises(InvalidInputError, match="both"):
        calibration_errors(np.zeros(3), np.zeros(2))


def test_pooled_takes_the_cells_of_all_labels() -> None:
    targets, probabilities = drawn(600)
    both = calibration(targets.reshape(300, 2), probabilities.reshape(300, 2), ("a", "b"))
    assert both.pooled == calibration_errors(targets, probabilities)
    assert both.labels["b"] == calibration_errors(targets[1::2], probabilities[1::2])


def test_a_score_of_one_lies_in_the_last_bin() -> None:
    assert equal_width_bins(np.array([0.0, 0.5, 1.0]), 2).tolist() == [0, 1, 1]
