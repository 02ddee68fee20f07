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
_SIMPLE = ("string", "large_string", "int", "uint", "float", "bool")  # how the types of one text or number begin


def read_hub(source: HubSource, wanted: Iterable[str], *, names: bool = True) -> Table:
    """The wanted columns of one split. names: class numbers become the names the dataset gives them.

    DataError if neither the hub nor a copy in the cache can be read, or a column is missing.
    """
    place = f"hub dataset {source.hub}, split {source.split}"
    columns = tuple(dict.fromkeys(wanted))
    rows = _loaded(place, source.hub, source.config, source.split, source.revision)
    check_columns(columns, rows.column_names, place)
    return from_columns(place, {column: _values(rows, column, names=names) for column in columns})


def hub_splits(name: str, config: str | None) -> dict[str, dict[str, tuple[str, ...]]]:
    """Every split of a dataset: its columns by name, without those that hold lists or the like. Reads all of it.

    DataError as for read_hub.
    """
    place = f"hub dataset {name}"
    found = _loaded(place, name, config)
    return {split: _readable(found[split], f"{place}, split {split}") for split in found}


def _readable(rows: Any, place: str) -> dict[str, tuple[str, ...]]:
    types = {column: str(getattr(rows.features[column], "dtype", "")) for column in rows.column_names}
    simple = [column for column, kind in types.items() if kind.startswith(_SIMPLE)]
    return dict(from_columns(place, {column: _values(rows, column, names=True) for column in simple}).columns)


def _values(rows: Any, column: str, *, names: bool) -> list[object]:
    feature = rows.features[column]
    values: list[object] = rows[column][:]
    if names and hasattr(feature, "int2str"):
        return [None if value in (None, -1) else feature.int2str(value) for value in values]
    return values


def _loaded(place: str, name: str, config: str | None, split: str | None = None, revision: str | None = None) -> Any:
    """One split, or a mapping of all of them."""
    import datasets

    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # nobody is told what is read here
    offline = not Path(name).is_dir() and not reachable()
    try:
        with _offline(enabled=offline):
            return datasets.load_dataset(name, config, split=split, revision=revision)
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
