"""`compress init` from outside: each shape of data becomes a recipe that runs; what is not clear is asked."""

import json
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.recipe.load import load_recipe

Command = Callable[..., Any]
_CALM = (
    "the river is slow today",
    "we had tea in the garden",
    "a quiet walk over the bridge",
    "the market opens at nine",
)
_CROSS = (
    "this queue never ends",
    "who took my umbrella again",
    "the printer is broken once more",
    "late again and no word",
)
_FILLERS = ("really", "at last", "in short", "as ever", "my friend", "by the way", "once more", "they say")


def texts(count: int, seed: int = 5) -> list[tuple[str, bool]]:
    """Different texts, every second one cross."""
    chooser = random.Random(seed)
    return [
        (" ".join([chooser.choice((_CALM, _CROSS)[n % 2]), *chooser.sample(_FILLERS, 3), f"{seed}x{n}"]), bool(n % 2))
        for n in range(count)
    ]


def write_rows(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """The rows as the name asks for: .csv and .tsv as they are; of .jsonl and .parquet the first names the columns."""
    import csv

    import pandas as pd

    match path.suffix:
        case ".jsonl":
            lines = (json.dumps(dict(zip(map(str, rows[0]), row, strict=True))) for row in rows[1:])
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        case ".parquet":
            pd.DataFrame(list(rows[1:]), columns=[str(name) for name in rows[0]]).to_parquet(path)
        case suffix:
            with path.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",").writerows(rows)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, which is the current one too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(tiny_encoder: Callable[[str], Path]) -> list[str]:
    """--set that turn any recipe of init into one of seconds."""
    sets = (
        f"stages.teacher.encoder={tiny_encoder('bert')}", "stages.teacher.sha256=null", "stages.teacher.epochs=1",
        "stages.teacher.max_tokens=32", "stages.student.epochs=1",
        "stages.teacher.precision=fp32", "stages.student.precision=fp32",
        "stages.student.student={layers: 1, width: 16, heads: 2, tokenizer: {type: wordpiece, size: 200}}",
        "evaluate={batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100, devices: cpu}",
    )  # fmt: skip
    return [part for item in sets for part in ("--set", item)]


def reviews(path: Path, count: int = 120) -> Path:
    """One file: an id, a text, two labels of 0 and 1."""
    rows = [(f"k{n}", text, int(cross), int(n % 3 == 0)) for n, (text, cross) in enumerate(texts(count))]
    return write_rows(path, [("id", "comment", "cross", "third"), *rows])


# ---------------------------------------------------------------------------------------------------- whole runs


def test_one_csv_of_labels_runs_whole(here: Path, command: Command, small: list[str]) -> None:
    reviews(here / "reviews.csv")
    made = command("init", "reviews.csv", "--yes")
    assert made.code == 0, made.err
    assert all(f"  compress {name} reviews.yaml\n" in made.out for name in ("check", "data", "run"))
    assert command("check", "reviews.yaml").code == 0
    ended = command("run", "reviews.yaml", "--out", "run", *small)
    assert ended.code == 0, ended.err
    report = json.loads((here / "run" / "report.json").read_bytes())
    assert [one["id"] for one in report["candidates"]] == [
        "tfidf",
        "teacher",
        "student",
        "student-onnx",
        "student-int8",
    ]
    assert report["candidates"][0]["quality"]["rows"] == 12  # a tenth of 120, by data.test_share
    assert any(note.startswith("test is 12 rows split off train by seed 13") for note in report["notes"])


def test_title_and_body_with_a_class_in_jsonl_run_whole(here: Path, command: Command, small: list[str]) -> None:
    def rows(count: int, seed: int) -> list[tuple[object, ...]]:
        return [
            (text.split()[0] + " it is told", text, ("Calm", "Cross: very")[cross])
            for text, cross in texts(count, seed)
        ]

    header = ("title", "body", "mood")
    write_rows(here / "news-train.jsonl", [header, *rows(80, 1)])
    write_rows(here / "news-test.jsonl", [header, *rows(40, 2)])
    write_rows(here / "news-dev.jsonl", [header, *rows(40, 3)])
    made = command("init", "news-train.jsonl", "--out", "news.yaml", "--text", "title", "--text", "body")
    assert made.code == 0, made.err
    recipe = load_recipe("news.yaml")
    assert (recipe.task.text, recipe.task.labels) == (("title", "body"), ("Calm", "Cross: very"))
    assert recipe.data.validation == ("news-dev.jsonl",)
    ended = command("run", "news.yaml", "--out", "run", *small)
    assert ended.code == 0, ended.err
    assert json.loads((here / "run" / "report.json").read_bytes())["candidates"][0]["quality"]["rows"] == 40


