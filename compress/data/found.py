"""What `init` is pointed at: a file, a folder of them or a hub dataset -> the rows to guess from, and the other parts.

By name a file is train (training), validation (valid, val, dev), test or unlabeled (unlabelled, unsupervised); beside a
file called reviews-train.csv these are reviews-validation.csv and so on, beside reviews.csv reviews-test.csv.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.data.guess import Guess, Sheet
from compress.data.layout import file_source
from compress.data.tables import SUFFIXES, columns_of, kind_of, read_cells, read_table, simple_columns
from compress.errors import DataError
from compress.recipe.data import Data, HubSource, Source

Role = Literal["train", "validation", "test", "unlabeled"]

TEST_SHARE = 0.1
_WORDS: Mapping[Role, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
    "unlabeled": ("unlabeled", "unlabelled", "unsupervised"),
}
_LABEL_NAMES = ("labels.txt", "classes.txt", "label_names.txt", "emotions.txt")
_NAME_CHARACTERS = 60
_SHOWN = 12  # file names in a message


@dataclass(frozen=True)
class Part:
    """One part of the data. source: as the recipe names it. size: bytes of a file, rows of a hub split.

    path: of a file. columns: of a hub split, those with a value somewhere.
    """

    source: Source
    size: int
    path: Path | None = None
    columns: tuple[str, ...] = ()

    def has(self, text: tuple[str, ...], labels: tuple[str, ...]) -> bool:
        """Whether the text is there, and the labels too or in a NAME_labels file beside it. DataError if unreadable."""
        there = set(self.columns if self.path is None else columns_of(self.path))
        apart = self.path is not None and file_source(self.path, labels).labels_path is not None
        return set(text) <= there and (apart or set(labels) <= there)


@dataclass(frozen=True)
class Found:
    """What is there. name: for the recipe. folder: set where it was named as a whole. sheet: the cells of train.

    label_names: of a file beside train, empty if there is none.
    """

    name: str
    folder: Path | None
    parts: Mapping[Role, Part]
    sheet: Sheet
    label_names: tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """The `data` section. why: key of it -> what a reader should know; `data` itself for all of it."""

    data: Data
    why: Mapping[str, str]
    parts: Mapping[Role, Part]


def find_data(given: str, config: str | None = None) -> Found:
    """Looks at a file, a folder or a hub dataset and reads its train rows. DataError where there is nothing to read."""
    path = Path(given).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        kind_of(path)
        return _of_files(path, None, _beside_file(path))
    if given.startswith((".", "/", "~")) or given.count("/") > 1 or given.lower().endswith((*SUFFIXES, ".zip")):
        raise DataError(f"{given}: no such file or folder (looked from {Path.cwd()})")
    return _on_hub(given, config)


def stem_of(name: str) -> str:
    """A data file's name without .csv, .csv.zip and the like."""
    for suffix in SUFFIXES:
        name = re.sub(rf"{re.escape(suffix)}(\.zip)?$", "", name, flags=re.IGNORECASE)
    return name


def companions(stem: str, there: Mapping[str, str]) -> dict[Role, str]:
    """role -> the file that belongs to the train file of this stem. there: stem -> name of the files beside it."""
    lower = {other.lower(): name for other, name in there.items()}
    word = re.search(r"(?i)(?<![a-z])train(ing)?(?![a-z])", stem)
    found: dict[Role, str] = {}
    for role in ("validation", "test", "unlabeled"):
        for other in _WORDS[role]:
            marks = (f"{stem}-{other}", f"{stem}_{other}", f"{stem}.{other}")
            names = (stem[: word.start()] + other + stem[word.end() :],) if word else marks
            hit = next((lower[name.lower()] for name in names if name.lower() in lower), None)
            if hit is not None:
                found.setdefault(role, hit)
    return found


# ---------------------------------------------------------------------------------------------------- files


