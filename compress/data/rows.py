"""Delimited and JSON lines as rows of strings, one at a time, with line numbers. Training and predict read here.

The csv module, not pandas: it gives the line an error is on, keeps memory constant, and a cell stays the text it was.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from compress.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import _csv

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


def delimited(lines: Iterable[str], delimiter: str, name: str) -> tuple[tuple[str, ...], Iterator[Line]]:
    """The columns of the header, and the rows below it; blank lines are passed over. DataError without a header."""
    csv.field_size_limit(MAX_CELL_CHARS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = next(_records(reader, name), None)
    if header is None:
        raise DataError(f"{name}: the file is empty; its first line must name the columns")
    columns = tuple(column.strip() for column in header[1])
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise DataError(f"{name}, line 1: column {twice!r} occurs twice; rename one of them")
    return columns, (_line(number, cells, columns, name) for number, cells in _records(reader, name))


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


def _line(number: int, cells: list[str], columns: tuple[str, ...], name: str) -> Line:
    if len(cells) != len(columns):
        raise DataError(
            f"{name}, line {number}: {len(cells)} cells where the header has {len(columns)}; "
            "quote cells that hold the delimiter or a line end"
        )
    return Line(number, dict(zip(columns, cells, strict=True)))


def json_lines(lines: Iterable[str], name: str) -> Iterator[Line]:
    """One JSON object a line; blank lines are passed over. null is an empty text, true is "true", 1 is "1"."""
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
    """A single value as text: None is empty, True is "true". DataError on anything that is not one value."""
    match value:
        case None:
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


def check_columns(wanted: Iterable[str], columns: Iterable[str], place: str) -> None:
    """DataError that names the first column wanted and missing, those there are, and the likely one."""
    there = list(columns)
    for column in wanted:
        if column not in there:
            names = ", ".join(there) or "none"
            raise DataError(f"{place}: no column {column!r}; it has {names}{did_you_mean(column, there)}")
