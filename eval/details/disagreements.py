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
    the other one. truth: whether the label holds.
    """

    row: int
    text: str
    label: str
    probability: float
    teacher_probability: float
    decided: bool
    truth: bool


def worst_disagreements(test_set: LabelledTexts, own: Judged, teacher: Judged, most: int) -> tuple[Disagreement, ...]:
    """The `most` cells (row, label) with different decisions whose probabilities differ most, the worst first.

    Of equal differences the earlier row, then the earlier label, comes first.
    """
    rows, places = np.nonzero(own.decisions != teacher.decisions)
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
        )
        for row, place in zip(rows[worst], places[worst], strict=True)
    )


def cut(text: str) -> str:
    """At most 300 characters; three dots say that there is more."""
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 3] + "..."


def _four_digits(probability: np.float32) -> float:
    return float(f"{probability:.4g}")
