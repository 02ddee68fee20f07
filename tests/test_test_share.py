"""data.test_share: where there is no test file, test rows are taken from train, by seed, before validation."""

import csv
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from compress.data import load_splits, source_key
from compress.errors import DataError
from compress.recipe.data import Data, Task

TASK = Task(type="multi_label", text=("body",), labels=("common", "rare"))


def write(path: Path, count: int = 200, labels: bool = True) -> Path:
    """Every second row common, every twentieth rare."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("body", "common", "rare") if labels else ("body",))
        writer.writerows((f"{path.stem} {n}", *((n % 2, int(n % 20 == 0)) if labels else ())) for n in range(count))
    return path


def test_every_row_is_in_one_split_and_each_label_in_all(tmp_path: Path) -> None:
    data = Data(train=(str(write(tmp_path / "all.csv")),), test_share=0.2)
    splits = load_splits(data, TASK, 13)
    parts = (splits.train, splits.validation, splits.tests["test"])
    assert sorted(text for part in parts for text in part.texts) == sorted(f"all {n}" for n in range(200))
    assert [len(part) for part in parts] == [144, 16, 40]  # 20 % of 200, then 10 % of the 160 that are left
    assert [part.targets[:, 1].sum() for part in parts] == [7, 1, 2]
    assert list(splits.tests) == ["test"]
    assert splits.notes[0] == "test is 40 rows split off train by seed 13, stratified by rarest label"


def test_a_test_file_that_is_not_read_is_told(tmp_path: Path) -> None:
    write(tmp_path / "train.csv")
    assert not any("not read" in note for note in load_splits(Data(dir=str(tmp_path), test_share=0.2), TASK, 13).notes)
    write(tmp_path / "test.csv", count=20)
    notes = load_splits(Data(dir=str(tmp_path), test_share=0.2), TASK, 13).notes
    assert "test.csv in data.dir: not read, because test_share takes the test rows from train" in notes


def test_the_seed_decides_which_rows(tmp_path: Path) -> None:
    data = Data(train=(str(write(tmp_path / "all.csv")),), test_share=0.2)
    first, again, other = (load_splits(data, TASK, seed).tests["test"] for seed in (1, 1, 2))
    assert first.texts == again.texts != other.texts
    assert np.array_equal(first.targets, again.targets)


def test_the_order_of_the_labels_does_not_decide_which_rows(tmp_path: Path) -> None:
    """The two labels are as rare as each other, and rows have one, both or none."""
    with (tmp_path / "all.csv").open("w", encoding="utf-8", newline="") as out:
        rows = [(f"text {n}", int(n % 10 in (0, 1)), int(n % 10 in (1, 2))) for n in range(200)]
        csv.writer(out).writerows([("body", "common", "rare"), *rows])
    data = Data(train=(str(tmp_path / "all.csv"),), test_share=0.2)
    turned = TASK.model_copy(update={"labels": ("rare", "common")})
    one, other = load_splits(data, TASK, 13), load_splits(data, turned, 13)
    assert one.tests["test"].texts == other.tests["test"].texts
    assert one.validation.texts == other.validation.texts
    np.testing.assert_array_equal(one.tests["test"].targets, other.tests["test"].targets[:, ::-1])


@pytest.mark.parametrize("content", ["", "body\n"])
def test_unlabeled_texts_that_are_none_are_told_with_their_key(tmp_path: Path, content: str) -> None:
    (tmp_path / "more.csv").write_text(content)
    data = Data(train=(str(write(tmp_path / "all.csv")),), unlabeled=(str(tmp_path / "more.csv"),), test_share=0.2)
    with pytest.raises(DataError, match=r"^data\.unlabeled: .*more\.csv: the file .* students learn from train alone"):
        load_splits(data, TASK, 13)


def test_files_that_are_named_stay_as_they_are(tmp_path: Path) -> None:
    files = {"train": str(write(tmp_path / "train.csv")), "validation": str(write(tmp_path / "validation.csv", 30))}
    splits = load_splits(Data.model_validate({**files, "test_share": 0.1}), TASK, 13)
    assert (len(splits.train), len(splits.validation), len(splits.tests["test"])) == (180, 30, 20)


def test_a_folder_whose_test_file_has_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "train.csv")
    write(tmp_path / "test.csv", 20, labels=False)
    with pytest.raises(DataError, match="no column 'common'"):
        load_splits(Data(dir=str(tmp_path)), TASK, 13)
    splits = load_splits(Data(dir=str(tmp_path), unlabeled=("test.csv",), test_share=0.1), TASK, 13)
    assert all(text.startswith("train ") for text in splits.tests["test"].texts)
    assert splits.unlabeled == tuple(f"test {n}" for n in range(20))


def test_a_folder_without_a_test_file_is_told_of_it(tmp_path: Path) -> None:
    write(tmp_path / "train.csv")
    with pytest.raises(DataError, match=r"no test\.csv in .*; put it there or set data.test, or .*: data.test_share$"):
        load_splits(Data(dir=str(tmp_path)), TASK, 13)


def test_it_counts_in_the_key_of_the_data(tmp_path: Path) -> None:
    train = (str(write(tmp_path / "all.csv")),)
    keys = {source_key(Data(train=train, test_share=share), TASK, 13) for share in (0.1, 0.2)}
    assert len(keys) == 2


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    data = Data(train=(str(write(tmp_path / "all.csv", 1)),), test_share=0.5)
    with pytest.raises(
        DataError, match=r"1 train rows are too few to split 50% off for test; name a test file in data\.test"
    ):
        load_splits(data, TASK, 13)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train": "a.csv"}, "test_share: 0.1 takes test rows from train"),
        ({"train": "a.csv", "test": "b.csv", "test_share": 0.1}, "test_share would have no effect beside test"),
        ({"builtin": "comments", "test_share": 0.1}, "test_share would have no effect beside builtin"),
        ({"train": "a.csv", "test_share": 1.0}, "less than 1"),
        ({"train": "a.csv", "test_share": 0}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_share_that_fits_nowhere_is_a_mistake(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Data.model_validate(given)
