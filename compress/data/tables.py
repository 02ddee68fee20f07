"""A data file as columns of strings: csv, tsv, jsonl and parquet, the first three also as the one member of a .zip."""

import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from compress.data.rows import Line, cell_text, check_columns, decoded, delimited, json_lines, plain_records
from compress.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_NO_HEADER = "if its first line is no header but a row, name its columns in task.columns"
_ALONE = "its first line must name the columns; --text-column says which of them holds the texts"
_ENCRYPTED = 0x1  # the bit of a zip member's flags


@dataclass(frozen=True)
class Table:
    """Columns of N cells. numbers: (N,) where each row is, in units of `unit` ("line" of the file, or "row")."""

    name: str
    unit: str
    numbers: tuple[int, ...]
    columns: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.numbers)

    def place(self, row: int) -> str:
        """Where row number `row` (from 0) is, for a message."""
        return f"{self.name}, {self.unit} {self.numbers[row]}"


def kind_of(path: Path) -> str:
    """The suffix that says how to read the file, .zip left out. DataError on any other."""
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".zip" else path.suffix
    if suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: cannot tell how to read this; the name must end in {', '.join(SUFFIXES)}")
    return suffix.lower()


def read_table(
    path: Path,
    wanted: Iterable[str],
    optional: Iterable[str] = (),
    unheaded: tuple[str, ...] = (),
    remedy: str = _NO_HEADER,
) -> Table:
    """The wanted columns of a file, and the optional ones it has. DataError on anything that cannot be read.

    unheaded: the columns of a .csv or .tsv file without a header line. remedy: where such a file lacks a column.
    """
    kind = kind_of(path)
    wanted, optional = tuple(dict.fromkeys(wanted)), tuple(optional)
    if kind == ".parquet":
        return _parquet(path, wanted, optional)
    with _opened(path) as binary:
        lines = decoded(binary, str(path))
        if kind == ".jsonl":
            return _from_rows(str(path), json_lines(lines, str(path)), wanted, optional, named_in_rows=True)
        columns, rows = delimited(lines, "\t" if kind == ".tsv" else ",", str(path), wanted, unheaded)
        check_columns(wanted, columns, str(path), remedy)
        return _from_rows(str(path), rows, wanted, tuple(set(optional) & set(columns)), named_in_rows=False)


def read_sliced(
    path: Path,
    wanted: Iterable[str],
    slices: tuple[str, ...],
    unheaded: tuple[str, ...] = (),
    *,
    recipe: bool = True,
) -> Table:
    """As read_table, with the columns of evaluate.slices. DataError where the file lacks one.

    They do not tell whether a file has a header, so they are read as optional ones. A .jsonl file, whose rows may leave
    keys out, lacks a column that is neither in its first row nor filled in any other. recipe: whether there is one,
    whose keys a message may name.
    """
    wanted = tuple(wanted)
    others = tuple(name for name in slices if name not in wanted)
    table = read_table(path, wanted, others, unheaded, _NO_HEADER if recipe else _ALONE)
    blank = kind_of(path) == ".jsonl"
    missing = [name for name in slices if name not in table.columns or (blank and not any(table.columns[name]))]
    if missing:
        headed = not unheaded or not set(missing).isdisjoint(unheaded)  # one that is among them was not in the header
        asked = "evaluate.slices" if recipe else "--slices"
        check_columns(missing, columns_of(path) if headed else unheaded, f"{asked}: {path}")
    return table


def columns_of(path: Path) -> tuple[str, ...]:
    """The file's columns, without its rows: of a .jsonl file those of its first row. DataError as for read_table."""
    kind = kind_of(path)
    with _opened(path) as binary:
        if kind == ".parquet":
            return _parquet_columns(binary, path)
        lines = decoded(binary, str(path))
        if kind == ".jsonl":
            first = next(json_lines(lines, str(path)), None)
            return () if first is None else tuple(first.cells)
        return delimited(lines, "\t" if kind == ".tsv" else ",", str(path))[0]


