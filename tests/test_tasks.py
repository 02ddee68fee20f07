"""Tasks of other shapes: files without a header, labels in one cell, label numbers, one label, two classes."""

import csv
import json
import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.data import load_splits, open_rows, read_labelled, source_key
from compress.errors import DataError, RecipeError
from compress.recipe.data import Data, Task
from compress.recipe.load import load_recipe

Command = Callable[..., Any]
MOODS = ("joy", "anger", "fear")
MOOD = Task(
    type="multi_label",
    columns=("text", "moods", "id"),
    text=("text",),
    label_column="moods",
    values="from_0",
    labels=MOODS,
)
NEWS = Task(
    type="single_label",
    columns=("class", "title", "body"),
    text=("title", "body"),
    label_column="class",
    values="from_1",
    labels=("World", "Sport"),
)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def message(path: Path, task: Task) -> str:
    with pytest.raises(DataError) as caught:
        read_labelled(path, task)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- reading


def test_a_file_without_a_header_is_read_by_the_columns_of_the_task(tmp_path: Path) -> None:
    read = read_labelled(written(tmp_path / "a.tsv", "so glad\t0\tx1\n\nno\t1, 2\tx2\nhm\t\tx3\n"), MOOD)
    assert read.texts == ("so glad", "no", "hm")
    assert read.targets.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]  # an empty cell: no label holds


def test_a_file_with_a_header_is_read_by_it_whatever_the_task_says_of_others(tmp_path: Path) -> None:
    bare = read_labelled(written(tmp_path / "a.csv", '2,Cup,"final, at last"\n1,Vote,today\n'), NEWS)
    headed = read_labelled(written(tmp_path / "b.csv", "day,body,title,class\n3,final,Cup,2\n3,today,Vote,1\n"), NEWS)
    assert bare.texts == ("Cup\nfinal, at last", "Vote\ntoday")
    assert headed.texts == ("Cup\nfinal", "Vote\ntoday")
    assert bare.targets.tolist() == headed.targets.tolist() == [[0, 1], [1, 0]]


def test_quoted_cells_of_a_tsv_arrive_without_their_quotes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", '"He said ""no"" twice"\t1\tx1\nsaid "no" once\t2\tx2\n')
    assert read_labelled(path, MOOD).texts == ('He said "no" twice', 'said "no" once')


@pytest.mark.parametrize(
    ("labels", "values", "separator", "cell"),
    [
        (MOODS, None, None, "joy,fear"),
        (MOODS, "from_1", " ", "1 3"),
        (MOODS, "from_0", "|", "2|0"),
        (MOODS, "from_0", None, "0.0, 2.0"),  # as pandas writes numbers of a column with gaps
        (MOODS, {"J": "joy", "F": "fear"}, "; ", "F; J"),
        (("1", "2", "3"), None, "+", "3+1"),  # names that look like numbers
    ],
)
def test_labels_of_a_cell(
    tmp_path: Path, labels: tuple[str, ...], values: Any, separator: str | None, cell: str
) -> None:
    task = Task(
        type="multi_label", text="text", labels=labels, label_column="moods", values=values, separator=separator
    )
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "moods"), ("x", cell)])
    assert read_labelled(path, task).targets.tolist() == [[1, 0, 1]]


ROWS = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8"), max_size=30), st.sets(st.integers(0, 2))), min_size=1, max_size=6
)


@given(ROWS, st.sampled_from(["csv", "tsv"]), st.sampled_from([0, 1]))
def test_what_was_written_without_a_header_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, set[int]]], suffix: str, first: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"bare.{suffix}"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t" if suffix == "tsv" else ",")
        for number, (text, holds) in enumerate(rows):
            writer.writerow([text, ",".join(str(first + index) for index in holds), f"id{number}"])
    task = Task.model_validate(MOOD.model_dump() | {"values": f"from_{first}"})
    read = read_labelled(path, task)
    assert read.texts == tuple(text for text, _ in rows)
    assert [{int(index) for index in np.flatnonzero(row)} for row in read.targets] == [holds for _, holds in rows]


