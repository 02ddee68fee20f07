"""Data: files, hub datasets and the built-in corpus -> Splits; rows in and results out, streamed, for predict."""

from compress.data.digests import source_key, split_digests
from compress.data.load import load_splits, read_labelled
from compress.data.results import ResultWriter, open_results
from compress.data.stream import Row, Rows, open_rows
from compress.data.types import Splits

__all__ = [
    "ResultWriter",
    "Row",
    "Rows",
    "Splits",
    "load_splits",
    "open_results",
    "open_rows",
    "read_labelled",
    "source_key",
    "split_digests",
]
