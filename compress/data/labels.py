"""Tables -> texts and targets, every cell checked: the rules for what counts as a label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compress.data.tables import Table
from compress.errors import DataError, did_you_mean
from compress.recipe.data import Task
from eval.contract import LabelledTexts, Targets

_YES_NO = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_UNSCORED = {"-1": -1, "-1.0": -1}  # the competition's mark for rows that nobody was scored on


def label_columns(task: Task) -> tuple[str, ...]:
    """The columns that hold the labels."""
    return (task.label_column,) if task.label_column is not None else task.labels


def texts_of(table: Table, task: Task) -> tuple[str, ...]:
    """The text of each row; several columns are joined."""
    if len(task.text) == 1:
        return table.columns[task.text[0]]
    return tuple(task.join.join(parts) for parts in zip(*(table.columns[name] for name in task.text), strict=True))


def targets_of(table: Table, task: Task, *, unscored: bool = False) -> Targets:
    """Targets (N, L), int8. unscored: -1 is allowed and kept. DataError at the first cell that is no label."""
    if task.label_column is not None:
        return _one_hot(table, task, task.label_column)
    known = _YES_NO | _UNSCORED if unscored else _YES_NO
    return np.stack([_yes_no(table, label, known) for label in task.labels], axis=1)


def _yes_no(table: Table, label: str, known: dict[str, int]) -> Targets:
    cells = table.columns[label]
    found = [known.get(cell.strip().lower()) for cell in cells]
    if None in found:
        row = found.index(None)
        raise DataError(
            f"{table.place(row)}: column {label!r} is {_shown(cells[row])}, not 0 or 1; {_remedy(cells[row])}"
        )
    return np.array(found, dtype=np.int8)


def _remedy(cell: str) -> str:
    if not cell.strip():
        return "leave the row out, or write 0 where the label does not hold"
    if cell.strip() in _UNSCORED:
        return "rows marked -1 are only dropped from the test_labels file of a Kaggle folder (data.dir)"
    return "a multi_label task reads one column of 0 and 1 for each label"


def _one_hot(table: Table, task: Task, column: str) -> Targets:
    names = task.values if task.values is not None else {label: label for label in task.labels}
    position = {value: task.labels.index(label) for value, label in names.items()}
    cells = table.columns[column]
    found = [position.get(cell.strip()) for cell in cells]
    if None in found:
        row = found.index(None)
        key = "task.values" if task.values is not None else "task.labels"
        raise DataError(
            f"{table.place(row)}: column {column!r} is {_shown(cells[row])}, not among the classes of {key} "
            f"({', '.join(position)}); add it there or mend the row{did_you_mean(cells[row].strip(), position)}"
        )
    return np.eye(len(task.labels), dtype=np.int8)[np.array(found, dtype=np.intp)]


def _shown(cell: str) -> str:
    return "blank" if not cell.strip() else repr(cell if len(cell) <= 60 else cell[:57] + "...")


def labelled(table: Table, task: Task) -> LabelledTexts:
    """The table's rows as texts with labels."""
    return LabelledTexts(texts_of(table, task), task.labels, targets_of(table, task))


def joined(parts: Sequence[LabelledTexts]) -> LabelledTexts:
    """The rows of several sources, one after the other."""
    texts = tuple(text for part in parts for text in part.texts)
    return LabelledTexts(texts, parts[0].labels, np.concatenate([part.targets for part in parts]))


def subset(rows: LabelledTexts, keep: NDArray[np.bool_]) -> LabelledTexts:
    """The rows where `keep` (N,) is true, in their order."""
    texts = tuple(text for text, kept in zip(rows.texts, keep, strict=True) if kept)
    return LabelledTexts(texts, rows.labels, rows.targets[keep])


def check_learnable(train: LabelledTexts) -> None:
    """DataError if a label never holds in train: nothing could be learned about it."""
    never = [label for label, count in zip(train.labels, train.targets.sum(axis=0), strict=True) if count == 0]
    if never:
        raise DataError(
            f"data.train: no row of {len(train):,} is positive for {', '.join(never)}; add rows that are, "
            "or take the label out of task.labels"
        )