def test_a_folder_of_bare_files_with_an_unlabeled_one(tmp_path: Path) -> None:
    moods = "".join(f"text {i}\t{i % 3}\tx{i}\n" for i in range(30))
    for name in ("train", "dev", "test", "unlabeled"):
        written(tmp_path / f"{name}.tsv", moods.replace("text", name))
    data = Data.model_validate({"dir": str(tmp_path), "validation": "dev.tsv"})
    splits = load_splits(data, MOOD, seed=1)
    assert (len(splits.train), len(splits.validation), len(splits.tests["test"])) == (30, 30, 30)
    assert splits.unlabeled[0] == "unlabeled 0"
    assert splits.train.targets.sum(axis=0).tolist() == [10, 10, 10]
    renumbered = Task.model_validate(MOOD.model_dump() | {"labels": ("fear", "joy", "anger")})
    assert source_key(data, MOOD, 1) != source_key(data, renumbered, 1)  # the same bytes mean other labels


def test_real_goemotions_arrive_whole() -> None:
    folder = Path(os.environ.get("COMPRESS_DATA", "")) / "goemotions"
    if not (os.environ.get("COMPRESS_DATA") and folder.is_dir()):
        pytest.skip("COMPRESS_DATA is not set: no real GoEmotions rows on this machine")
    recipe = load_recipe("goemotions", [f"data.dir={folder}"])
    train = load_splits(recipe.data, recipe.task, recipe.seed).train
    lines = [line.split("\t") for line in (folder / "train.tsv").read_text(encoding="utf-8").split("\n") if line]
    assert len(train) == len(lines) == 43_410
    quoted = [line[0].startswith('"') for line in lines]
    assert sum(quoted) == 1_097  # these are quoted as in CSV, their own quotes doubled
    told = [text[1:-1].replace('""', '"') if marks else text for (text, *_), marks in zip(lines, quoted, strict=True)]
    assert train.texts == tuple(told)
    assert dict(zip(train.labels, train.targets.sum(axis=0).tolist(), strict=True))["grief"] == 77


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "so glad\t0\tx\nno\t3\ty\n",
            "line 2: column 'moods' is '3', no label's number from 0 to 2 (task.values: from_0)"
            "; if the file counts from 1, write task.values: from_1",
        ),
        ("so glad\t0\tx\nno\t1,9\ty\n", "line 2: column 'moods' is '9' in '1,9', no label's number from 0 to 2"),
        ("so glad\t-1\tx\n", "line 1: column 'moods' is '-1', no label's number from 0 to 2"),
        ("so glad\t0,\tx\n", "is blank in '0,', no label's number"),
        ("so glad\tjoy\tx\n", "the cells hold names, so leave task.values out"),
        ("so glad\t0;2\tx\n", "if its labels stand between ';', write task.separator: ';'"),
        ("so glad\t0\tx\nno\t1\n", "line 2: 2 cells where task.columns names 3; quote cells"),
        (
            "so glad\t0\tx\ta\n",
            "line 1: 4 cells, neither a row of text, moods, id (task.columns) nor a header that names text, moods",
        ),
        ("text\tmood\n", "nor a header that names moods; did you mean mood?"),
        (
            "comment\tlabels\tname\nso glad\t0\tx\n",
            "line 1: column 'moods' is 'labels', no label's number from 0 to 2 "
            "(task.values: from_0); mend the row, or add what is missing to task.labels; if line 1 is a header, take "
            "task.columns out",
        ),
    ],
)
def test_a_bad_row_of_a_bare_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path / "a.tsv", content)
    text = message(path, MOOD)
    assert text.startswith(f"{path}, line ")
    assert said in text


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "1,2",
            "column 'class' is '1,2', no label's number from 1 to 2 (task.values: from_1); a single_label row has one "
            "class; several labels in a cell are for multi_label",
        ),
        ("", "column 'class' is blank, no label's number from 1 to 2"),
        ("0", "if the file counts from 0, write task.values: from_0"),
        ("3", "mend the row, or add what is missing to task.labels"),
    ],
)
def test_a_single_label_row_has_one_class(tmp_path: Path, cell: str, said: str) -> None:
    path = written(tmp_path / "a.csv", f'1,Vote,today\n"{cell}",Cup,final\n')
    text = message(path, NEWS)
    assert text.startswith(f"{path}, line 2: ")
    assert said in text


def test_numbers_and_missing_headers_are_recognised_without_being_declared(tmp_path: Path) -> None:
    plain = Task(type="multi_label", text="text", labels=MOODS, label_column="moods")
    numbers = message(written(tmp_path / "a.csv", "text,moods\nx,2\n"), plain)
    assert "'2', not among the labels of task.labels (joy, anger, fear)" in numbers
    assert numbers.endswith("; if the cells hold the labels' numbers, write task.values: from_0 or from_1")
    first_line = message(written(tmp_path / "a.jsonl", '{"text": "x", "moods": "glee"}\n'), plain)
    assert "line 1: column 'moods' is 'glee'" in first_line
    assert "header" not in first_line
    long = "a very long text " * 10
    bare = message(written(tmp_path / "b.tsv", f"{long}\t2\n"), plain)
    assert bare.endswith("..., 2; if its first line is no header but a row, name its columns in task.columns")
    assert long not in bare


