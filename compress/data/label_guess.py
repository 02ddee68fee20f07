"""Which columns hold the labels, and how: the rules of guess.py for labels and task."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compress.data.columns import (
    MOST_LABELS,
    YES,
    Column,
    counted_from,
    in_order,
    is_called_amount,
    is_called_label,
    is_number,
    parts_of,
)
from compress.data.rows import shown
from compress.errors import DataError

TaskType = Literal["multi_label", "single_label", "regression"]
Cells = Mapping[str, tuple[str, ...]]
Looks = Mapping[str, Column]

_PREFERRED = ("list", "classes", "yes_no", "numbers")


@dataclass(frozen=True)
class Labels:
    """How a row says its labels, in the words of the recipe's task. why: what it rests on, in a few words."""

    task: TaskType
    labels: tuple[str, ...]
    why: str
    label_column: str | None = None
    separator: str | None = None
    values: Literal["from_0", "from_1"] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold them."""
        return (self.label_column,) if self.label_column is not None else self.labels


def label_groups(looks: Looks) -> list[tuple[str, ...]]:
    """Columns that may be the labels, the likeliest first: each group is one way to read them.

    Those called label and the like come first, then several yes_no columns together.
    """
    yes_no = tuple(name for name, look in looks.items() if look.kind == "yes_no" and YES & _lower(look.values))
    numbers = tuple(name for name, look in looks.items() if look.kind == "numbers")
    alone = [(name,) for name, look in looks.items() if look.kind in ("list", "classes")]
    called = [(name,) for name in yes_no if is_called_label(name)]
    each = [(name,) for name in numbers]
    groups = list(dict.fromkeys(group for group in (*alone, *called, yes_no, numbers, *each) if group))

    def rank(group: tuple[str, ...]) -> tuple[bool, bool, int]:
        kind = looks[group[0]].kind
        named = len(group) == 1 and is_called_label(group[0])
        return not named, not (kind == "yes_no" and len(group) > 1), _PREFERRED.index(kind)

    return sorted(groups, key=rank)


def fits_task(group: tuple[str, ...], looks: Looks, task: TaskType) -> bool:
    """Whether the columns are what a task of this type reads, as they look."""
    kinds = {looks[name].kind for name in group}
    match task:
        case "multi_label":
            return kinds <= {"yes_no", "list"}
        case "single_label":
            return len(group) == 1 and kinds <= {"yes_no", "classes"}
        case "regression":
            return all(looks[name].numeric for name in group)


def may_be_amounts(labels: Labels) -> bool:
    """Whether classes are numbers in a column whose name asks for an amount: stars, rating."""
    called = is_called_amount(labels.label_column or "")
    return labels.task == "single_label" and called and all(map(is_number, labels.labels))


def labels_in(
    group: tuple[str, ...], looks: Looks, cells: Cells, place: str, task: TaskType | None, *, in_cells: bool
) -> Labels:
    """How these columns say the labels. task: None takes the one they look like. in_cells: the one column names them.

    DataError where the cells cannot be read so. place: the file, for messages.
    """
    if len(group) == 1 and (in_cells or task == "single_label" or not _stands_for_itself(looks[group[0]], task)):
        return _in_one_column(looks[group[0]], cells[group[0]], place, task)
    if task == "single_label":
        raise DataError(
            f"{place}: single_label reads one column that holds the class, and {len(group)} are named; name one with "
            "--label-column, or take --task multi_label"
        )
    kinds = {looks[name].kind for name in group}
    if kinds == {"yes_no"} and task != "regression":
        return Labels("multi_label", group, "a column of 0 and 1" if len(group) == 1 else "columns of 0 and 1")
    if task != "multi_label" and all(looks[name].numeric for name in group):
        return Labels("regression", group, "numbers of many values")
    odd = next(name for name in group if looks[name].kind != "yes_no")
    raise DataError(
        f"{place}: column {odd!r} holds no 0 and 1; --labels names a column of 0 and 1 for each label (or of numbers, "
        "for regression), --label-column the one that says which hold"
    )


def _stands_for_itself(look: Column, task: TaskType | None) -> bool:
    """Whether a column alone is one label, or one number to predict, and not the place where classes are named."""
    if task == "regression" or look.kind == "numbers":
        return task != "multi_label"
    return look.kind == "yes_no" and (task == "multi_label" or not is_called_label(look.name))


def _in_one_column(look: Column, cells: Sequence[str], place: str, task: TaskType | None) -> Labels:
    """The classes, or the labels, that the cells of one column name."""
    if task == "regression":
        raise DataError(
            f"{place}: --label-column names classes, and regression has none; name its column with --labels"
        )
    several = task == "multi_label" or (task is None and look.kind == "list")
    mark = (look.separator or ",") if several else None
    values = look.values or tuple({part for cell in cells for part in parts_of(cell, mark) if part})
    if look.kind == "list" and not several:
        values = tuple({cell.strip() for cell in cells} - {""})
    if not 2 - several <= len(values) <= MOST_LABELS:
        raise DataError(
            f"{place}: column {look.name!r} holds {len(values):,} different values, which are no classes; name another "
            "column with --label-column"
        )
    counted = counted_from(values)
    found = tuple(map(str, range(counted[0], counted[1] + 1))) if counted else in_order(set(values))
    rule: Literal["from_0", "from_1"] | None = ("from_1" if counted[0] else "from_0") if counted else None
    what = f"{len(found)} different values" + (f" between {mark!r}" if several else "")
    return Labels(
        task="multi_label" if several else "single_label",
        labels=found,
        why=what,
        label_column=look.name,
        separator=mark if mark != "," else None,
        values=rule,
    )


def labels_flag(group: tuple[str, ...], looks: Looks) -> str:
    """The command line's way to say that these are the labels."""
    if len(group) == 1 and (looks[group[0]].kind in ("list", "classes")):
        return f"--label-column {shlex.quote(group[0])}"
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(group)
    return f"--labels {shlex.quote(line.getvalue())}"


