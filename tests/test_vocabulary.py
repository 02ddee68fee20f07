"""Vocabularies: learnt from texts, the same in every process, or cut from a teacher's without changing what is kept."""

import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import EncoderError
from compress.recipe.students import Bpe, Unigram, WordPiece
from compress.tokenizer import Tokenizer, open_pieces, save_pretrained_tokenizer
from compress.vocabulary.learn import train_vocabulary
from compress.vocabulary.rules import normalizer
from compress.vocabulary.trim import check_pieces, teachers_tokenizer
from compress.vocabulary.unigram import unigram_pieces
from compress.vocabulary.words import alphabet_notes, check_alphabet, letters_kept, size_keeping

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KINDS = {
    "wordpiece": WordPiece(type="wordpiece", size=200),
    "bpe": Bpe(type="bpe", size=320),
    "unigram": Unigram(type="unigram", size=200),
}


def ids(tokenizer: Tokenizer, *texts: str) -> list[list[int]]:
    return [item.ids.tolist() for item in tokenizer.encode(texts)]


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return list(tokenizer.inner.encode(text, add_special_tokens=False).tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_a_learnt_vocabulary_has_its_size_and_bert_s_special_tokens(
    kind: str, sentences: tuple[str, ...], tmp_path: Path
) -> None:
    tokenizer = train_vocabulary(KINDS[kind], sentences, tmp_path, 32)
    size = tokenizer.vocabulary_size
    assert size == KINDS[kind].size or (kind == "unigram" and size > 90)  # these few words are worth no more pieces
    vocabulary = tokenizer.inner.get_vocab()
    assert [vocabulary[name] for name in SPECIAL] == [0, 1, 2, 3, 4]
    assert sorted(vocabulary.values()) == list(range(size))
    (upper, lower) = ids(tokenizer, "THE MAP", "the map")
    assert upper == lower
    assert (upper[0], upper[-1]) == (2, 3)
    assert tokenizer.pad_id == 0
    assert ids(open_pieces(tmp_path, 32), *sentences) == ids(tokenizer, *sentences)
    assert tokenizer.text_of(upper[1]) in {"the", "th", "t"}


def test_simple_rules_make_words_of_runs_of_letters_and_of_marks(sentences: tuple[str, ...], tmp_path: Path) -> None:
    made = {}
    for rules in ("bert", "simple"):
        wanted = WordPiece(type="wordpiece", size=200, rules=rules)
        made[rules] = train_vocabulary(wanted, (*sentences, "stop !!!", "É e\u0301"), tmp_path / rules, 32)

    def words(rules: str, text: str) -> list[str]:
        inner = made[rules].inner
        return [word for word, _ in inner.pre_tokenizer.pre_tokenize_str(inner.normalizer.normalize_str(text))]

    assert words("bert", "Don't STOP!!!") == ["don", "'", "t", "stop", "!", "!", "!"]
    assert words("simple", "Don't STOP!!!") == ["don", "'", "t", "stop", "!!!"]
    assert (words("bert", "É"), words("simple", "É")) == (["e"], ["é"])
    assert ids(open_pieces(tmp_path / "simple", 32), *sentences) == ids(made["simple"], *sentences)


@pytest.mark.parametrize("kind", KINDS)
def test_cases_are_told_apart_where_they_are_kept(kind: str, sentences: tuple[str, ...], tmp_path: Path) -> None:
    cased = KINDS[kind].model_copy(update={"lowercase": False, "size": 330})
    tokenizer = train_vocabulary(cased, (*sentences, "I AM HERE"), tmp_path, 32)
    assert ids(tokenizer, "I") != ids(tokenizer, "i")


@pytest.mark.parametrize("kind", KINDS)
def test_learning_is_the_same_in_every_process(kind: str, sentences: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever hash its sets and the library's maps are ordered by there."""
    (tmp_path / "texts.json").write_text(json.dumps(sentences))
    script = (
        "import json, sys; from pathlib import Path\n"
        "from compress.recipe.students import Bpe, Unigram, WordPiece\n"
        "from compress.vocabulary.learn import train_vocabulary\n"
        "kind = {'bpe': Bpe, 'unigram': Unigram, 'wordpiece': WordPiece}[sys.argv[3]](type=sys.argv[3], size=300)\n"
        "train_vocabulary(kind, json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), 32)"
    )
    arguments = [str(tmp_path / "texts.json"), str(tmp_path / "there"), kind]
    train_vocabulary(KINDS[kind].model_copy(update={"size": 300}), sentences, tmp_path / "here", 32)
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(max_size=40))
def test_letters_only_leaves_letters_their_marks_and_blanks(kind: str, text: str) -> None:
    import unicodedata

    clean = normalizer(KINDS[kind].model_copy(update={"letters_only": True})).normalize_str
    found = clean(text)
    assert all(letter == " " or unicodedata.category(letter)[0] in "LMC" for letter in found)
    assert not any(unicodedata.category(letter)[0] in "NPS" for letter in found)
    assert clean("Don't do 2 THAT!!, naïve") in {"don t do that naive", "don t do that naïve"}


@given(text=st.text(max_size=60))
def test_byte_pairs_read_every_text_without_an_unknown(text: str, byte_pairs: Tokenizer) -> None:
    (found,) = ids(byte_pairs, text)
    assert 1 not in found


@pytest.fixture(scope="module")
def byte_pairs(sentences: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_vocabulary(KINDS["bpe"], sentences, tmp_path_factory.mktemp("bpe"), 512)


# ---------------------------------------------------------------------------------------------------- unigram


def test_unigram_probabilities_by_hand() -> None:
    """Whole words are likeliest, 30 and 10 times; each of the four letters keeps the least there is, half a time."""
    found = dict(unigram_pieces(Counter({"ab": 30, "cd": 10}), 8))
    expected = {"ab": 30 / 42, "cd": 10 / 42} | dict.fromkeys("abcd", 0.5 / 42)
    assert {piece: math.exp(score) for piece, score in found.items()} == pytest.approx(expected, rel=0.02)


def test_the_pieces_that_cost_least_go_first() -> None:
    words = Counter({"abcd": 40, "cdab": 40, "abab": 20, "cdcd": 20})
    assert {piece for piece, _ in unigram_pieces(words, 8)} == {*words, *"abcd"}
    assert {piece for piece, _ in unigram_pieces(words, 10)} == {*words, *"abcd", "ab", "cd"}


def test_unigram_probabilities_sum_to_one_and_come_in_order(sentences: tuple[str, ...]) -> None:
    words = Counter(word for text in sentences for word in text.split())
    found = unigram_pieces(words, 80)
    assert len(found) == 80
    assert sum(math.exp(score) for _, score in found) == pytest.approx(1, abs=1e-4)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert {letter for word in words for letter in word} <= {piece for piece, _ in found}


def test_a_larger_unigram_vocabulary_needs_fewer_pieces(sentences: tuple[str, ...]) -> None:
    from tokenizers import models

    words = Counter(word for text in sentences for word in text.split())

    def length(size: int) -> int:
        model = models.Unigram(unigram_pieces(words, size))
        return sum(times * len(model.tokenize(word)) for word, times in words.items())

    assert length(90) < length(70) < length(55)


# ---------------------------------------------------------------------------------------------------- alphabets


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_size_below_the_alphabet_of_the_texts_is_an_error(kind: str) -> None:
    chinese = ["".join(chr(0x4E00 + (17 * row + column) % 900) for column in range(30)) for row in range(200)]
    with pytest.raises(EncoderError, match=r"tokenizer.size: 200 is smaller than the alphabet: the 8\d\d characters"):
        check_alphabet(KINDS[kind], chinese)
    check_alphabet(KINDS[kind].model_copy(update={"size": 4000}), chinese)
    check_alphabet(KINDS["bpe"], chinese)


def test_a_unigram_vocabulary_is_no_more_than_half_characters(tmp_path: Path) -> None:
    """120 letters would fit into 200 pieces, and the trainer would leave 24 of them out."""
    texts = ["".join(chr(0x4E00 + (7 * row + column) % 120) for column in range(30)) for row in range(200)]
    for size in (200, 246):
        with pytest.raises(EncoderError, match=rf"{size} is smaller than the alphabet: the 120 .* need 247 pieces"):
            check_alphabet(Unigram(type="unigram", size=size), texts)
    wanted = Unigram(type="unigram", size=247)
    check_alphabet(wanted, texts)
    assert not any(1 in row for row in ids(train_vocabulary(wanted, texts, tmp_path, 64), *texts))


@given(letters=st.integers(1, 3000), size=st.integers(1, 5000))
def test_as_many_characters_are_kept_as_there_are_pieces_for(letters: int, size: int) -> None:
    assert (letters_kept(size) >= min(letters, letters_kept(10**6))) == (size >= size_keeping(letters))


def test_an_alphabet_beyond_the_most_that_any_vocabulary_takes_in_passes() -> None:
    texts = ["".join(chr(0x4E00 + (17 * row + column) % 1500) for column in range(30)) for row in range(400)]
    check_alphabet(Unigram(type="unigram", size=2005), texts)
    with pytest.raises(EncoderError, match="need 2,005 pieces"):
        check_alphabet(Unigram(type="unigram", size=2004), texts)
    check_alphabet(WordPiece(type="wordpiece", size=4000), texts)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_characters_for_which_a_size_has_no_room_are_told(kind: str, tmp_path: Path) -> None:
    """26 letters make up nearly all; of 120 rare ones a vocabulary of 200 pieces takes in so many as it can."""
    rare = [chr(0x4E00 + number) for number in range(120)]
    texts = ["abcdefghijklm nopqrstuvwxyz"] * 5000 + [" ".join(rare)]
    check_alphabet(KINDS[kind], texts)
    tokenizer = train_vocabulary(KINDS[kind], texts, tmp_path, 256)
    letters = {piece.removeprefix("##") for piece in tokenizer.inner.get_vocab() if len(piece.removeprefix("##")) == 1}
    (note,) = alphabet_notes(KINDS[kind], texts, tokenizer.vocabulary_size)
    assert f"200 pieces takes in {len(letters - {'▁'})} of the 146 characters of train and unlabeled" in note
    assert ("has" in note) == (tokenizer.vocabulary_size > 200)
    assert alphabet_notes(KINDS[kind].model_copy(update={"size": 300}), texts, 300) == ()
    assert alphabet_notes(KINDS["bpe"], texts, 300) == ()


def test_rare_characters_take_no_room() -> None:
    check_alphabet(KINDS["wordpiece"], ["plain words and no more"] * 1000 + ["ж щ ф я ю э ц ч ш ъ ы ь"])


# ---------------------------------------------------------------------------------------------------- teacher's


TEACHERS = ("bert", "roberta", "albert", "mpnet", "modernbert", "xlnet", "deberta-v2")


@pytest.fixture(scope="module", params=TEACHERS)
def cut(
    request: Any,
    tiny_encoder: Callable[[str], Path],
    sentences: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Tokenizer, Tokenizer, Path]:
    """A family's tokenizer, the same cut to fewer pieces, and the folder of the latter."""
    folder = tmp_path_factory.mktemp(request.param)
    whole = save_pretrained_tokenizer(tiny_encoder(request.param), folder / "whole", 64)
    size = len(_alphabet(whole)) + 9
    return whole, teachers_tokenizer(folder / "whole", sentences, size, folder / "cut", 64), folder / "cut"


def _alphabet(tokenizer: Tokenizer) -> list[str]:
    return [p for p in tokenizer.inner.get_vocab() if len(p.removeprefix("##").lstrip("▁")) < 2 or p[0] in "[<"]


def test_a_text_of_kept_pieces_is_read_as_before(cut: tuple[Tokenizer, Tokenizer, Path], sentences: Any) -> None:
    whole, small, _ = cut
    assert small.vocabulary_size < whole.vocabulary_size
    words = sorted({word for text in sentences for word in text.split()})

    @given(st.lists(st.sampled_from([*words, "zebra", "Quickly", "mapping"]), max_size=12))
    def law(chosen: list[str]) -> None:
        text = " ".join(chosen)
        before = tokens(whole, text)
        if set(before) <= small.inner.get_vocab().keys() and "[UNK]" not in before:
            assert tokens(small, text) == before

    law()
    kept = small.inner.get_vocab().keys()
    assert sum(set(tokens(whole, word)) <= kept for word in words) > 0.1 * len(words)


def test_special_tokens_stand_where_they_stood_and_texts_are_padded_on_the_right(
    cut: tuple[Tokenizer, Tokenizer, Path],
) -> None:
    whole, small, folder = cut
    text = "the map"
    before = [whole.inner.id_to_token(number) for number in ids(whole, text)[0]]
    after = [small.inner.id_to_token(number) for number in ids(small, text)[0]]
    special = {token["content"] for token in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]}
    assert [t for t in before if t in special] == [t for t in after if t in special]
    assert (after[0] in special, after[-1] in special) == (before[0] in special, before[-1] in special)
    assert not small.needs_types
    assert not small.pad_left
    assert small.inner.id_to_token(small.pad_id) == whole.inner.id_to_token(whole.pad_id)
    assert sorted(small.inner.get_vocab().values()) == list(range(small.vocabulary_size))


def test_transformers_reads_what_was_cut(cut: tuple[Tokenizer, Tokenizer, Path], sentences: tuple[str, ...]) -> None:
    from transformers import AutoTokenizer

    _, small, folder = cut
    theirs = AutoTokenizer.from_pretrained(str(folder))
    assert theirs(list(sentences[:20]), truncation=True, max_length=64)["input_ids"] == ids(small, *sentences[:20])


def test_the_most_used_pieces_stay(tiny_encoder: Callable[[str], Path], sentences: Any, tmp_path: Path) -> None:
    whole = save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path / "whole", 64)
    small = teachers_tokenizer(tmp_path / "whole", sentences, 90, tmp_path / "cut", 64)
    counts = Counter(np.concatenate([item.ids for item in whole.encode(sentences)]).tolist())
    times = {whole.inner.id_to_token(number): count for number, count in counts.items()}
    kept, alphabet = small.inner.get_vocab().keys(), set(_alphabet(whole))
    assert len(kept) == 90
    worst_kept = min(times.get(piece, 0) for piece in kept - alphabet)
    assert worst_kept >= max(count for piece, count in times.items() if piece not in kept)


def test_without_a_size_every_piece_stays_with_its_number(
    tiny_encoder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    whole = save_pretrained_tokenizer(tiny_encoder("roberta"), tmp_path / "whole", 64)
    small = teachers_tokenizer(tmp_path / "whole", sentences, None, tmp_path / "cut", 64)
    assert small.inner.get_vocab() == whole.inner.get_vocab()
    assert ids(small, *sentences) == ids(whole, *sentences)


def test_a_size_below_what_must_stay_is_an_error(
    tiny_encoder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    save_pretrained_tokenizer(tiny_encoder("roberta"), tmp_path, 64)
    with pytest.raises(EncoderError, match=r"tokenizer.size: 200 is smaller than the alphabet"):
        check_pieces(tmp_path, sentences, 200)
    check_pieces(tmp_path, sentences, 300)
