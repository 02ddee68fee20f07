"""Trimmed vocabularies: what is kept is read and answered as before, and the rest is really gone."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from families import FAMILIES, save_family
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import models, normalizers, pre_tokenizers

from compress.architecture.read import inspect_model
from compress.encoder.build import build_classifier
from compress.encoder.factored import FactoredEmbedding, row_table, word_table
from compress.encoder.files import load_classifier, save_classifier
from compress.encoder.rows import factorize, pick_rows, principal_directions, staying_ids
from compress.encoder.source import check_usable, open_pretrained
from compress.errors import EncoderError
from compress.recipe.data import Task
from compress.recipe.pruning import TrimVocabulary
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.runtime.onnx import open_session, run_session
from compress.stages import export, trim_vocabulary
from compress.stages.export.write import write_onnx
from compress.stages.trim_vocabulary import changed
from compress.tokenizer import Tokenizer, open_pieces, open_tokenizer, save_pretrained_tokenizer
from compress.train.finish import model_logits
from compress.vocabulary.cut import UNCUT, alphabet, ancestors, closed, cut_to, fill
from compress.vocabulary.resplit import Resplit, resplit
from compress.vocabulary.trim import Trimmed, check_trim, trimmed_tokenizer

TASK = Task(type="multi_label", text="t", labels=("a", "b"))
UNKNOWN = "[UNK]"


def config(**changes: Any) -> TrimVocabulary:
    given = {"id": "trimmed", "type": "trim_vocabulary", "from": "teacher", "min_count": 1}
    return TrimVocabulary.model_validate(given | changes)


# --------------------------------------------------------------------------------------------------------- the law


words = st.lists(st.text("abcd", min_size=1, max_size=7), min_size=1, max_size=6)
pieces = st.lists(st.text("abcd", min_size=2, max_size=4), unique=True, max_size=14)


def wordpiece(found: Sequence[str], numbers: Sequence[float]) -> Inner:
    """Some pieces begin words, the others stand inside; some letters have no piece."""
    names = [f"##{piece}" if number < 0.5 else piece for piece, number in zip(found, numbers, strict=False)]
    vocabulary = dict.fromkeys([UNKNOWN, *"abc", "##a", "##b", "##d", *names])
    return Inner(models.WordPiece({name: at for at, name in enumerate(vocabulary)}, unk_token=UNKNOWN))


def unigram(found: Sequence[str], numbers: Sequence[float]) -> Inner:
    scores = {UNKNOWN: 0.0, "a": -3.0, "b": -60.0, "c": -7.0}
    scores |= {piece: -40 * number for piece, number in zip(found, numbers, strict=False)}
    return Inner(models.Unigram(list(scores.items()), unk_id=0))


def byte_pairs(found: Sequence[str], numbers: Sequence[float]) -> Inner:
    """Merges of pairs of pieces that are there already, in an order by chance."""
    vocabulary, merges = dict.fromkeys([UNKNOWN, *"abcd"]), []
    for number in numbers:
        known = list(vocabulary)[1:]
        pair = (known[int(number * 997) % len(known)], known[int(number * 7919) % len(known)])
        if len("".join(pair)) < 6 and pair not in merges:
            merges.append(pair)
            vocabulary["".join(pair)] = None
    numbered = {name: at for at, name in enumerate(vocabulary)}
    return Inner(models.BPE(numbered, merges, unk_token=UNKNOWN))


@pytest.mark.parametrize("make", [wordpiece, unigram, byte_pairs])
@given(
    found=pieces,
    numbers=st.lists(st.floats(0.02, 0.98), min_size=14, max_size=14),
    wanted=st.sets(st.integers(0, 30)),
    letters=st.sets(st.sampled_from("abcd")),
    text=words,
)
def test_a_text_of_kept_pieces_alone_is_read_exactly_as_before(
    make: Callable[..., Inner],
    found: list[str],
    numbers: list[float],
    wanted: set[int],
    letters: set[str],
    text: list[str],
) -> None:
    """Whatever the vocabulary and whichever pieces are kept beside those that must be."""
    whole = make(found, numbers)
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    stored, ids = json.loads(whole.to_str()), whole.get_vocab()
    chosen = [name for name, number in sorted(ids.items()) if number in wanted]
    needed = closed(stored, alphabet(stored, ids, letters))
    kept = fill(needed, chosen, ancestors(stored["model"]), 1000)
    small = Inner.from_str(json.dumps(cut_to(stored, sorted(kept, key=ids.__getitem__), one_segment=False)))
    assert small.get_vocab().keys() == kept
    before = whole.encode(" ".join(text)).tokens
    if set(before) <= kept - {UNKNOWN}:
        assert small.encode(" ".join(text)).tokens == before


def test_an_unknown_character_costs_a_unigram_model_what_it_did() -> None:
    """Without its unlikeliest piece, e, an unknown one would cost 30, not 110, and "ab cd ? f" 33 against 40."""
    scores = {UNKNOWN: 0.0, "abc": -20.0, "def": -20.0, "ab": -1.0, "cd": -1.0, "f": -1.0, "e": -100.0}
    whole = Inner(models.Unigram(list(scores.items()), unk_id=0))
    stored = json.loads(whole.to_str())
    assert closed(stored, {"abc"}) == {"abc", "e"}
    without = cut_to(stored, [piece for piece in scores if piece != "e"], one_segment=False)
    assert whole.encode("abcdef").tokens == ["abc", "def"]
    assert Inner.from_str(json.dumps(without)).encode("abcdef").tokens != ["abc", "def"]


def test_pieces_on_the_way_to_a_kept_one_stay() -> None:
    names = [UNKNOWN, *"abcd", "ab", "cd", "abcd", "bc"]
    merges = [("a", "b"), ("c", "d"), ("b", "c"), ("ab", "cd")]
    whole = Inner(models.BPE({name: at for at, name in enumerate(names)}, merges))
    stored = json.loads(whole.to_str())
    kept = closed(stored, {"abcd"})
    assert kept == {"abcd", "ab", "cd", "a", "b", "c", "d"}
    small = Inner.from_str(json.dumps(cut_to(stored, sorted(kept, key=names.index), one_segment=False)))
    assert small.encode("abcd").tokens == ["abcd"]
    assert small.encode("bc").tokens == ["b", "c"]


# ------------------------------------------------------------------------------------------- tokenizers of families


@pytest.fixture(scope="module")
def family_folder(tmp_path_factory: pytest.TempPathFactory, sentences: tuple[str, ...]) -> Callable[[str], Path]:
    """family -> folder of its tiny encoder, whose tokenizer knows every word of the comments."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            save_family(family, sentences, made[family])
        return made[family]

    return folder