def test_a_folder_of_headerless_tsv_with_label_numbers_runs_whole(
    here: Path, command: Command, small: list[str]
) -> None:
    moods = here / "moods"
    moods.mkdir()
    (moods / "labels.txt").write_text("calm\ncross\nthird\n", encoding="utf-8")
    for name, seed, count in (("train", 1, 90), ("dev", 2, 40), ("test", 3, 40)):
        cells = [
            (text, ",".join([str(int(cross)), *(["2"] * (n % 3 == 0))]))
            for n, (text, cross) in enumerate(texts(count, seed))
        ]
        write_rows(moods / f"{name}.tsv", [(text, labels, f"{seed}q{n}") for n, (text, labels) in enumerate(cells)])
    made = command("init", "moods")
    assert made.code == 0, made.err
    recipe = load_recipe("moods.yaml")
    assert (recipe.task.labels, recipe.task.values) == (("calm", "cross", "third"), "from_0")
    assert (recipe.task.columns, recipe.data.dir, recipe.data.validation) == (
        ("text", "label", "id"),
        "moods",
        ("dev.tsv",),
    )
    ended = command("run", "moods.yaml", "--out", "run", *small)
    assert ended.code == 0, ended.err


def test_amounts_in_parquet_run_whole(here: Path, command: Command, small: list[str]) -> None:
    rows = [(text, 1.5 * cross + n / 100, [1, 2]) for n, (text, cross) in enumerate(texts(100))]
    write_rows(here / "scores.parquet", [("body", "anger", "spans"), *rows])
    made = command("init", "scores.parquet")
    assert made.code == 0, made.err
    recipe = load_recipe("scores.yaml")
    assert (recipe.task.type, recipe.task.labels) == ("regression", ("anger",))
    ended = command("run", "scores.yaml", "--out", "run", *small)
    assert ended.code == 0, ended.err


# ---------------------------------------------------------------------------------------------------- files


def test_a_folder_as_kaggle_gives_it_is_read_as_such(here: Path, command: Command) -> None:
    (here / "jig").mkdir()
    reviews(here / "jig" / "train.csv")
    write_rows(
        here / "jig" / "test.csv", [("id", "comment"), *((f"t{n}", text) for n, (text, _) in enumerate(texts(20, 9)))]
    )
    write_rows(here / "jig" / "test_labels.csv", [("id", "cross", "third"), *((f"t{n}", n % 2, 0) for n in range(20))])
    assert command("init", "jig").code == 0
    recipe = load_recipe("jig.yaml")
    assert recipe.data.model_dump(exclude_defaults=True) == {"dir": "jig", "drop_overlap": True}


def test_a_test_file_without_labels_serves_as_unlabeled_rows(here: Path, command: Command) -> None:
    reviews(here / "train.csv")
    write_rows(here / "test.csv", [("id", "comment"), *((f"t{n}", text) for n, (text, _) in enumerate(texts(20, 9)))])
    for given in (".", "train.csv"):
        assert command("init", given, "--out", "a.yaml", "--overwrite").code == 0
        recipe = load_recipe("a.yaml")
        assert recipe.data.model_dump(exclude_defaults=True) == {
            "train": ("train.csv",), "unlabeled": ("test.csv",), "test_share": 0.1, "drop_overlap": True,
        }  # fmt: skip
    assert "the test file has no labels" in (here / "a.yaml").read_text(encoding="utf-8")


def test_a_hub_dataset_is_written_with_its_splits(
    here: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    found = texts(40)
    mood = datasets.ClassLabel(names=["calm", "cross"])
    features = datasets.Features(
        {"body": datasets.Value("string"), "mood": mood, "spans": datasets.List(datasets.Value("int64"))}
    )

    def split(label: Callable[[bool], int]) -> Any:
        columns = {
            "body": [text for text, _ in found],
            "mood": [label(cross) for _, cross in found],
            "spans": [[1]] * 40,
        }
        return datasets.Dataset.from_dict(columns, features=features)

    whole = datasets.DatasetDict({"train": split(int), "test": split(lambda cross: -1), "validation": split(int)})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, **more: whole)
    assert command("init", "some/moods").code == 0
    recipe = load_recipe("moods.yaml")
    assert (recipe.task.labels, recipe.task.values) == (("calm", "cross"), None)
    assert recipe.data.model_dump(exclude_defaults=True, exclude={"drop_overlap", "test_share"}) == {
        role: ({"hub": "some/moods", "split": split},)
        for role, split in (("train", "train"), ("validation", "validation"), ("unlabeled", "test"))
    }


