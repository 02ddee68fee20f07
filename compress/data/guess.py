"""What task a file of rows is for, guessed from its cells; what is not clear is a doubt, with the flag that settles it.

The rules, on the kinds of column that columns.py tells apart:

header  each column votes on the first line: a number above numbers, a value that recurs below it or a long text is a
        row's; a word above numbers or texts is a name. Votes against each other are a doubt.
text    every text column (title and description both); more than one is a doubt. Without any, the column with most
        characters, in doubt.
labels  several yes_no columns: multi_label. A classes column: single_label. A list column: multi_label. A yes_no column
        alone: single_label if it is called label, class or the like, else one label. Numbers: regression, if nothing
        else can be the labels. Where several of these are there, the one called label or the like, else a doubt.
        Label numbers from 0 or 1 on without a gap are counted from there, so that they can be given names.
task    whole numbers in a column called rating, stars or the like may be classes or amounts: a doubt.
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from compress.data.columns import Kind, column_of, is_called_label, is_number
from compress.data.label_guess import (
    Cells,
    Labels,
    Looks,
    TaskType,
    fits_task,
    label_groups,
    label_notes,
    labels_flag,
    labels_in,
    may_be_amounts,
)
from compress.data.rows import check_columns, shown
from compress.errors import DataError

Topic = Literal["header", "text", "labels", "task"]
_NAMED_BY_KIND: Mapping[Kind, str] = {
    "text": "text", "id": "id", "list": "label", "classes": "label", "yes_no": "label", "numbers": "value",
}  # fmt: skip
_LONG_WORDS = 4  # a column's name has fewer


@dataclass(frozen=True)
class Sheet:
    """The cells of a file: columns of N cells. names: None where the first row may be the header, or a row."""

    place: str
    names: tuple[str, ...] | None
    columns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Answers:
    """What need not be guessed. labels: their columns; in_cells: the cells of the one column name them."""

    header: bool | None = None
    text: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    in_cells: bool = False
    task: TaskType | None = None


@dataclass(frozen=True)
class Doubt:
    """A question. options: each a group of columns, or one word. taken: numbers, from 0, of those the guess takes.

    flag: how the command line says the same. several: more than one option may be taken.
    """

    topic: Topic
    question: str
    options: tuple[tuple[str, ...], ...]
    taken: tuple[int, ...]
    flag: str
    several: bool = False


@dataclass(frozen=True)
class Guess:
    """The task. columns: the names given to those of a file without a header; cells: by column.

    why: key of the task -> what it rests on, for what was guessed. doubts: in the order to ask; an answer to one may
    settle another or raise one. notes: what a run would stop at, or leave out.
    """

    text: tuple[str, ...]
    labels: Labels
    columns: tuple[str, ...] | None
    why: Mapping[str, str]
    doubts: tuple[Doubt, ...]
    notes: tuple[str, ...]
    cells: Cells


def guess(sheet: Sheet, answers: Answers, label_names: Sequence[str] = ()) -> Guess:
    """What the sheet is for. label_names: from a file beside it, taken where its labels are as many numbers.

    DataError where an answer does not fit the sheet, or nothing in it can be the text or the labels.
    """
    header, doubts = _header(sheet, answers)
    cells = _named(sheet, header)
    if not any(cells.values()):
        raise DataError(f"{sheet.place}: there are no rows to guess from; at least one is needed")
    looks = {name: column_of(name, column) for name, column in cells.items()}
    check_columns((*(answers.text or ()), *(answers.labels or ())), looks, sheet.place)
    text, text_doubts = _text(sheet, looks, cells, answers)
    labels, label_doubts = _labels(sheet, looks, cells, text, answers)
    why = {} if answers.text else {"text": _why_text(text, looks)}
    if answers.labels is None:
        why["labels"] = labels.why
    if not header:
        why["columns"] = "the first line looks like a row, not like names; these are made up"
    if labels.values and len(label_names) == len(labels.labels):
        labels = replace(labels, labels=tuple(label_names))
        why["labels"] = f"{labels.why}; their names from the file beside it"
    doubts = (*doubts, *text_doubts, *label_doubts)
    return Guess(text, labels, None if header else tuple(cells), why, doubts, label_notes(looks, labels, cells), cells)


def answered(answers: Answers, doubt: Doubt, taken: Sequence[int]) -> Answers:
    """The answers with one more. taken: numbers, from 0, of the doubt's options."""
    words = tuple(word for number in taken for word in doubt.options[number])
    match doubt.topic:
        case "header":
            return replace(answers, header=words == ("yes",))
        case "text":
            return replace(answers, text=words)
        case "labels":
            return replace(answers, labels=words)
        case "task":
            return replace(answers, task="regression" if words == ("regression",) else "single_label")


# ---------------------------------------------------------------------------------------------------- header


def _header(sheet: Sheet, answers: Answers) -> tuple[bool, tuple[Doubt, ...]]:
    if sheet.names is not None or answers.header is not None:
        return answers.header is not False or sheet.names is not None, ()
    votes = Counter(_votes_header(column[0], column[1:]) for column in sheet.columns)
    header = votes[True] >= votes[False]
    if not (votes[True] and votes[False]):
        return header, ()
    line = " | ".join(shown(column[0]) for column in sheet.columns)
    doubt = Doubt(
        "header",
        f"is the first line ({line}) a header that names the columns?",
        (("yes",), ("no",)),
        (0,) if header else (1,),
        "--header" if header else "--no-header",
    )
    return header, (doubt,)


