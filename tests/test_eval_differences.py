"""Paired differences: signs, pairing, and what is undefined."""

import numpy as np
import pytest

from eval.contract import Interval, LabelledTexts
from eval.differences import Differences, paired_differences
from eval.evaluator import judge, score_quality
from eval.resample import Judged

LABELS = ("toxic", "threat", "never")


def rows(count: int = 400, seed: int = 0) -> LabelledTexts:
    random = np.random.default_rng(seed)
    targets = (random.random((count, 3)) < (0.3, 0.1, 0)).astype(np.int8)
    return LabelledTexts(tuple(map(str, range(count))), LABELS, targets)


def answered(test_set: LabelledTexts, noise: float, seed: int = 1) -> Judged:
    random = np.random.default_rng(seed)
    truth = test_set.targets
    scores = np.clip(0.5 + 0.3 * (2 * truth - 1) + noise * random.normal(size=truth.shape), 0, 1).astype(np.float32)
    return judge(scores, test_set, np.full(3, 0.5, np.float32), resamples=200, seed=5)


def compared(test_set: LabelledTexts, own: Judged, reference: Judged) -> Differences:
    return paired_differences(test_set.targets, test_set.labels, own, reference)


def test_a_copy_differs_by_exactly_nothing() -> None:
    test_set = rows()
    one = answered(test_set, 0.3)
    found = compared(test_set, one, answered(test_set, 0.3))
    nothing = Interval(0.0, 0.0, 0.0)
    assert found.macro_f1 == found.micro_f1 == found.macro_roc_auc == found.macro_average_precision == nothing
    assert found.label_f1 == {"toxic": nothing, "threat": nothing, "never": Interval(None, None, None)}


def test_the_value_is_the_difference_and_the_better_one_is_above_zero() -> None:
    test_set = rows()
    good, bad = answered(test_set, 0.2), answered(test_set, 0.6)
    found, back = compared(test_set, good, bad), compared(test_set, bad, good)
    mine, theirs = (score_quality(it, test_set, np.full(3, 0.5, np.float32)) for it in (good, bad))
    for name in ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision"):
        difference = getattr(found, name)
        assert difference.value == pytest.approx(getattr(mine, name).value - getattr(theirs, name).value)
        assert difference.low > 0
        assert getattr(back, name).value == pytest.approx(-difference.value)
        assert getattr(back, name).high < 0


def test_pairing_takes_out_what_makes_rows_hard_for_both() -> None:
    """Two models that err on the same rows, one of them on one row more: the difference is surer than either score."""
    test_set = rows()
    base = answered(test_set, 0.5)
    scores = base.probabilities.copy()
    scores[:2] = 1 - scores[:2]
    found = compared(test_set, judge(scores, test_set, np.full(3, 0.5, np.float32), resamples=200, seed=5), base)
    own = score_quality(base, test_set, None).macro_f1
    assert found.macro_f1.high - found.macro_f1.low < (own.high - own.low) / 3
