"""Which files, hub datasets and generated rows the `data` section means, before any is read."""

from dataclasses import dataclass
from pathlib import Path

from compress.data.tables import SUFFIXES, columns_of, kind_of
from compress.errors import DataError
from compress.recipe.data import BuiltinSource, Data, HubSource, Source


@dataclass(frozen=True)
class FileSource:
    """A data file. labels_path: where the labels are if it has no columns for them (Kaggle's test_labels), by id."""

    path: Path
    labels_path: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return (self.path,) if self.labels_path is None else (self.path, self.labels_path)


@dataclass(frozen=True)
class Unscored:
    """The rows of a Kaggle test file that carry -1: their texts serve as unlabeled rows."""

    file: FileSource


Origin = FileSource | Unscored | HubSource | BuiltinSource


@dataclass(frozen=True)
class Layout:
    """Where each split comes from. validation, tests: empty where they are split off train. tests: headline first."""

    train: tuple[Origin, ...]
    validation: tuple[Origin, ...]
    unlabeled: tuple[Origin, ...]
    tests: dict[str, tuple[Origin, ...]]

    def roles(self) -> tuple[tuple[str, tuple[Origin, ...]], ...]:
        """Every split with its name: train, validation, unlabeled, test:NAME."""
        tests = tuple((f"test:{name}", origins) for name, origins in self.tests.items())
        return ("train", self.train), ("validation", self.validation), ("unlabeled", self.unlabeled), *tests


def layout_of(data: Data, labels: tuple[str, ...]) -> Layout:
    """What `data` means on this machine; labels: the columns that hold them, which tell a file that needs another's.

    DataError if the folder or a file in it is not there.
    """
    found = _default(data, labels)
    base = Path(data.dir).expanduser() if data.dir else Path()
    train = _origins(data.train, base, labels) or found.train
    validation = _origins(data.validation, base, labels) or found.validation
    unlabeled = _origins(data.unlabeled, base, ()) or found.unlabeled
    if data.test is None:
        return Layout(train, validation, unlabeled, found.tests)
    tests = {name: _origins(asked, base, labels) for name, asked in data.test.items()}
    return Layout(train, validation, unlabeled, tests)


def _default(data: Data, labels: tuple[str, ...]) -> Layout:
    """What is read where no key says otherwise."""
    if data.builtin is not None:
        return Layout(
            train=(BuiltinSource(builtin=data.builtin, split="train"),),
            validation=(BuiltinSource(builtin=data.builtin, split="validation"),),
            unlabeled=(BuiltinSource(builtin=data.builtin, split="unlabeled"),),
            tests={"test": (BuiltinSource(builtin=data.builtin, split="test"),)},
        )
    return Layout((), (), (), {}) if data.dir is None else _folder(Path(data.dir).expanduser(), data, labels)


def _folder(folder: Path, data: Data, labels: tuple[str, ...]) -> Layout:
    if not folder.is_dir():
        raise DataError(
            f"data.dir: no folder {str(folder)!r} (looked from {Path.cwd()}); name the one with train and test files: "
            "--set data.dir=DIR"
        )
    train = _required(folder, "train", labels, asked=data.train)
    test = _required(folder, "test", labels, asked=data.test) if data.test_share is None else ()
    validation = _present(folder, ("validation", "validation_rare"), labels)
    unlabeled: tuple[Origin, ...] = _present(folder, ("unlabeled",), ())
    kaggle = tuple(source for source in test if source.labels_path is not None)
    if data.test is None and not unlabeled:
        unlabeled = tuple(Unscored(source) for source in kaggle)
    if data.test_share is not None:
        return Layout(train, validation, unlabeled, {})
    rare = _present(folder, ("test_rare",), labels)
    tests: dict[str, tuple[Origin, ...]] = {"test_plus_rare": (*test, *rare), "test": test} if rare else {"test": test}
    return Layout(train, validation, unlabeled, tests)


def _required(folder: Path, name: str, labels: tuple[str, ...], *, asked: object) -> tuple[FileSource, ...]:
    """The folder's file of this name; it may be missing only where the recipe names another one."""
    found = _present(folder, (name,), labels)
    if not found and asked is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
        instead = ", or take test rows from train: data.test_share" if name == "test" else ""
        raise DataError(
            f"data.dir: no {name}.csv in {folder}, which holds {there}; put it there or set data.{name}{instead}"
        )
    return found


def _present(folder: Path, names: tuple[str, ...], labels: tuple[str, ...]) -> tuple[FileSource, ...]:
    paths = (_beside(folder, name) for name in names)
    return tuple(_with_labels(path, labels) for path in paths if path is not None)


def _beside(folder: Path, name: str) -> Path | None:
    """The file of this name in the folder, in the first format there is; unpacked before packed."""
    candidates = (folder / f"{name}{suffix}{packed}" for packed in ("", ".zip") for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _with_labels(path: Path, labels: tuple[str, ...]) -> FileSource:
    """The file, with the NAME_labels file beside it if it lacks a label column itself."""
    stem = path.name.split(".")[0]
    beside = _beside(path.parent, f"{stem}_labels")
    if beside is None or set(labels).issubset(columns_of(path)):
        return FileSource(path)
    return FileSource(path, beside)


def _origins(sources: tuple[Source, ...] | None, base: Path, labels: tuple[str, ...]) -> tuple[Origin, ...]:
    return tuple(
        file_source(base / Path(source).expanduser(), labels) if isinstance(source, str) else source
        for source in sources or ()
    )


def file_source(path: Path, labels: tuple[str, ...]) -> FileSource:
    """The file as named, or packed as Kaggle gives it (train.csv.zip). labels: as for layout_of.

    DataError if there is neither.
    """
    kind_of(path)
    for candidate in (path, path.with_name(path.name + ".zip")):
        if candidate.is_file():
            return _with_labels(candidate, labels)
    raise DataError(f"data: no file {str(path)!r} (looked from {Path.cwd()}); names are relative to data.dir if given")
