"""Tables -> texts and targets, every cell checked: the rules for what counts as a label."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compress.data.numbers import check_varies, numbers_of
from compress.data.rows import shown
from compress.data.tables import Table
from compress.errors import DataError, did_you_mean
from compress.recipe.data import Task
from eval.contract import Floats, LabelledTexts, Targets

_YES_NO = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_UNSCORED = {"-1": -1, "-1.0": -1}  # the competition's mark for rows that nobody was scored on
_SEPARATOR = ","  # between the labels of a cell, where the recipe names no other
_SEPARATORS = (",", ";", "|", "\t", " ")  # what a message looks for in a cell
_LISTED = 30  # names in a message


def named_columns(task: Task) -> tuple[str, ...]:
    """The label columns that a file's header must name, else another file has them; none where there is no header."""
    return () if task.columns else task.label_columns


def texts_of(table: Table, task: Task) -> tuple[str, ...]:
    """The text of each row; several columns are joined."""
    if len(task.text) == 1:
        return table.columns[task.text[0]]
    return tuple(task.join.join(parts) for parts in zip(*(table.columns[name] for name in task.text), strict=True))


def targets_of(table: Table, task: Task, *, unscored: bool = False) -> Targets | Floats:
    """Targets (N, L), int8, or float32 of a regression. unscored: -1 is allowed and kept.

    DataError at the first cell that is no label, or no number.
    """
    if task.type == "regression":
        return numbers_of(table, task.labels)
    if task.label_column is not None:
        return _from_cells(table, task, task.label_column)
    known = _YES_NO | _UNSCORED if unscored else _YES_NO
    return np.stack([_yes_no(table, task, label, known) for label in task.labels], axis=1)


def _yes_no(table: Table, task: Task, label: str, known: dict[str, int]) -> Targets:
    cells = table.columns[label]
    found = [known.get(cell.strip().lower()) for cell in cells]
    if None in found:
        row = found.index(None)
        raise DataError(
            f"{table.place(row)}: column {label!r} is {_shown(cells[row])}, not 0 or 1; {_remedy(cells[row])}"
            f"{_header_hint(table, row, task)}"
        )
    return np.array(found, dtype=np.int8)


def _remedy(cell: str) -> str:
    if not cell.strip():
        return "leave the row out, or write 0 where the label does not hold"
    if cell.strip() in _UNSCORED:
        return "rows marked -1 are only dropped from the test_labels file of a Kaggle folder (data.dir)"
    return "a multi_label task reads one column of 0 and 1 for each label"


def _from_cells(table: Table, task: Task, column: str) -> Targets:
    """From one column that holds the class, or of multi_label the labels that apply, none where it is empty."""
    position = _positions(task)
    targets = np.zeros((len(table), len(task.labels)), dtype=np.int8)
    for row, cell in enumerate(table.columns[column]):
        for part in _parts(cell, task):
            if part not in position:
                what = _no_label(part, cell.strip(), task, position)
                raise DataError(f"{table.place(row)}: column {column!r} is {what}{_header_hint(table, row, task)}")
            targets[row, position[part]] = 1
    return targets


def _positions(task: Task) -> dict[str, int]:
    """What a cell may say -> the label's number from 0; numbers also as pandas writes those of a column with gaps."""
    match task.values:
        case None:
            return {label: index for index, label in enumerate(task.labels)}
        case "from_0" | "from_1" as rule:
            first = int(rule[-1])
            return {f"{first + index}{end}": index for index in range(len(task.labels)) for end in ("", ".0")}
        case mapping:
            return {value: task.labels.index(label) for value, label in mapping.items()}


def _parts(cell: str, task: Task) -> list[str]:
    """What a cell says: the class, or the labels between the separators."""
    if task.type == "single_label":
        return [cell.strip()]
    return [part.strip() for part in cell.split(task.separator or _SEPARATOR)] if cell.strip() else []


def _no_label(part: str, cell: str, task: Task, position: dict[str, int]) -> str:
    """What is wrong with a part of a cell that names no label, and the next step."""
    found = _shown(part) if part == cell else f"{_shown(part)} in {_shown(cell)}"
    apart = _stands_apart(part, position)
    remedy = _separator_remedy(task, apart) if apart else ""
    if isinstance(task.values, str):
        first = int(task.values[-1])
        numbers = f"no label's number from {first} to {first + len(task.labels) - 1} (task.values: {task.values})"
        return f"{found}, {numbers}; {remedy or _number_remedy(part, task)}"
    key = "task.values" if task.values is not None else "task.labels"
    what = "classes" if task.type == "single_label" else "labels"
    known = f"not among the {what} of {key} ({_listed(position)})"
    if not remedy and task.values is None and part.isdecimal():
        remedy = "if the cells hold the labels' numbers, write task.values: from_0 or from_1"
    return f"{found}, {known}; {remedy or 'add it there or mend the row' + did_you_mean(part, position)}"


