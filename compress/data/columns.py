"""What a column of cells looks like. `init` guesses by it; every rule is a small function of the cells alone.

Of the cells that are not blank, in this order:

yes_no   all are 0 or 1, true or false.
id       the column is called id, index or something_id, and holds no text.
numbers  all are numbers: with a fraction somewhere, or whole ones with too many values for classes, which do recur.
classes  2 to 50 values (1,000 where the column is called label or the like), each twice or more on average: names, or
         whole numbers.
list     names or numbers with the same mark between them, which recombine: fewer of them than different cells.
text     mostly letters, mostly distinct, three words or more on average (fewer in a script without blanks, or where the
         column is called text or the like).
id       mostly distinct and short, without blanks; also whole numbers that never recur.
other    anything else: dates, addresses, one value throughout.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["yes_no", "numbers", "classes", "list", "text", "id", "other"]

YES_NO = frozenset({"0", "0.0", "false", "1", "1.0", "true"})
YES = frozenset({"1", "1.0", "true"})
SEPARATORS = (",", ";", "|", " ")  # between the labels of a cell; a blank only between numbers
_MOST_CLASSES = 50
MOST_LABELS = 1000  # of a column that is called so, or was named as the labels
_MOST_PARTS = 300  # labels of cells that hold several
_PART_CHARACTERS = 40
_WORDS = 3.0
_UNSPACED_CHARACTERS = 8.0  # a text's least mean length in a script that writes no blanks
_ID_CHARACTERS = 64
_MANY = 1000  # so many different texts are texts, also if each is there many times
_LOOKED_AT = 2000  # cells, evenly spread, that say whether a column is text
_CLASS_NAMES = frozenset(
    {
        *("label", "labels", "class", "classes", "class_index", "category", "categories", "topic", "topics", "intent"),
        *("sentiment", "emotion", "emotions", "stance", "tags"),
    }
)
_AMOUNT_NAMES = frozenset({"rating", "ratings", "stars", "score", "scores", "grade"})
_TEXT_NAMES = frozenset(
    {
        *(
            "text",
            "texts",
            "comment",
            "comment_text",
            "sentence",
            "review",
            "review_text",
            "body",
            "content",
            "message",
        ),
        *(
            "tweet",
            "post",
            "query",
            "question",
            "utterance",
            "title",
            "headline",
            "description",
            "document",
            "abstract",
        ),
    }
)
_ID_NAMES = frozenset({"id", "idx", "index", "uid", "uuid", "guid", "key", "unnamed:_0"})
_WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")


@dataclass(frozen=True)
class Column:
    """A named column and what its cells look like. blank: rows whose cell is blank.

    numeric: whether all that are not blank are numbers. values: what yes_no, classes and list columns say (a list's
    parts), in order; else empty. separator: of a list.
    """

    name: str
    kind: Kind
    rows: int
    blank: int
    numeric: bool = False
    values: tuple[str, ...] = ()
    separator: str | None = None


def is_called_label(name: str) -> bool:
    """Whether the column's name says that it holds labels."""
    return _plain(name) in _CLASS_NAMES | _AMOUNT_NAMES | {"target", "y"}


def is_called_amount(name: str) -> bool:
    """Whether the column's name asks for an amount: stars, rating."""
    return _plain(name) in _AMOUNT_NAMES


def _is_called_id(name: str) -> bool:
    return name in _ID_NAMES or name.endswith("_id")


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def column_of(name: str, cells: Sequence[str]) -> Column:
    """Looks at a column's N cells."""
    filled = [cell.strip() for cell in cells if cell and not cell.isspace()]
    distinct = set(filled)
    kind, separator = _kind(_plain(name), filled, distinct)
    match kind:
        case "list":
            values = {part for cell in distinct for part in parts_of(cell, separator)} - {""}
        case "yes_no" | "classes":
            values = distinct
        case _:
            values = set()
    numeric = all(map(is_number, distinct))
    return Column(name, kind, len(cells), len(cells) - len(filled), numeric, in_order(values), separator)


