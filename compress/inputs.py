"""What a stage reads and what it hands back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from compress.artifact import Artifact, Format, write_json
from compress.data import Splits, load_splits, source_key, split_digests
from compress.recipe.data import Task
from compress.recipe.recipe import Recipe


@dataclass(frozen=True)
class Inputs:
    """parent: the artifact a stage starts from. teacher: the one it learns from. splits: reads the data when called."""

    task: Task
    parent: Artifact | None
    teacher: Artifact | None
    splits: Callable[[], Splits]

    def followed(self) -> Artifact:
        """The parent, of a stage that must have one."""
        if self.parent is None:
            raise ValueError("this stage follows another, and was given none")
        return self.parent


@dataclass(frozen=True)
class Made:
    """What a stage says of the files it wrote; the pipeline makes the manifest of it. notes go into the report."""

    format: Format
    max_tokens: int | None
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataFacts:
    """What is known of the splits without reading them again. digests: split -> sha256; tests: `test:NAME`."""

    digests: dict[str, str]
    train_characters: int
    notes: tuple[str, ...]


class RecipeData:
    """A recipe's rows, read once and only if needed; their digests are kept by the bytes of the source files.

    keep: whether to write the digests down; `plan` touches nothing.
    """

    def __init__(self, recipe: Recipe, cache_dir: Path, keep: bool = True) -> None:
        self.recipe, self.cache_dir, self.keep = recipe, cache_dir, keep

    @cached_property
    def splits(self) -> Splits:
        """The rows themselves. Raises DataError."""
        return load_splits(self.recipe.data, self.recipe.task, self.recipe.seed)

    @cached_property
    def facts(self) -> DataFacts:
        """Digests and notes, from the cache where the source files are unchanged. Raises DataError."""
        key = source_key(self.recipe.data, self.recipe.task, self.recipe.seed)
        file = self.cache_dir / f"data-{key[:32]}.json"
        if file.exists():
            known = json.loads(file.read_text(encoding="utf-8"))
            return DataFacts(known["digests"], known["train_characters"], tuple(known["notes"]))
        splits = self.splits
        facts = DataFacts(split_digests(splits), sum(map(len, splits.train.texts)), splits.notes)
        if self.keep:
            write_json(
                file, {"digests": facts.digests, "train_characters": facts.train_characters, "notes": facts.notes}
            )
        return facts
