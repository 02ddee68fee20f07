"""Labels in a file beside the texts: joined where the texts' own file has none, and only then read."""

from pathlib import Path

import pandas as pd
import pytest

from compress.data import labelled_digest, load_splits, read_labelled, read_labelled_with_notes, source_key
from compress.recipe.data import Data, Task

TASK = Task(type="multi_label", text=("comment_text",), labels=("rude", "threat"))
HEADER = "id,comment_text,rude,threat\n"


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(HEADER + "".join(f"t{i},train {i},{i % 2},1\n" for i in range(20)))
    (tmp_path / "test.csv").write_text("id,comment_text\na,one\nb,two\n")
    (tmp_path / "test_labels.csv").write_text("id,rude,threat\nb,-1,-1\na,0,1\n")
    return tmp_path


def test_labels_beside_a_file_that_has_its_own_are_not_read(kaggle: Path) -> None:
    """Neither for the rows nor for the key: the file beside may be anything."""
    data = Data(dir=str(kaggle))
    joined_key = source_key(data, TASK, 1)
    (kaggle / "test.csv").write_text(HEADER + "a,one,1,1\n")
    (kaggle / "train_labels.csv").write_text("what,ever\n1,2\n")
    splits, key = load_splits(data, TASK, seed=1), source_key(data, TASK, 1)
    assert splits.tests["test"].targets.tolist() == [[1, 1]]
    assert (len(splits.train), splits.unlabeled) == (18, ())
    assert key != joined_key
    for name in ("test_labels.csv", "train_labels.csv"):
        (kaggle / name).write_text("something else")
    assert source_key(data, TASK, 1) == key


def test_the_key_follows_labels_that_are_joined(kaggle: Path) -> None:
    data = Data(dir=str(kaggle))
    key = source_key(data, TASK, 1)
    (kaggle / "test_labels.csv").write_text("id,rude,threat\nb,-1,-1\na,1,1\n")
    assert source_key(data, TASK, 1) != key


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_whether_a_file_has_its_own_labels_shows_in_every_format(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "x_labels.csv").write_text("id,rude,threat\na,0,1\n")
    path = tmp_path / f"x.{suffix}"
    whole = pd.DataFrame([{"id": "a", "comment_text": "one", "rude": 1, "threat": 0}])
    for frame, expected in ((whole, [[1, 0]]), (whole[["id", "comment_text"]], [[0, 1]])):
        match suffix:
            case "jsonl":
                frame.to_json(path, orient="records", lines=True)
            case "parquet":
                frame.to_parquet(path)
            case _:
                frame.to_csv(path, sep="\t" if suffix == "tsv" else ",", index=False)
        assert read_labelled(path, TASK).targets.tolist() == expected


def test_reading_one_file_can_tell_how_many_rows_were_dropped(kaggle: Path) -> None:
    read = read_labelled_with_notes(kaggle / "test.csv", TASK)
    assert read.notes == ("1 rows of test.csv are marked -1 (not scored) in test_labels.csv and were dropped",)
    assert labelled_digest(read.rows) == labelled_digest(read_labelled(kaggle / "test.csv", TASK))
    assert read_labelled_with_notes(kaggle / "train.csv", TASK).notes == ()
