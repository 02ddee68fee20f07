"""Texts in, one at a time, for predict: CSV, TSV, JSON lines or plain lines, from a file or from standard input."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from compress.data.rows import Line, check_columns, decoded, delimited, json_lines
from compress.errors import DataError, did_you_mean

Format = Literal["csv", "tsv", "jsonl", "lines"]

_BY_SUFFIX: dict[str, Format] = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl"}
_NO_HEADER = "its first line must be a header; a file of plain texts, one a line, ends in another way, e.g. .txt"
_SHOWN = 120  # characters of a header in a message
_NOT_STREAMED = (".parquet", ".zip", ".gz", ".bz2", ".xz", ".zst", ".xlsx", ".json")


@dataclass(frozen=True)
class Row:
    """One text to classify. id: the cell of the `id` column, None where there is no such column.

    line: the number, from 1, of the line it starts on.
    """

    text: str
    id: str | None
    line: int = field(default=0, compare=False)


class Rows(Iterator[Row]):
    """Rows of an open input, read as they are asked for. has_id: whether there is an `id` column.

    Closes the file at the end; a context manager for those who stop early. next() raises DataError with the line.
    """

    def __init__(self, rows: Iterator[Row], closer: ExitStack, *, has_id: bool) -> None:
        self.has_id = has_id
        self._rows = rows
        self._closer = closer

    def __next__(self) -> Row:
        try:
            return next(self._rows)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._closer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_rows(
    path: Path | None,
    text_columns: tuple[str, ...],
    join: str,
    format: Format | None = None,  # noqa: A002
    *,
    named: bool = False,
    unheaded: tuple[str, ...] = (),
) -> Rows:
    """Open a file, or standard input (None), and read its header; memory does not grow with the input.

    format: None goes by the suffix (.csv, .tsv, .jsonl; any other is one text a line, an empty line an empty text).
    On standard input: JSON lines where the first line is a JSON object, CSV or TSV where it is a header with the text
    columns, TSV where it has a tab between each two of the unheaded columns, else plain lines. Several text columns are
    joined with `join`. named: the user named the columns, so an input that has none is a mistake. unheaded: the columns
    of CSV or TSV without a header. DataError on what cannot be read.
    """
    with ExitStack() as stack:
        name, binary = ("standard input", sys.stdin.buffer) if path is None else (str(path), _opened(path, stack))
        lines = decoded(binary, name)
        first = next(lines, None)
        if first is None:
            raise DataError(f"{name}: is empty; there is nothing to predict")
        chosen = format or (
            _sniffed(first, text_columns, unheaded) if path is None else _BY_SUFFIX.get(path.suffix.lower(), "lines")
        )
        if named and chosen == "lines":
            raise _no_columns(first, path, text_columns)
        rows, has_id = _rows(chain([first], lines), chosen, name, text_columns, join, unheaded)
        return Rows(rows, stack.pop_all(), has_id=has_id)


def _opened(path: Path, stack: ExitStack) -> IO[bytes]:
    if path.suffix.lower() in _NOT_STREAMED:
        raise DataError(f"{path}: predict reads .csv, .tsv, .jsonl and plain lines; convert or unpack the file first")
    if path.is_dir() or not path.exists():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; --input names a file of texts")
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _sniffed(first: str, text_columns: tuple[str, ...], unheaded: tuple[str, ...]) -> Format:
    """The format that the first line of standard input shows."""
    if first.lstrip().startswith("{"):
        try:
            json.loads(first)
        except (ValueError, RecursionError):
            return "lines"
        return "jsonl"
    candidates: tuple[tuple[Format, str], ...] = (("csv", ","), ("tsv", "\t"))
    for name, delimiter in candidates:
        cells = {cell.strip().strip('"') for cell in first.split(delimiter)}
        if cells.issuperset(text_columns):
            return name
    # not so with commas: a text on a line of its own has as many by chance
    return "tsv" if len(unheaded) > 1 and first.count("\t") == len(unheaded) - 1 else "lines"


def _no_columns(first: str, path: Path | None, text_columns: tuple[str, ...]) -> DataError:
    """What is wrong where text columns are named and the input is read as plain lines."""
    wanted = ", ".join(map(repr, text_columns))
    if path is not None:
        return DataError(
            f"{path}: is read as plain lines, one text each, so it has no column {wanted}; leave --text-column out, or "
            "end the file's name in .csv, .tsv or .jsonl if it has a header"
        )
    cells = [cell.strip().strip('"') for cell in first.split("\t" if "\t" in first else ",")]
    missing = next((column for column in text_columns if column not in cells), "")
    shown = first.strip() if len(first) <= _SHOWN else first[:_SHOWN] + "..."
    return DataError(
        f"standard input, line 1: no column {wanted} in {shown!r}; name a column of the header, or leave --text-column "
        f"out if each line is a text{did_you_mean(missing, cells)}"
    )


def _rows(
    lines: Iterator[str],
    chosen: Format,
    name: str,
    text_columns: tuple[str, ...],
    join: str,
    unheaded: tuple[str, ...],
) -> tuple[Iterator[Row], bool]:
    """The rows, and whether they have ids."""
    match chosen:
        case "lines":
            texts = enumerate((line.removesuffix("\n").removesuffix("\r") for line in lines), start=1)
            return (Row(text, None, number) for number, text in texts), False
        case "csv" | "tsv":
            columns, found = delimited(lines, "," if chosen == "csv" else "\t", name, text_columns, unheaded)
            check_columns(text_columns, columns, name, _NO_HEADER)
            return (_row(line, text_columns, join) for line in found), "id" in columns
        case "jsonl":
            return _json_rows(json_lines(lines, name), name, text_columns, join)


def _json_rows(
    found: Iterator[Line], name: str, text_columns: tuple[str, ...], join: str
) -> tuple[Iterator[Row], bool]:
    first = next(found, None)
    if first is None:
        raise DataError(f"{name}: holds blank lines only; there is nothing to predict")
    check_columns(text_columns, first.cells, f"{name}, line {first.number}")

    def checked() -> Iterator[Row]:
        for line in chain([first], found):
            check_columns(text_columns, line.cells, f"{name}, line {line.number}")
            yield _row(line, text_columns, join)

    return checked(), "id" in first.cells


def _row(line: Line, text_columns: tuple[str, ...], join: str) -> Row:
    return Row(join.join(line.cells[column] for column in text_columns), line.cells.get("id"), line.number)