def read_cells(path: Path) -> tuple[tuple[str, ...], ...]:
    """Every column of a .csv or .tsv file, the first line's cells with the others. DataError as for read_table."""
    with _opened(path) as binary:
        lines = decoded(binary, str(path))
        rows = list(plain_records(lines, "\t" if kind_of(path) == ".tsv" else ",", str(path)))
    if not rows:
        raise DataError(f"{path}: the file has no rows; at least one is needed")
    return tuple(zip(*rows, strict=True))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; paths are relative to data.dir if given, else to {Path.cwd()}")
    if path.suffix.lower() != ".zip":
        with path.open("rb") as binary:
            yield binary
        return
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as binary:
            yield binary
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:  # some only while a member is read
        raise DataError(f"{path}: not a whole zip file ({str(error) or 'it ends too early'}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); check its permissions, or fetch it again") from None
    except NotImplementedError as error:
        raise DataError(
            f"{path}: packed in a way that is not read here ({error}); unpack it and name the file"
        ) from None


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX")]
    if len(members) != 1:
        raise DataError(f"{path}: holds {len(members)} files where one was expected; unpack it and name the file")
    if members[0].flag_bits & _ENCRYPTED:
        raise DataError(f"{path}: is encrypted; unpack it with its password and name the file")
    return members[0]


def _from_rows(
    name: str, rows: Iterable[Line], wanted: tuple[str, ...], optional: tuple[str, ...], *, named_in_rows: bool
) -> Table:
    numbers: list[int] = []
    cells: dict[str, list[str]] = {column: [] for column in (*wanted, *optional)}
    for row in rows:
        if named_in_rows:
            check_columns(wanted, row.cells, f"{name}, line {row.number}")
        numbers.append(row.number)
        for column, values in cells.items():
            values.append(row.cells.get(column, ""))
    if not numbers:
        raise DataError(f"{name}: the file has no rows; at least one is needed")
    return Table(name, "line", tuple(numbers), {column: tuple(values) for column, values in cells.items()})


def _parquet(path: Path, wanted: tuple[str, ...], optional: tuple[str, ...]) -> Table:
    import pyarrow.parquet

    with _opened(path) as binary, _parquet_errors(path):
        there = _parquet_columns(binary, path)
        check_columns(wanted, there, str(path))
        kept = [*wanted, *(column for column in optional if column in there)]
        binary.seek(0)
        data = pyarrow.parquet.read_table(binary, columns=kept)
    columns = {column: data.column(column).to_pylist() for column in kept}
    return from_columns(str(path), columns)


def _parquet_columns(binary: IO[bytes], path: Path) -> tuple[str, ...]:
    import pyarrow.parquet

    with _parquet_errors(path):
        return tuple(pyarrow.parquet.read_schema(binary).names)


def simple_columns(path: Path) -> tuple[str, ...]:
    """The file's columns of one text, number or true/false a row: what read_table takes. DataError as for it."""
    if kind_of(path) != ".parquet":
        return columns_of(path)
    import pyarrow.parquet
    from pyarrow import types

    with _opened(path) as binary, _parquet_errors(path):
        schema = pyarrow.parquet.read_schema(binary)
    of = {field.name: field.type.value_type if types.is_dictionary(field.type) else field.type for field in schema}
    numbers = (types.is_integer, types.is_floating, types.is_boolean)
    texts = (types.is_string, types.is_large_string, types.is_null)
    return tuple(name for name, kind in of.items() if any(fits(kind) for fits in (*numbers, *texts)))


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:  # OSError: a damaged page
        raise DataError(f"{path}: not a whole parquet file ({error}); write it again") from None


def from_columns(name: str, columns: dict[str, list[object]]) -> Table:
    """A table of values that are not text yet (parquet, a hub dataset). DataError on lists, and on no rows."""
    count = len(next(iter(columns.values())))
    if not count:
        raise DataError(f"{name}: there are no rows; at least one is needed")
    cells = {
        column: tuple(cell_text(value, f"{name}, row {row}, {column}") for row, value in enumerate(values, start=1))
        for column, values in columns.items()
    }
    return Table(name, "row", tuple(range(1, count + 1)), cells)
