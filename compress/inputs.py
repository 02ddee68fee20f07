"""What a stage reads and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compress.artifact import Artifact, Format, Precision, read_json, write_json
from compress.data import Splits, load_splits, source_key, split_digests
from compress.errors import DataError
from compress.recipe.data import Task
from compress.recipe.long_text import TRUNCATE, LongText
from compress.recipe.recipe import Recipe
from compress.recipe.thresholds import Thresholds
from compress.scaling import Scaling


@dataclass(frozen=True)
class Teacher:
    """A model that another learns from. weight: of its logits among those of all teachers; they sum to 1."""

    artifact: Artifact
    weight: float = 1.0


@dataclass(frozen=True)
class Inputs:
    """parent: the artifact a stage starts from. teachers: those it learns from. splits: reads the data when called.

    layers: the artifact whose layers a student begins as. thresholds: how decisions are fitted.
    """

    task: Task
    parent: Artifact | None
    teachers: tuple[Teacher, ...]
    splits: Callable[[], Splits]
    thresholds: Thresholds = "max_f1"
    layers: Artifact | None = None

    @property
    def teacher(self) -> Artifact | None:
        """The first of the teachers."""
        return self.teachers[0].artifact if self.teachers else None

    def followed(self) -> Artifact:
        """The parent, of a stage that must have one."""
        if self.parent is None:
            raise ValueError("this stage follows another, and was given none")
        return self.parent

    def scaling(self) -> Scaling | None:
        """Of a regression, the scale of what a stage trains: its parent's, else that of train. None of a classifier."""
        if self.task.type != "regression":
            return None
        return self.parent.scaling() if self.parent is not None else Scaling.of(self.splits().train.targets)


@dataclass(frozen=True)
class Made:
    """What a stage says of the files it wrote; the pipeline makes the manifest of it. notes go into the report.

    marks: what it was asked to keep to and did not; they go there too, before the notes.
    """

    format: Format
    max_tokens: int | None
    precision: Precision = "fp32"
    notes: tuple[str, ...] = ()
    long_text: LongText = TRUNCATE
    marks: tuple[str, ...] = ()


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
        """The rows themselves. Raises DataError, also if they are no longer those that the kept digests are of."""
        known = self._known()
        recipe = self.recipe
        splits = load_splits(recipe.data, recipe.task, recipe.seed, recipe.evaluate.slices)
        if known is not None and known.digests != split_digests(splits):
            if self.keep:
                self._file.unlink(missing_ok=True)
            raise _changed("since they were first read: a hub dataset that is not pinned by a revision, or a file")
        return splits

    @cached_property
    def facts(self) -> DataFacts:
        """Digests and notes, from the cache where the source files are unchanged. Raises DataError."""
        known = self._known()
        if known is not None:
            return known
        splits = self.splits
        if self._source_key() != self._key:
            raise _changed("while they were read: something writes to a file")
        facts = DataFacts(split_digests(splits), sum(map(len, splits.train.texts)), splits.notes)
        if self.keep:
            write_json(
                self._file, {"digests": facts.digests, "train_characters": facts.train_characters, "notes": facts.notes}
            )
        return facts

    def _known(self) -> DataFacts | None:
        match read_json(self._file):
            case {"digests": dict() as digests, "train_characters": int() as characters, "notes": list() as notes}:
                return DataFacts(digests, characters, tuple(notes))
            case _:
                return None

    @cached_property
    def _key(self) -> str:
        """Of the source files as they were before they were read."""
        return self._source_key()

    def _source_key(self) -> str:
        recipe = self.recipe
        return source_key(recipe.data, recipe.task, recipe.seed, recipe.evaluate.slices)

    @property
    def _file(self) -> Path:
        return self.cache_dir / f"data-{self._key[:32]}.json"


def _changed(how: str) -> DataError:
    return DataError(
        f"data: the rows changed {how}. Nothing was made of the new ones; run the same command again to take them in."
    )
