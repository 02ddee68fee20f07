"""The `data` section -> Splits: reads what the layout names, joins labels, splits validation off, notes oddities."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.data import synthetic
from compress.data.labels import (
    check_learnable,
    columns_of_rows,
    joined,
    labelled,
    named_columns,
    subset,
    targets_of,
    texts_of,
    unchosen_thresholds,
    undefined_averages,
)
from compress.data.layout import FileSource, Layout, Origin, Unscored, file_source, layout_of
from compress.data.overlap import without_overlap
from compress.data.stratify import held_out
from compress.data.tables import Table, read_sliced, read_table
from compress.data.types import LabelledFile, Splits
from compress.errors import DataError, did_you_mean
from compress.recipe.data import BuiltinSource, Data, HubSource, Task
from eval.contract import LabelledTexts


def load_splits(data: Data, task: Task, seed: int, slices: tuple[str, ...] = ()) -> Splits:
    """Every row that the recipe asks for, checked. slices: columns that are read of the test sets as well.

    DataError names the file, the line and the next step where something is missing or is not what the recipe says.
    """
    layout = layout_of(data, named_columns(task))
    judged = {f"test:{name}" for name in layout.tests} or {"train"}  # test_share takes test rows from train
    read = {
        role: _labelled_rows(origins, task, seed, slices if role in judged else ())
        for role, origins in layout.roles()
        if origins and role != "unlabeled"
    }
    unlabeled = _unlabeled(layout, data, task, seed)
    train, validation, tests, notes = _shared_out(read, layout, data, seed)
    notes = (*notes, *(note for part in read.values() for note in part.notes), *_origin_notes(layout.roles()))
    splits = Splits(train, validation, unlabeled, tests, tuple(dict.fromkeys(notes)))
    undecided = (*undefined_averages(splits.tests), *unchosen_thresholds(splits.validation, task))
    splits = replace(splits, notes=(*splits.notes, *_empty_texts(splits), *undecided))
    splits = without_overlap(splits, drop=data.drop_overlap)
    check_learnable(splits.train)
    return splits


def read_labelled(path: Path, task: Task) -> LabelledTexts:
    """The rows of one file with their labels. DataError as for load_splits."""
    return _file_rows(file_source(path, named_columns(task)), task).rows


def read_labelled_with_notes(path: Path, task: Task, slices: tuple[str, ...] = ()) -> LabelledFile:
    """As read_labelled, and what a reader of the figures should know, e.g. how many rows marked -1 were dropped.

    The file stands alone: what is said of it speaks of no recipe. slices: columns that are read as well.
    """
    if not path.is_file() and not path.with_name(path.name + ".zip").is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}; --data names a file of labelled rows")
    return _file_rows(file_source(path, named_columns(task)), task, slices, recipe=False)


def _shared_out(
    read: dict[str, LabelledFile], layout: Layout, data: Data, seed: int
) -> tuple[LabelledTexts, LabelledTexts, dict[str, LabelledTexts], tuple[str, ...]]:
    """train, validation, tests, notes: what no file is there for is split off train, the test set first."""
    train, notes = read["train"].rows, []
    tests = {name: read[f"test:{name}"].rows for name in layout.tests}
    if data.test_share is not None:
        train, tests["test"], note = _split_off(train, data.test_share, "test", seed)
        notes += [note, *_unread_tests(data)]
    if "validation" in read:
        return train, read["validation"].rows, tests, tuple(notes)
    train, validation, note = _split_off(train, data.validation_share, "validation", seed)
    return train, validation, tests, (*notes, note)


def _unread_tests(data: Data) -> tuple[str, ...]:
    """A note where the folder has test files that test_share leaves unread."""
    found = sorted(Path(data.dir).expanduser().glob("test*")) if data.dir is not None else ()
    names = ", ".join(path.name for path in found if path.is_file())
    return (f"{names} in data.dir: not read, because test_share takes the test rows from train",) if names else ()


def _split_off(rows: LabelledTexts, share: float, name: str, seed: int) -> tuple[LabelledTexts, LabelledTexts, str]:
    """What stays, what goes, and a note. DataError where no row can go."""
    by_name = sorted(range(len(rows.labels)), key=rows.labels.__getitem__)  # in whatever order the recipe names them
    held = held_out(rows.targets[:, by_name], share, seed)
    if not held.any():
        raise DataError(
            f"data: {len(rows)} train rows are too few to split {share:.0%} off for {name}; name a {name} file in "
            f"data.{name}"
        )
    how = "at random" if rows.is_regression else "stratified by rarest label"
    note = f"{name} is {int(held.sum()):,} rows split off train by seed {seed}, {how}"
    return subset(rows, ~held), subset(rows, held), note


def _labelled_rows(origins: Sequence[Origin], task: Task, seed: int, slices: tuple[str, ...]) -> LabelledFile:
    parts = [_origin_rows(origin, task, seed, slices) for origin in origins]
    return LabelledFile(joined([part.rows for part in parts]), tuple(note for part in parts for note in part.notes))


def _origin_rows(origin: Origin, task: Task, seed: int, slices: tuple[str, ...]) -> LabelledFile:
    match origin:
        case FileSource():
            return _file_rows(origin, task, slices)
        case HubSource():
            wanted = (*task.text, *task.label_columns, *slices)
            return LabelledFile(labelled(_hub_table(origin, task, wanted), task, slices))
        case BuiltinSource():
            return LabelledFile(_builtin(origin, task, seed))
        case Unscored():
            raise DataError(f"{origin.file.path}: rows marked -1 have no labels; they can only be unlabeled rows")


def _hub_table(source: HubSource, task: Task, columns: tuple[str, ...]) -> Table:
    from compress.data.hub import read_hub

    return read_hub(source, columns, names=task.values is None)


def _builtin(source: BuiltinSource, task: Task, seed: int) -> LabelledTexts:
    if task.type != "multi_label":
        raise DataError("data: the built-in comments are multi_label; set task.type: multi_label")
    for label in task.labels:
        if label not in synthetic.LABELS:
            raise DataError(
                f"task.labels: the built-in comments have no label {label!r}; they have {', '.join(synthetic.LABELS)}"
                f"{did_you_mean(label, synthetic.LABELS)}"
            )
    texts, targets = synthetic.generate(source.split, seed)
    return LabelledTexts(texts, task.labels, targets[:, [synthetic.LABELS.index(label) for label in task.labels]])


def _unlabeled(layout: Layout, data: Data, task: Task, seed: int) -> tuple[str, ...]:
    """DataError with the key that the file was found by."""
    try:
        return tuple(text for origin in layout.unlabeled for text in _texts(origin, task, seed))
    except DataError as error:
        key = "data.unlabeled" if data.unlabeled else "data.dir"
        raise DataError(f"{key}: {error}. Without unlabeled texts students learn from train alone") from error


def _texts(origin: Origin, task: Task, seed: int) -> tuple[str, ...]:
    """The texts alone, for the transfer set."""
    match origin:
        case FileSource():
            return texts_of(read_table(origin.path, task.text, unheaded=task.columns or ()), task)
        case Unscored():
            rows, unscored = _joined_by_id(origin.file, task)
            return subset(rows, unscored).texts
        case HubSource():
            return texts_of(_hub_table(origin, task, task.text), task)
        case BuiltinSource():
            return synthetic.generate(origin.split, seed)[0]


def _file_rows(source: FileSource, task: Task, slices: tuple[str, ...] = (), *, recipe: bool = True) -> LabelledFile:
    """recipe: whether there is one, whose keys a message may name."""
    if source.labels_path is None:
        wanted = (*task.text, *task.label_columns)
        table = read_sliced(source.path, wanted, slices, unheaded=task.columns or (), recipe=recipe)
        return LabelledFile(labelled(table, task, slices))
    rows, unscored = _joined_by_id(source, task, slices, recipe=recipe)
    scored = subset(rows, ~unscored)
    if not len(scored):
        raise DataError(f"{source.labels_path}: every row is marked -1 (not scored); there is nothing to judge on")
    count = int(unscored.sum())
    note = (
        f"{count:,} rows of {source.path.name} are marked -1 (not scored) in {source.labels_path.name} and were dropped"
    )
    return LabelledFile(scored, (note,) if count else ())


def _joined_by_id(
    source: FileSource, task: Task, slices: tuple[str, ...] = (), *, recipe: bool = True
) -> tuple[LabelledTexts, NDArray[np.bool_]]:
    """Texts of one file with the labels of the other, in the order of the texts; and (N,) which rows carry -1."""
    if source.labels_path is None:
        raise DataError(f"{source.path}: has no labels file beside it")
    if task.type == "regression":  # -1 is a number like any other there, and no mark
        raise DataError(
            f"{source.path}: has no column {task.labels[0]!r}; a regression reads its targets from the file with the "
            f"texts, and not from {source.labels_path.name}"
        )
    texts = read_sliced(source.path, ("id", *task.text), slices, recipe=recipe)
    labels = read_table(source.labels_path, ("id", *task.label_columns))
    where = _positions(labels)
    _positions(texts)
    for row, name in enumerate(texts.columns["id"]):
        if name not in where:
            raise DataError(
                f"{texts.place(row)}: id {name!r} is not in {labels.name}; both files must hold the same ids"
            )
    targets = targets_of(labels, task, unscored=True)[[where[name] for name in texts.columns["id"]]]
    unscored: NDArray[np.bool_] = np.min(targets, axis=1) < 0
    known = np.maximum(targets, 0)  # of rows that nobody was scored on nobody reads it
    return LabelledTexts(texts_of(texts, task), task.labels, known, columns_of_rows(texts, slices)), unscored


def _positions(table: Table) -> dict[str, int]:
    """id -> row number from 0. DataError if one occurs twice."""
    where: dict[str, int] = {}
    for row, name in enumerate(table.columns["id"]):
        if name in where:
            raise DataError(f"{table.place(row)}: id {name!r} occurs twice, first in {table.place(where[name])}")
        where[name] = row
    return where


def _origin_notes(roles: Sequence[tuple[str, tuple[Origin, ...]]]) -> tuple[str, ...]:
    """What the kind of a source means for who reads the figures."""
    notes = []
    for role, origin in ((role, origin) for role, origins in roles for origin in origins):
        match origin:
            case BuiltinSource():
                notes.append("synthetic data: generated comments, not real text; figures compare models, nothing more")
            case HubSource(revision=None):
                notes.append(f"hub dataset {origin.hub} is not pinned (revision); a cached run does not see it change")
            case Unscored():
                notes.append(f"{role}: texts of the rows marked -1 in {origin.file.path.name} serve as transfer set")
            case _:
                pass
    return tuple(notes)


def _empty_texts(splits: Splits) -> tuple[str, ...]:
    sets = {
        "train": splits.train.texts,
        "validation": splits.validation.texts,
        "unlabeled": splits.unlabeled,
        **{f"test set {name}": rows.texts for name, rows in splits.tests.items()},
    }
    counts = {name: sum(not text.strip() for text in texts) for name, texts in sets.items()}
    return tuple(f"{count:,} empty or missing texts in {name} (kept)" for name, count in counts.items() if count)
