"""The texts of a file alone, whatever else it holds."""

from pathlib import Path

from compress.data.labels import texts_of
from compress.data.stream import open_rows
from compress.data.tables import SUFFIXES, read_table
from compress.errors import DataError
from compress.recipe.data import Task

_HEADER = "its first line must name the columns; texts one a line stand in a .txt file"


def read_texts(path: Path, task: Task) -> tuple[str, ...]:
    """Those of a csv, tsv, jsonl or parquet file, labelled or not, by the task's text columns; of any other, its lines.

    Blank ones are left out. DataError where the file cannot be read, has no such column, or holds no text.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; --data names a file of texts")
    if path.suffix.lower() in (*SUFFIXES, ".zip"):
        found = texts_of(read_table(path, task.text, unheaded=task.columns or (), remedy=_HEADER), task)
    else:
        with open_rows(path, task.text, task.join, "lines") as rows:
            found = tuple(row.text for row in rows)
    texts = tuple(text for text in found if text.strip())
    if not texts:
        raise DataError(f"{path}: holds no text but blanks; --data names a file of texts")
    return texts
