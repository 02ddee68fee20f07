"""Columns of numbers -> what a regression learns, every cell checked."""

import re

import numpy as np
from numpy.typing import NDArray

from compress.data.rows import shown
from compress.data.tables import Table
from compress.errors import DataError
from eval.contract import Floats, LabelledTexts

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_BLUR = 1e-3  # of a target's deviation: coarser steps would show in the errors


def numbers_of(table: Table, targets: tuple[str, ...]) -> Floats:
    """Targets (N, L), float32, a column each. DataError at the first cell that is no finite number."""
    return np.stack([_column(table, target) for target in targets], axis=1)


def _column(table: Table, target: str) -> Floats:
    cells = table.columns[target]
    with np.errstate(over="ignore"):  # beyond float32 it becomes infinite, and is told as that
        found = np.array([_number(cell) for cell in cells], dtype=np.float64).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(found))
    if bad.size:
        cell = cells[bad[0]]
        what = repr(shown(cell)) if cell.strip() else "blank"
        raise DataError(
            f"{table.place(int(bad[0]))}: column {target!r} is {what}, not a finite number; {_remedy(cell.strip())}"
        )
    return found


def _number(cell: str) -> float:
    """NaN where the cell is no number as files write one: Python's own float() also takes 1_000 and nan."""
    plain = cell.strip()
    return float(plain) if _NUMBER.fullmatch(plain) else float("nan")


def _remedy(cell: str) -> str:
    if not cell:
        return "leave the row out, or write its number"
    if _DECIMAL_COMMA.fullmatch(cell):
        return f"write {cell.replace(',', '.')} if the comma is a decimal point"
    if _NUMBER.fullmatch(cell):
        return "it is beyond what 32 bits hold (3.4e38); give the target in another unit"
    return "leave the row out, or write a number such as 3.5; a regression reads one column of numbers for each target"


def check_varies(train: LabelledTexts) -> None:
    """DataError if a target has one value in all of train, or varies by so little that 32 bits would round it away."""
    for place, target in enumerate(train.labels if len(train) else ()):
        values: NDArray[np.float32] = train.targets[:, place]
        if values.min() == values.max():
            raise DataError(
                f"data.train: {target} is {values[0]:g} in all of {len(train):,} rows; add rows that differ, or take "
                "it out of task.labels"
            )
        exact = values.astype(np.float64)
        step, deviation = float(np.spacing(np.abs(values).max())), float(exact.std())
        if step > _BLUR * deviation:
            raise DataError(
                f"data.train: {target} varies by {deviation:g} around {exact.mean():.10g}, where 32 bits hold steps of "
                f"{step:g} only; take a number near that mean off every value, in all files"
            )
