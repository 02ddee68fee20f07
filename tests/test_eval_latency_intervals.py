"""Intervals of times: hand-worked order statistics, and coverage under noise that drifts and comes in spells."""

import numpy as np
import pytest

from eval.contract import Interval
from eval.latency.intervals import doubt, paired_speedup, percentile_interval

OPENINGS = (30,) * 8


def drifting(rng, size, memory=0.6, deviation=0.1):
    """An autoregressive series: what a round is like, the next one mostly is too."""
    noise = rng.normal(0, deviation, size)
    for step in range(1, size):
        noise[step] += memory * noise[step - 1]
    return noise


def one_measurement(rng, truth=1.0, rounds=240):
    """Seconds of teacher and candidate: a machine that drifts, spells that hit one of them, luck at each opening."""
    machine = drifting(rng, rounds, 0.9, 0.3)
    luck = np.repeat(rng.normal(0, 0.013, len(OPENINGS)), OPENINGS)
    interrupted = rng.random((2, rounds)) < 0.15  # by a neighbour, for a time slice
    teacher = 1e-3 * np.exp(machine) + 4e-3 * interrupted[0]
    candidate = 1e-3 / truth * np.exp(machine + drifting(rng, rounds) + luck) + 4e-3 * interrupted[1]
    return teacher, candidate


def plain_bootstrap(teacher, candidate, rng):
    """What takes rounds as independent."""
    ratios = teacher / candidate
    middles = np.median(ratios[rng.integers(0, len(ratios), (400, len(ratios)))], axis=1)
    return np.percentile(middles, (2.5, 97.5))


def test_the_interval_covers_under_drifting_noise_where_a_plain_bootstrap_does_not():
    rng = np.random.default_rng(0)
    trials, held, plainly = 400, 0, 0
    for _ in range(trials):
        teacher, candidate = one_measurement(rng)
        found = paired_speedup(teacher, candidate, OPENINGS)
        held += found.low <= 1 <= found.high
        low, high = plain_bootstrap(teacher, candidate, rng)
        plainly += low <= 1 <= high
    assert 0.92 <= held / trials <= 0.985
    assert plainly / trials < 0.85


def test_a_tenth_slower_is_found():
    rng = np.random.default_rng(1)
    found = [paired_speedup(*one_measurement(rng, truth=1 / 1.1), OPENINGS) for _ in range(100)]
    assert sum(it.high < 1 for it in found) >= 80


def test_without_openings_neighbouring_rounds_stand_together():
    """One opening of a predictor that is not ours: blocks bear the drift, as far as they are longer than it."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        found = paired_speedup(np.ones(240), np.exp(drifting(rng, 240, 0.8)))
        held += found.low <= 1 <= found.high
    assert held / 300 >= 0.9


def test_a_block_for_each_opening_worked_by_hand():
    """Medians 2, 2, 8, 8, 4 of five openings: log2 1, 1, 3, 3, 2; mean 2, deviation 1, t(4) = 2.776."""
    ratios = np.array([2, 2, 16, 2, 8, 8, 4.0])
    found = paired_speedup(ratios, np.ones(7), (3, 1, 1, 1, 1))
    reach = 2.7764 / np.sqrt(5)
    assert found.value == pytest.approx(4)
    assert (found.low, found.high) == (
        pytest.approx(2 ** (2 - reach), rel=1e-4),
        pytest.approx(2 ** (2 + reach), rel=1e-4),
    )


def test_of_one_round_nothing_is_said():
    assert paired_speedup(np.ones(1), np.ones(1)) == Interval(None, None, None)


@pytest.mark.parametrize(
    ("count", "share", "places"),
    [(5, 0.5, None), (6, 0.5, (0, 5)), (100, 0.5, (39, 60)), (71, 0.95, None), (72, 0.95, (63, 71))],
)
def test_order_statistics_by_the_binomial_table(count, share, places):
    values = np.random.default_rng(0).permutation(count).astype(float)
    assert percentile_interval(values, share) == places


@pytest.mark.parametrize(("share", "count"), [(0.5, 20), (0.95, 150)])
def test_percentile_intervals_hold_for_a_skewed_distribution(share, count):
    rng = np.random.default_rng(3)
    truth = -np.log(1 - share)
    found = [percentile_interval(rng.exponential(size=count), share) for _ in range(1000)]
    assert 0.945 <= np.mean([low <= truth <= high for low, high in found]) <= 0.995


@pytest.mark.parametrize(
    ("low", "value", "high", "said"),
    [
        (0.9, 1.3, 1.8, "inconclusive"),
        (1.2, 1.3, 1.4, ""),
        (0.95, 1.0, 1.05, ""),
        (0.92, 1.0, 1.11, "inconclusive"),
        (0.88, 0.95, 1.02, "inconclusive"),
        (1.0, 1.2, 1.3, "inconclusive"),
        (30, 45, 60, "imprecise"),
        (1.01, 1.2, 1.3, "imprecise"),
        (0.5, 0.6, 0.7, "imprecise"),
        (0.6, 0.65, 0.7, ""),
        (1.0, 1.0, 1.0, ""),
        (None, None, None, ""),
    ],
)
def test_a_direction_is_doubted_only_where_the_interval_holds_1(low, value, high, said):
    assert doubt(Interval(value, low, high)) == said
