"""What the data are before anything is trained: counts worked by hand, laws of lengths, the command from outside."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compress.data.lengths import Counted, TokenLengths, cut_at, percentile, suggested_limit, token_facts
from compress.data.oddities import oddities_of
from compress.data.overview import Overview, labels_together, overview
from compress.data.recurring import Recurring, recurring
from compress.data.types import Splits
from compress.overview import tokens as counting
from compress.overview.markdown import render_markdown
from compress.overview.picture import draw_overview
from compress.overview.tables import sections, share_text
from compress.overview.tokens import token_lengths
from compress.recipe.load import load_recipe
from compress.recipe.recipe import Recipe
from compress.run_folder import run_folder
from eval.contract import LabelledTexts

Command = Callable[..., Any]


def rows(texts: Sequence[str], targets: Sequence[Sequence[float]], kind: str = "int8") -> LabelledTexts:
    labels = tuple("abc"[: len(targets[0])])
    return LabelledTexts(tuple(texts), labels, np.array(targets, kind))


def splits(train: LabelledTexts, test: LabelledTexts, unlabeled: Sequence[str] = ()) -> Splits:
    return Splits(train, test, tuple(unlabeled), {"news": test}, ("a note",))


SMALL = splits(
    rows(["x y", "X  Y", "x y", "z", "q"], [[1, 0], [1, 1], [1, 0], [0, 0], [0, 1]]),
    rows(["x Y", "new", "  "], [[0, 0], [1, 0], [0, 0]]),
    ["z", "", "Z ", "other"],
)


def counted(lengths: Sequence[int], rows: int | None = None) -> Counted:
    return Counted(np.array(lengths, np.int32), rows or len(lengths), max(lengths))


def facts_of(lengths: dict[str, Sequence[int]], **limits: int | None) -> Any:
    counts = {name: counted(values) for name, values in lengths.items()}
    return token_facts(TokenLengths("some tokenizer", "tokens", None, None, limits, counts))


SHORT = TokenLengths("t", "tokens", None, None, {"teacher": 8}, {"train": counted([3, 4, 9])})


# ---------------------------------------------------------------------------------------------------- labels and splits


def test_counts_by_label_and_split() -> None:
    found = overview("n", "multi_label", SMALL, ())
    by_name = {it.name: it for it in found.splits}
    assert list(by_name) == ["train", "validation", "unlabeled", "test:news"]
    assert [it.rows for it in found.splits] == [5, 3, 4, 3]
    assert by_name["train"].positives == {"a": 3, "b": 2}
    assert by_name["test:news"].positives == {"a": 1, "b": 0}
    assert by_name["unlabeled"].positives == {}
    assert [it.no_label for it in found.splits] == [1, 2, None, 2]
    assert (by_name["train"].characters.p50, by_name["train"].characters.longest) == (3, 4)
    assert found.notes == ("a note",)


def test_a_split_without_rows_is_left_out() -> None:
    bare = Splits(SMALL.train, SMALL.validation, (), {}, ())
    assert [it.name for it in overview("n", "multi_label", bare, ()).splits] == ["train", "validation"]


def test_labels_that_hold_together() -> None:
    # a and b: 8 rows; a in 4, b in 2, both in 2. phi = (8 * 2 - 4 * 2) / sqrt(4 * 4 * 2 * 6) = 8 / sqrt(192)
    targets = [[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    found = labels_together(rows("abcdefgh", targets))
    assert found.rows == ((4, 2, 0), (2, 2, 0), (0, 0, 4))
    assert [(it.rare, it.common, it.rows, it.share) for it in found.notable[:1]] == [("b", "a", 2, 1.0)]
    assert found.notable[0].phi == pytest.approx(8 / 192**0.5)
    assert [(it.rows, it.phi) for it in found.notable[1:]] == [
        (0, pytest.approx(-1)),
        (0, pytest.approx(-8 / 192**0.5)),
    ]


def test_a_label_that_always_holds_goes_with_nothing() -> None:
    assert labels_together(rows("ab", [[1, 0], [1, 1]])).notable == ()


def test_many_rows_do_not_overflow_the_counts() -> None:
    many = rows(["x"] * 70_000, [[1, 1]] * 70_000)
    assert labels_together(many).rows == ((70_000, 70_000), (70_000, 70_000))
    assert overview("n", "multi_label", splits(many, SMALL.validation), ()).splits[0].positives["a"] == 70_000


def test_classes_are_shares_and_never_together() -> None:
    train = rows("pqrs", [[1, 0], [0, 1], [0, 1], [0, 1]])
    found = overview("n", "single_label", splits(train, rows(["t"], [[1, 0]])), ())
    assert found.together is None
    assert {it.no_label for it in found.splits} == {None}
    table = sections(found)[1]
    assert table.rows[1] == ("b", "3 (75.0 %)", "0", "0")
    assert table.lines[0] == "train: 'b', whatever the text, would be right on 75.0 %"


def test_the_values_of_a_regression() -> None:
    train = rows("pqrs", [[1.0], [3.0], [3.0], [5.0]], "float32")
    found = overview("n", "regression", splits(train, rows(["t"], [[2.5]], "float32"), ["u"]), ())
    spread = found.splits[0].spreads["a"]
    assert (spread.least, spread.mean, spread.most) == (1, 3, 5)
    assert spread.deviation == pytest.approx(2**0.5)
    assert found.splits[0].positives == {}
    assert sections(found)[1].rows[0] == ("a", "train", "1", "3", "5", "1.414")
    assert len(sections(found)[1].rows) == 3  # unlabeled has no values
    ElementTree.fromstring(draw_overview(found))  # noqa: S314 - our own


# ---------------------------------------------------------------------------------------------------- texts that recur


def found_in(found: Sequence[Recurring], split: str, other: str) -> Recurring:
    return next(it for it in found if (it.split, it.other) == (split, other))


def test_what_recurs_inside_a_split_and_between_two() -> None:
    found = overview("n", "multi_label", SMALL, ()).recurring
    # rows 2 and 3 of train are row 1 again, row 2 with b besides
    assert found_in(found, "train", "train") == Recurring("train", "train", 2, 1, (2, 3))
    assert found_in(found, "train", "test:news") == Recurring("train", "test:news", 3, 3, (1, 2, 3))
    assert found_in(found, "test:news", "train") == Recurring("test:news", "train", 1, 1, (1,))
    assert found_in(found, "unlabeled", "unlabeled") == Recurring("unlabeled", "unlabeled", 1, None, (3,))
    assert found_in(found, "unlabeled", "train").rows == 2
    assert found_in(found, "unlabeled", "test:news").rows == 0  # two empty texts are no copies


TEXTS = st.lists(st.sampled_from(["a", "A ", "b", "c  d", "C d", "", " ", "é", "e"]), max_size=30)


@given(TEXTS, TEXTS, st.randoms(use_true_random=False))
def test_what_recurs_does_not_depend_on_order(one: list[str], other: list[str], chance: random.Random) -> None:
    def counts() -> dict[tuple[str, str], int]:
        return {(it.split, it.other): it.rows for it in recurring({"one": one, "other": other}, {})}

    before = counts()
    different = {" ".join(text.casefold().split()) for text in one} - {""}
    assert before["one", "one"] == sum(bool(text.strip()) for text in one) - len(different)
    assert (before["one", "other"] == 0) == (before["other", "one"] == 0)
    chance.shuffle(one)
    chance.shuffle(other)
    assert counts() == before


# ---------------------------------------------------------------------------------------------------- odd rows


def test_odd_rows_by_kind() -> None:
    texts = ["fine", "", " \n", "tab\tand\nline", "\x00", "\x9f", "half \ufffd", "w" * 201, "w" * 200, "long " * 250]
    found = {it.what.split(" characters")[0]: (it.rows, it.first) for it in oddities_of(texts)}
    assert found == {
        "empty": (2, (2, 3)),
        "over 200": (1, (8,)),
        "control": (2, (5, 6)),
        "replacement": (1, (7,)),
    }  # of so few texts the longest is itself the 95th percentile
    found = {it.what: it.rows for it in oddities_of([*["five "] * 99, "long " * 250])}
    assert found == {"over 1,000 characters (10 times the 95th percentile)": 1}


def test_only_the_first_rows_are_named() -> None:
    (empty,) = oddities_of([""] * 9)
    assert (empty.rows, empty.first) == (9, (1, 2, 3, 4, 5))


def test_ordinary_texts_are_not_odd() -> None:
    assert oddities_of(["Привет, мир", "日本語の文章です。", "e\u0301t\u00e9 \U0001f600\u200d", "a\r\nb\u0085c"]) == ()
    assert oddities_of([]) == ()


# ---------------------------------------------------------------------------------------------------- lengths


def test_percentiles_are_lengths_that_occur() -> None:
    found = facts_of({"train": range(1, 101)}, teacher=90, late=None).splits["train"]
    assert (found.p50, found.p90, found.p95, found.p99, found.longest) == (50, 90, 95, 99, 100)


def test_what_a_limit_cuts() -> None:
    # 3 of 4 texts are longer than 10 tokens; of 10 + 20 + 30 + 40 tokens 10 + 20 + 30 lie beyond
    found = facts_of({"train": [10, 20, 30, 40], "validation": [10]}, teacher=10)
    assert found.cuts["teacher"].texts == {"train": 0.75, "validation": 0}
    assert found.cuts["teacher"].tokens == {"train": 0.6, "validation": 0}


@pytest.mark.parametrize(
    ("lengths", "limit"),
    [
        ([1] * 100, 16),
        ([16] * 100, 16),
        ([17] * 100, 32),
        ([16] * 95 + [100] * 5, 112),  # 5 % is not under 5 %
        ([16] * 96 + [100] * 4, 16),
        (list(range(1, 1001)), 960),
    ],
)
def test_the_suggested_limit(lengths: list[int], limit: int) -> None:
    assert suggested_limit({"train": counted(lengths)}) == limit


def test_the_suggestion_weighs_splits_by_their_rows_and_leaves_out_what_is_judged() -> None:
    learned = {"train": counted([100], rows=4), "unlabeled": counted([10, 10], rows=96)}
    assert suggested_limit(learned) == 16
    assert suggested_limit(learned | {"test:t": counted([500] * 9), "validation": counted([500] * 9)}) == 16
    assert suggested_limit({"test:t": counted([3])}) is None


LENGTHS = st.lists(st.integers(0, 700), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 700), st.integers(0, 300))
def test_laws_of_lengths(lengths: list[int], limit: int, more: int) -> None:
    found = facts_of({"train": lengths})
    it = found.splits["train"]
    assert it.p50 <= it.p90 <= it.p95 <= it.p99 <= it.longest == max(lengths)
    assert sum(it.histogram) == it.counted == len(lengths)
    assert {it.p50, it.p99} <= set(lengths)
    counts = {"train": counted(lengths)}
    narrow, wide = cut_at(limit, counts), cut_at(limit + more, counts)
    assert 0 <= wide.texts["train"] <= narrow.texts["train"] <= 1
    assert 0 <= wide.tokens["train"] <= narrow.tokens["train"] <= 1
    assert found.suggested.max_tokens % 16 == 0
    assert found.suggested.texts["train"] < 0.05
    before = found.suggested.max_tokens - 16
    assert before == 0 or cut_at(before, counts).texts["train"] >= 0.05


@given(LENGTHS, st.floats(1, 99))
def test_a_percentile_is_passed_by_no_more_than_the_rest(lengths: list[int], share: float) -> None:
    value = percentile(lengths, share)
    below = sum(length < value for length in lengths) / len(lengths)
    within = sum(length <= value for length in lengths) / len(lengths)
    assert below <= share / 100 + 1e-9
    assert within >= share / 100 - 1e-9


# ---------------------------------------------------------------------------------------------------- tokens counted


@pytest.fixture
def recipe_of(tmp_path: Path, tiny_recipe: dict[str, Any]) -> Callable[..., Recipe]:
    """The tiny recipe, loaded; with stages given, with these in place of its own."""

    def loaded(*stages: dict[str, Any]) -> Recipe:
        file = tmp_path / "recipe-of-stages.yaml"
        file.write_text(yaml.safe_dump(tiny_recipe | ({"stages": list(stages)} if stages else {})))
        return load_recipe(file)

    return loaded


def silent(what: str, done: int, total: int) -> None:
    pass


def test_tokens_are_those_of_each_stage(
    recipe_of: Callable[..., Recipe], comment_splits: Any, tiny_encoder: Callable[[str], Path]
) -> None:
    from tokenizers import Tokenizer

    seen: list[tuple[str, int, int]] = []
    teacher, student = token_lengths(recipe_of(), comment_splits, lambda *done: seen.append(done))
    assert teacher.max_tokens == {"teacher": 32}  # those that follow read as it does
    assert student.max_tokens == {"student": 32}
    assert teacher.positions == 64
    whole = Tokenizer.from_file(str(tiny_encoder("bert") / "tokenizer.json"))
    whole.no_truncation()
    expected = [len(whole.encode(text).ids) for text in comment_splits.train.texts]
    assert teacher.counted["train"].lengths.tolist() == expected
    assert list(teacher.counted) == ["train", "validation", "unlabeled", "test:test"]
    assert student.tokenizer == "WordPiece of 200 pieces"
    assert student.note is not None
    assert student.counted["train"].lengths.mean() > 0
    assert seen[0] == ("token lengths: teacher", 0, 360)
    assert seen[-1] == ("token lengths: student", 360, 360)


def test_stages_with_one_tokenizer_are_counted_once(
    recipe_of: Callable[..., Recipe], comment_splits: Any, tiny_encoder: Callable[[str], Path]
) -> None:
    one = {"id": "one", "type": "finetune", "encoder": str(tiny_encoder("bert")), "max_tokens": 16}
    other = {"id": "other", "type": "distill", "teacher": "one", "student": {"encoder": one["encoder"]}}
    (found,) = token_lengths(recipe_of(one, other), comment_splits, silent)
    assert found.max_tokens == {"one": 16, "other": 16}


def test_a_loaded_model_brings_its_own_limit(
    recipe_of: Callable[..., Recipe], comment_splits: Any, teacher: Any
) -> None:
    load = {"id": "loaded", "type": "load", "model": str(teacher.path)}
    (found,) = token_lengths(recipe_of(load), comment_splits, silent)
    assert (found.unit, found.max_tokens) == ("tokens", {"loaded": 32})


@pytest.mark.parametrize(
    ("encoder", "why"), [("roberta-base", "not on this disk"), ("package:no_such/x", "pip install")]
)
def test_without_the_tokenizer_words_are_counted_and_it_says_so(
    recipe_of: Callable[..., Recipe], comment_splits: Any, encoder: str, why: str
) -> None:
    stage = {"id": "teacher", "type": "finetune", "encoder": encoder, "max_tokens": 12}
    (found,) = token_lengths(recipe_of(stage), comment_splits, silent)
    assert found.unit == "words"
    assert why in str(found.note)
    assert found.counted["train"].lengths.tolist() == [len(text.split()) for text in comment_splits.train.texts]
    facts = token_facts(found)
    assert facts.suggested is None
    (table,) = (it for it in sections(overview("n", "multi_label", comment_splits, [found])) if "words" in it.title)
    assert all(row[-1].startswith("at least ") for row in table.rows)
    assert any("Words were counted" in line for line in table.lines)


def test_of_many_texts_some_are_counted_and_the_longest_is_found(
    recipe_of: Callable[..., Recipe], comment_splits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = token_lengths(recipe_of(), comment_splits, silent)[0]
    monkeypatch.setattr(counting, "SAMPLE", 25)
    part = token_lengths(recipe_of(), comment_splits, silent)[0]
    again = token_lengths(recipe_of(), comment_splits, silent)[0]
    train = part.counted["train"]
    assert (len(train.lengths), train.rows) == (25, 120)
    assert train.longest == whole.counted["train"].longest
    assert train.lengths.tolist() == again.counted["train"].lengths.tolist()
    found = overview("n", "multi_label", comment_splits, [part])
    assert any("25 of 120 train" in line for section in sections(found) for line in section.lines)


def test_fewer_positions_than_the_texts_ask_for() -> None:
    found = TokenLengths("t", "tokens", None, 512, {}, {"train": counted([900])})
    (table,) = (it for it in sections(overview("n", "multi_label", SMALL, [found])) if it.title.startswith("tokens"))
    assert table.lines[-1].startswith("suggested max_tokens: 912")
    assert "512 positions" in table.lines[-1]


# ---------------------------------------------------------------------------------------------------- shown and written


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (0.00003, "under 0.01 %"), (0.0018, "0.18 %"), (0.01, "1.0 %"), (0.345, "34.5 %"), (1, "100.0 %")],
)
def test_shares_in_words(share: float, said: str) -> None:
    assert share_text(share) == said


@pytest.fixture
def small() -> Overview:
    return overview("a $name$ | of $two$", "multi_label", SMALL, [SHORT])


def test_the_json_says_it_all_and_no_text(small: Overview) -> None:
    written = json.loads(json.dumps(small.to_json(), allow_nan=False))
    assert written["schema_version"] == 1
    assert written["splits"][0]["positives"] == {"a": 3, "b": 2}
    assert written["tokens"][0]["cuts"]["teacher"] == {
        "max_tokens": 8,
        "texts": {"train": pytest.approx(1 / 3)},
        "tokens": {"train": pytest.approx(1 / 16)},
    }
    assert written["recurring"][0] == {
        "split": "train",
        "other": "train",
        "rows": 2,
        "other_labels": 1,
        "first": [2, 3],
    }


def test_the_picture_is_the_same_every_time_and_bears_odd_names(small: Overview) -> None:
    picture = draw_overview(small)
    assert picture == draw_overview(small)
    ElementTree.fromstring(picture)  # noqa: S314 - our own


def test_a_picture_without_any_limit_and_of_a_split_without_positives() -> None:
    words = TokenLengths("gone", "words", "why", None, {"loaded": None}, {"train": counted([3, 900])})
    bare = splits(SMALL.train, rows(["s", "t"], [[0, 0], [0, 0]]))
    picture = draw_overview(overview("n", "multi_label", bare, [words]))
    ElementTree.fromstring(picture)  # noqa: S314 - our own


def test_the_page_keeps_tables_whole(small: Overview) -> None:
    page = render_markdown(small, "data.svg")
    assert page.startswith("# a $name$ \\| of $two$: the data\n\n> **Note:** a note\n")
    assert "| train | test:news | 3 (60.0 %) | 3 | 1, 2, 3 |" in page
    widths = [line.count(" |") for line in page.splitlines() if line.startswith("| split | rows")]
    assert widths == [6]


def test_with_many_labels_the_pairs_stand_alone() -> None:
    names = tuple(f"label{number}" for number in range(12))
    targets = np.eye(12, dtype=np.int8)[[*range(12), 0]]
    targets[0, 1] = 1
    train = LabelledTexts(tuple("abcdefghijklm"), names, targets)
    found = overview("n", "multi_label", splits(train, train), ())
    (table,) = (it for it in sections(found) if "together" in it.title)
    assert table.rows == ()
    assert table.lines[0].startswith(("label0 with label1: 1 rows", "label1 with label0: 1 rows"))


# ---------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def recipe_file(tmp_path: Path, tiny_recipe: dict[str, Any]) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(tiny_recipe))
    return file


def test_without_out_it_prints_and_writes_nothing(
    recipe_file: Path, command: Command, monkeypatch: pytest.MonkeyPatch, sentences: tuple[str, ...]
) -> None:
    monkeypatch.chdir(recipe_file.parent)
    ended = command("data", recipe_file)
    assert ended.code == 0, ended.err
    assert [path.name for path in recipe_file.parent.iterdir()] == ["recipe.yaml"]
    for said in ("rows of each label", "labels together in train", "tokens by", "over 32", "none: no text is empty"):
        assert said in ended.out
    assert not any(text in ended.out for text in sentences)
    assert any(it.startswith("suggested max_tokens") and it.endswith("of train)") for it in ended.out.splitlines())
    assert "token lengths: teacher" in ended.err


def test_with_out_it_writes_three_files_the_same_each_time(
    recipe_file: Path, tmp_path: Path, command: Command, sentences: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    first, again = (command("data", recipe_file, "--out", out) for _ in range(2))
    assert (first.code, again.code) == (0, 0), first.err
    names = ("data.json", "data.md", "data.svg")
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == set(names)
    before = {name: (out / name).read_bytes() for name in names}
    assert command("data", recipe_file, "--out", out, "--set", "seed=14").code == 0
    assert before["data.json"] == (out / "data.json").read_bytes()  # nothing is drawn of so few rows
    written = json.loads(before["data.json"])
    assert [it["rows"] for it in written["splits"]] == [120, 80, 80, 80]
    assert all(it["rows"] == 0 for it in written["recurring"])
    assert f"{out / 'data.md'}" in first.out
    everything = b"".join(before.values()).decode()
    assert not any(text in everything for text in sentences)


def test_nobody_s_files_are_written_over(recipe_file: Path, tmp_path: Path, command: Command) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "data.md").write_text("mine")
    ended = command("data", recipe_file, "--out", mine)
    assert ended.code == 2
    assert "did not write" in ended.err
    assert [path.name for path in mine.iterdir()] == ["data.md"]
    assert (mine / "data.md").read_text() == "mine"


def test_folders_of_other_commands_are_left_alone(recipe_file: Path, tmp_path: Path, command: Command) -> None:
    run = tmp_path / "run"
    with run_folder(run, "run"):
        pass
    assert "is the folder of a run" in command("data", recipe_file, "--out", run).err
    assert not (run / "data.md").exists()
    assert command("data", recipe_file, "--out", tmp_path / "out").code == 0
    ended = command("run", recipe_file, "--out", tmp_path / "out")
    assert ended.code == 2
    assert "is the folder of compress data" in ended.err


def test_what_recurs_and_what_is_odd_is_named_by_its_row(
    recipe_file: Path, tmp_path: Path, comment_files: Path, command: Command
) -> None:
    copy = shutil.copytree(comment_files, tmp_path / "comments")
    lines = (copy / "train.csv").read_text(encoding="utf-8").splitlines()
    text = lines[5].split(",")[1]
    lines += [f"again,{text.upper()},0,0,0,0,0,0", "odd,rings \x07,0,0,0,0,0,0"]
    (copy / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    ended = command("data", recipe_file, "--set", f"vars.comments={copy}", "--set", f"data.dir={copy}")
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert "│ train │ itself │ 1 (0.82 %) │ 1 │ 121 │" in said
    assert "│ train │ control characters │ 1 │ 122 │" in said
    assert text.upper() not in ended.out


def test_the_overview_itself_imports_no_torch() -> None:
    code = (
        "import sys, compress.data.overview, compress.overview.tables, compress.cli\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
