"""Predictions out, row by row, as CSV or JSON lines. An output file is whole or it is not there."""

import csv
import io
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from compress.errors import DataError

_DIGITS = 6  # of a probability, after the point


class ResultWriter(ABC):
    """Takes results in the order of the rows. Columns: id if there is one, then probability and decision by label."""

    def __init__(self, out: IO[str], labels: tuple[str, ...], *, has_id: bool) -> None:
        self._out = out
        self._labels = labels
        self._has_id = has_id

    @abstractmethod
    def write(self, id: str | None, probabilities: Sequence[float], decisions: Sequence[int]) -> None:  # noqa: A002
        """One row: (L,) probabilities in [0, 1] and (L,) decisions, 0 or 1. id is left out if the input has none."""

    def _cells(self, probabilities: Sequence[float], decisions: Sequence[int]) -> Iterator[tuple[str, float | int]]:
        for label, probability, decision in zip(self._labels, probabilities, decisions, strict=True):
            yield f"{label}_probability", round(float(probability), _DIGITS)
            yield f"{label}_decision", int(decision)


class _CsvWriter(ResultWriter):
    delimiter = ","

    def __init__(self, out: IO[str], labels: tuple[str, ...], *, has_id: bool) -> None:
        super().__init__(out, labels, has_id=has_id)
        self._csv = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        names = [f"{label}_{what}" for label in labels for what in ("probability", "decision")]
        self._csv.writerow(["id", *names] if has_id else names)

    def write(self, id: str | None, probabilities: Sequence[float], decisions: Sequence[int]) -> None:  # noqa: A002
        cells = [
            str(value) if isinstance(value, int) else f"{value:.{_DIGITS}f}"
            for _, value in self._cells(probabilities, decisions)
        ]
        self._csv.writerow([id or "", *cells] if self._has_id else cells)


class _TsvWriter(_CsvWriter):
    delimiter = "\t"


class _JsonWriter(ResultWriter):
    def write(self, id: str | None, probabilities: Sequence[float], decisions: Sequence[int]) -> None:  # noqa: A002
        named: dict[str, str | float | None] = {"id": id} if self._has_id else {}
        row = {**named, **dict(self._cells(probabilities, decisions))}
        self._out.write(json.dumps(row, ensure_ascii=False) + "\n")


_BY_SUFFIX: dict[str, type[ResultWriter]] = {
    "": _CsvWriter,
    ".csv": _CsvWriter,
    ".tsv": _TsvWriter,
    ".jsonl": _JsonWriter,
}


@contextmanager
def open_results(
    path: Path | None,
    labels: tuple[str, ...],
    has_id: bool,
    source: Path | None = None,
    overwrite: bool = False,
) -> Iterator[ResultWriter]:
    """A writer to a file, or to standard output (None). CSV, or what the name says: .tsv or .jsonl. UTF-8 everywhere.

    The rows go to a neighbour of the file that takes its name at the end; after an error nothing is left. source: the
    input. DataError if the output is the input, its folder is not there, it has content and overwrite is false, or its
    suffix is another.
    """
    if path is None:
        yield _CsvWriter(_standard_output(), labels, has_id=has_id)
        return
    kind = _writer(path)
    _check_output(path, source, overwrite=overwrite)
    if path.exists() and not path.is_file():  # a pipe or /dev/stdout: there is no name to take
        with path.open("w", encoding="utf-8", newline="") as out:
            yield kind(out, labels, has_id=has_id)
        return
    with _renamed_at_the_end(path) as out:
        yield kind(out, labels, has_id=has_id)


def _standard_output() -> IO[str]:
    """Standard output in UTF-8 with plain line ends: what a pipe carries must not hang on the locale or the system."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return sys.stdout


def _writer(path: Path) -> type[ResultWriter]:
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise DataError(
            f"{path}: cannot tell how to write {path.suffix}; end the name of --output in .csv, .tsv or .jsonl"
        )
    return kind


def _check_output(path: Path, source: Path | None, *, overwrite: bool) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; --output names a file")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}; make it first")
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise DataError(f"{path}: is the input itself; give --output another name")
    if path.is_file() and path.stat().st_size and not overwrite:
        raise DataError(f"{path}: exists and is not empty; add --overwrite, or give --output another name")


@contextmanager
def _renamed_at_the_end(path: Path) -> Iterator[IO[str]]:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
