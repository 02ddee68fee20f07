"""Sources -> Splits: what each layout reads, what is noted, and what the digests tell."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compress.data import load_splits, read_labelled, source_key, split_digests
from compress.data.overlap import normalised
from compress.data.stratify import held_out
from compress.errors import DataError
from compress.recipe.data import Data, Task

TASK = Task(type="multi_label", text=("comment_text",), labels=("rude", "threat"))
NEWS = Task(
    type="single_label", text=("title", "body"), join=" | ", labels=("World", "Sport"), label_column="class",
    values={"1": "World", "2": "Sport"},
)  # fmt: skip
HEADER = ("id", "comment_text", "rude", "threat")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def rows(prefix: str, count: int = 10) -> list[tuple[object, ...]]:
    """Every second row rude, every fifth a threat."""
    return [(f"{prefix}{i}", f"{prefix} text {i}", i % 2, int(i % 5 == 0)) for i in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train", "validation", "test"):
        write_csv(tmp_path / f"{name}.csv", HEADER, rows(name))
    return tmp_path


def test_a_folder_gives_every_split_in_the_order_of_its_files(folder: Path) -> None:
    write_csv(folder / "unlabeled.csv", ["comment_text"], [["a"], ["b"]])
    splits = load_splits(Data(dir=str(folder)), TASK, seed=1)
    assert splits.train.texts == tuple(f"train text {i}" for i in range(10))
    assert splits.train.labels == ("rude", "threat")
    assert splits.train.targets.dtype == np.int8
    assert splits.train.targets[:, 0].tolist() == [0, 1] * 5
    assert splits.validation.texts[0] == "validation text 0"
    assert splits.unlabeled == ("a", "b")
    assert list(splits.tests) == ["test"]
    assert splits.notes == ()


def test_rare_files_are_appended_and_the_headline_set_holds_them(folder: Path) -> None:
    write_csv(folder / "test_rare.csv", HEADER, rows("rare", 3))
    write_csv(folder / "validation_rare.csv", HEADER, rows("more", 2))
    splits = load_splits(Data(dir=str(folder)), TASK, seed=1)
    assert {name: len(part) for name, part in splits.tests.items()} == {"test_plus_rare": 13, "test": 10}
    assert list(splits.tests) == ["test_plus_rare", "test"]
    assert splits.validation.texts[-1] == "more text 1"


def test_keys_override_what_the_folder_holds_and_are_relative_to_it(folder: Path) -> None:
    write_csv(folder / "other.tsv", HEADER, rows("other", 4), delimiter="\t")
    data = Data.model_validate({"dir": str(folder), "train": ["train.csv", "other.tsv"], "test": {"b": "other.tsv"}})
    splits = load_splits(data, TASK, seed=1)
    assert len(splits.train) == 14
    assert splits.tests["b"].texts[0] == "other text 0"
    assert len(splits.validation) == 10


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    write_csv(tmp_path / "train.csv", HEADER, rows("train", 100))
    write_csv(tmp_path / "test.csv", HEADER[:2], [("a", "one"), ("b", "two"), ("c", "three")])
    write_csv(tmp_path / "test_labels.csv", ("id", "rude", "threat"), [("c", 1, 0), ("a", 0, 1), ("b", -1, -1)])
    return tmp_path


def test_kaggle_labels_are_joined_by_id_and_unscored_rows_become_the_transfer_set(kaggle: Path) -> None:
    splits = load_splits(Data(dir=str(kaggle)), TASK, seed=1)
    assert splits.tests["test"].texts == ("one", "three")
    assert splits.tests["test"].targets.tolist() == [[0, 1], [1, 0]]
    assert splits.unlabeled == ("two",)
    assert any("1 rows of test.csv are marked -1" in note for note in splits.notes)
    assert any("transfer set" in note for note in splits.notes)


def test_kaggle_validation_is_split_off_train_stratified_and_by_seed(kaggle: Path) -> None:
    splits = load_splits(Data(dir=str(kaggle)), TASK, seed=1)
    assert (len(splits.train), len(splits.validation)) == (90, 10)
    assert splits.validation.targets[:, 1].sum() == 2  # a tenth of the 20 threats
    assert set(splits.train.texts) | set(splits.validation.texts) == {f"train text {i}" for i in range(100)}
    again = load_splits(Data(dir=str(kaggle)), TASK, seed=1)
    other = load_splits(Data(dir=str(kaggle)), TASK, seed=2)
    assert again.validation.texts == splits.validation.texts
    assert other.validation.texts != splits.validation.texts
    assert any("split off train by seed 1" in note for note in splits.notes)


def test_packed_files_are_read_where_the_unpacked_are_missing(kaggle: Path) -> None:
    whole = load_splits(Data(dir=str(kaggle)), TASK, seed=1)
    for name in ("train.csv", "test.csv", "test_labels.csv"):
        with zipfile.ZipFile(kaggle / f"{name}.zip", "w") as archive:
            archive.write(kaggle / name, name)
        (kaggle / name).unlink()
    packed = load_splits(Data(dir=str(kaggle)), TASK, seed=1)
    assert split_digests(packed) == split_digests(whole)
    explicit = Data.model_validate({"dir": str(kaggle), "train": "train.csv"})
    assert split_digests(load_splits(explicit, TASK, seed=1)) == split_digests(whole)


def test_a_label_of_two_rows_is_on_both_sides_of_a_split() -> None:
    targets = np.zeros((100, 3), dtype=np.int8)
    targets[:40, 0] = 1
    targets[[3, 50], 1] = 1
    targets[70, 2] = 1
    held = held_out(targets, 0.1, seed=5)
    assert targets[held].sum(axis=0)[1] == 1
    assert targets[~held].sum(axis=0)[1] == 1
    assert not held[70]  # the only row of its label is trained on
    assert 9 <= held.sum() <= 12


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    import pandas as pd

    texts = ["NA", "null", "", 'He said "no"', "two\nlines", "comma, tab\tend", "ünïcödé 🙂", "  kept  ", "007"]
    cells = [(f"{i}", text, i % 2, 1) for i, text in enumerate(texts)]
    write_csv(tmp_path / "a.csv", HEADER, cells)
    write_csv(tmp_path / "a.tsv", HEADER, cells, delimiter="\t")
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in cells), encoding="utf-8"
    )
    pd.DataFrame(cells, columns=list(HEADER)).to_parquet(tmp_path / "a.parquet")
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        read = read_labelled(tmp_path / f"a.{suffix}", TASK)
        assert read.texts == tuple(texts), suffix
        assert read.targets.tolist() == [[i % 2, 1] for i in range(len(texts))], suffix


@pytest.mark.parametrize(("cell", "value"), [("0", 0), ("1", 1), ("0.0", 0), ("1.0", 1), ("True", 1), ("false", 0)])
def test_yes_and_no_may_be_written_in_several_ways(tmp_path: Path, cell: str, value: int) -> None:
    path = write_csv(tmp_path / "a.csv", HEADER, [("1", "x", cell, 1)])
    assert read_labelled(path, TASK).targets.tolist() == [[value, 1]]


def test_nulls_are_empty_texts_and_noted(folder: Path) -> None:
    lines = [{"comment_text": None, "rude": True, "threat": 1}, {"comment_text": " ", "rude": 0, "threat": False}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = Data.model_validate({"dir": str(folder), "train": "train.jsonl"})
    splits = load_splits(data, TASK, seed=1)
    assert splits.train.texts == ("", " ")
    assert "2 empty or missing texts in train (kept)" in splits.notes


def test_single_label_values_are_mapped_and_text_columns_joined(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "news.csv", ("class", "title", "body"), [("2", "Cup", "final"), ("1", "Vote", "today")])
    read = read_labelled(path, NEWS)
    assert read.texts == ("Cup | final", "Vote | today")
    assert read.targets.tolist() == [[0, 1], [1, 0]]
    by_name = NEWS.model_copy(update={"values": None})
    write_csv(path, ("class", "title", "body"), [("Sport", "Cup", "final")])
    assert read_labelled(path, by_name).targets.tolist() == [[0, 1]]


def test_overlap_is_counted_case_and_whitespace_aside_and_dropped_on_request(folder: Path) -> None:
    copies = [("x", "TEST  text\n3", 1, 1), ("y", "validation text 1", 1, 1), ("z", "", 0, 0)]
    write_csv(folder / "train.csv", HEADER, [*rows("train"), *copies])
    write_csv(folder / "unlabeled.csv", ["comment_text"], [["Test text 0"], ["new"]])
    kept = load_splits(Data(dir=str(folder)), TASK, seed=1)
    assert len(kept.train) == 13
    assert [note.split(" (")[0] for note in kept.notes if "recur" in note] == [
        "1 train row recurs in validation",
        "1 train row recurs in test set test",
        "1 unlabeled row recurs in test set test",
    ]
    dropped = load_splits(Data(dir=str(folder), drop_overlap=True), TASK, seed=1)
    assert dropped.train.texts == (*kept.train.texts[:10], "")
    assert dropped.train.targets.tolist() == kept.train.targets[[*range(10), 12]].tolist()
    assert dropped.unlabeled == ("new",)
    assert sum("dropped" in note for note in dropped.notes) == 3


def test_normalised_folds_case_and_runs_of_whitespace() -> None:
    assert normalised("  Straße\t\nNORD ") == "strasse nord"


def test_builtin_gives_every_split_and_says_it_is_synthetic() -> None:
    task = Task(type="multi_label", text=("comment_text",), labels=("threat", "toxic"))
    splits = load_splits(Data(builtin="comments"), task, seed=3)
    assert splits.train.labels == ("threat", "toxic")
    assert np.all(splits.train.targets[:, 0] <= splits.train.targets[:, 1])  # a threat is toxic
    assert splits.unlabeled
    assert list(splits.tests) == ["test"]
    assert any("synthetic" in note for note in splits.notes)
    assert not any("recur" in note for note in splits.notes)


def test_the_source_key_follows_the_bytes_and_the_choices_but_not_the_place(folder: Path, tmp_path: Path) -> None:
    data = Data(dir=str(folder))
    key = source_key(data, TASK, 1)
    assert source_key(data, TASK, 1) == key
    others = {
        source_key(data, TASK, 2),
        source_key(Data(dir=str(folder), drop_overlap=True), TASK, 1),
        source_key(Data(dir=str(folder), validation_share=0.2), TASK, 1),
        source_key(data, TASK.model_copy(update={"labels": ("rude",)}), 1),
    }
    assert len(others | {key}) == 5
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in folder.glob("*.csv"):
        (moved / path.name).write_bytes(path.read_bytes())
    assert source_key(Data(dir=str(moved)), TASK, 1) == key
    with (folder / "test.csv").open("a") as out:
        out.write("q,new,0,0\n")
    assert source_key(data, TASK, 1) != key
    (folder / "train.csv").unlink()
    with pytest.raises(DataError, match=r"no train\.csv"):
        source_key(data, TASK, 1)


def test_split_digests_follow_texts_targets_and_label_names(folder: Path) -> None:
    before = split_digests(load_splits(Data(dir=str(folder)), TASK, 1))
    assert set(before) == {"train", "validation", "unlabeled", "test:test"}
    changed = rows("train")
    changed[4] = (*changed[4][:2], 1, 0)
    write_csv(folder / "train.csv", HEADER, changed)
    after = split_digests(load_splits(Data(dir=str(folder)), TASK, 1))
    assert {name for name in before if before[name] != after[name]} == {"train"}


def test_importing_and_keying_load_no_heavy_library(folder: Path) -> None:
    code = (
        "import sys; from compress.data import source_key; from compress.recipe.data import Data, Task;"
        f"task = Task(type='multi_label', text='comment_text', labels=['rude']);"
        f"source_key(Data(dir={str(folder)!r}), task, 1);"
        "print([n for n in ('pandas', 'datasets', 'torch', 'pyarrow', 'sklearn', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_jigsaw_rows_are_all_there() -> None:
    root = os.environ.get("COMPRESS_DATA")
    if not root:
        pytest.skip("COMPRESS_DATA is not set: no real Jigsaw rows on this machine")
    labels = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    task = Task(type="multi_label", text=("comment_text",), labels=labels)
    splits = load_splits(Data(dir=f"{root}/jigsaw"), task, seed=13)
    assert splits.train.targets.sum(axis=0).tolist() == [3281, 259, 1741, 48, 1616, 213]
    assert len(splits.train) == 9514
    assert len(splits.validation) == 1500 + 87
    assert len(splits.unlabeled) == 17819
    assert {name: len(part) for name, part in splits.tests.items()} == {"test_plus_rare": 2130, "test": 2000}
    assert splits.tests["test"].targets.sum(axis=0).tolist() == [196, 16, 102, 6, 95, 16]
    assert not any("recur" in note for note in splits.notes)
