"""Digests that tell a cached run whether its data are the same: of the files before reading, of the rows after."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compress.data import synthetic
from compress.data.labels import named_columns
from compress.data.layout import FileSource, Origin, Unscored, layout_of
from compress.data.types import Splits
from compress.errors import DataError
from compress.recipe.data import BuiltinSource, Data, HubSource, Task
from eval.contract import LabelledTexts

FORMAT_VERSION = 2  # of what loading makes of the same files: raise it when a reading rule changes


def source_key(data: Data, task: Task, seed: int, slices: tuple[str, ...] = ()) -> str:
    """sha256 (hex) over everything that load_splits depends on: the choices and the bytes of each file.

    No row is parsed, so it takes as long as reading the files. Where the files lie does not count. A hub dataset
    counts by its name and revision. DataError if a file is missing.
    """
    layout = layout_of(data, named_columns(task))
    seen: dict[Path, str] = {}
    choices = {
        "format": FORMAT_VERSION,
        "task": task.model_dump(mode="json", exclude_defaults=True),
        "seed": seed,
        "validation_share": data.validation_share,
        "drop_overlap": data.drop_overlap,
        **({} if data.test_share is None else {"test_share": data.test_share}),
        **({"slices": slices} if slices else {}),
        "sources": [[role, [_fingerprint(origin, seen) for origin in origins]] for role, origins in layout.roles()],
    }
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()


def _fingerprint(origin: Origin, seen: dict[Path, str]) -> list[Any]:
    match origin:
        case FileSource():
            return ["file", *([*path.suffixes, _file_digest(path, seen)] for path in origin.paths)]
        case Unscored():
            return ["unscored", *_fingerprint(origin.file, seen)]
        case HubSource():
            return ["hub", origin.model_dump(mode="json")]
        case BuiltinSource():
            return ["builtin", origin.model_dump(mode="json"), synthetic.VERSION]


def _file_digest(path: Path, seen: dict[Path, str]) -> str:
    if path not in seen:
        try:
            with path.open("rb") as file:
                seen[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return seen[path]


def split_digests(splits: Splits) -> dict[str, str]:
    """sha256 (hex) of each split's texts, targets and label names: train, validation, unlabeled, test:NAME.

    A test set's further columns are apart, as columns:NAME: no model's answers depend on them.
    """
    return {
        "train": labelled_digest(splits.train),
        "validation": labelled_digest(splits.validation),
        "unlabeled": _texts_digest(splits.unlabeled).hexdigest(),
        **{f"test:{name}": labelled_digest(rows) for name, rows in splits.tests.items()},
        **{f"columns:{name}": columns_digest(rows) for name, rows in splits.tests.items() if rows.columns},
    }


def _texts_digest(texts: Iterable[str]) -> "hashlib._Hash":
    """Each text goes in with its length, so that no two lists of texts look the same."""
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest


def columns_digest(rows: LabelledTexts) -> str:
    """sha256 (hex) of the further columns, in their order."""
    digest = hashlib.sha256()
    for name, cells in rows.columns.items():
        digest.update(_texts_digest((name, *cells)).digest())
    return digest.hexdigest()


def labelled_digest(rows: LabelledTexts) -> str:
    """sha256 (hex) of the texts, the targets and the label names, in their order."""
    digest = _texts_digest(rows.texts)
    digest.update(json.dumps(rows.labels).encode())
    targets = rows.targets if rows.is_regression else rows.targets.astype("int8")
    digest.update(targets.tobytes())
    return digest.hexdigest()