def _kind(name: str, filled: Sequence[str], distinct: set[str]) -> tuple[Kind, str | None]:
    """The kind, and a list's separator."""
    if not distinct:
        return "other", None
    if {cell.lower() for cell in distinct} <= YES_NO:
        return "yes_no", None
    words = 0.0 if name in _TEXT_NAMES else _WORDS
    if _is_called_id(name):
        return ("text" if is_text(filled, distinct, words) else "id"), None
    most = MOST_LABELS if name in _CLASS_NAMES else _MOST_CLASSES
    if all(map(is_number, distinct)):
        return _kind_of_numbers(filled, distinct, most), None
    separator = list_separator(filled, distinct)
    if separator is not None:
        return "list", separator
    if is_text(filled, distinct, words):
        return "text", None
    if are_classes(filled, distinct, most):
        return "classes", None
    return ("id" if _are_ids(filled, distinct) else "other"), None


def _kind_of_numbers(filled: Sequence[str], distinct: set[str], most: int) -> Kind:
    whole = all(map(_WHOLE.fullmatch, distinct))
    if not whole:
        return "numbers"
    if are_classes(filled, distinct, most):
        return "classes"
    if len(distinct) == 1:
        return "other"
    return "id" if len(distinct) == len(filled) else "numbers"


def is_number(cell: str) -> bool:
    """Whether the cell is a finite number."""
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def are_classes(filled: Sequence[str], distinct: set[str], most: int) -> bool:
    """Few values, `most` at most, which recur."""
    return 2 <= len(distinct) <= most and 2 * len(distinct) <= len(filled)


def _are_ids(filled: Sequence[str], distinct: set[str]) -> bool:
    return 10 * len(distinct) >= 9 * len(filled) and not any(
        len(cell) > _ID_CHARACTERS or any(map(str.isspace, cell)) for cell in distinct
    )


def is_text(filled: Sequence[str], distinct: set[str], words: float) -> bool:
    """Mostly letters, mostly distinct, and so many words on average, or a script that writes no blanks."""
    if 2 * len(distinct) < len(filled) and len(distinct) < _MANY:
        return False
    cells = filled[:: -(-len(filled) // _LOOKED_AT)]
    characters = sum(map(len, cells))
    letters = sum(sum(map(str.isalpha, cell)) + cell.count(" ") for cell in cells)
    if 2 * letters < characters:
        return False
    if sum(len(cell.split()) for cell in cells) >= words * len(cells):
        return True
    return 2 * sum(map(ascii_count, cells)) < characters and characters >= _UNSPACED_CHARACTERS * len(cells)


def ascii_count(cell: str) -> int:
    """How many of its characters are ASCII."""
    return len(cell) if cell.isascii() else len(cell.encode("ascii", "ignore"))


def list_separator(filled: Sequence[str], distinct: set[str]) -> str | None:
    """What stands between the labels of cells that hold several; None if they do not."""
    return next((mark for mark in SEPARATORS if _is_list(filled, distinct, mark)), None)


def _is_list(filled: Sequence[str], distinct: set[str], mark: str) -> bool:
    """Parts that are short, few, recur, and recombine: a class whose name has a comma in it stands alone."""
    parts: set[str] = set()
    for cell in distinct:
        parts.update(parts_of(cell, mark))
        if len(parts) > _MOST_PARTS:
            return False
    if len(parts) >= len(distinct) or 2 * len(parts) > len(filled) or any(len(it) > _PART_CHARACTERS for it in parts):
        return False
    return mark != " " or all(part.isdecimal() for part in parts)


def parts_of(cell: str, mark: str | None) -> list[str]:
    """The labels in a cell, as loading splits it."""
    return [part.strip() for part in cell.split(mark)] if mark is not None else [cell.strip()]


def in_order(values: set[str]) -> tuple[str, ...]:
    """Numbers by size, names by the alphabet."""
    if all(map(is_number, values)):
        return tuple(sorted(values, key=lambda value: (float(value), value)))
    return tuple(sorted(values))


def counted_from(values: Iterable[str]) -> tuple[int, int] | None:
    """First and last of whole numbers without a gap that begin at 0 or 1; None for any others.

    They are written as loading knows them: 3, or 3.0 as pandas writes it in a column with gaps.
    """
    written = {value.removesuffix(".0") for value in values}
    for first in (0, 1):
        last = first + len(written) - 1
        if written == {str(number) for number in range(first, last + 1)}:
            return first, last
    return None