def without_maps(sentences: Sequence[str]) -> tuple[str, ...]:
    """Those without one sentence, of whose words each family has some as pieces."""
    return tuple(text for text in sentences if "the map is from an older edition" not in text)


def trimmed(folder: Path, texts: Sequence[str], target: Path, **changes: Any) -> tuple[Tokenizer, Trimmed]:
    """A family's tokenizer, as an artifact would hold it, and what is kept of it."""
    whole = save_pretrained_tokenizer(folder, target / "whole", 64)
    given = {"min_count": 1, "keep_top": None, "staying": staying_ids(open_pretrained(folder).config)} | changes
    return whole, trimmed_tokenizer(target / "whole", texts, target=target / "small", max_tokens=64, **given)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_its_rules_around_the_pieces(
    family: str, family_folder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    whole, found = trimmed(family_folder(family), without_maps(sentences), tmp_path)
    small = found.tokenizer
    assert small.vocabulary_size < whole.vocabulary_size
    assert (small.pad_left, small.pad_type, small.needs_types) == (whole.pad_left, whole.pad_type, whole.needs_types)
    same = 0
    for text in sentences:
        before, after = whole.encode([text])[0], small.encode([text])[0]
        if set(before.ids.tolist()) <= set(found.rows.tolist()):
            same += 1
            assert found.rows[after.ids].tolist() == before.ids.tolist()
            assert after.types.tolist() == before.types.tolist()
    assert len(without_maps(sentences)) <= same < len(sentences)
    assert [whole.inner.id_to_token(number) for number in found.rows.tolist()] == [
        small.inner.id_to_token(number) for number in range(small.vocabulary_size)
    ]
    assert found.rows[small.pad_id] == whole.pad_id
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "small"))
    read = theirs(list(sentences[:5]), truncation=True, max_length=64)
    assert read["input_ids"] == [item.ids.tolist() for item in small.encode(sentences[:5])]


