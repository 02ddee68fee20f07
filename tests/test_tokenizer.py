"""Tokenizers: padding, truncation, and the same ids wherever they are opened."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.errors import EncoderError
from compress.recipe.students import WordPiece
from compress.tokenizer import (
    TokenIds,
    copy_tokenizer,
    open_tokenizer,
    save_pretrained_tokenizer,
)
from compress.vocabulary.learn import train_vocabulary

WORDPIECE = WordPiece(type="wordpiece", size=200)
TEXTS = ("please add a source", "the map", "", "what a rotten thing to write on this page, my friend")


def ids(tokens: list[TokenIds]) -> list[list[int]]:
    return [item.ids.tolist() for item in tokens]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_saved_tokenizer_gives_transformers_ids(
    tiny_encoder: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    from transformers import AutoTokenizer

    mine = save_pretrained_tokenizer(tiny_encoder(family), tmp_path, 16)
    theirs = AutoTokenizer.from_pretrained(str(tiny_encoder(family)))
    expected = theirs(list(TEXTS), truncation=True, max_length=16)["input_ids"]
    assert ids(mine.encode(TEXTS)) == expected
    assert ids(open_tokenizer(tmp_path, 16).encode(TEXTS, threads=1)) == expected
    reopened = AutoTokenizer.from_pretrained(str(tmp_path))
    assert reopened(list(TEXTS), truncation=True, max_length=16)["input_ids"] == expected
    batch = mine.pad(mine.encode(TEXTS))
    padded = theirs(list(TEXTS), truncation=True, max_length=16, padding=True, return_tensors="np")
    for name in ("input_ids", "attention_mask"):
        np.testing.assert_array_equal(batch[name], padded[name])


def test_texts_are_cut_at_max_tokens_and_end_as_they_should(
    tiny_encoder: Callable[[str], Path], tmp_path: Path
) -> None:
    tokenizer = save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path, 8)
    (cut,) = tokenizer.encode(["please add a source to the second paragraph of this page"])
    (whole,) = open_tokenizer(tmp_path, 64).encode(["please add a source to the second paragraph of this page"])
    assert len(cut) == 8 < len(whole)
    assert cut.ids[0] == whole.ids[0]
    assert cut.ids[-1] == whole.ids[-1]
    assert cut.ids[1:7].tolist() == whole.ids[1:7].tolist()


def test_padding_stands_where_the_mask_is_zero(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    tokenizer = save_pretrained_tokenizer(tiny_encoder("roberta"), tmp_path, 16)
    tokens = tokenizer.encode(TEXTS)
    batch = tokenizer.pad(tokens)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert tokenizer.pad_id == 1
    assert batch["input_ids"].shape == (4, max(map(len, tokens)))
    assert batch["attention_mask"].sum(axis=1).tolist() == list(map(len, tokens))
    assert (batch["input_ids"][batch["attention_mask"] == 0] == 1).all()
    for row, item in enumerate(tokens):
        assert batch["input_ids"][row, : len(item)].tolist() == item.ids.tolist()


def test_left_padding_is_taken_from_the_configuration(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path, 16)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"padding_side": "left"}))
    tokenizer = open_tokenizer(tmp_path, 16)
    tokens = tokenizer.encode(TEXTS)
    batch = tokenizer.pad(tokens)
    for row, item in enumerate(tokens):
        assert batch["input_ids"][row, -len(item) :].tolist() == item.ids.tolist()
        assert batch["attention_mask"][row].tolist() == [0] * (batch["input_ids"].shape[1] - len(item)) + [1] * len(
            item
        )


def test_segment_numbers_are_given_where_they_carry_something(
    tiny_encoder: Callable[[str], Path], tmp_path: Path
) -> None:
    save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path, 16)
    file = tmp_path / "tokenizer.json"
    inner = json.loads(file.read_text())
    sep, cls = inner["post_processor"]["sep"], inner["post_processor"]["cls"]
    special = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in (sep, cls)}
    pieces = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": cls[0], "type_id": 2}}]
    inner["post_processor"] = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": pieces,
        "special_tokens": special,
    }
    inner["post_processor"]["pair"] = [*pieces, {"Sequence": {"id": "B", "type_id": 1}}]
    file.write_text(json.dumps(inner))
    tokenizer = open_tokenizer(tmp_path, 16)
    batch = tokenizer.pad(tokenizer.encode(["the map"]))
    assert batch["token_type_ids"][0, -1] == 2
    assert not batch["token_type_ids"][0, :-1].any()


def test_copying_takes_everything_that_is_read(sentences: tuple[str, ...], tmp_path: Path) -> None:
    tokenizer = train_vocabulary(WORDPIECE, sentences, tmp_path / "a", 32)
    (tmp_path / "b").mkdir()
    copy_tokenizer(tmp_path / "a", tmp_path / "b")
    assert ids(open_tokenizer(tmp_path / "b", 32).encode(TEXTS)) == ids(tokenizer.encode(TEXTS))


def test_damage_and_absence_are_clear_errors(sentences: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be read"):
        open_tokenizer(tmp_path, 32)
    train_vocabulary(WORDPIECE, sentences, tmp_path, 32)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be read"):
        open_tokenizer(tmp_path, 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderError, match="no tokenizer can be read from"):
        save_pretrained_tokenizer(tmp_path / "empty", tmp_path / "b", 32)
