"""The decisions in which a candidate and its teacher are furthest apart, with their texts. Pure NumPy."""

from dataclasses import dataclass

import numpy as np

from eval.contract import LabelledTexts
from eval.intervals.resample import Judged

TEXT_CHARACTERS = 300


@dataclass(frozen=True)
class Disagreement:
    """A row and a label that are decided otherwise than the teacher does. The text may be offensive.

    row: from 0, in the test set. text: its first 300 characters. decided: by the candidate; the teacher's decision is
    the other one. truth: whether the label holds. Where each row has one class, label is the one that the candidate
    gives, teacher_label the one that the teacher gives and true_label the one it has; else both are None.
    """

    row: int
    text: str
    label: str
    probability: float
    teacher_probability: float
    decided: bool
    truth: bool
    teacher_label: str | None = None
    true_label: str | None = None


def worst_disagreements(
    test_set: LabelledTexts, own: Judged, teacher: Judged, most: int, *, argmax: bool = False
) -> tuple[Disagreement, ...]:
    """The `most` cells (row, label) with different decisions whose probabilities differ most, the worst first.

    argmax: each row is given one class; then another class differs in two cells, and only the one of the class that
    the candidate gives is listed. Of equal differences the earlier row, then the earlier label, comes first.
    """
    differs = own.decisions != teacher.decisions
    rows, places = np.nonzero(differs & (own.decisions == 1) if argmax else differs)
    apart = np.abs(own.probabilities[rows, places] - teacher.probabilities[rows, places])
    worst = np.argsort(-apart, kind="stable")[:most]
    return tuple(
        Disagreement(
            row=int(row),
            text=cut(test_set.texts[row]),
            label=test_set.labels[place],
            probability=_four_digits(own.probabilities[row, place]),
            teacher_probability=_four_digits(teacher.probabilities[row, place]),
            decided=bool(own.decisions[row, place]),
            truth=bool(test_set.targets[row, place]),
            teacher_label=test_set.labels[teacher.decisions[row].argmax()] if argmax else None,
            true_label=test_set.labels[test_set.targets[row].argmax()] if argmax else None,
        )
        for row, place in zip(rows[worst], places[worst], strict=True)
    )


def cut(text: str) -> str:
    """At most 300 characters; three dots say that there is more."""
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 3] + "..."


def _four_digits(probability: np.float32) -> float:
    return float(f"{probability:.4g}")
