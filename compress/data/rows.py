"""Delimited and JSON lines as rows of strings, one at a time, with line numbers. Training and predict read here.

The csv module, not pandas: it gives the line an error is on, keeps memory constant, and a cell stays the text it was.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING

from compress.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import _csv

_SHOWN = 60  # characters of a name or a cell in a message
MAX_CELL_CHARS = 2**26  # beyond it a quote was left open rather than a text that long written


@dataclass(frozen=True)
class Line:
    """One row. number: of the line it starts on, from 1. cells: by column name; what the row lacks is not there."""

    number: int
    cells: dict[str, str]


def decoded(binary: IO[bytes], name: str) -> Iterator[str]:
    """Lines of a UTF-8 file with their line ends; a byte order mark is taken off. DataError on other encodings."""
    offset = 0
    for number, line in enumerate(binary, start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}, line {number}: byte {offset + error.start} (0x{line[error.start]:02x}) is not UTF-8; "
                "convert the file first, e.g. iconv -f LATIN1 -t UTF-8 OLD > NEW"
            ) from None
        yield text.removeprefix("\ufeff") if number == 1 else text
        offset += len(line)


def delimited(
    lines: Iterable[str], delimiter: str, name: str, wanted: Iterable[str] = (), unheaded: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], Iterator[Line]]:
    """The columns of the header, and the rows below it; blank lines are passed over.

    unheaded: the columns of a file without a header, which is one whose first line does not name the wanted columns.
    DataError without a first line.
    """
    csv.field_size_limit(MAX_CELL_CHARS)
    records = _records(csv.reader(lines, delimiter=delimiter, strict=True), name)
    first = next(records, None)
    if first is None:
        raise DataError(f"{name}: the file is empty; its first line must name the columns")
    columns = tuple(column.strip() for column in first[1])
    missing = [column for column in wanted if column not in columns]
    if unheaded and missing:
        # a header in other letters would pass for a row: a result too many, and all after it a line off
        if len(columns) != len(unheaded) or _plain(columns) == _plain(unheaded):
            raise _no_row(name, first[0], columns, missing, unheaded)
        there = f"task.columns names {len(unheaded)}"
        return unheaded, (_line(*record, unheaded, name, there) for record in chain([first], records))
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise DataError(f"{name}, line 1: column {twice!r} occurs twice; rename one of them")
    return columns, (_line(*record, columns, name, f"the header has {len(columns)}") for record in records)


def plain_records(lines: Iterable[str], delimiter: str, name: str) -> Iterator[list[str]]:
    """The cells of every line, also of the first, whatever it is. DataError where one has more or fewer than it."""
    csv.field_size_limit(MAX_CELL_CHARS)
    width = None
    for number, cells in _records(csv.reader(lines, delimiter=delimiter, strict=True), name):
        width = len(cells) if width is None else width
        if len(cells) != width:
            raise DataError(
                f"{name}, line {number}: {len(cells)} cells where the first line has {width}; "
                "quote cells that hold the delimiter or a line end"
            )
        yield cells


def _plain(names: Iterable[str]) -> set[str]:
    """Names, small and capital letters aside."""
    return {name.casefold() for name in names}


def _no_row(name: str, number: int, cells: Sequence[str], missing: Sequence[str], unheaded: Sequence[str]) -> DataError:
    """What is wrong with a first line that is neither a header nor as long as a row."""
    return DataError(
        f"{name}, line {number}: {len(cells)} cells, neither a row of {', '.join(unheaded)} (task.columns) nor a "
        f"header that names {', '.join(missing)}{did_you_mean(missing[0], cells)}"
    )


def _records(reader: "_csv.Reader", name: str) -> Iterator[tuple[int, list[str]]]:
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{name}, line {start}: not well-formed ({error}); a cell with quotes in it must be quoted, "
                'its quotes doubled: "He said ""no"""'
            ) from None
        if cells:
            yield start, cells


def _line(number: int, cells: list[str], columns: tuple[str, ...], name: str, there: str) -> Line:
    if len(cells) != len(columns):
        raise DataError(
            f"{name}, line {number}: {len(cells)} cells where {there}; "
            "quote cells that hold the delimiter or a line end"
        )
    return Line(number, dict(zip(columns, cells, strict=True)))


def json_lines(lines: Iterable[str], name: str) -> Iterator[Line]:
    """One JSON object a line; blank lines are passed over. null and NaN are empty texts, true is "true", 1 is "1"."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Line(number, _cells(line, f"{name}, line {number}"))


def _cells(line: str, place: str) -> dict[str, str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise DataError(f"{place}: not JSON ({error}); a .jsonl file holds one JSON object a line") from None
    if not isinstance(value, dict):
        raise DataError(f'{place}: a JSON {type(value).__name__}, not an object; write {{"COLUMN": VALUE, ...}}')
    return {key: cell_text(cell, f"{place}, {key}") for key, cell in value.items() if not isinstance(cell, dict | list)}


def cell_text(value: object, place: str) -> str:
    """A single value as text: None is empty, True is "true". DataError on anything that is not one value.

    NaN is empty too: pandas writes it where there is no value.
    """
    match value:
        case None:
            return ""
        case float() if math.isnan(value):
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            if not value.isascii():
                _check_surrogates(value, place)
            return value
        case int() | float():
            return str(value)
        case _:
            raise DataError(f"{place}: a {type(value).__name__}, not a text, a number or true/false")


def _check_surrogates(value: str, place: str) -> None:
    """JSON can spell half a character (\\ud83d); no tokenizer and no UTF-8 file takes it."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: character {error.start} is half of a surrogate pair; mend the escape") from None


def check_columns(wanted: Iterable[str], columns: Iterable[str], place: str, remedy: str = "") -> None:
    """DataError that names the first column wanted and missing, those there are, and the likely one, or the remedy."""
    there = list(columns)
    for column in wanted:
        if column not in there:
            names = ", ".join(shown(name) for name in there) or "none"
            hint = did_you_mean(column, there) or (f"; {remedy}" if remedy else "")
            raise DataError(f"{place}: no column {column!r}; it has {names}{hint}")


def shown(text: str) -> str:
    """A name or a cell as a message shows it: a long one is cut."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
