"""What loading gives: the splits of a task, whole, checked, in memory."""

from dataclasses import dataclass

from eval.contract import LabelledTexts


@dataclass(frozen=True)
class LabelledFile:
    """Rows of one source. notes: one sentence each, what is worth saying about them."""

    rows: LabelledTexts
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splits:
    """Every row of a run.

    unlabeled: texts alone, the transfer set of a distillation. tests: by name, in the recipe's order; the first is the
    headline set. notes: one sentence each, what a reader of the report should know about the data.
    """

    train: LabelledTexts
    validation: LabelledTexts
    unlabeled: tuple[str, ...]
    tests: dict[str, LabelledTexts]
    notes: tuple[str, ...]
