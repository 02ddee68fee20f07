"""What the terminal shows of a table that is wider than it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress

from compress.screen import Screen, packed

WORDS = st.text("abc", min_size=1, max_size=12)


def test_without_a_terminal_a_line_every_half_minute_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    with Progress(disable=True) as bars:
        shown = Screen(bars, clock=lambda: now)
        shown("stage teacher", 0, 2)
        for step in range(1, 100):
            now += 1
            shown("teacher: training steps", step, 1200)
        shown("stage student", 1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] stage teacher",
        "      teacher: training steps",
        "      teacher: training steps: 31 of 1,200",
        "      teacher: training steps: 61 of 1,200",
        "      teacher: training steps: 91 of 1,200",
        "[2/2] stage student",
    ]


def test_columns_go_on_in_a_second_table_beside_the_first_column() -> None:
    headings = ("candidate", "MB", "macro F1", "speedup")
    rows = [("teacher", "91.0", "0.681 (0.650)", "1.00x")]
    # candidate 9 + 3, MB 4 + 3, macro F1 13 + 3, speedup 7 + 3, and the last rule: 46
    assert packed(headings, rows, 46) == [[0, 1, 2, 3]]
    assert packed(headings, rows, 45) == [[0, 1, 2], [0, 3]]
    assert packed(headings, rows, 35) == [[0, 1], [0, 2], [0, 3]]


@given(
    table=st.integers(2, 8).flatmap(
        lambda width: st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=1)
    ),
    room=st.integers(1, 120),
)
def test_every_column_stands_in_one_table_in_order_and_the_first_in_all(table: list[list[str]], room: int) -> None:
    headings, *rows = table
    found = packed(headings, rows, room)
    assert all(columns[0] == 0 and len(columns) > 1 for columns in found)
    assert [column for columns in found for column in columns[1:]] == list(range(1, len(headings)))
    for columns in found:
        wide = sum(max(len(row[column]) for row in table) + 3 for column in columns) + 1
        assert wide <= room or len(columns) == 2