def _data_files(folder: Path) -> dict[str, str]:
    """stem -> name of the folder's data files, unpacked before packed."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    data = [name for name in names if stem_of(name) != name and not name.startswith(".")]

    def rank(name: str) -> tuple[bool, int]:
        return name.lower().endswith(".zip"), SUFFIXES.index(kind_of(Path(name)))

    return {stem_of(name): name for name in sorted(data, key=rank, reverse=True)}


def _beside_file(path: Path) -> dict[Role, Path]:
    beside = companions(stem_of(path.name), _data_files(path.parent))
    return {"train": path, **{role: path.parent / name for role, name in beside.items()}}


def _in_folder(folder: Path) -> Found:
    there = _data_files(folder)
    lower = {stem.lower(): name for stem, name in there.items()}
    files: dict[Role, Path] = {}
    for role, words in _WORDS.items():
        names = [lower[word] for word in words if word in lower]
        if names:
            files[role] = folder / names[0]
    if "train" not in files and len(there) == 1:
        files = {"train": folder / next(iter(there.values()))}
    if "train" not in files:
        shown = ", ".join(sorted(there.values())[:_SHOWN]) or "no data file"
        raise DataError(f"{folder}: no train file in it ({shown}); name the file with the train rows itself")
    return _of_files(files["train"], folder, files)


def _of_files(path: Path, folder: Path | None, files: Mapping[Role, Path]) -> Found:
    parts = {role: Part(str(file), file.stat().st_size, file) for role, file in files.items()}
    stem = stem_of(path.name)
    generic = stem.lower() in _WORDS["train"]
    name = path.absolute().parent.name if generic or folder is not None else stem
    return Found(plain(name), folder, parts, read_sheet(path), _label_names(path.parent))


def read_sheet(path: Path) -> Sheet:
    """Every cell of a file. DataError as for read_table."""
    if kind_of(path) in (".csv", ".tsv"):
        return Sheet(str(path), None, read_cells(path))
    names = simple_columns(path)
    table = read_table(path, (), names) if kind_of(path) == ".jsonl" else read_table(path, names)
    return Sheet(str(path), names, tuple(table.columns[name] for name in names))


def _label_names(folder: Path) -> tuple[str, ...]:
    """The lines of labels.txt or the like in the folder; empty without one, or where a name is there twice."""
    file = next((folder / name for name in _LABEL_NAMES if (folder / name).is_file()), None)
    if file is None:
        return ()
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    names = tuple(name for name in names if name)
    return names if len(set(names)) == len(names) else ()


def plain(name: str) -> str:
    """A recipe's name made of any other: letters, digits, `_`, `.` and `-`, and it begins with a letter or digit."""
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("_.-")[:_NAME_CHARACTERS]
    return kept or "recipe"


# ---------------------------------------------------------------------------------------------------- hub


def _on_hub(name: str, config: str | None) -> Found:
    from compress.data.hub import hub_splits

    splits = hub_splits(name, config)
    named = {role: next((word for word in words if word in splits), None) for role, words in _WORDS.items()}
    if named["train"] is None:
        raise DataError(f"hub dataset {name}: no split called train ({', '.join(splits) or 'none'})")
    parts = {
        role: _split_part(name, config, split, splits[split]) for role, split in named.items() if split is not None
    }
    train = splits[named["train"]]
    sheet = Sheet(f"hub dataset {name}", tuple(train), tuple(train.values()))
    return Found(plain(name.split("/")[-1]), None, parts, sheet, ())


def _split_part(name: str, config: str | None, split: str, columns: Mapping[str, tuple[str, ...]]) -> Part:
    filled = tuple(column for column, cells in columns.items() if any(cells))
    rows = max(map(len, columns.values()), default=0)
    return Part(HubSource(hub=name, config=config, split=split), rows, columns=filled)


# ---------------------------------------------------------------------------------------------------- the section


def place_data(found: Found, guessed: Guess) -> Placed:
    """The `data` section for a task. A part without the task's columns is not used, or serves as unlabeled rows.

    DataError if a file beside train cannot be read.
    """
    text, labels = guessed.text, guessed.labels.columns
    headed = guessed.columns is None  # without a header there is nothing to see in the other files
    whole = {
        role: not headed or part.has(text, () if role == "unlabeled" else labels) for role, part in found.parts.items()
    }
    parts = {role: part for role, part in found.parts.items() if whole[role]}
    why: dict[str, str] = {}
    test = found.parts.get("test")
    if test is not None and "test" not in parts:
        why["test_share"] = "the test file has no labels: this share of train is set aside, by seed"
        if "unlabeled" not in parts and test.has(text, ()):
            parts["unlabeled"] = test
            why["unlabeled"] = "the test file, which has no labels"
    elif test is None:
        why["test_share"] = "no test file: this share of train is set aside, by seed; or name one as test: FILE"
    if "validation" not in parts:
        why["validation_share"] = "no validation file: this share of the other train rows, for thresholds"
    why.setdefault("unlabeled", "texts alone: the student learns from the teacher on them too")
    if found.folder is not None:
        why["dir"] = f"it holds {', '.join(sorted(part.path.name for part in parts.values() if part.path))}"
    why["drop_overlap"] = "train rows whose text is in a test set too are left out"
    return Placed(_section(found, parts), why, parts)


def _section(found: Found, parts: Mapping[Role, Part]) -> Data:
    share = None if "test" in parts else TEST_SHARE
    if found.folder is not None and share is None and len(parts) == len(found.parts):
        odd = {role: part.path.name for role, part in parts.items() if part.path and stem_of(part.path.name) != role}
        return Data.model_validate({"dir": str(found.folder), "drop_overlap": True, **odd})
    sources = {role: part.source for role, part in parts.items()}
    return Data.model_validate({**sources, "test_share": share, "drop_overlap": True})
