"""Measurements on disk, named by all that they depend on."""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from compress.artifact import read_json, sha256_text, write_json, write_whole
from compress.recipe.recipe import Evaluate
from eval.contract import Floats
from eval.errors import InvalidInputError
from eval.plain import dump, read

# raised when a measurement's meaning changes
VERSION = 4
_T = TypeVar("_T")


@dataclass(frozen=True)
class Store:
    """The folder they lie in, and what all of them depend on. taken: kinds of those that were not there yet."""

    folder: Path
    config: Evaluate
    seed: int
    taken: set[str] = field(default_factory=set)

    def once(self, kind: str, parts: Sequence[Any], compute: Callable[[], _T], of: type[_T]) -> _T:
        """The measurement kept for these parts, a dataclass; one that is missing or damaged is taken again."""
        file = self._file(kind, parts, "json")
        kept = read_json(file)
        if kept is not None:
            with suppress(InvalidInputError):  # JSON, but not what was written there
                return read(of, kept)
        computed = compute()
        self.taken.add(kind)
        write_json(file, dump(computed))
        return computed

    def array_once(self, kind: str, parts: Sequence[Any], compute: Callable[[], Floats]) -> Floats:
        """The same for an array."""
        file = self._file(kind, parts, "npy")
        with suppress(FileNotFoundError, ValueError, EOFError):  # missing or damaged
            kept: Floats = np.load(file, allow_pickle=False)
            return kept
        computed = compute()
        self.taken.add(kind)
        written = io.BytesIO()
        np.save(written, computed, allow_pickle=False)
        write_whole(file, written.getvalue())
        return computed

    def _file(self, kind: str, parts: Sequence[Any], suffix: str) -> Path:
        key = sha256_text(json.dumps([VERSION, kind, self.seed, *parts], sort_keys=True))
        return self.folder / f"{kind}-{key[:32]}.{suffix}"
