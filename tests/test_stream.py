"""Rows in and results out for predict: what is read is what was written, in order, and nothing is half-written."""

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compress.data import Row, open_results, open_rows
from compress.errors import DataError
from compress.runtime.base import LogitsPredictor
from compress.scoring import Scored, score_rows

TEXTS = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=60), st.text("abc,\"'\n\r\t ", max_size=12)))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

LONG = 60_000  # rows


def read(path: Path, columns: Sequence[str] = ("text",)) -> list[Row]:
    return list(open_rows(path, tuple(columns), "\n"))


@QUICK
@given(TEXTS)
@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited_texts_come_back_exactly(
    tmp_path: Path, suffix: str, delimiter: str, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path / f"a.{suffix}"
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("text", "id"), *rows])
    assert read(path) == [Row(text, name) for text, name in rows]


@QUICK
@given(TEXTS.filter(bool), st.booleans())
def test_json_texts_come_back_exactly(tmp_path: Path, rows: list[tuple[str, str]], ascii_only: bool) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"id": name, "text": text}, ensure_ascii=ascii_only) for text, name in rows]
    path.write_bytes("\n".join(lines).encode())
    assert read(path) == [Row(text, name) for text, name in rows]


@QUICK
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30), min_size=1))
def test_plain_lines_come_back_exactly(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("\n".join(texts) + "\n").encode())
    expected = [texts[0].removeprefix("\ufeff"), *texts[1:]]
    assert [row.text for row in read(path)] == expected


def test_an_empty_line_is_an_empty_text_and_line_ends_go(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b'\xef\xbb\xbfone\r\n\ntwo, "quoted"')
    assert read(tmp_path / "a.txt") == [Row("one", None), Row("", None), Row('two, "quoted"', None)]


def test_several_columns_are_joined_and_ids_are_known_before_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,title,body\n7,Cup,final\n")
    rows = open_rows(tmp_path / "a.csv", ("title", "body"), " | ")
    assert rows.has_id
    assert list(rows) == [Row("Cup | final", "7")]
    (tmp_path / "b.csv").write_text("text\nx\n")
    assert not open_rows(tmp_path / "b.csv", ("text",), "").has_id


def test_a_text_of_a_megabyte_is_read(tmp_path: Path) -> None:
    text = 'long "text", ' * 100_000
    with (tmp_path / "a.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["text"], [text]])
    assert read(tmp_path / "a.csv")[0].text == text


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "txt"])
def test_memory_does_not_grow_with_the_input(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    line = json.dumps({"text": "x" * 500}) if suffix == "jsonl" else "x" * 500
    path.write_text("text\n" * (suffix == "csv") + f"{line}\n" * 20_000)  # 10 MB
    tracemalloc.start()
    count = sum(1 for _ in open_rows(path, ("text",), ""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("given_bytes", "expected"),
    [
        (b'{"text": "a", "id": 5}\n{"text": "b"}\n', [Row("a", "5"), Row("b", None)]),
        (b'id,text\n1,"a\nb"\n', [Row("a\nb", "1")]),
        (b"text\tid\na\t1\n", [Row("a", "1")]),
        (b"hello, you\nwell\n", [Row("hello, you", None), Row("well", None)]),
        (b"{not json\n", [Row("{not json", None)]),
    ],
)
def test_standard_input_shows_its_format_in_the_first_line(
    monkeypatch: pytest.MonkeyPatch, given_bytes: bytes, expected: list[Row]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given_bytes)))
    assert list(open_rows(None, ("text",), "\n")) == expected


@pytest.mark.parametrize(
    ("given_bytes", "said"),
    [
        (b"id,comment\n1,x\n", "no column 'coment' in 'id,comment'; name a column of the header"),
        (b"id\tcomment\n1\tx\n", "no column 'coment' in 'id\\tcomment'; name a column of the header"),
        (b'{"comment": "x"}\n', "no column 'coment'; it has comment"),
    ],
)
def test_a_column_named_wrongly_is_no_reason_to_read_plain_lines(
    monkeypatch: pytest.MonkeyPatch, given_bytes: bytes, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given_bytes)))
    with pytest.raises(DataError) as caught:
        open_rows(None, ("coment",), "", named=True)
    assert str(caught.value).startswith(f"standard input, line 1: {said}")
    assert str(caught.value).endswith("; did you mean comment?")


def test_a_column_named_rightly_is_found_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"id,comment\n1,x\n")))
    assert list(open_rows(None, ("comment",), "", named=True)) == [Row("x", "1")]


def test_plain_lines_have_no_column_to_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text\nx\n")
    with pytest.raises(DataError, match=r"a\.txt: is read as plain lines.*no column 'text'; leave --text-column out"):
        open_rows(tmp_path / "a.txt", ("text",), "", named=True)


def test_a_format_given_wins_over_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text\nx\n")
    assert list(open_rows(tmp_path / "a.txt", ("text",), "", "csv")) == [Row("x", None)]
    assert len(read(tmp_path / "a.txt")) == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"txt,id\nx,1\n", "no column 'text'; it has txt, id; did you mean txt?"),
        ("a.csv", b'text\nx\n"y\nz\n', "line 3: not well-formed"),
        ("a.csv", b"text\nx\n\xff\n", "line 3: byte 7 (0xff) is not UTF-8"),
        ("a.csv", b"text,id\nx\n", "line 2: 1 cells where the header has 2"),
        ("a.jsonl", b'{"text": "x"}\nnope\n', "line 2: not JSON"),
        ("a.jsonl", b'{"text": "x"}\n\n{"test": "x"}\n', "line 3: no column 'text'; it has test; did you mean test?"),
        ("a.jsonl", b"\n\n", "blank lines only"),
        ("a.txt", b"ok\n\xe9t\xe9\n", "line 2: byte 3 (0xe9) is not UTF-8"),
        ("a.parquet", b"PAR1", "predict reads .csv, .tsv, .jsonl and plain lines"),
    ],
)
def test_bad_input_is_named_by_file_and_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)


