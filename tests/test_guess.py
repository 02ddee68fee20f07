"""What `init` takes columns for: texts, labels and ids told apart, tasks guessed, doubts told with their flags."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.data.columns import column_of, counted_from
from compress.data.guess import Answers, Guess, Sheet, answered, guess
from compress.errors import DataError

_WORDS = ("the", "garden", "bridge", "table", "river", "stone", "quiet", "yellow", "walks", "finds", "opens", "brings")


def sentences(count: int, words: int = 7, seed: int = 1) -> list[str]:
    """Different sentences of so many words."""
    chooser = random.Random(seed)
    return [" ".join([*chooser.choices(_WORDS, k=words - 1), f"n{number}"]) for number in range(count)]


def cycle(values: Sequence[object], count: int) -> list[str]:
    return [str(values[index % len(values)]) for index in range(count)]


def sheet(**columns: Sequence[str]) -> Sheet:
    """A file of named columns, e.g. JSON lines."""
    return Sheet("rows.jsonl", tuple(columns), tuple(tuple(cells) for cells in columns.values()))


def headed(*columns: Sequence[str]) -> Sheet:
    """A file whose first line may be a header."""
    return Sheet("rows.csv", None, tuple(tuple(cells) for cells in columns))


def topics(guessed: Guess) -> list[str]:
    return [doubt.topic for doubt in guessed.doubts]


# ---------------------------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (sentences(40), "text"),
        (["今日はとても良い天気ですね" + str(number) for number in range(30)], "text"),
        (cycle(["0", "1"], 20), "yes_no"),
        (cycle(["0.0", "1.0", "true", "FALSE", " 1 "], 20), "yes_no"),
        (cycle(["World", "Sport", "Science, Tech"], 20), "classes"),
        (cycle([1, 2, 3, 4], 20), "classes"),
        (cycle(["1.0", "2.0", "3.0"], 20), "classes"),
        (cycle(["4", "27", "4,27", "3,4,27", "3"], 40), "list"),
        (cycle(["calm", "calm; glad", "glad", "glad;wry", "wry", ""], 40), "list"),
        (cycle(["4 7", "4", "7", "7 9", "9"], 40), "list"),
        ([f"{number / 7:.3f}" for number in range(40)], "numbers"),
        (cycle(["0.0", "0.5", "1.0"], 40), "numbers"),
        (cycle(range(100), 300), "numbers"),
        ([str(number) for number in range(1000, 1100)], "id"),
        ([f"a{number:x}b" for number in range(500, 600)], "id"),
        (["same"] * 20, "other"),
        (["", " "] * 5, "other"),
        ([f"2024-05-{day} 10:00" for day in range(10, 31)], "other"),
    ],
)  # fmt: skip
def test_what_a_column_looks_like(cells: list[str], kind: str) -> None:
    assert column_of("x", cells).kind == kind


def test_blank_cells_are_counted_and_otherwise_passed_over() -> None:
    column = column_of("x", ["1", "", "0", "  ", "1"])
    assert (column.kind, column.rows, column.blank, column.values) == ("yes_no", 5, 2, ("0", "1"))


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("doc_id", cycle(range(100), 300), "id"),
        ("Label", cycle(range(150), 450), "classes"),
        ("intent", cycle([f"name{n}" for n in range(150)], 450), "classes"),
        ("other", cycle([f"name{n}" for n in range(150)], 450), "other"),
        ("query", [f"word{n}" for n in range(40)], "text"),
        ("code", [f"word{n}" for n in range(40)], "id"),
    ],
)
def test_a_name_says_what_the_cells_leave_open(name: str, cells: list[str], kind: str) -> None:
    assert column_of(name, cells).kind == kind


@given(st.lists(st.text()))
def test_any_cells_look_like_something(cells: list[str]) -> None:
    column = column_of("x", cells)
    assert column.rows == len(cells)
    assert column.blank == sum(not cell.strip() for cell in cells)
    assert all(value.strip() == value != "" for value in column.values)


@given(st.sampled_from([0, 1]), st.integers(1, 40), st.booleans())
def test_numbers_without_a_gap_are_counted(first: int, count: int, as_floats: bool) -> None:
    values = {f"{first + index}{'.0' if as_floats else ''}" for index in range(count)}
    if count == 1 and first == 1:
        assert counted_from(values) == (1, 1)
    else:
        assert counted_from(values) == (first, first + count - 1)
        if count > 2:
            assert counted_from(values - {f"{first + 1}{'.0' if as_floats else ''}"}) is None


@pytest.mark.parametrize("values", [{"01", "1"}, {"2", "3"}, {"-1", "0", "1"}, {"a", "0"}, {"+1", "2"}])
def test_other_values_are_not_counted(values: set[str]) -> None:
    assert counted_from(values) is None


# ---------------------------------------------------------------------------------------------------- tasks


def test_columns_of_0_and_1_are_labels_and_the_id_is_nothing() -> None:
    found = guess(
        sheet(id=[f"x{n}" for n in range(40)], body=sentences(40), rude=cycle([0, 1], 40), kind=cycle([1, 0, 0], 40)),
        Answers(),
    )
    assert (found.labels.task, found.labels.labels, found.labels.label_column) == (
        "multi_label",
        ("rude", "kind"),
        None,
    )
    assert (found.text, found.columns, found.doubts, found.notes) == (("body",), None, (), ())


def test_a_label_that_never_holds_is_left_out_and_told() -> None:
    found = guess(
        sheet(body=sentences(40), rude=cycle([0, 1], 40), never=["0"] * 40, glad=cycle([0, 0, 1], 40)), Answers()
    )
    assert found.labels.labels == ("rude", "glad")
    assert "'never' is 0 in every row" in found.notes[0]


def test_a_column_of_few_names_is_the_class() -> None:
    found = guess(sheet(body=sentences(40), topic=cycle(["b", "a", "c"], 40)), Answers())
    assert (found.labels.task, found.labels.label_column) == ("single_label", "topic")
    assert (found.labels.labels, found.labels.values) == (("a", "b", "c"), None)
    assert not found.doubts


@pytest.mark.parametrize(("numbers", "rule"), [((1, 2, 3, 4), "from_1"), ((0, 1, 2), "from_0"), ((3, 5, 9), None)])
def test_class_numbers(numbers: tuple[int, ...], rule: str | None) -> None:
    found = guess(sheet(body=sentences(40), kind=cycle(numbers, 40)), Answers())
    assert (found.labels.labels, found.labels.values) == (tuple(map(str, numbers)), rule)


def test_numbers_take_their_names_from_a_file_of_as_many() -> None:
    rows = sheet(body=sentences(40), kind=cycle([1, 2, 3], 40))
    assert guess(rows, Answers(), ("a", "b", "c")).labels.labels == ("a", "b", "c")
    assert guess(rows, Answers(), ("a", "b")).labels.labels == ("1", "2", "3")
    names = sheet(body=sentences(40), kind=cycle(["x", "y", "z"], 40))
    assert guess(names, Answers(), ("a", "b", "c")).labels.labels == ("x", "y", "z")


@pytest.mark.parametrize(("mark", "separator"), [(",", None), (";", ";"), ("|", "|")])
def test_a_cell_with_several_labels(mark: str, separator: str | None) -> None:
    cells = cycle(["calm", f"calm{mark}glad", "glad", f"wry{mark}glad", "wry"], 40)
    found = guess(sheet(body=sentences(40), mood=cells), Answers())
    assert found.labels.task == "multi_label"
    assert (found.labels.labels, found.labels.separator) == (("calm", "glad", "wry"), separator)
    assert not found.doubts


def test_one_column_of_many_numbers_is_an_amount() -> None:
    found = guess(sheet(body=sentences(40), length=[f"{n / 3:.2f}" for n in range(40)]), Answers())
    assert (found.labels.task, found.labels.labels, found.doubts) == ("regression", ("length",), ())


def test_a_class_beside_numbers_is_the_label() -> None:
    found = guess(sheet(body=sentences(40), sure=[f"{n / 3:.2f}" for n in range(40)], a=cycle("xyz", 40)), Answers())
    assert found.labels.label_column == "a"


def test_a_lone_0_1_column_goes_by_its_name() -> None:
    spam = guess(sheet(body=sentences(40), spam=cycle([0, 1], 40)), Answers())
    assert (spam.labels.task, spam.labels.labels) == ("multi_label", ("spam",))
    label = guess(sheet(body=sentences(40), label=cycle([0, 1], 40)), Answers())
    assert (label.labels.task, label.labels.labels, label.labels.values) == ("single_label", ("0", "1"), "from_0")
    assert not spam.doubts + label.doubts


def test_the_column_called_label_is_taken_among_others() -> None:
    found = guess(sheet(body=sentences(40), shared=cycle([0, 1], 40), label=cycle("abc", 40)), Answers())
    assert (found.labels.label_column, found.doubts) == ("label", ())


def test_blank_label_cells_are_told() -> None:
    found = guess(sheet(body=sentences(40), topic=[*cycle("abc", 38), "", ""]), Answers())
    assert "2 rows have a blank cell in 'topic'" in found.notes[0]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([*cycle(["Yes", "No"], 59), "yes"], "rarely seen in 'topic': 'yes' (1): mend the file where that is a slip"),
        ([*cycle("12345", 58), "four", "6"], "rarely seen in 'topic': '6' (1), 'four' (1): mend"),
        (
            [*cycle(["ham", "spam"], 59), "ham,spam"],
            "several labels in 'topic' stand in 1 row of 60 alone, such as 'ham",
        ),
    ],
)
def test_a_cell_that_may_be_a_slip_is_told(cells: list[str], told: str) -> None:
    (note,) = guess(sheet(body=sentences(60), topic=cells), Answers()).notes
    assert note.startswith(told)


def test_what_is_said_often_enough_is_no_slip() -> None:
    assert guess(sheet(body=sentences(60), topic=[*cycle("ab", 57), *"ccc"]), Answers()).notes == ()
    assert guess(sheet(body=sentences(60), topic=cycle(["a,b", "a", "b"], 60)), Answers()).notes == ()
    assert guess(sheet(body=sentences(30), topic=[*cycle("ab", 29), "c"]), Answers()).notes == ()  # too few to tell


# ---------------------------------------------------------------------------------------------------- headers


def test_a_header_names_the_columns() -> None:
    found = guess(headed(["body", *sentences(20)], ["topic", *cycle("ab", 20)]), Answers())
    assert (found.columns, found.text, found.labels.label_column) == (None, ("body",), "topic")
    assert len(found.cells["body"]) == 20


def test_a_file_without_a_header_gets_names() -> None:
    found = guess(
        headed(sentences(41), cycle([3, "1,2", 1, 2, "1,3", "2,3"], 41), [f"k{n}" for n in range(41)]), Answers()
    )
    assert (found.columns, found.text, found.doubts) == (("text", "label", "id"), ("text",), ())
    assert (found.labels.label_column, found.labels.values) == ("label", "from_1")
    assert len(found.cells["text"]) == 41


def test_columns_of_a_kind_are_numbered() -> None:
    found = guess(headed(cycle([3, 1, 2, 4], 40), sentences(40), sentences(40, 9, seed=2)), Answers())
    assert (found.columns, found.text) == (("label", "text_1", "text_2"), ("text_1", "text_2"))


def test_a_header_that_is_not_clear_is_a_doubt_and_an_answer_settles_it() -> None:
    rows = headed(["Fine", *sentences(40)], ["1", *cycle([1, 2, 3], 40)])
    found = guess(rows, Answers())
    assert topics(found) == ["header"]
    (doubt,) = found.doubts
    assert doubt.options == (("yes",), ("no",))
    for option, columns in ((0, None), (1, ("text", "label"))):
        again = guess(rows, answered(Answers(), doubt, (option,)))
        assert (again.columns, topics(again)) == (columns, [])


# ---------------------------------------------------------------------------------------------------- doubts


def test_two_texts_are_both_taken_and_asked_about() -> None:
    rows = sheet(title=sentences(40, 4), body=sentences(40, 12, seed=2), topic=cycle("abc", 40))
    found = guess(rows, Answers())
    assert (found.text, topics(found)) == (("title", "body"), ["text"])
    (doubt,) = found.doubts
    assert (doubt.options, doubt.taken, doubt.flag) == ((("title",), ("body",)), (0, 1), "--text title --text body")
    again = guess(rows, answered(Answers(), doubt, (1,)))
    assert (again.text, again.doubts) == (("body",), ())


def test_without_a_text_the_longest_cells_are_in_doubt() -> None:
    found = guess(
        sheet(word=[f"w{n}" for n in range(40)], longer=[f"word{n}-{n}" for n in range(40)], y=cycle("ab", 40)),
        Answers(),
    )
    assert (found.text, topics(found)) == (("longer",), ["text"])
    assert found.doubts[0].flag == "--text longer"


def test_several_candidates_for_the_labels_are_asked_about() -> None:
    rows = sheet(body=sentences(40), place=cycle("abc", 40), rude=cycle([0, 1], 40), kind=cycle([1, 0, 0], 40))
    found = guess(rows, Answers())
    assert topics(found) == ["labels"]
    (doubt,) = found.doubts
    assert doubt.options == (("rude", "kind"), ("place",))
    assert doubt.flag == "--labels rude,kind"
    again = guess(rows, answered(Answers(), doubt, (1,)))
    assert (again.labels.label_column, again.doubts) == ("place", ())


def test_stars_may_be_classes_or_amounts() -> None:
    rows = sheet(body=sentences(40), stars=cycle([1, 2, 3, 4, 5], 40))
    found = guess(rows, Answers())
    assert (found.labels.task, topics(found)) == ("single_label", ["task"])
    again = guess(rows, answered(Answers(), found.doubts[0], (1,)))
    assert (again.labels.task, again.labels.labels, again.doubts) == ("regression", ("stars",), ())
    assert not guess(rows, Answers(task="single_label")).doubts


@pytest.mark.parametrize(
    ("answers", "task", "labels", "column"),
    [
        (Answers(labels=("spam",)), "multi_label", ("spam",), None),
        (Answers(labels=("spam",), in_cells=True), "single_label", ("0", "1"), "spam"),
        (Answers(labels=("spam",), task="single_label"), "single_label", ("0", "1"), "spam"),
        (Answers(labels=("spam", "deep"), task="regression"), "regression", ("spam", "deep"), None),
        (Answers(task="regression"), "regression", ("deep",), None),
        (Answers(labels=("place",), task="multi_label"), "multi_label", ("x", "y", "z"), "place"),
        (Answers(labels=("id",), task="regression"), "regression", ("id",), None),
    ],
)
def test_what_the_flags_say_holds(answers: Answers, task: str, labels: tuple[str, ...], column: str | None) -> None:
    rows = sheet(
        id=[str(n) for n in range(40)],
        body=sentences(40),
        spam=cycle([0, 1], 40),
        place=cycle("xyz", 40),
        deep=[f"{n / 3:.2f}" for n in range(40)],
    )
    found = guess(rows, answers)
    assert (found.labels.task, found.labels.labels, found.labels.label_column) == (task, labels, column)
    assert not found.doubts


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (Answers(text=("boddy",)), "rows.jsonl: no column 'boddy'; it has body, place, id; did you mean body?"),
        (Answers(labels=("nowhere",)), "rows.jsonl: no column 'nowhere'"),
        (Answers(labels=("body",)), "column 'body' holds 2,000 different values, which are no classes"),
        (Answers(labels=("place", "id")), "column 'place' holds no 0 and 1"),
        (Answers(labels=("place", "id"), task="single_label"), "single_label reads one column"),
        (Answers(labels=("place",), in_cells=True, task="regression"), "regression has none"),
        (Answers(task="regression"), "no column looks like labels of a regression task"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(answers: Answers, words: str) -> None:
    rows = sheet(body=sentences(2000), place=cycle("xyz", 2000), id=[f"k{n}" for n in range(2000)])
    with pytest.raises(DataError) as told:
        guess(rows, answers)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            sheet(body=sentences(20), id=[f"k{n}" for n in range(20)]),
            "no column looks like labels (besides text: id (id))",
        ),
        (sheet(a=cycle([0, 1], 20), b=cycle([1, 0], 20)), "no column looks like text (columns: a, b)"),
        (headed(["body"], ["label"]), "there are no rows"),
        (headed(["body;label", *(f"{text};a" for text in sentences(20))]), "cells stand between commas in .csv"),
    ],
)
def test_nothing_to_go_by_is_an_error_that_names_the_flag(rows: Sheet, words: str) -> None:
    with pytest.raises(DataError) as told:
        guess(rows, Answers())
    assert words in str(told.value)
