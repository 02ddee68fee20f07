"""How far a candidate decides as its teacher does: agreement, and churn by label. Pure NumPy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.contract import Interval, Targets
from eval.errors import InvalidInputError
from eval.intervals.resample import Judged
from eval.intervals.shares import wilson

_DIGITS = 5


@dataclass(frozen=True)
class LabelChurn:
    """One label's decisions beside the teacher's, in rows.

    yes_to_no: where the teacher said yes and the candidate no; no_to_yes: the other way. mended: of both, those where
    the candidate is right; broken: those where the teacher is. equal: share of the rows decided alike.
    probability_difference: mean absolute difference of the probabilities.
    """

    yes_to_no: int
    no_to_yes: int
    mended: int
    broken: int
    equal: float
    probability_difference: float


@dataclass(frozen=True)
class Agreement:
    """A candidate's answers beside its teacher's on the same rows.

    equal_rows: share of the rows in which all labels are decided alike, with its Wilson interval. equal_decisions:
    share of all N x L decisions; where few labels hold it is near 1 of itself. probability_difference: mean absolute
    difference over all N x L.
    """

    equal_rows: Interval
    equal_decisions: float
    probability_difference: float
    labels: dict[str, LabelChurn]


def agreement(targets: Targets, labels: tuple[str, ...], own: Judged, teacher: Judged) -> Agreement:
    """What changed from the teacher's decisions to the candidate's: churn (Milani Fard et al. 2016). targets: (N, L).

    It needs no truth, and so tells of changes that F1 hides: a model may be as good and err elsewhere. Truth only says
    which changes are for the better. Raises InvalidInputError if the shapes differ.
    """
    if not targets.shape == own.decisions.shape == teacher.decisions.shape:
        raise InvalidInputError(
            f"decisions {own.decisions.shape} and the teacher's {teacher.decisions.shape} do not fit {targets.shape}"
        )
    changed = own.decisions != teacher.decisions
    apart = np.abs(own.probabilities - teacher.probabilities).astype(np.float64)
    return Agreement(
        equal_rows=wilson(int((~changed.any(axis=1)).sum()), len(targets)),
        equal_decisions=_share(~changed),
        probability_difference=round(float(apart.mean()), _DIGITS),
        labels={
            label: _churn(targets[:, place], own.decisions[:, place], changed[:, place], apart[:, place])
            for place, label in enumerate(labels)
        },
    )


def _churn(truth: Targets, decided: Targets, changed: NDArray[np.bool_], apart: NDArray[np.float64]) -> LabelChurn:
    yes, right = decided.astype(bool), decided == truth
    return LabelChurn(
        yes_to_no=int((changed & ~yes).sum()),
        no_to_yes=int((changed & yes).sum()),
        mended=int((changed & right).sum()),
        broken=int((changed & ~right).sum()),
        equal=_share(~changed),
        probability_difference=round(float(apart.mean()), _DIGITS),
    )


def _share(held: NDArray[np.bool_]) -> float:
    return round(float(held.mean()), _DIGITS)