HEAD = "version: 1\nname: shapes\ndata: {train: a.csv, test: b.csv}\nstages: [{id: base, type: tfidf}]\ntask: "


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            "{type: multi_label, text: t, labels: [a], values: from_0}",
            "values and separator say how label_column is read",
        ),
        (
            "{type: multi_label, text: t, labels: [a], separator: ;}",
            "values and separator say how label_column is read",
        ),
        (
            "{type: multi_label, text: t, labels: [a], label_column: y, values: from_2}",
            "task.values: must be from_0, from_1 or a mapping of what the cells hold to labels (found 'from_2')",
        ),
        (
            "{type: multi_label, text: t, labels: [a], label_column: y, values: {1: b}}",
            "values: b not among labels (a)",
        ),
        (
            "{type: single_label, text: t, labels: [a, b], label_column: y, values: {true: a, 0: b}}",
            "YAML reads this as True, and it must be text: quote it",
        ),
        ("{type: single_label, text: t, labels: [a, b], label_column: y, separator: ;}", "single_label has one class"),
        (
            "{type: single_label, text: t, labels: [a, b], label_column: y, columns: [t, x]}",
            "columns: 'y' is read and not among them (t, x); columns names every column of the file, in its order",
        ),
        ("{type: multi_label, text: txt, labels: [a], columns: [text, a]}", "did you mean text?"),
        ("{type: regression, text: [t, a], labels: [a]}", "text: 'a' is also read for the labels"),
        ("{type: single_label, text: t, labels: [a, b], label_column: t}", "text: 't' is also read for the labels"),
        ("{type: multi_label, text: t, labels: [a], columns: [t, a, _, _]}", "columns: a name occurs twice"),
        ("{type: multi_label, text: t, labels: [a], colums: [t, a]}", "unknown key; did you mean columns?"),
    ],
)
def test_a_mistake_in_the_task_is_told_with_its_line(tmp_path: Path, task: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path / "a.yaml", HEAD + task + "\n"))
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]
    assert caught.value.problems[0].startswith("line 5: task")


# ---------------------------------------------------------------------------------------------------- predict's input


def streamed(path: Path, task: Task = MOOD) -> list[tuple[str | None, str]]:
    return [(row.id, row.text) for row in open_rows(path, task.text, task.join, unheaded=task.columns or ())]


def test_predict_reads_bare_headed_and_plain_files(tmp_path: Path) -> None:
    bare = written(tmp_path / "a.tsv", '"so ""glad"""\t0\tx1\nno\tnever a label\tx2\n')
    assert streamed(bare) == [("x1", 'so "glad"'), ("x2", "no")]  # labels are not read
    assert streamed(written(tmp_path / "b.csv", "id,text\nx1,so glad\n")) == [("x1", "so glad")]
    assert streamed(written(tmp_path / "c.csv", '3,Cup,"final, at last"\n'), NEWS) == [(None, "Cup\nfinal, at last")]
    assert streamed(written(tmp_path / "d.csv", "body,title\nfinal,Cup\n"), NEWS) == [(None, "Cup\nfinal")]
    assert streamed(written(tmp_path / "e.txt", "one, two\tthree\n")) == [(None, "one, two\tthree")]


@pytest.mark.parametrize(
    ("name", "content", "task", "said"),
    [
        (
            "a.tsv",
            "so glad\tx\n",
            MOOD,
            "line 1: 2 cells, neither a row of text, moods, id (task.columns) nor a header",
        ),
        ("a.tsv", "so glad\t0\tx\nno\n", MOOD, "line 2: 1 cells where task.columns names 3"),
        ("a.csv", "titel,body\nCup,final\n", NEWS, "nor a header that names title; did you mean titel?"),
        ("a.csv", "Body,Class,title\nfinal,1,Cup\n", NEWS, "nor a header that names body; did you mean Body?"),
        (
            "a.csv",
            "Cup,final\n",
            NEWS.model_copy(update={"columns": None}),
            "no column 'title'; it has Cup, final; its first line must be a header; a file of plain texts, one a line, "
            "ends in another way, e.g. .txt",
        ),
    ],
)
def test_predict_says_what_an_input_lacks(tmp_path: Path, name: str, content: str, task: Task, said: str) -> None:
    with pytest.raises(DataError) as caught:
        streamed(written(tmp_path / name, content), task)
    assert said in str(caught.value)


