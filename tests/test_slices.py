"""Slices by columns of the test files: from the recipe through loading to the report, and what is a mistake."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.data import load_splits, source_key, split_digests
from compress.errors import DataError
from compress.recipe.data import Data, Task

TASK = Task(type="multi_label", text="text", labels=("a", "b"))
ROWS = [("good day", 1, 0, "en", "web"), ("guten Tag", 0, 1, "de", "app"), ("bonjour", 1, 1, "", "web")]
HEADER = ("text", "a", "b", "language", "source")
COLUMNS = ("language", "source")


def written(folder: Path, name: str = "test.csv", rows: list[tuple[Any, ...]] = ROWS) -> Path:
    with (folder / name).open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([HEADER, *rows])
    return folder / name


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Train and validation have no further columns; the two test files do."""
    for name in ("train.csv", "validation.csv"):
        (tmp_path / name).write_text("text,a,b\nx,1,0\ny,0,1\nz,0,0\n")
    written(tmp_path)
    written(tmp_path, "more.csv", [("hei", 0, 0, "fi", "app")])
    tests = {"all": ["test.csv", "more.csv"], "more": "more.csv"}
    return Data.model_validate({"dir": str(tmp_path), "test": tests})


def test_columns_come_with_the_test_rows_alone_and_several_files_are_joined(data: Data) -> None:
    splits = load_splits(data, TASK, 1, COLUMNS)
    assert splits.tests["all"].columns == {
        "language": ("en", "de", "", "fi"), "source": ("web", "app", "web", "app"),
    }  # fmt: skip
    assert splits.tests["more"].columns == {"language": ("fi",), "source": ("app",)}
    assert (splits.train.columns, splits.validation.columns) == ({}, {})
    assert load_splits(data, TASK, 1).tests["all"].columns == {}


