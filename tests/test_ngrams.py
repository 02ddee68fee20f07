"""Words and runs of words: the reference in Python, and the ONNX graph that must split texts as it does."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.errors import EncoderError
from compress.ngrams.graph import TEXT, WORD_BITS, Graph, add_front
from compress.ngrams.tokenizer import Buckets, NgramTokenizer, Terms
from compress.ngrams.words import frequent_terms, murmur3, runs_of, words_of
from compress.pieces import Reader
from compress.tokenizer import copy_tokenizer, open_tokenizer

MOST = 12
_LETTERS = "abAB01'’éÉKſİßẞ中文😀 \t\n\x00.,-_\u00a0\u200b\ufffd\U0010ffff"
# both what our rules name and all else that Unicode has
any_text = st.text(st.one_of(st.sampled_from(_LETTERS), st.characters(exclude_categories=["Cs"])), max_size=60)
ODD = (
    "", " \t\r\n", "...", "\x00", "a\x00b", "É", "it's", "x" * 100_000, "é" * 100_000, "a b " * 250_000,
    "\u212a \u0130 \u1e9e", "a" + "\u0301" * 50, "'", "' '", "\ufeffa", "A\u00a0B",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------- the reference


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't SHOUT, 2 times!", ["don't", "shout", "2", "times"]),
        ("naïve É", ["na", "ï", "ve", "É"]),
        ("中文 and 😀", ["中文", "and", "😀"]),
        # the Kelvin sign and the dotted I have small forms in Unicode's tables, which are not looked at
        ("\u212a \u0130", ["\u212a", "\u0130"]),
        ("a\x00b_c", ["a", "b", "c"]),
        ("a\ud800b", ["a", "b"]),
        ("", []),
    ],
)
def test_words_are_runs_of_small_letters_digits_and_apostrophes_or_of_other_characters(
    text: str, words: list[str]
) -> None:
    assert words_of(text, 100) == words


def test_only_the_first_words_are_read() -> None:
    assert words_of("one two three", 2) == ["one", "two"]
    assert words_of("a " * 500_000, 3) == ["a", "a", "a"]


def test_runs_come_by_their_length() -> None:
    assert list(runs_of(["a", "b", "c"], 3)) == ["a", "b", "c", "a b", "b c", "a b c"]
    assert list(runs_of(["a"], 3)) == ["a"]
    assert list(runs_of([], 2)) == []


@given(st.lists(any_text, max_size=8), st.integers(1, 3), st.integers(1, 3))
def test_frequent_terms_are_those_that_enough_texts_hold(texts: list[str], longest: int, least: int) -> None:
    held = Counter(term for text in texts for term in set(runs_of(words_of(text, MOST), longest)))
    terms = frequent_terms(texts, longest, MOST, least)
    assert set(terms) == {term for term, count in held.items() if count >= least}
    assert len(set(terms)) == len(terms)
    assert [held[term] for term in terms] == sorted((held[term] for term in terms), reverse=True)


@given(st.binary(max_size=40))
def test_the_hash_is_murmur3(data: bytes) -> None:
    from sklearn.utils import murmurhash3_32

    assert murmur3(data) == murmurhash3_32(data, 0, positive=True)


def test_a_term_has_its_place_and_one_as_id_and_others_are_left_out() -> None:
    tokenizer = NgramTokenizer(Terms(("a", "a b", "c"), 2), 100)
    ids = [item.ids.tolist() for item in tokenizer.encode(["A b! a, b c", "b b", ""])]
    assert ids == [[1, 1, 3, 2, 2], [0], [0]]
    assert tokenizer.vocabulary_size == 4


def test_padding_is_where_the_mask_is_zero() -> None:
    tokenizer = NgramTokenizer(Terms(("a", "b"), 1), 100)
    batch = tokenizer.pad(tokenizer.encode(["a b", "", "b"]))
    assert batch["input_ids"].tolist() == [[1, 2], [0, 0], [2, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 0], [1, 0]]


@given(any_text, st.integers(1, 3), st.integers(1, 1000))
def test_hashed_ids_lie_within_the_buckets_and_runs_of_equal_words_share_theirs(
    text: str, longest: int, buckets: int
) -> None:
    tokenizer = NgramTokenizer(Buckets(buckets, longest), MOST)
    (item,) = tokenizer.encode([text])
    runs = list(runs_of(words_of(text, MOST), longest))
    assert len(item) == max(1, len(runs))
    assert item.ids.max() <= buckets
    assert (item.ids.min() >= 1) == bool(runs)
    by_run = dict(zip(runs, item.ids.tolist(), strict=False))
    assert [by_run[run] for run in runs] == item.ids.tolist()[: len(runs)]


@pytest.mark.parametrize("features", [Terms(("a", "a b", "é"), 2), Buckets(64, 3)])
def test_an_artifact_folder_opens_as_it_was_saved_also_when_copied(tmp_path: Path, features: Terms | Buckets) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    NgramTokenizer(features, 7).save(one)
    copy_tokenizer(one, other)
    opened: Reader = open_tokenizer(other, 7)
    texts = ("A b é b a b c d e f", "")
    wanted = NgramTokenizer(features, 7).pieces(texts)
    assert [item.ids.tolist() for item in opened.pieces(texts).tokens] == [item.ids.tolist() for item in wanted.tokens]
    assert opened.vocabulary_size == features.ids


@pytest.mark.parametrize("content", ["{", '{"longest": 2}', '{"longest": 9, "buckets": 4}', '{"buckets": 4}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "ngrams.json").write_text(content, encoding="utf-8")
    with pytest.raises(EncoderError, match=r"ngrams\.json"):
        open_tokenizer(tmp_path, 8)


def test_runs_of_texts_hold_all_texts_in_order() -> None:
    tokenizer = NgramTokenizer(Terms(("a", "b"), 1), 100)
    texts = ["a" * 700_000, "b", "a", "b" * 1_200_000, "a b"]
    runs = list(tokenizer.runs(texts))
    assert [len(run.counts) for run in runs] == [3, 1, 1]
    assert [item.ids.tolist() for run in runs for item in run.tokens] == [[0], [2], [1], [0], [1, 2]]


# ---------------------------------------------------------------------------------------------------- the graph


def ids_of(features: Terms | Buckets, most: int) -> Callable[[list[str]], Any]:
    """texts -> ids (B, T) of the graph alone."""
    import onnxruntime
    from onnx import TensorProto, helper

    graph = Graph()
    graph.add("Identity", add_front(graph, features, most), output="ids")
    made = helper.make_graph(
        graph.nodes,
        "ids",
        [helper.make_tensor_value_info(TEXT, TensorProto.STRING, ["batch"])],
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "terms"])],
        list(graph.arrays.values()),
    )
    versions = [helper.make_opsetid(*it) for it in (("", 18), ("com.microsoft", 1), ("ai.onnx.ml", 2))]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(made, opset_imports=versions, ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(texts: list[str]) -> Any:
        array = np.empty(len(texts), object)
        array[:] = texts
        return session.run(None, {"text": array})[0]

    return run


def _known(longest: int) -> Terms:
    """Terms of the characters that the texts are made of: some words occur in runs only, and some alone."""
    some = frequent_terms(
        [" ".join(_LETTERS), _LETTERS, _LETTERS[::-1], "a b a a b b 0 1 0 a'b é a é"], longest, 100, 1
    )
    return Terms(some[::2], longest)


FEATURES = [*(_known(longest) for longest in (1, 2, 3)), *(Buckets(97, longest) for longest in (1, 2, 3))]
_NAMES = [f"{type(it).__name__.lower()}-{it.longest}" for it in FEATURES]


@pytest.fixture(scope="module", params=FEATURES, ids=_NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Callable[[list[str]], Any], NgramTokenizer]:
    """A graph and its reference, which read 12 words."""
    return ids_of(request.param, MOST), NgramTokenizer(request.param, MOST)


def same(graph: Callable[[list[str]], Any], reference: NgramTokenizer, texts: list[str]) -> bool:
    """Whether every text's ids are equal, in their order."""
    wanted = [item.ids[item.ids > 0].tolist() for item in reference.encode(texts)]
    return [row[row > 0].tolist() for row in graph(texts)] == wanted