# ---------------------------------------------------------------------------------------------------- whole runs

SMALL = (
    "evaluate.rounds=5",
    "evaluate.max_seconds=1",
    "evaluate.resamples=100",
    "evaluate.batch_sizes=[1]",
    "evaluate.threads=[1]",
)
ROWS_OF = {"train": (120, 1), "test": (40, 2)}
FILLERS = ("today", "at last", "as before", "on Monday", "in town", "once more", "for now", "by night", "they say")


def sentences(words: Iterable[str], count: int, seed: int) -> list[tuple[str, int]]:
    """`count` different texts, each with the number of the word it holds; every word in turn."""
    chooser, words = random.Random(seed), tuple(words)
    made: dict[str, int] = {}
    while len(made) < count:
        number = len(made) % len(words)
        made[" ".join([words[number], *chooser.sample(FILLERS, 4)])] = number
    return list(made.items())


def report_of(command: Command, out: Path, recipe: Path | str, *sets: str) -> dict[str, Any]:
    """Runs the recipe; its report.json."""
    ended = command("run", recipe, "--out", out, *(part for item in (*sets, *SMALL) for part in ("--set", item)))
    assert ended.code == 0, ended.err
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def table_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter=delimiter))


def tiny_teacher(encoder: Path) -> tuple[str, ...]:
    keys = ("learning_rate=0.003", "epochs=2", "batch_size=8", f"encoder={encoder}", "sha256=null", "max_tokens=32")
    return tuple(f"stages.teacher.{key}" for key in keys)


SUBJECTS = ("ministers", "goalkeepers", "bankers", "chemists")


def news(folder: Path, header: str) -> Path:
    """train.csv and test.csv of the shape of AG News: class from 1, title, description."""
    folder.mkdir()
    for name, (count, seed) in ROWS_OF.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as out:
            out.write(header)
            rows = sentences(SUBJECTS, count, seed)
            csv.writer(out, quoting=csv.QUOTE_ALL).writerows((n + 1, f"{text},", f'"{text}" it is') for text, n in rows)
    return folder


def test_ag_news_runs_whole_with_a_header_and_without_and_predicts_what_it_measured(
    tmp_path: Path, command: Command, tiny_encoder: Callable[[str], Path]
) -> None:
    bare, headed = news(tmp_path / "bare", ""), news(tmp_path / "headed", "Class Index,Title,Description\n")
    small = (
        *tiny_teacher(tiny_encoder("bert")),
        *(f"stages.student.{key}" for key in ("epochs=4", "batch_size=8", "student.tokenizer.size=200")),
    )
    report = report_of(command, tmp_path / "run", "ag-news", f"data.dir={bare}", *small)
    found = {item["id"]: item["quality"]["micro_f1"]["value"] for item in report["candidates"]}
    assert list(found) == ["tfidf", "teacher", "student", "student-onnx", "student-int8"]
    assert min(found.values()) > 0.6  # one in four by chance
    again = command("plan", "ag-news", "--out", tmp_path / "run", "--set", f"data.dir={headed}")
    assert again.code == 0, again.err
    artifact = tmp_path / "run/artifacts/student-onnx"
    judged = command("evaluate", artifact, "--data", headed / "test.csv", "--out", tmp_path / "judged")
    assert judged.code == 0, judged.err
    kept = json.loads((tmp_path / "judged/report.json").read_text(encoding="utf-8"))["candidates"][0]
    assert kept["quality"]["micro_f1"]["value"] == found["student-onnx"]
    outs = [command("predict", artifact, "--input", folder / "test.csv") for folder in (bare, headed)]
    assert outs[0] == outs[1]
    scored = table_of(outs[0].out)
    assert list(scored[0])[:2] == ["World_probability", "World_decision"]
    truth = [("World", "Sports", "Business", "Sci/Tech")[n] for _, n in sentences(SUBJECTS, 40, 2)]
    right = [row[f"{name}_decision"] == "1" for row, name in zip(scored, truth, strict=True)]
    assert np.mean(right) == pytest.approx(found["student-onnx"])