def test_rows_split_off_train_keep_their_cells(tmp_path: Path) -> None:
    rows = [(f"text {number}", number % 2, 1 - number % 2, f"of {number}", "") for number in range(40)]
    written(tmp_path, "train.csv", rows)
    data = Data.model_validate({"train": str(tmp_path / "train.csv"), "test_share": 0.2})
    found = load_splits(data, TASK, 1, COLUMNS).tests["test"]
    assert found.columns["language"] == tuple(text.replace("text", "of") for text in found.texts)
    assert len(found) >= 8


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_cells(tmp_path: Path, data: Data, suffix: str) -> None:
    path = tmp_path / f"other.{suffix}"
    rows = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    if suffix == "tsv":
        path.write_text("\n".join("\t".join(map(str, line)) for line in (HEADER, *ROWS)) + "\n")
    elif suffix == "jsonl":  # a row may leave a key out
        path.write_text("\n".join(json.dumps({key: cell for key, cell in row.items() if cell != ""}) for row in rows))
    else:
        import pandas

        pandas.DataFrame(rows).to_parquet(path)
    other = Data.model_validate({"dir": str(tmp_path), "test": {"all": path.name}})
    known = load_splits(Data(dir=str(tmp_path)), TASK, 1, COLUMNS).tests["test"]
    assert load_splits(other, TASK, 1, COLUMNS).tests["all"].columns == known.columns


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_column_that_is_missing_is_told_with_those_there_are(tmp_path: Path, data: Data, suffix: str) -> None:
    if suffix == "jsonl":
        rows = (dict(zip(HEADER, row, strict=True)) for row in ROWS)
        (tmp_path / "test.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    asked = Data.model_validate({"dir": str(tmp_path), "test": f"test.{suffix}"})
    with pytest.raises(DataError) as caught:
        load_splits(asked, TASK, 1, ("langauge",))
    place = tmp_path / f"test.{suffix}"
    assert str(caught.value) == (
        f"evaluate.slices: {place}: no column 'langauge'; it has {', '.join(HEADER)}; did you mean language?"
    )


def test_files_without_a_header_are_read_by_the_recipes_columns(tmp_path: Path) -> None:
    task = Task(type="multi_label", text="text", labels=("a", "b"), columns=HEADER)
    bare = "".join(f"{','.join(map(str, row))}\n" for row in ROWS)
    (tmp_path / "train.csv").write_text(bare)
    (tmp_path / "test.csv").write_text(bare)
    (tmp_path / "validation.csv").write_text(bare)
    data = Data(dir=str(tmp_path))
    assert load_splits(data, task, 1, COLUMNS).tests["test"].columns["language"] == ("en", "de", "")
    with pytest.raises(DataError, match="no column 'region'; it has text, a, b, language, source"):
        load_splits(data, task, 1, ("region",))
    (tmp_path / "test.csv").write_text("text,a,b\nx,1,0\n")  # a header, without a column that the recipe names
    with pytest.raises(DataError, match="no column 'language'; it has text, a, b"):
        load_splits(data, task, 1, COLUMNS)


def test_cells_that_change_are_seen_and_no_answer_depends_on_them(tmp_path: Path, data: Data) -> None:
    before, key = (make(data, TASK, 1, COLUMNS) for make in (load_splits, source_key))
    written(tmp_path, rows=[(*row[:3], "xx", row[4]) for row in ROWS])
    after = load_splits(data, TASK, 1, COLUMNS)
    assert source_key(data, TASK, 1, COLUMNS) != key
    changed = {name for name, digest in split_digests(after).items() if digest != split_digests(before)[name]}
    assert changed == {"columns:all"}
    plain = load_splits(data, TASK, 1)
    assert split_digests(plain) == {
        name: digest for name, digest in split_digests(after).items() if not name.startswith("columns:")
    }
    assert source_key(data, TASK, 1) != source_key(data, TASK, 1, COLUMNS)  # so that a missing column is told at once


# ---------------------------------------------------------------------------------------------------- a run


RECIPE = """\
version: 1
name: sliced
task: {{type: multi_label, text: comment_text, labels: [toxic, severe_toxic, obscene, threat, insult, identity_hate]}}
data: {{dir: "{data}"}}
baselines: [tfidf]
stages: [{{id: teacher, type: load, model: "{model}"}}]
evaluate: {{slices: [{column}], batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100}}
"""


@pytest.fixture
def recipe(tmp_path: Path, comment_files: Path, tiny_run: Path) -> Callable[..., Path]:
    """column -> a recipe with a trained teacher, on comments whose test file says where each one comes from."""
    for file in comment_files.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    sourced = [[*row, "web" if place % 4 else "app"] for place, row in enumerate(rows)]
    with (tmp_path / "test.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([[*header, "source"], *sourced])

    def write(column: str) -> Path:
        path = tmp_path / "recipe.yaml"
        model = tiny_run / "artifacts" / "teacher"
        path.write_text(RECIPE.format(data=tmp_path, model=model, column=column), encoding="utf-8")
        return path

    return write


def test_a_missing_column_is_told_before_anything_runs(
    recipe: Callable[..., Path], tmp_path: Path, command: Callable[..., Any]
) -> None:
    for line in (
        ("run", recipe("sauce"), "--out", tmp_path / "out"),
        ("plan", recipe("sauce")),
        ("data", recipe("sauce")),
    ):
        ended = command(*line)
        assert ended.code == 2
        assert "no column 'sauce'" in ended.err
        assert "did you mean source?" in ended.err
    assert not (tmp_path / "out" / "artifacts").exists()


def test_a_run_tells_quality_by_the_columns_values(
    recipe: Callable[..., Path], tmp_path: Path, command: Callable[..., Any]
) -> None:
    out, kept = tmp_path / "out", tmp_path / "out" / "cache" / "measurements"
    assert command("run", recipe("source"), "--out", out).code == 0
    report = json.loads((out / "report.json").read_text())
    for candidate in report["candidates"]:
        slices = candidate["details_by_set"]["test"]["slices"]
        found = {it["value"]: it for it in slices if it["name"] == "source"}
        assert {value: it["rows"] for value, it in found.items()} == {"web": 60, "app": 20}
        assert sum(it["rows"] for it in slices if it["name"] == "length") == 80
        scores = [it["macro_f1"] for it in found.values()]
        assert all(0 <= it["low"] <= it["value"] <= it["high"] <= 1 for it in scores)
    assert "| source: web | 60 | " in (out / "report.md").read_text()

    answers = set(kept.glob("answers-*"))
    text = (tmp_path / "test.csv").read_text()
    (tmp_path / "test.csv").write_text(text.replace(",app", ",desk"))
    ended = command("run", recipe("source"), "--out", out)
    assert "all stages are cached" in ended.out
    assert "| source: desk | 20 | " in (out / "report.md").read_text()
    assert set(kept.glob("answers-*")) == answers