@settings(max_examples=150)
@given(texts=st.lists(any_text, min_size=1, max_size=5))
def test_the_graph_gives_the_reference_s_ids(
    pair: tuple[Callable[[list[str]], Any], NgramTokenizer], texts: list[str]
) -> None:
    assert same(*pair, texts)


def test_it_does_so_for_odd_texts_and_for_huge_ones(
    pair: tuple[Callable[[list[str]], Any], NgramTokenizer],
) -> None:
    assert same(*pair, list(ODD))
    for text in ODD:
        assert same(*pair, [text])


def test_something_was_found_in_the_texts(pair: tuple[Callable[[list[str]], Any], NgramTokenizer]) -> None:
    graph, reference = pair
    found = graph(["a b a a b b 0 1 0 a'b", "é a é"])
    assert (found > 0).sum() >= 4
    assert found.max() < reference.vocabulary_size


@pytest.mark.parametrize("word", ["a", "é" * 5, "x" * 33])
def test_the_graph_hashes_as_the_reference_does(word: str) -> None:
    graph = ids_of(Buckets(2**24, 1), 4)
    assert graph([word]).tolist() == [[murmur3(word.encode()) % 2**24 + 1, 0]]


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_a_word_whose_hash_is_that_of_the_padding_ends_no_run(longest: int) -> None:
    zero = "acdia99h"
    assert murmur3(zero.encode()) == murmur3(b"") == 0
    features = Buckets(97, longest)
    texts = [f"a {zero} b", zero, f"{zero} {zero} a", "a b c"]
    assert same(ids_of(features, MOST), NgramTokenizer(features, MOST), texts)


def test_more_words_than_keys_have_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import compress.ngrams.graph as module

    assert 3 * WORD_BITS == 63
    monkeypatch.setattr(module, "WORD_BITS", 2)
    with pytest.raises(EncoderError, match="max_features"):
        add_front(Graph(), Terms(("a b", "c d"), 2), 8)


def test_the_saved_file_holds_the_terms_as_they_are(tmp_path: Path) -> None:
    NgramTokenizer(Terms(("é", "a b"), 2), 8).save(tmp_path)
    saved = json.loads((tmp_path / "ngrams.json").read_text(encoding="utf-8"))
    assert saved == {"longest": 2, "terms": ["é", "a b"]}