def test_goemotions_runs_whole_and_tells_of_all_its_labels(
    tmp_path: Path, command: Command, tiny_encoder: Callable[[str], Path]
) -> None:
    labels = load_recipe("goemotions").task.labels
    assert len(labels) == 28
    for name, count, seed in (("train", 140, 1), ("dev", 56, 2), ("test", 56, 3)):
        rows = [f"so much {text}\t{n},{(n + 1) % 28}\t{name}{n}\n" for text, n in sentences(labels, count, seed)]
        written(tmp_path / f"{name}.tsv", "".join(rows))
    small = (
        *tiny_teacher(tiny_encoder("bert")),
        *(f"stages.student.{key}" for key in ("epochs=1", "student.tokenizer.size=200")),
    )
    report = report_of(command, tmp_path / "run", "goemotions", f"data.dir={tmp_path}", *small)
    assert [item["id"] for item in report["candidates"]] == [stage.id for stage in load_recipe("goemotions").all_stages]
    told = (tmp_path / "run/report.md").read_text(encoding="utf-8")
    assert [f"| {label} | 4 |" in told for label in labels] == [True] * 28  # two rows of its own, two of its neighbour
    artifact = tmp_path / "run/artifacts/student-int8"
    ended = command("predict", artifact, "--input", tmp_path / "test.tsv", "--output", tmp_path / "scored.tsv")
    assert ended.code == 0, ended.err
    scored = table_of((tmp_path / "scored.tsv").read_text(encoding="utf-8"), "\t")
    assert list(scored[0]) == ["id", *(f"{label}_{what}" for label in labels for what in ("probability", "decision"))]
    assert [row["id"] for row in scored[:3]] == ["test0", "test1", "test2"]
    piped = command("predict", artifact, stdin=(tmp_path / "test.tsv").read_bytes())
    assert table_of(piped.out) == scored


YES_NO = """\
version: 1
name: yes-no
task: TASK
data: {dir: "FOLDER"}
baselines: [tfidf]
stages:
  - id: teacher
    type: finetune
    encoder: {layers: 1, width: 16, heads: 2, tokenizer: {type: wordpiece, size: 200}, max_tokens: 32}
    pos_weight: balanced
    epochs: 4
    batch_size: 8
    learning_rate: 0.005
  - {id: exported, type: export}
  - {id: small, type: quantize, scheme: int8_dynamic}
evaluate: {threads: [1]}
"""


@pytest.mark.parametrize(
    ("task", "labels", "spoken"),
    [
        ("{type: multi_label, text: text, labels: [spam]}", ["spam"], ("F1", "micro F1", "ROC-AUC")),
        (
            "{type: single_label, text: text, labels: [ham, spam], label_column: spam, values: from_0}",
            ["ham", "spam"],
            ("macro F1", "accuracy", "macro ROC-AUC"),
        ),
    ],
)
def test_yes_or_no_runs_whole_as_one_label_and_as_two_classes(
    tmp_path: Path, command: Command, task: str, labels: list[str], spoken: tuple[str, ...]
) -> None:
    rows = {name: sentences(("lunch", "tea", "chess", "pills"), *size) for name, size in ROWS_OF.items()}
    for name, made in rows.items():
        lines = [f"{text},{n // 3}\n" for text, n in made]
        written(tmp_path / f"{name}.csv", "text,spam\n" + "".join(lines))
    recipe = written(tmp_path / "yes-no.yaml", YES_NO.replace("TASK", task).replace("FOLDER", str(tmp_path)))
    report = report_of(command, tmp_path / "run", recipe)
    assert any("validation is 12 rows split off train" in note for note in report["notes"])
    quality = report["candidates"][-1]["quality"]
    assert list(quality["labels"]) == labels
    assert quality["labels"]["spam"]["support"] == 10
    assert quality["macro_f1"]["value"] > 0.9  # the word alone tells
    told = (tmp_path / "run/report.md").read_text(encoding="utf-8")
    assert f"| zeros | {' | '.join(spoken)} | p50 ms" in told
    assert told.count(f"| **{spoken[0]}** |") == told.count(f"| **{spoken[1]}** |") == 1
    assert ("at 0.5**" in told) == (labels == ["spam"])  # classes have no thresholds to do without
    ended = command("predict", tmp_path / "run/artifacts/small", "--input", tmp_path / "test.csv")
    decided = [int(row["spam_decision"]) for row in table_of(ended.out)]
    assert decided == [n // 3 for _, n in rows["test"]]