def counted(tmp_path: Path, **changes: Any) -> Trimmed:
    """Of a vocabulary of known pieces over two texts: the 5, cat 3, sat 1; dog and the letter z are in none."""
    from transformers import BertTokenizer

    special = ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
    letters = [*"acehst", *(f"##{letter}" for letter in "acehst"), "z"]
    names = [*special, *letters, "dog", "sat", "the", "cat"]
    BertTokenizer(vocab={name: at for at, name in enumerate(names)}).save_pretrained(str(tmp_path / "made"))
    given: dict[str, Any] = {"min_count": 1, "keep_top": None, "staying": ()} | changes
    texts = ("the the the cat", "the cat the cat sat")
    return trimmed_tokenizer(tmp_path / "made", texts, target=tmp_path / "small", max_tokens=64, **given)


LETTERS = 12


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, ["sat", "the", "cat"]),
        ({"min_count": 3}, ["the", "cat"]),
        ({"min_count": 4}, ["the"]),
        ({"keep_top": 5 + LETTERS + 1}, ["the"]),
        ({"keep_top": 5 + LETTERS + 2}, ["the", "cat"]),
        ({"keep_top": 100, "min_count": 4}, ["the"]),
        ({"min_count": 9, "staying": [18]}, ["dog"]),
    ],
)
def test_the_pieces_used_most_stay(changes: dict[str, Any], kept: list[str], tmp_path: Path) -> None:
    found = counted(tmp_path, **changes)
    inner = found.tokenizer.inner
    names = [inner.id_to_token(number) for number in range(found.tokenizer.vocabulary_size)]
    assert names[5 + LETTERS :] == kept
    times = {"sat": 1, "the": 5, "cat": 3, "dog": 0}
    assert found.counts[5 + LETTERS :].tolist() == [times[name] for name in kept]


def test_what_texts_are_read_as_after_cleaning_stays_too(tmp_path: Path) -> None:
    """A capital with an accent is read as a plain small letter."""
    inner = Inner(models.WordPiece({UNKNOWN: 0, "e": 1, "##e": 2, "x": 3}, unk_token=UNKNOWN))
    inner.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token=UNKNOWN).save_pretrained(str(tmp_path / "made"))
    found = trimmed_tokenizer(tmp_path / "made", ["É"], 5, None, (), tmp_path / "small", 64)
    assert found.tokenizer.inner.get_vocab().keys() == {UNKNOWN, "e", "##e"}


