"""The teacher's answers: asked once, kept by content, gone on with where they stopped."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compress.train import teacher_outputs
from compress.train.teacher_outputs import teacher_logits

TEXTS = tuple(f"text number {number}" for number in range(10))


class Teacher:
    """Answers with the text's length and number, and counts what it is asked."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.dies_after = dies_after

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += texts
        return np.array([[len(text), hash(text) % 1000] for text in texts], np.float32).reshape(-1, 2)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_outputs, "_CHUNK", 4)


def ask(teacher: Teacher, cache: Path, texts: Sequence[str] = TEXTS, digest: str = "a") -> np.ndarray:
    return teacher_logits(digest, lambda: teacher, texts, 2, cache, lambda done, total: None)


def test_each_text_is_asked_once_and_answered_in_order(tmp_path: Path) -> None:
    teacher, expected = Teacher(), Teacher()(TEXTS)
    for _ in range(2):
        found = ask(teacher, tmp_path)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32
    assert teacher.asked == list(TEXTS)
    assert len(list((tmp_path / "teacher_outputs").iterdir())) == 1


def test_other_texts_another_order_or_another_teacher_are_asked_anew(tmp_path: Path) -> None:
    ask(Teacher(), tmp_path)
    for texts, digest in ((TEXTS[:9], "a"), (TEXTS[::-1], "a"), (TEXTS, "b")):
        teacher = Teacher()
        np.testing.assert_array_equal(ask(teacher, tmp_path, texts, digest), Teacher()(texts))
        assert teacher.asked == list(texts)


def test_texts_are_told_apart_whatever_they_hold(tmp_path: Path) -> None:
    for texts in (("a", "b"), ("a\x00b",), ("ab",), ('a", "b',)):
        assert ask(Teacher(), tmp_path, texts).shape == (len(texts), 2)


def test_a_killed_pass_goes_on_by_chunks(tmp_path: Path) -> None:
    killed = Teacher(dies_after=8)
    with pytest.raises(KeyboardInterrupt):
        ask(killed, tmp_path)
    assert killed.asked == list(TEXTS[:8])
    teacher = Teacher()
    told: list[tuple[int, int]] = []
    found = teacher_logits("a", lambda: teacher, TEXTS, 2, tmp_path, lambda done, total: told.append((done, total)))
    assert teacher.asked == list(TEXTS[8:])
    np.testing.assert_array_equal(found, Teacher()(TEXTS))
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert len(list((tmp_path / "teacher_outputs").iterdir())) == 1


def test_no_texts_have_no_answers(tmp_path: Path) -> None:
    assert ask(Teacher(), tmp_path, ()).shape == (0, 2)


def test_writing_into_the_answers_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    ask(Teacher(), tmp_path)[:] = 0
    np.testing.assert_array_equal(ask(Teacher(), tmp_path), Teacher()(TEXTS))
