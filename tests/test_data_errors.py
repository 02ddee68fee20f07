"""Each mistake in the data is one clear error: what, where, and the next step."""

import csv
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compress.data import load_splits, read_labelled, read_labelled_with_notes, threshold_positives
from compress.errors import DataError
from compress.recipe.data import Data, Task
from eval.contract import LabelledTexts

TASK = Task(type="multi_label", text=("comment_text",), labels=("rude", "threat"))
NEWS = Task(type="single_label", text=("text",), labels=("World", "Sport"), label_column="class")
HEADER = ("comment_text", "rude", "threat")


def write(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([header, *rows])
    return path


def message(path: Path, task: Task = TASK) -> str:
    with pytest.raises(DataError) as caught:
        read_labelled(path, task)
    return str(caught.value)


def folder_message(data: Data, task: Task = TASK) -> str:
    with pytest.raises(DataError) as caught:
        load_splits(data, task, seed=1)
    return str(caught.value)


@pytest.mark.parametrize(("cell", "shown"), [("2", "'2'"), ("", "blank"), ("yes", "'yes'"), ("-1", "'-1'")])
def test_a_cell_that_is_no_label_is_named_with_file_line_and_column(tmp_path: Path, cell: str, shown: str) -> None:
    path = write(tmp_path / "a.csv", [("two\nlines", 0, 1), ("second", 1, cell)])
    text = message(path)
    assert text.startswith(f"{path}, line 4: column 'threat' is {shown}, not 0 or 1; ")


def test_a_missing_column_lists_those_there_and_the_likely_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("x", 0, 1)], header=("Comment_text", "rude", "thread"))
    assert message(path) == (
        f"{path}: no column 'comment_text'; it has Comment_text, rude, thread; did you mean Comment_text?"
    )


def test_an_unknown_class_is_named_with_the_likely_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("x", "World"), ("y", "Sprot")], header=("text", "class"))
    text = message(path, NEWS)
    assert "line 3" in text
    assert "'Sprot', not among the classes of task.labels (World, Sport); add it" in text
    assert text.endswith("; did you mean Sport?")


def test_a_label_never_positive_in_train_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", [("a", 1, 0), ("b", 0, 0)] * 20)
    write(tmp_path / "test.csv", [("c", 1, 1)])
    assert folder_message(Data(dir=str(tmp_path))) == (
        "data.train: no row of 36 is positive for threat; add rows that are, or take the label out of task.labels"
    )


