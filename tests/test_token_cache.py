"""Tokens on disk: what comes back is what the reader gives, cut once for whoever reads alike."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.ngrams.tokenizer import Buckets, NgramTokenizer
from compress.pieces import FlatTokens, Pieces, Reader, TokenIds
from compress.recipe.long_text import LongText
from compress.tokenizer import open_pieces
from compress.train.token_cache import cached_pieces

TEXTS = ("please add a source", "", "the map " * 60, "the map", "what a rotten thing to write")
WINDOWS = LongText(how="windows")


class Counting:
    """A reader that counts how often it has to read."""

    def __init__(self, reader: Reader, needs_types: bool = False) -> None:
        self.reader, self.needs_types, self.reads = reader, needs_types, 0

    @property
    def digest(self) -> str:
        return self.reader.digest

    def runs(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Iterator[Pieces]:
        self.reads += 1
        half = len(texts) // 2
        for part in (texts[:half], texts[half:]):
            pieces = self.reader.pieces(part, most=most)
            yield Pieces([TokenIds(item.ids, item.ids % 2) for item in pieces.tokens], pieces.counts)


@pytest.fixture
def reader(tiny_encoder: Callable[[str], Path]) -> Reader:
    return open_pieces(tiny_encoder("bert"), 16, WINDOWS)


def same(found: Pieces, expected: Pieces) -> None:
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert len(found.tokens) == len(expected.tokens)
    for left, right in zip(found.tokens, expected.tokens, strict=True):
        np.testing.assert_array_equal(left.ids, right.ids)
        assert left.ids.dtype == left.types.dtype == np.int32
        assert len(left.types) == len(left.ids)


def test_it_gives_what_the_reader_gives_and_reads_once(reader: Reader, tmp_path: Path) -> None:
    counting = Counting(reader)
    for _ in range(2):
        same(cached_pieces(counting, TEXTS, 8, tmp_path), reader.pieces(TEXTS, most=8))
    assert counting.reads == 1
    assert sorted(path.suffix for path in (tmp_path / "tokens").iterdir()) == [".ids", ".npz"]


def test_rows_are_taken_as_from_the_reader_itself(reader: Reader, tmp_path: Path) -> None:
    rows = [3, 2, 0, 2]
    same(cached_pieces(reader, TEXTS, 8, tmp_path).of(rows), reader.pieces(TEXTS, most=8).of(rows))


def test_segment_numbers_are_kept_where_they_are_needed(reader: Reader, tmp_path: Path) -> None:
    for item in cached_pieces(Counting(reader, needs_types=True), TEXTS, 8, tmp_path).tokens:
        np.testing.assert_array_equal(item.types, item.ids % 2)
    for item in cached_pieces(Counting(reader), TEXTS, 8, tmp_path).tokens:
        assert not item.types.any()


def test_what_is_read_otherwise_is_read_anew(reader: Reader, tiny_encoder: Any, tmp_path: Path) -> None:
    """Other texts, another order, another limit, another way with long texts, another vocabulary, other features."""
    readers = [
        *(reader, open_pieces(tiny_encoder("bert"), 12, WINDOWS), open_pieces(tiny_encoder("bert"), 16)),
        *(open_pieces(tiny_encoder("roberta"), 16, WINDOWS), NgramTokenizer(Buckets(64, 2), 16)),
        *(NgramTokenizer(Buckets(64, 1), 16), NgramTokenizer(Buckets(64, 2), 12)),
    ]
    asked = [
        *((one, TEXTS, 8) for one in readers),
        (reader, TEXTS[::-1], 8),
        (reader, TEXTS[:2], 8),
        (reader, TEXTS, 2),
    ]
    for number, (one, texts, most) in enumerate(asked, 1):
        same(cached_pieces(one, texts, most, tmp_path), one.pieces(texts, most=most))
        assert len(list((tmp_path / "tokens").glob("*.npz"))) == number


@given(texts=st.lists(st.text(max_size=20), max_size=6))
def test_any_texts_come_back(texts: list[str]) -> None:
    reader = NgramTokenizer(Buckets(64, 2), 16)
    with TemporaryDirectory() as folder:
        same(cached_pieces(reader, texts, 8, Path(folder)), reader.pieces(texts))


def test_a_killed_writer_leaves_nothing_that_is_read(reader: Reader, tmp_path: Path) -> None:
    class Dying(Counting):
        def runs(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Iterator[Pieces]:
            yield from list(super().runs(texts, threads, most))[:1]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_pieces(Dying(reader), TEXTS, 8, tmp_path)
    assert list((tmp_path / "tokens").iterdir()) == []
    (tmp_path / "tokens" / "a.ids").write_bytes(b"torn")
    same(cached_pieces(reader, TEXTS, 8, tmp_path), reader.pieces(TEXTS, most=8))


def test_the_ids_stay_on_the_disk(reader: Reader, tmp_path: Path) -> None:
    tokens = cached_pieces(reader, TEXTS, 8, tmp_path).tokens
    assert isinstance(tokens, FlatTokens)
    assert isinstance(tokens.ids, np.memmap)
    assert all(item.ids.base is not None for item in tokens)


@given(sizes=st.lists(st.integers(0, 5), max_size=8))
def test_flat_tokens_are_their_parts_in_a_row(sizes: list[int]) -> None:
    ids = np.arange(sum(sizes), dtype=np.int32)
    flat = FlatTokens(ids, None, np.array(sizes, np.int64))
    assert [len(item) for item in flat] == sizes == [len(item) for item in flat[:]]
    assert [number for item in flat for number in item.ids] == ids.tolist()
    if sizes:
        np.testing.assert_array_equal(flat[-1].ids, flat[len(sizes) - 1].ids)
    with pytest.raises(IndexError):
        flat[len(sizes)]