def test_a_hub_dataset_without_a_network_and_a_missing_file_are_told(here: Path, command: Command) -> None:
    ended = command("init", "some/moods")
    assert ended.code == 2
    assert "the hub cannot be reached and the dataset is not in the cache" in ended.err
    ended = command("init", "reviews.csv")
    assert (ended.code, "reviews.csv: no such file or folder" in ended.err) == (2, True)


def test_nothing_is_overwritten_unasked(here: Path, command: Command) -> None:
    reviews(here / "reviews.csv")
    (here / "reviews.yaml").write_text("mine", encoding="utf-8")
    ended = command("init", "reviews.csv", "--yes")
    assert (ended.code, "reviews.yaml: is there already; add --overwrite" in ended.err) == (2, True)
    assert (here / "reviews.yaml").read_text(encoding="utf-8") == "mine"
    assert command("init", "reviews.csv", "--overwrite").code == 0
    assert load_recipe("reviews.yaml").name == "reviews"
    assert sorted(path.name for path in here.iterdir()) == ["reviews.csv", "reviews.yaml"]


# ---------------------------------------------------------------------------------------------------- doubts


@pytest.fixture
def unsure(here: Path) -> Path:
    """A file with two texts, and stars that may be classes or amounts."""
    rows = [(" ".join(text.split()[2:5]) + f" {n}", text, 1 + n % 4) for n, (text, _) in enumerate(texts(80))]
    return write_rows(here / "shop.csv", [("title", "body", "stars"), *rows])


def test_without_a_terminal_doubts_are_errors_that_name_the_flags(unsure: Path, command: Command) -> None:
    ended = command("init", "shop.csv")
    assert ended.code == 2
    assert "take the guess: --yes" in ended.err
    assert "--text title --text body" in ended.err
    assert "--task single_label" in ended.err
    assert not unsure.with_name("shop.yaml").exists()
    assert command("init", "shop.csv", "--text", "body", "--task", "regression").code == 0
    recipe = load_recipe("shop.yaml")
    assert (recipe.task.type, recipe.task.labels, recipe.task.text) == ("regression", ("stars",), ("body",))


def test_yes_takes_the_guesses_and_writes_them_down(unsure: Path, command: Command) -> None:
    ended = command("init", "shop.csv", "--yes")
    assert ended.code == 0
    assert "guessed: --text title --text body" in ended.out
    recipe = load_recipe("shop.yaml")
    assert (recipe.task.type, recipe.task.text, recipe.task.values) == ("single_label", ("title", "body"), "from_1")
    opening = unsure.with_name("shop.yaml").read_text(encoding="utf-8").split("version: 1")[0]
    assert "# Not sure: several columns look like text" in opening
    assert "# Not sure: are the numbers in stars classes" in opening


def on_a_terminal(folder: Path, typed: str, *arguments: str) -> tuple[int, str]:
    """Exit code and screen of `compress ARGUMENTS` on a terminal where `typed` is typed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "compress", *arguments],
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, env=environment,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, typed.encode())
    screen = b""
    try:
        while part := os.read(ours, 4096):
            screen += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), screen.decode()


def test_on_a_terminal_it_asks_and_takes_the_answers(unsure: Path) -> None:
    code, screen = on_a_terminal(
        unsure.parent, "7\n2\n\n", "init", "shop.csv"
    )  # no such number; the second; as guessed
    assert code == 0, screen
    assert "several columns look like text" in screen
    assert re.search(r"1  title\s+2  body", screen)
    assert "Not understood: a number from 1 to 2" in screen
    recipe = load_recipe(unsure.with_name("shop.yaml"))
    assert (recipe.task.text, recipe.task.type) == (("body",), "single_label")


def test_labels_and_label_column_together_are_an_error(unsure: Path, command: Command) -> None:
    ended = command("init", "shop.csv", "--labels", "stars", "--label-column", "stars")
    assert (ended.code, "give one of them" in ended.err) == (2, True)


def test_a_column_with_a_comma_is_named_in_quotes(here: Path, command: Command) -> None:
    rows = [(text, int(cross), n % 2, "ab"[n % 2]) for n, (text, cross) in enumerate(texts(60))]
    write_rows(here / "odd.csv", [("body", "cross, very", "even", "place"), *rows])
    ended = command("init", "odd.csv")
    assert """--labels '"cross, very",even'""" in ended.err
    assert command("init", "odd.csv", "--labels", '"cross, very",even').code == 0
    assert load_recipe("odd.yaml").task.labels == ("cross, very", "even")
