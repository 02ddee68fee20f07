"""Data: files, hub datasets and the built-in corpus -> Splits; rows in and results out, streamed, for predict."""

from compress.data.digests import labelled_digest, source_key, split_digests
from compress.data.labels import threshold_positives, undefined_averages
from compress.data.load import load_splits, read_labelled, read_labelled_with_notes
from compress.data.results import ResultWriter, open_results, result_kinds
from compress.data.stream import Row, Rows, open_rows
from compress.data.texts import read_texts
from compress.data.types import LabelledFile, Splits

__all__ = [
    "LabelledFile",
    "ResultWriter",
    "Row",
    "Rows",
    "Splits",
    "labelled_digest",
    "load_splits",
    "open_results",
    "open_rows",
    "read_labelled",
    "read_labelled_with_notes",
    "read_texts",
    "result_kinds",
    "source_key",
    "split_digests",
    "threshold_positives",
    "undefined_averages",
]