def _votes_header(first: str, below: Sequence[str]) -> bool | None:
    """Whether a column's first cell is a name; None where it may as well be a cell like those below it."""
    first, look = first.strip(), column_of("", below)
    if not first or look.blank == look.rows:
        return None
    if all(is_number(cell) for cell in below[:1000] if cell.strip()):
        return not is_number(first)
    match look.kind:
        case "list" | "classes" | "yes_no":
            return first not in below
        case "text":
            words = len(first.split())
            return False if words >= _LONG_WORDS else True if words == 1 and first.isidentifier() else None
        case _:
            return None


def _named(sheet: Sheet, header: bool) -> dict[str, tuple[str, ...]]:
    """The columns by name; those without one cannot be read, and are left out."""
    if sheet.names is not None:
        return dict(zip(sheet.names, sheet.columns, strict=True))
    if header:
        return {column[0].strip(): column[1:] for column in sheet.columns if column[0].strip()}
    kinds = [column_of("", column).kind for column in sheet.columns]
    bases = [_NAMED_BY_KIND.get(kind, "column") for kind in kinds]
    names = [
        base if bases.count(base) == 1 and base != "column" else f"{base}_{bases[:index].count(base) + 1}"
        for index, base in enumerate(bases)
    ]
    return dict(zip(names, sheet.columns, strict=True))


# ---------------------------------------------------------------------------------------------------- text


def _text(sheet: Sheet, looks: Looks, cells: Cells, answers: Answers) -> tuple[tuple[str, ...], tuple[Doubt, ...]]:
    if answers.text is not None:
        return answers.text, ()
    free = {name: look for name, look in looks.items() if name not in (answers.labels or ())}
    found = tuple(name for name, look in free.items() if look.kind == "text")
    if len(found) == 1:
        return found, ()
    if found:
        return found, (_text_doubt("several columns look like text; which are to be read?", found, len(found)),)
    likely = sorted(
        (name for name, look in free.items() if look.kind in ("classes", "id", "other") and look.blank < look.rows),
        key=lambda name: (free[name].kind == "classes", -sum(map(len, cells[name]))),
    )
    if not likely:
        names = ", ".join(map(shown, looks)) or "none"
        raise DataError(f"{sheet.place}: no column looks like text (columns: {names}); name it: --text COLUMN")
    return (likely[0],), (_text_doubt("no column looks like text; which one is it?", tuple(likely), 1),)


def _text_doubt(question: str, columns: tuple[str, ...], taken: int) -> Doubt:
    flag = " ".join(f"--text {shlex.quote(name)}" for name in columns[:taken])
    return Doubt("text", question, tuple((name,) for name in columns), tuple(range(taken)), flag, several=True)


def _why_text(text: tuple[str, ...], looks: Looks) -> str:
    if any(looks[name].kind != "text" for name in text):
        return "no column looks like text; this one has most characters"
    return "looks like text" if len(text) == 1 else "these look like text; they are joined by a line end"


# ---------------------------------------------------------------------------------------------------- labels


def _labels(
    sheet: Sheet, looks: Looks, cells: Cells, text: tuple[str, ...], answers: Answers
) -> tuple[Labels, tuple[Doubt, ...]]:
    group, doubts = _label_columns(sheet, {name: look for name, look in looks.items() if name not in text}, answers)
    labels = labels_in(group, looks, cells, sheet.place, answers.task, in_cells=answers.in_cells)
    if answers.task is None and not answers.in_cells and may_be_amounts(labels):
        question = f"are the numbers in {shown(group[0])} classes, or amounts to predict?"
        doubts = (
            *doubts,
            Doubt("task", question, (("single_label",), ("regression",)), (0,), "--task single_label"),
        )
    return labels, doubts


def _other_hint(sheet: Sheet) -> str:
    """What a file may have that is not read as it stands."""
    if sheet.names is None:
        one = "; it has one column: cells stand between commas in .csv, between tabs in .tsv"
        return one if len(sheet.columns) == 1 else ""
    return "; columns of lists are not read: write their labels as one text, a,b"


def _label_columns(sheet: Sheet, looks: Looks, answers: Answers) -> tuple[tuple[str, ...], tuple[Doubt, ...]]:
    if answers.labels is not None:
        return answers.labels, ()
    groups = label_groups(looks)
    if answers.task is not None:
        groups = [group for group in groups if fits_task(group, looks, answers.task)]
    if not groups:
        what = f"labels of a {answers.task} task" if answers.task else "labels"
        names = ", ".join(f"{shown(name)} ({look.kind})" for name, look in looks.items()) or "none"
        raise DataError(
            f"{sheet.place}: no column looks like {what} (besides text: {names}); name those of 0 and 1, or of "
            "numbers, with --labels A,B, or the one that names the class with --label-column COLUMN"
            + _other_hint(sheet)
        )
    called: list[tuple[str, ...]] = [group for group in groups if len(group) == 1 and is_called_label(group[0])]
    wants_numbers = answers.task == "regression"
    likely = called or [group for group in groups if (looks[group[0]].kind == "numbers") == wants_numbers] or groups
    if len(likely) == 1:
        return likely[0], ()
    groups = list(dict.fromkeys((*likely, *groups)))
    flag = labels_flag(groups[0], looks)
    return groups[0], (Doubt("labels", "which columns hold the labels?", tuple(groups), (0,), flag),)