def test_what_cannot_be_cut_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"keep_top: 16 is smaller .* are 17 of the 22, .* at least 34"):
        counted(tmp_path, keep_top=16)
    check_trim(tmp_path / "made", ("the cat sat",), 17, ())
    stored = json.loads((tmp_path / "made" / "tokenizer.json").read_text())
    names = stored["model"]["vocab"]
    stored["model"] = {"type": "WordLevel", "vocab": names, "unk_token": UNKNOWN}
    (tmp_path / "made" / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(EncoderError, match="type: the tokenizer is of kind WordLevel"):
        check_trim(tmp_path / "made", ("the cat sat",), None, ())


def test_what_is_read_otherwise_by_hand(tmp_path: Path) -> None:
    """sat and cat are gone: 1 + 3 of 9 tokens, each now three; the text of other words is as it was."""
    found = counted(tmp_path, min_count=4)
    whole = open_pieces(tmp_path / "made", UNCUT)
    texts = ("the the the cat", "the cat the cat sat", "the")
    assert resplit(whole, found.tokenizer, texts) == Resplit(10, 4, 18, 3, 2)
    assert resplit(whole, whole, texts) == Resplit(10, 0, 10, 3, 0)
    # a text beyond max_tokens counts as a whole, and the limit stays
    short = open_pieces(tmp_path / "made", 4)
    assert resplit(short, short, ("the " * 50,)).tokens == 50
    assert len(short.encode(["the " * 50])[0]) == 4


# --------------------------------------------------------------------------------------------------------- models


def classifier(folder: Path, pooling: Any) -> Any:
    torch.manual_seed(7)
    return build_classifier(open_pretrained(folder), TASK, pooling, 64).eval()


def answers(model: Any, tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    return model_logits(model, tokenizer, tuple(texts), 2, "cpu")


@pytest.mark.parametrize(
    ("family", "pooling"), [(name, ("own", "mean_max")[at % 2]) for at, name in enumerate(FAMILIES)]
)
def test_texts_that_are_read_as_before_are_answered_as_before(
    family: str, pooling: str, family_folder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    folder = family_folder(family)
    model = classifier(folder, pooling)
    texts, width = without_maps(sentences)[:12], word_table(model.encoder).embedding_dim
    whole, found = trimmed(folder, texts, tmp_path)
    before, parameters = answers(model, whole, texts), sum(weight.numel() for weight in model.parameters())
    gone = model.config.vocab_size - len(found.rows)
    assert gone > 0
    pick_rows(model, found.rows)
    assert sum(weight.numel() for weight in model.parameters()) == parameters - gone * width
    assert answers(model, found.tokenizer, texts) == pytest.approx(before, abs=1e-5)
    save_classifier(model, tmp_path / "small")
    again = load_classifier(tmp_path / "small")
    assert np.array_equal(answers(again, found.tokenizer, texts), answers(model, found.tokenizer, texts))
    assert again.config.pad_token_id == found.tokenizer.pad_id
    assert row_table(again.encoder).weight.shape == (len(found.rows), width)


@pytest.mark.parametrize("family", ["bert", "albert", "xlnet"])
def test_embeddings_as_a_product_are_kept(
    family: str, family_folder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    folder = family_folder(family)
    model, texts = classifier(folder, "mean_max"), sentences[:6]
    _, found = trimmed(folder, sentences, tmp_path)
    pick_rows(model, found.rows)
    rank = word_table(model.encoder).embedding_dim // 2
    held = factorize(model, rank, found.counts)
    assert 0 < held < 1
    expected = answers(model, found.tokenizer, texts)
    save_classifier(model, tmp_path / "small")
    assert np.array_equal(answers(load_classifier(tmp_path / "small"), found.tokenizer, texts), expected)
    with pytest.raises(EncoderError, match=r"embeddings that are a product"):
        check_usable(open_pretrained(tmp_path / "small"), "mean_max", 64)
    # rows of a product can be picked, and a product be made of one
    pick_rows(model, np.arange(len(found.rows) - 1))
    assert model.config.vocab_size == len(found.rows) - 1
    assert factorize(model, rank // 2, found.counts[:-1]) < 1
    assert isinstance(word_table(model.encoder), FactoredEmbedding)
    assert row_table(model.encoder).weight.shape == (len(found.rows) - 1, rank // 2)


def test_embeddings_as_a_product_are_exported(
    family_folder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    folder = family_folder("bert")
    model, tokenizer = classifier(folder, "mean_max"), open_tokenizer(folder, 64)
    factorize(model, word_table(model.encoder).embedding_dim // 2, np.ones(model.config.vocab_size))
    expected = answers(model, tokenizer, sentences[:6])
    save_classifier(model, tmp_path)
    eager = load_classifier(tmp_path, attention="eager")
    write_onnx(eager, tokenizer.pad(tokenizer.encode(sentences[:2])), tmp_path / "model.onnx")
    session = open_session(str(tmp_path / "model.onnx"), "cpu", 1)
    assert run_session(session, tokenizer.pad(tokenizer.encode(sentences[:6]))) == pytest.approx(expected, abs=1e-4)


def test_a_product_of_all_but_nothing_is_the_table_itself(family_folder: Callable[[str], Path]) -> None:
    """Rows that lie in a plane are a product of rank 2 exactly."""
    model = classifier(family_folder("bert"), "mean")
    table = word_table(model.encoder).weight
    with torch.no_grad():
        table.copy_(torch.randn(len(table), 2) @ torch.randn(2, table.shape[1]))
    before = table.detach().clone()
    assert factorize(model, 2, np.zeros(len(table), np.int64)) == pytest.approx(1)
    assert word_table(model.encoder).weight.detach() == pytest.approx(before, abs=1e-4)
    with pytest.raises(EncoderError, match=r"embedding_rank: 2 is not below the 2 numbers"):
        factorize(model, 2, np.zeros(len(table), np.int64))


@given(seed=st.integers(0, 99), rank=st.integers(1, 4))
def test_no_directions_keep_more_than_the_singular_ones(seed: int, rank: int) -> None:
    random = np.random.default_rng(seed)
    rows, weights = random.normal(size=(12, 5)), random.uniform(0.1, 9, 12)
    directions = principal_directions(rows, weights, rank)
    assert directions @ directions.T == pytest.approx(np.eye(rank), abs=1e-9)
    lost = (((rows - rows @ directions.T @ directions) ** 2) * weights[:, None]).sum()
    values = np.linalg.svd(rows * np.sqrt(weights)[:, None], compute_uv=False)
    assert lost == pytest.approx((values[rank:] ** 2).sum())


def test_directions_follow_the_rows_that_count() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert abs(principal_directions(rows, np.array([1.0, 1.0]), 1)) == pytest.approx(np.array([[0, 1]]))
    assert abs(principal_directions(rows, np.array([9.0, 1.0]), 1)) == pytest.approx(np.array([[1, 0]]))


def test_positions_counted_from_the_padding_stay_where_they_are(family_folder: Callable[[str], Path]) -> None:
    model = classifier(family_folder("roberta"), "mean")
    assert staying_ids(model.config) == {0, 1, 2}
    with pytest.raises(EncoderError, match=r"positions of this roberta are counted from the padding's number 1"):
        pick_rows(model, np.array([1, 2, 3]))
    with pytest.raises(EncoderError, match=r"a piece of number 9,999, and the model"):
        pick_rows(model, np.array([0, 1, 9999]))


# ---------------------------------------------------------------------------------------------------------- stage


@pytest.fixture
def narrow(workshop: Any) -> Any:
    """The workshop with few texts to count pieces in, so that validation holds others."""
    import dataclasses

    splits = workshop.splits
    few = dataclasses.replace(splits, unlabeled=())
    return dataclasses.replace(workshop, splits=few)


def test_without_training_texts_read_as_before_are_decided_as_before(narrow: Any, teacher: Any) -> None:
    made = narrow.make(trim_vocabulary.run, config(min_count=20), parent=teacher)
    assert made.decision() == teacher.decision()
    before, after = open_predictor(teacher), open_predictor(made)
    whole, small = before.tokenizer, after.tokenizer
    assert isinstance(whole, Tokenizer)
    assert isinstance(small, Tokenizer)
    texts = narrow.splits.validation.texts
    untouched = [text for text in texts if not resplit(whole, small, [text]).touched]
    assert 0 < len(untouched) < len(texts)
    assert after.predict_proba(untouched) == pytest.approx(before.predict_proba(untouched), abs=1e-6)
    cut, read, decided = made.manifest.notes
    rows = whole.vocabulary_size
    assert cut.startswith(f"vocabulary: {small.vocabulary_size} of {rows} rows of the embeddings kept")
    assert f"in {1 - len(untouched) / len(texts):.1%} of {len(texts)} texts" in read
    assert decided.startswith("validation: ")
    assert footprint(made).parameters == footprint(teacher).parameters - 32 * (rows - small.vocabulary_size)
    assert inspect_model(str(made.path)).vocabulary == small.vocabulary_size


def test_recovery_brings_a_product_of_embeddings_nearer_to_the_teacher(narrow: Any, teacher: Any) -> None:
    texts = narrow.splits.validation.texts
    truth = open_predictor(teacher).predict_proba(texts)

    def distance(**changes: Any) -> float:
        made = narrow.make(
            trim_vocabulary.run, config(min_count=2, embedding_rank=3, **changes), parent=teacher, teacher=teacher
        )
        assert inspect_model(str(made.path)).parameters.total == footprint(made).parameters
        assert "embeddings are a product of rank 3" in made.manifest.notes[1]
        return float(np.abs(open_predictor(made).predict_proba(texts) - truth).mean())

    learning = {"epochs": 6, "hardness": 1.0, "learning_rate": 3e-3, "batch_size": 8, "precision": "fp32"}
    assert distance(teacher="teacher", **learning) < 0.7 * distance()


def test_a_trimmed_model_is_exported_and_trimmed_again(narrow: Any, teacher: Any) -> None:
    made = narrow.make(trim_vocabulary.run, config(min_count=5, embedding_rank=8, epochs=0), parent=teacher)
    again = narrow.make(trim_vocabulary.run, config(id="again", min_count=20), parent=made)
    assert footprint(again).parameters < footprint(made).parameters
    onnx = narrow.make(export.run, Export.model_validate({"id": "onnx", "type": "export"}), parent=again)
    texts = narrow.splits.validation.texts[:20]
    expected = open_predictor(again).predict_proba(texts)
    assert open_predictor(onnx).predict_proba(texts) == pytest.approx(expected, abs=1e-4)


def test_decisions_changed_by_hand() -> None:
    before, after = np.array([[1, 0], [0, 1], [1, 1]], np.int8), np.array([[0, 1], [0, 1], [1, 0]], np.int8)
    assert changed(before, after, False) == "validation: 3 of 6 decisions changed (50.00%), in 66.7% of the texts"
    assert (
        changed(before[:2], after[:2], True) == "validation: 1 of 2 decisions changed (50.00%), in 50.0% of the texts"
    )


# --------------------------------------------------------------------------------------------------------- recipes


def check(command: Any, recipe: dict[str, Any], tmp_path: Path, **stage: Any) -> Any:
    given = {"id": "small", "type": "trim_vocabulary", "from": "student"} | stage
    recipe["stages"] = [*recipe["stages"][:2], given]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return command("check", tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (
            {"embedding_rank": 16},
            "stages.small.embedding_rank: 16 saves nothing: an embedding of student has 16 numbers",
        ),
        (
            {"embedding_rank": 8, "teacher": "teacher"},
            "stages.small: teacher would have no effect here: only of a recovery training; set epochs above 0",
        ),
        ({"learning_rate": 0.1}, "stages.small: learning_rate would have no effect here: only of a recovery training"),
        ({"min_count": 0}, "stages.small.min_count: input should be greater than or equal to 1"),
    ],
)
def test_what_the_recipe_alone_shows_is_an_error_of_check(
    stage: dict[str, Any], said: str, command: Any, tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    ended = check(command, tiny_recipe, tmp_path, **stage)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"keep_top": 20}, "stages.small.keep_top: 20 is smaller than the alphabet"),
        ({"embedding_rank": 32}, "stages.small.embedding_rank: 32 is not below the 32 numbers"),
    ],
)
def test_what_the_model_shows_is_an_error_before_any_training(
    stage: dict[str, Any], said: str, command: Any, tiny_recipe: dict[str, Any], tmp_path: Path
) -> None:
    given = {"id": "small", "type": "trim_vocabulary", "from": "teacher"} | stage
    tiny_recipe["stages"] = [tiny_recipe["stages"][0], given]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny_recipe))
    ended = command("run", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not list((tmp_path / "out").glob("artifacts/*"))