def _stands_apart(part: str, position: dict[str, int]) -> str | None:
    """What separates several labels in the part, if that is what it is."""
    for mark in _SEPARATORS:
        pieces = [piece.strip() for piece in part.split(mark)]
        if len(pieces) > 1 and position.keys() >= set(pieces):
            return mark
    return None


def _separator_remedy(task: Task, mark: str) -> str:
    if task.type == "single_label":
        return "a single_label row has one class; several labels in a cell are for multi_label"
    return f"if its labels stand between {mark!r}, write task.separator: {mark!r}"


def _number_remedy(part: str, task: Task) -> str:
    if part in task.labels:
        return "the cells hold names, so leave task.values out"
    other = {"from_0": ("from_1", str(len(task.labels))), "from_1": ("from_0", "0")}[str(task.values)]
    if part == other[1]:
        return (
            f"if the file counts from {other[0][-1]}, write task.values: {other[0]}; else add the label to task.labels"
        )
    return "mend the row, or add what is missing to task.labels"


def _header_hint(table: Table, row: int, task: Task) -> str:
    """Of .csv and .tsv files the first line is only ever a row where task.columns stands for the header."""
    if task.columns is None or table.unit != "line" or table.numbers[row] != 1:
        return ""
    return "; if line 1 is a header, take task.columns out and name its columns in task.text and for the labels"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _shown(cell: str) -> str:
    return repr(shown(cell)) if cell.strip() else "blank"


def labelled(table: Table, task: Task, slices: tuple[str, ...] = ()) -> LabelledTexts:
    """The table's rows as texts with labels, and the columns they are to be told apart by."""
    return LabelledTexts(texts_of(table, task), task.labels, targets_of(table, task), columns_of_rows(table, slices))


def columns_of_rows(table: Table, slices: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The cells of these columns, as LabelledTexts has them."""
    return {name: table.columns[name] for name in slices}


def joined(parts: Sequence[LabelledTexts]) -> LabelledTexts:
    """The rows of several sources, one after the other."""
    texts = tuple(text for part in parts for text in part.texts)
    columns = {name: tuple(cell for part in parts for cell in part.columns[name]) for name in parts[0].columns}
    return LabelledTexts(texts, parts[0].labels, np.concatenate([part.targets for part in parts]), columns)


def subset(rows: LabelledTexts, keep: NDArray[np.bool_]) -> LabelledTexts:
    """The rows where `keep` (N,) is true, in their order."""
    columns = {name: _kept(cells, keep) for name, cells in rows.columns.items()}
    return LabelledTexts(_kept(rows.texts, keep), rows.labels, rows.targets[keep], columns)


def _kept(cells: Sequence[str], keep: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(cell for cell, kept in zip(cells, keep, strict=True) if kept)


def check_learnable(train: LabelledTexts) -> None:
    """DataError if a label never holds in train, or a target never varies: nothing could be learned about it."""
    if train.is_regression:
        check_varies(train)
        return
    never = [label for label, count in zip(train.labels, train.targets.sum(axis=0), strict=True) if count == 0]
    if never:
        raise DataError(
            f"data.train: no row of {len(train):,} is positive for {', '.join(never)}; add rows that are, "
            "or take the label out of task.labels"
        )


def threshold_positives(validation: LabelledTexts, task: Task) -> dict[str, int]:
    """Positives by label among the rows that thresholds are chosen on; empty of a task that has no thresholds."""
    if task.type != "multi_label":
        return {}
    return dict(zip(validation.labels, validation.targets.sum(axis=0, dtype=np.int64).tolist(), strict=True))


def unchosen_thresholds(validation: LabelledTexts, task: Task) -> tuple[str, ...]:
    """A note where labels have no positive among the validation rows: nothing there chooses a threshold for them."""
    positives = threshold_positives(validation, task)
    never = [label for label, count in positives.items() if count == 0]
    if not never:
        return ()
    instead = "0.5" if len(never) == len(positives) else "that of all labels together"
    return (
        f"no threshold can be chosen for {_listed(never)}: no positive in validation, so {instead} stands in; put rows "
        "that are positive into data.validation, or raise data.validation_share",
    )


def undefined_averages(tests: Mapping[str, LabelledTexts]) -> tuple[str, ...]:
    """A note for each test set in which some label has no positive: averages leave it out. tests: by name."""
    notes = []
    for name, rows in tests.items():
        counts = zip(rows.labels, rows.targets.sum(axis=0), strict=True)
        never = [] if rows.is_regression else [label for label, count in counts if count == 0]
        if len(never) == len(rows.labels):
            notes.append(f"no label has a positive in {name}: F1 and the like are undefined there")
        elif never:
            how_many = f"{len(rows.labels) - len(never)} of {len(rows.labels)} labels"
            has = "has" if len(never) == 1 else "have"
            notes.append(
                f"macro F1 of {name} is over {how_many}, as is every macro average: {_listed(never)} {has} no positive "
                "there"
            )
    return tuple(notes)
