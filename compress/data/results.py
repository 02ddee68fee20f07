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
from typing import IO, Literal

from compress.errors import DataError
from compress.recipe.data import Task

Kind = Literal["probability", "decision", "prediction"]
CLASSIFIED: tuple[Kind, ...] = ("probability", "decision")
PREDICTED: tuple[Kind, ...] = ("prediction",)
# a prediction may be of any size: as many digits as a float32 holds
_FORMATS: dict[Kind, str] = {"probability": ".6f", "decision": "d", "prediction": ".7g"}


def result_kinds(task: Task) -> tuple[Kind, ...]:
    """What is written of each label: probability and decision, or of each target of a regression its prediction."""
    return PREDICTED if task.type == "regression" else CLASSIFIED


class ResultWriter(ABC):
    """Takes results in the order of the rows. Columns: id if there is one, then LABEL_KIND by label."""

    def __init__(self, out: IO[str], labels: tuple[str, ...], kinds: tuple[Kind, ...], *, has_id: bool) -> None:
        self._out = out
        self._labels = labels
        self._kinds = kinds
        self._has_id = has_id

    @abstractmethod
    def write(self, id: str | None, *numbers: Sequence[float]) -> None:  # noqa: A002
        """One row: (L,) numbers of each kind, in their order. id is left out if the input has none."""

    def _cells(self, numbers: Sequence[Sequence[float]]) -> Iterator[tuple[str, str]]:
        for label, *found in zip(self._labels, *numbers, strict=True):
            for kind, number in zip(self._kinds, found, strict=True):
                yield f"{label}_{kind}", format(int(number) if kind == "decision" else float(number), _FORMATS[kind])


class _CsvWriter(ResultWriter):
    delimiter = ","

    def __init__(self, out: IO[str], labels: tuple[str, ...], kinds: tuple[Kind, ...], *, has_id: bool) -> None:
        super().__init__(out, labels, kinds, has_id=has_id)
        self._csv = csv.writer(out, delimiter=self.delimiter, lineterminator="\n")
        names = [f"{label}_{kind}" for label in labels for kind in kinds]
        self._csv.writerow(["id", *names] if has_id else names)

    def write(self, id: str | None, *numbers: Sequence[float]) -> None:  # noqa: A002
        cells = [text for _, text in self._cells(numbers)]
        self._csv.writerow([id or "", *cells] if self._has_id else cells)


class _TsvWriter(_CsvWriter):
    delimiter = "\t"


class _JsonWriter(ResultWriter):
    def write(self, id: str | None, *numbers: Sequence[float]) -> None:  # noqa: A002
        named: dict[str, str | float | None] = {"id": id} if self._has_id else {}
        row = {**named, **{name: json.loads(text) for name, text in self._cells(numbers)}}
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
    kinds: tuple[Kind, ...] = CLASSIFIED,
) -> Iterator[ResultWriter]:
    """A writer to a file, or to standard output (None). CSV, or what the name says: .tsv or .jsonl. UTF-8 everywhere.

    The rows go to a neighbour of the file that takes its name at the end; after an error nothing is left. source: the
    input. kinds: what is written of each label. DataError if the output is the input, its folder is not there, it has
    content and overwrite is false, or its suffix is another.
    """
    if path is None:
        yield _CsvWriter(_standard_output(), labels, kinds, has_id=has_id)
        return
    kind = _writer(path)
    _check_output(path, source, overwrite=overwrite)
    if path.exists() and not path.is_file():  # a pipe or /dev/stdout: there is no name to take
        with path.open("w", encoding="utf-8", newline="") as out:
            yield kind(out, labels, kinds, has_id=has_id)
        return
    with _renamed_at_the_end(path) as out:
        yield kind(out, labels, kinds, has_id=has_id)


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
