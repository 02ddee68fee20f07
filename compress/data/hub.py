"""Datasets of the Hugging Face hub, through `datasets`; without a network a clear error at once, not after a wait."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from compress.data.rows import check_columns
from compress.data.tables import Table, from_columns
from compress.errors import DataError
from compress.recipe.data import HubSource

PROBE_SECONDS = 5.0


def read_hub(source: HubSource, wanted: Iterable[str], *, names: bool = True) -> Table:
    """The wanted columns of one split. names: class numbers become the names the dataset gives them.

    DataError if neither the hub nor a copy in the cache can be read, or a column is missing.
    """
    place = f"hub dataset {source.hub}, split {source.split}"
    columns = tuple(dict.fromkeys(wanted))
    rows = _loaded(source, place)
    check_columns(columns, rows.column_names, place)
    return from_columns(place, {column: _values(rows, column, names=names) for column in columns})


def _values(rows: Any, column: str, *, names: bool) -> list[object]:
    feature = rows.features[column]
    values: list[object] = rows[column][:]
    if names and hasattr(feature, "int2str"):
        return [None if value in (None, -1) else feature.int2str(value) for value in values]
    return values


def _loaded(source: HubSource, place: str) -> Any:
    import datasets

    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # nobody is told what is read here
    offline = not Path(source.hub).is_dir() and not reachable()
    try:
        with _offline(enabled=offline):
            return datasets.load_dataset(source.hub, source.config, split=source.split, revision=source.revision)
    except Exception as error:  # datasets, the hub and its HTTP client each raise errors of their own
        remedy = (
            "the hub cannot be reached and the dataset is not in the cache; connect, or name a local file instead"
            if offline
            else "check the name, config, split and revision, and that the dataset is not gated"
        )
        raise DataError(f"{place}: {_first_line(error)}; {remedy}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def reachable() -> bool:
    """Whether the hub answers within a few seconds; no question is asked when HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    question = Request(constants.ENDPOINT, method="HEAD")  # noqa: S310 - the endpoint is the user's own setting
    try:
        with urlopen(question, timeout=PROBE_SECONDS):  # noqa: S310
            return True
    except HTTPError:
        return True  # an answer, though not a friendly one
    except OSError:
        return False


@contextmanager
def _offline(*, enabled: bool) -> Iterator[None]:
    """Both libraries as if HF_HUB_OFFLINE were set, which they read at import: else each retries for half a minute."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    bars = datasets.is_progress_bar_enabled()
    if enabled:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
        if bars:
            datasets.enable_progress_bars()