LABELS = ("rude", "threat")


def test_results_are_csv_with_id_probability_and_decision(tmp_path: Path) -> None:
    with open_results(tmp_path / "out.csv", LABELS, True) as out:
        out.write('a,"b', (0.25, 1 / 3), (0, 1))
        out.write(None, (1.0, 1e-9), (1, 0))
    assert (tmp_path / "out.csv").read_text() == (
        "id,rude_probability,rude_decision,threat_probability,threat_decision\n"
        '"a,""b",0.250000,0,0.333333,1\n'
        ",1.000000,1,0.000000,0\n"
    )


def test_results_are_json_lines_where_the_name_says_so(tmp_path: Path) -> None:
    with open_results(tmp_path / "out.jsonl", LABELS, False) as out:
        out.write("left out", (0.5, 0.25), (1, 0))
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {
        "rude_probability": 0.5,
        "rude_decision": 1,
        "threat_probability": 0.25,
        "threat_decision": 0,
    }


def test_results_go_to_standard_output_without_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    with open_results(None, ("rude",), False) as out:
        out.write(None, (0.5,), (1,))
    assert capsys.readouterr().out == "rude_probability,rude_decision\n0.500000,1\n"


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.CSV", ","), ("a", ",")])
def test_the_suffix_chooses_the_delimiter(tmp_path: Path, name: str, delimiter: str) -> None:
    with open_results(tmp_path / name, ("rude",), True) as out:
        out.write("a,b\tc", (0.5,), (1,))
    with (tmp_path / name).open(newline="") as file:
        assert list(csv.reader(file, delimiter=delimiter)) == [
            ["id", "rude_probability", "rude_decision"],
            ["a,b\tc", "0.500000", "1"],
        ]


@pytest.mark.parametrize("name", ["a.json", "a.txt", "a.parquet", "a.csv.gz"])
def test_a_suffix_that_would_lie_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot tell how to write.*\.csv, \.tsv or \.jsonl"):
        open_results(tmp_path / name, LABELS, False).__enter__()
    assert not list(tmp_path.iterdir())


def test_standard_output_is_utf8_with_plain_line_ends_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(binary, encoding="ascii", newline="\r\n"))
    with open_results(None, ("grob",), True) as out:
        out.write("ü🙂", (0.5,), (1,))
    sys.stdout.flush()
    assert binary.getvalue() == "id,grob_probability,grob_decision\nü🙂,0.500000,1\n".encode()


class _Halves:
    """A predictor that knows nothing."""

    task = SimpleNamespace(type="multi_label")
    decision = SimpleNamespace(thresholds=[0.5, 0.6])

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(texts), 2), 0.5, np.float32)


def test_scoring_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    path, scored = tmp_path / "a.csv", tmp_path / "out.csv"
    with path.open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{i},{'some words ' * 10}\n" for i in range(LONG))
    tracemalloc.start()
    with open_rows(path, ("text",), "") as rows, open_results(scored, LABELS, rows.has_id, source=path) as out:
        assert score_rows(cast("LogitsPredictor", _Halves()), rows, out).rows == LONG
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # the input has 7 MB, the output 2
    with scored.open() as file:
        *_, last = file
    assert last == f"{LONG - 1},0.500000,1,0.500000,0\n"


def test_rows_without_a_text_are_counted_with_the_line_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    cells = ['"some"', "null", '"more"', "NaN", '" "', *['"text"'] * 300, '""']  # over more than one chunk
    path.write_text("".join(f'{{"text": {cell}}}\n' for cell in cells))

    def scored(name: str) -> Scored:
        with open_rows(path, ("text",), "") as rows, open_results(tmp_path / name, LABELS, False) as out:
            return score_rows(cast("LogitsPredictor", _Halves()), rows, out)

    assert scored("a.csv") == Scored(306, 4, 2)
    assert scored("b.csv").note() == "4 rows have no text (first: line 2); scored as empty texts"
    path.write_text('\n{"text": "a"}\n{"text": NaN}\n')
    assert scored("c.csv").note() == "1 row has no text (first: line 3); scored as an empty text"
    path.write_text('{"text": "nan"}\n')
    assert scored("d.csv").note() is None


def test_nan_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": NaN}\n{"text": "nan"}\n{"text": 1.5}\n')
    assert [row.text for row in read(tmp_path / "a.jsonl")] == ["", "nan", "1.5"]


def test_after_an_error_nothing_is_left_and_the_old_output_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def write_two_rows() -> None:
        with open_results(path, LABELS, False, overwrite=True) as out:
            out.write(None, (0.5, 0.5), (1, 0))
            out.write(None, (0.5,), (1,))

    with pytest.raises(ValueError, match="argument 2 is shorter"):
        write_two_rows()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_an_output_with_content_and_the_input_itself_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\nx\n")
    with pytest.raises(DataError, match="exists and is not empty"), open_results(path, LABELS, False):
        pass
    with (
        pytest.raises(DataError, match="is the input itself"),
        open_results(tmp_path / "." / "a.csv", LABELS, False, source=path, overwrite=True),
    ):
        pass
    assert path.read_text() == "text\nx\n"
    (tmp_path / "empty.csv").touch()
    with open_results(tmp_path / "empty.csv", LABELS, False) as out:
        out.write(None, (0.5, 0.5), (1, 0))
    assert len((tmp_path / "empty.csv").read_text().splitlines()) == 2


def test_an_output_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="make it first"), open_results(tmp_path / "no" / "a.csv", LABELS, False):
        pass