def test_too_few_rows_to_split_validation_off(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", [("a", 1, 1)])
    write(tmp_path / "test.csv", [("c", 1, 1)])
    assert "name a validation file in data.validation" in folder_message(Data(dir=str(tmp_path)))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_an_empty_file_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    text = message(tmp_path / name)
    assert "empty" in text or "no rows" in text
    assert name in text


def test_a_header_alone_says_there_are_no_rows(tmp_path: Path) -> None:
    assert "the file has no rows" in message(write(tmp_path / "a.csv", []))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_other_encodings_are_named_by_line_and_byte(tmp_path: Path, suffix: str) -> None:
    first = {"csv": b"comment_text,rude,threat\n", "jsonl": b'{"comment_text": "a", "rude": 0, "threat": 0}\n'}[suffix]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(first + "naïve".encode("latin-1") + b",0,1\n")
    assert message(path) == (
        f"{path}, line 2: byte {len(first) + 2} (0xef) is not UTF-8; "
        "convert the file first, e.g. iconv -f LATIN1 -t UTF-8 OLD > NEW"
    )


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfcomment_text,rude,threat\r\nhello,0,1\r\n")
    assert read_labelled(path, TASK).texts == ("hello",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,0", "line 2: 2 cells where the header has 3"),
        ("x,0,1,1", "line 2: 4 cells where the header has 3"),
        ('"open,0,1', "line 2: not well-formed"),
        ('"a"b,0,1', "line 2: not well-formed"),
    ],
)
def test_a_ragged_or_badly_quoted_row_is_named_by_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"comment_text,rude,threat\n{line}\n")
    assert said in message(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{bad", "line 2: not JSON"),
        ("[1]", "line 2: a JSON list, not an object"),
        ('{"comment_text": "x", "rude": 1}', "line 2: no column 'threat'"),
        ('{"comment_text": "\\ud83d", "rude": 1, "threat": 0}', "half of a surrogate pair"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"comment_text": "x", "rude": 1, "threat": 0}\n' + line + "\n")
    assert said in message(path)


def test_a_column_twice_and_an_unknown_suffix(tmp_path: Path) -> None:
    assert "column 'rude' occurs twice" in message(
        write(tmp_path / "a.csv", [("x", 0, 1)], header=("x", "rude", "rude"))
    )
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    assert "must end in .csv, .tsv, .jsonl, .parquet" in message(tmp_path / "a.xlsx")


def test_damaged_zip_and_parquet_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv.zip").write_bytes(b"PK nonsense")
    assert "not a whole zip file" in message(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nonsense")
    assert "not a whole parquet file" in message(tmp_path / "a.parquet")


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"  # a zip member's two headers


def zipped(path: Path, kind: int, damage: Sequence[tuple[bytes, int, int]]) -> Path:
    """A one-member zip of a good table; damage: (header, offset of a byte from it, what the byte is XORed with)."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a.csv", "comment_text,rude,threat\n" + "x,0,1\n" * 100)
    content = bytearray(path.read_bytes())
    for header, offset, bits in damage:
        content[content.index(header) + offset] ^= bits
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "damage", "said"),
    [
        (zipfile.ZIP_STORED, [(CENTRAL, 16, 1)], "not a whole zip file (Bad CRC-32"),
        (zipfile.ZIP_STORED, [(CENTRAL, 22, 1), (CENTRAL, 26, 1)], "not a whole zip file"),  # 65 kB more than there are
        (zipfile.ZIP_DEFLATED, [(LOCAL, 40, 0xFF)], "not a whole zip file"),
        (zipfile.ZIP_LZMA, [(LOCAL, 50, 0xFF)], "not a whole zip file"),
        (zipfile.ZIP_BZIP2, [(LOCAL, 50, 0xFF)], "cannot be read"),
        (zipfile.ZIP_STORED, [(LOCAL, 6, 1), (CENTRAL, 8, 1)], "is encrypted; unpack it"),
        (zipfile.ZIP_STORED, [(LOCAL, 8, 97), (CENTRAL, 10, 97)], "packed in a way that is not read here"),
    ],
)
def test_a_damaged_or_locked_member_of_a_zip_says_so(
    tmp_path: Path, kind: int, damage: Sequence[tuple[bytes, int, int]], said: str
) -> None:
    assert len(read_labelled(zipped(tmp_path / "good.csv.zip", kind, []), TASK)) == 100
    path = zipped(tmp_path / "a.csv.zip", kind, damage)
    assert message(path).startswith(f"{path}: {said}")


def test_a_damaged_parquet_file_in_a_zip_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.csv.zip", zipfile.ZIP_STORED, [(CENTRAL, 16, 1)]).rename(tmp_path / "a.parquet.zip")
    assert message(path).startswith(f"{path}: not a whole")


def test_a_folder_that_is_not_there_says_how_to_name_it(tmp_path: Path) -> None:
    assert "--set data.dir=DIR" in folder_message(Data(dir=str(tmp_path / "none")))


def test_a_folder_without_train_says_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path / "trian.csv", [("x", 0, 1)])
    text = folder_message(Data(dir=str(tmp_path)))
    assert "no train.csv" in text
    assert "trian.csv" in text


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    data = Data.model_validate({"train": str(tmp_path / "t.csv"), "test": str(tmp_path / "u.csv")})
    assert f"no file '{tmp_path / 't.csv'}'" in folder_message(data)


def kaggle(tmp_path: Path, ids: Sequence[str]) -> Data:
    write(tmp_path / "train.csv", [("a", 1, 0), ("b", 0, 1)] * 20)
    write(tmp_path / "test.csv", [("1", "x"), ("2", "y")], header=("id", "comment_text"))
    write(tmp_path / "test_labels.csv", [(name, -1, -1) for name in ids], header=("id", "rude", "threat"))
    return Data(dir=str(tmp_path))


def test_kaggle_ids_must_match_and_be_unique(tmp_path: Path) -> None:
    assert "line 3: id '2' is not in" in folder_message(kaggle(tmp_path, ["1", "3"]))
    assert "line 3: id '1' occurs twice" in folder_message(kaggle(tmp_path, ["1", "1"]))


def test_a_test_set_with_no_scored_row_is_an_error(tmp_path: Path) -> None:
    assert "every row is marked -1" in folder_message(kaggle(tmp_path, ["1", "2"]))


def test_builtin_comments_know_their_labels_and_their_task() -> None:
    strange = TASK.model_copy(update={"labels": ("toxik",)})
    assert "; did you mean toxic?" in folder_message(Data(builtin="comments"), strange)
    assert "multi_label" in folder_message(Data(builtin="comments"), NEWS)


def test_of_a_file_that_stands_alone_no_recipe_is_spoken_of(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("x", 1, 0)], header=("words", "rude", "threat"))
    bare = write(tmp_path / "b.csv", [("x", 1, 0)])
    for tried, slices in ((path, ()), (bare, ("language",)), (tmp_path / "gone.csv", ()), (tmp_path, ())):
        with pytest.raises(DataError) as caught:
            read_labelled_with_notes(tried, TASK, slices)
        said = str(caught.value)
        assert str(tried) in said
        assert not any(key in said for key in ("task.", "data.", "evaluate.")), said


def test_labels_without_a_positive_in_a_test_set_are_told(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", [("a", 1, 0), ("b", 0, 1)] * 20)
    one = write(tmp_path / "one.csv", [("c", 1, 0)])
    none = write(tmp_path / "none.csv", [("d", 0, 0)])
    tests = {"one": str(one), "none": str(none), "both": str(train)}
    notes = load_splits(Data.model_validate({"train": str(train), "test": tests}), TASK, seed=1).notes
    told = [note for note in notes if "positive" in note]
    assert told == [
        "macro F1 of one is over 1 of 2 labels, as is every macro average: threat has no positive there",
        "no label has a positive in none: F1 and the like are undefined there",
    ]


def test_labels_without_a_positive_in_validation_are_told_with_what_stands_in(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", [("a", 1, 0), ("b", 0, 1)] * 20)
    for name, row, labels, instead in (
        ("one", ("c", 1, 0), "threat", "that of all labels together"),
        ("none", ("d", 0, 0), "rude, threat", "0.5"),
    ):
        validation = write(tmp_path / f"{name}.csv", [row])
        data = Data.model_validate({"train": str(train), "validation": str(validation), "test": {"test": str(train)}})
        (told,) = [note for note in load_splits(data, TASK, seed=1).notes if "threshold" in note]
        assert told.startswith(f"no threshold can be chosen for {labels}: no positive in validation, so {instead} ")
    whole = Data.model_validate({"train": str(train), "test": {"test": str(train)}})
    assert not [note for note in load_splits(whole, TASK, seed=1).notes if "threshold" in note]


def test_only_a_task_that_has_thresholds_counts_the_positives_they_are_chosen_on() -> None:
    rows = LabelledTexts(("a", "b", "c"), TASK.labels, np.array([[1, 0], [1, 0], [0, 0]], np.int8))
    assert threshold_positives(rows, TASK) == {"rude": 2, "threat": 0}
    assert threshold_positives(rows, NEWS) == {}


def test_a_hub_dataset_without_a_network_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets  # noqa: F401 - the import is not what is timed
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    data = Data.model_validate(
        {"train": {"hub": "nobody/nothing", "split": "train"}, "test": "t.csv", "dir": str(tmp_path)}
    )
    write(tmp_path / "t.csv", [("x", 0, 1)])
    write(tmp_path / "train.csv", [("x", 0, 1)])
    start = time.perf_counter()
    text = folder_message(data)
    assert time.perf_counter() - start < 5
    assert text.startswith("hub dataset nobody/nothing, split train: ")
    assert "the hub cannot be reached and the dataset is not in the cache" in text


def test_a_hub_dataset_is_read_by_its_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "class": datasets.ClassLabel(names=["Sport", "World"])}
    )
    local = tmp_path / "local"
    local.mkdir()
    rows = datasets.Dataset.from_dict({"text": ["cup", None], "class": [0, 1]}, features=features)
    rows.to_parquet(str(local / "train.parquet"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path / "t.csv", [("x", "World")], header=("text", "class"))
    data = Data.model_validate(
        {
            "train": {"hub": str(local), "split": "train"},
            "validation": str(tmp_path / "t.csv"),
            "test": str(tmp_path / "t.csv"),
        }
    )
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", True)
    splits = load_splits(data, NEWS, seed=1)
    assert not datasets.config.HF_UPDATE_DOWNLOAD_COUNTS  # nobody is told
    assert splits.train.texts == ("cup", "")
    assert splits.train.targets.tolist() == [[0, 1], [1, 0]]
    assert any("not pinned" in note for note in splits.notes)
    numbered = NEWS.model_copy(update={"values": {"0": "Sport", "1": "World"}})
    write(tmp_path / "t.csv", [("x", "1")], header=("text", "class"))
    assert load_splits(data, numbered, seed=1).train.targets.tolist() == [[0, 1], [1, 0]]
    assert "no column 'class_'" in folder_message(data, NEWS.model_copy(update={"label_column": "class_"}))