def label_notes(looks: Looks, labels: Labels, cells: Cells) -> tuple[str, ...]:
    """What a run would stop at, told before: blank cells, labels that never hold; and what may be a slip of the pen."""
    notes = []
    for name in labels.columns:
        look = looks[name]
        if look.blank and not (labels.task == "multi_label" and labels.label_column):
            have = "has" if look.blank == 1 else "have"
            notes.append(
                f"{_rows(look.blank)} {have} a blank cell in {shown(name)!r}, and a run stops there: leave them out, "
                "or write what holds"
            )
    if labels.task == "multi_label" and labels.label_column is None:
        never = [look.name for look in looks.values() if look.kind == "yes_no" and not YES & _lower(look.values)]
        notes += [
            f"{shown(name)!r} is 0 in every row and is left out: nothing can be learned about it" for name in never
        ]
    if labels.label_column is not None:
        notes += _slips(cells[labels.label_column], labels)
    return tuple(notes)


def _slips(cells: Sequence[str], labels: Labels) -> list[str]:
    """What so few cells say that it may be a mistake of the file: a class written otherwise, several in one cell."""
    few = max(2, len(cells) // 500)
    if len(cells) < 20 * few:
        return []
    where = shown(labels.label_column or "")
    mark = (labels.separator or ",") if labels.task == "multi_label" else None
    several = [cell for cell in cells if mark and mark in cell]
    notes = []
    if 0 < len(several) <= few:
        notes.append(
            f"several labels in {where!r} stand in {_rows(len(several))} of {len(cells):,} alone, such as "
            f"{shown(several[0])!r}: if that is a slip, mend the file and take --task single_label"
        )
    counts = Counter(part for cell in cells for part in parts_of(cell, mark) if part)
    rare = [value for value, count in counts.items() if count <= few]
    if rare and any(count > few for count in counts.values()):
        told = ", ".join(f"{shown(value)!r} ({counts[value]})" for value in sorted(rare)[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        notes.append(f"rarely seen in {where!r}: {told}{more}: mend the file where that is a slip")
    return notes


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _lower(values: Sequence[str]) -> set[str]:
    return {value.lower() for value in values}
