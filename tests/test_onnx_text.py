"""Graphs that take texts: exported from torch, opened, batched, made smaller. Weights are random, answers equal."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.architecture.read import inspect_model
from compress.artifact import Artifact, Decision, save_readout
from compress.bag import embedding_bag, linear_bag
from compress.encoder.files import save_classifier
from compress.errors import ParityError
from compress.inputs import Made
from compress.ngrams.tokenizer import Buckets, NgramTokenizer, Terms
from compress.ngrams.words import frequent_terms
from compress.recipe.quantizing import Fp16, Int8Dynamic
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.runtime.onnx_text import text_batches
from compress.stages import export, quantize

KINDS = ("linear", "bag")
MOST = 64
_PARTS = (
    "Rotten",
    "clown",
    "page,",
    "the",
    "don't",
    "é",
    "中文",
    "😀",
    "\x00",
    "  ",
    "...",
    "again",
    "MAP",
    "\n",
    "I",
    "will",
)


@dataclass(frozen=True)
class Config:
    """Of a stage that only writes a model down."""

    id: str
    type: str = "finetune"


def written(kind: str, texts: tuple[str, ...]) -> Callable[..., Made]:
    """A stage's `run` that writes a random model of 6 labels."""

    def run(config: Config, inputs: Any, context: Any, folder: Path) -> Made:
        import torch

        torch.manual_seed(7)
        features = Terms(frequent_terms(texts, 2, MOST, 1)[:150], 2) if kind == "linear" else Buckets(512, 2)
        tokenizer = NgramTokenizer(features, MOST)
        tokenizer.save(folder)
        ids = tokenizer.vocabulary_size
        model = linear_bag(inputs.task, ids) if kind == "linear" else embedding_bag(inputs.task, ids, 16, 8)
        if kind == "linear":
            torch.nn.init.normal_(model.terms.weight)
            with torch.no_grad():
                model.terms.weight[:, -1].abs_()
                model.terms.weight[0] = 0
                model.bias.copy_(torch.linspace(-1, 1, len(model.bias)))
        save_classifier(model.eval(), folder)
        decision = Decision(calibration_temperature=1.5, thresholds=(0.5,) * len(inputs.task.labels))
        save_readout(decision, folder)
        return Made("torch", MOST)

    return run


@pytest.fixture(scope="module", params=KINDS)
def made(request: Any, tmp_path_factory: Any, new_workshop: Any, sentences: tuple[str, ...]) -> dict[str, Artifact]:
    """A torch model, its graph of texts, and this in fp16 and int8."""
    shop = new_workshop(tmp_path_factory.mktemp(request.param))
    found = {"torch": shop.make(written(request.param, sentences), Config("model"))}
    found["text"] = shop.make(export.run, Export(id="text", type="export"), parent=found["torch"])
    for config in (
        Fp16(id="fp16", type="quantize", scheme="fp16"),
        Int8Dynamic(id="int8_dynamic", type="quantize", scheme="int8_dynamic"),
    ):
        found[config.scheme] = shop.make(quantize.run, config, parent=found["text"])
    return found


def many_texts(count: int) -> Iterator[str]:
    """Some empty, most short, a few long; one of a megabyte."""
    chooser = random.Random(5)
    yield from ("", " ", "\ud800 rotten", "the clown " * 100_000)
    for _ in range(count - 4):
        yield chooser.choice((" ", "", "-")).join(chooser.choices(_PARTS, k=int(chooser.expovariate(1 / 8))))


def test_the_graph_answers_ten_thousand_texts_as_torch_does(made: dict[str, Artifact]) -> None:
    texts = list(many_texts(10_000))
    wanted, found = (open_predictor(made[name], threads=1).predict_logits(texts) for name in ("torch", "text"))
    assert np.abs(found - wanted).max() <= 1e-5
    assert found.std(axis=0).min() > 1e-3  # the texts do differ
    assert np.isfinite(found).all()


def test_an_empty_text_has_the_answer_of_no_terms(made: dict[str, Artifact]) -> None:
    predictor = open_predictor(made["text"])
    none, blank, unknown = predictor.predict_logits(["", " \n", "\x00"])
    assert np.array_equal(none, blank)
    assert np.array_equal(none, unknown)
    if json.loads((made["text"].path / "config.json").read_text(encoding="utf-8"))["model_type"] == "compress_linear":
        assert none == pytest.approx(np.linspace(-1, 1, 6))  # its bias


def test_the_artifact_is_one_graph_and_how_to_decide(made: dict[str, Artifact]) -> None:
    artifact = made["text"]
    assert set(artifact.manifest.file_sha256s) == {"model.onnx", "config.json", "decision.json"}
    assert (artifact.manifest.format, artifact.manifest.precision) == ("onnx_text", "fp32")
    assert any("ONNX equals torch" in note for note in artifact.manifest.notes)
    assert footprint(artifact).parameters == footprint(made["torch"]).parameters


def test_inspect_knows_them_in_every_form(made: dict[str, Artifact]) -> None:
    found = {name: inspect_model(str(artifact.path)) for name, artifact in made.items()}
    assert {it.parameters.total for it in found.values()} == {footprint(made["torch"]).parameters}
    assert {it.max_tokens for it in found.values()} == {MOST}
    assert "export" in found["torch"].uses
    assert "prune" not in found["torch"].uses
    assert "quantize" in found["text"].uses


def test_onnx_runtime_alone_runs_it(made: dict[str, Artifact]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(made["text"].path / "model.onnx"), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"text": ["a rotten clown", ""]})
    assert logits == pytest.approx(open_predictor(made["torch"]).predict_logits(["a rotten clown", ""]), abs=1e-5)


def test_no_texts_have_no_answers(made: dict[str, Artifact]) -> None:
    assert open_predictor(made["text"]).predict_proba([]).shape == (0, 6)


def test_answers_come_in_the_order_of_the_texts_and_in_two_steps_the_same(
    made: dict[str, Artifact], sentences: tuple[str, ...]
) -> None:
    predictor = open_predictor(made["text"], threads=1)
    texts = [*sentences[:20], "rotten " * 60_000, *sentences[20:40]]
    alone = np.concatenate([predictor.predict_logits([text]) for text in texts])
    told: list[tuple[int, int]] = []
    together = predictor.predict_logits(texts, lambda done, total: told.append((done, total)))
    assert together == pytest.approx(alone, abs=1e-5)
    assert predictor.run(predictor.tokenize(texts)) == pytest.approx(alone, abs=1e-5)
    assert told[-1] == (len(texts), len(texts))


# ---------------------------------------------------------------------------------------------------- batches


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 200))
def test_each_text_is_in_one_batch_and_no_batch_is_padded_beyond_the_budget(sizes: list[int], budget: int) -> None:
    texts = [chr(97 + place % 26) * size for place, size in enumerate(sizes)]
    batches = list(text_batches(texts, budget))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(texts)))
    for batch in batches:
        assert batch.texts.tolist() == [texts[row] for row in batch.rows]
        assert len(batch.rows) == 1 or len(batch.rows) * max(map(len, batch.texts)) <= budget


def test_a_huge_text_is_alone_and_short_ones_stay_together() -> None:
    batches = list(text_batches(["a b"] * 40 + ["x" * 1_000_000] + ["c"] * 40))
    assert [len(batch.rows) for batch in batches] == [80, 1]


# ---------------------------------------------------------------------------------------------------- smaller


@pytest.mark.parametrize(("scheme", "precision", "share"), [("fp16", "fp16", 0.51), ("int8_dynamic", "int8", 0.35)])
def test_tables_become_smaller_and_answers_stay_near(
    made: dict[str, Artifact], sentences: tuple[str, ...], scheme: str, precision: str, share: float
) -> None:
    small, whole = made[scheme], made["text"]
    assert (small.manifest.format, small.manifest.precision) == ("onnx_text", precision)
    assert table_bytes(small) <= share * table_bytes(whole)
    assert footprint(small).parameters >= footprint(whole).parameters
    before, after = (open_predictor(it).predict_logits(sentences) for it in (whole, small))
    spread = before.std(axis=0).mean()
    assert np.abs(before - after).mean() <= {"fp16": 0.002, "int8": 0.05}[precision] * spread
    assert not np.array_equal(before, after)


def table_bytes(artifact: Artifact) -> int:
    import onnx

    graph = onnx.load(str(artifact.path / "model.onnx")).graph
    return sum(len(item.raw_data) for item in graph.initializer if len(item.dims) == 2 and item.dims[0] > 100)


def test_int8_is_off_by_half_a_step_at_most(made: dict[str, Artifact]) -> None:
    import onnx
    from onnx import numpy_helper

    before, after = (
        {
            item.name: numpy_helper.to_array(item)
            for item in onnx.load(str(made[name].path / "model.onnx")).graph.initializer
        }
        for name in ("text", "int8_dynamic")
    )
    names = [name.removesuffix("_quantized") for name in after if name.endswith("_quantized")]
    assert names
    for name in names:
        scale = after[f"{name}_scale"]
        assert scale.shape == (before[name].shape[1],)
        near = np.abs(before[name] - scale * after[f"{name}_quantized"]) <= scale / 2 * 1.0001
        kept = (after[f"{name}_quantized"] == 1) & (before[name] > 0)
        assert (near | kept).all()


def test_int8_of_one_column_is_refused(tmp_path: Path) -> None:
    from compress.stages.quantize.tables import to_small_tables

    save_table(tmp_path / "one.onnx", np.ones((4, 1)))
    with pytest.raises(ParityError, match=r"one column.*use scheme: fp16"):
        to_small_tables(tmp_path / "one.onnx", tmp_path / "small.onnx", "int8_dynamic")
    assert not (tmp_path / "small.onnx").exists()


@pytest.mark.parametrize("scheme", ["fp16", "int8_dynamic"])
def test_a_graph_without_a_table_is_refused_without_advice_that_would_not_help(tmp_path: Path, scheme: Any) -> None:
    from compress.stages.quantize.tables import to_small_tables

    save_table(tmp_path / "one.onnx", np.ones((4, 2)), np.float64)
    with pytest.raises(ParityError, match=r"no fp32 table .*leave this stage out"):
        to_small_tables(tmp_path / "one.onnx", tmp_path / "small.onnx", scheme)


def test_what_logits_are_divided_by_stays_above_nothing(tmp_path: Path) -> None:
    """1 beside 300 is less than half a level, and a text of that term alone would have a length of 0."""
    import onnx
    from onnx import numpy_helper

    from compress.stages.quantize.tables import to_small_tables

    save_table(tmp_path / "two.onnx", np.array([[0, 0], [-0.01, 1], [0.01, 300], [5, 2.5]]))
    to_small_tables(tmp_path / "two.onnx", tmp_path / "small.onnx", "int8_dynamic")
    kept = {item.name: item for item in onnx.load(str(tmp_path / "small.onnx")).graph.initializer}
    levels = numpy_helper.to_array(kept["table_quantized"])
    assert levels.tolist() == [[0, 0], [0, 1], [0, 127], [127, 1]]


def save_table(path: Path, table: np.ndarray, kind: Any = np.float32) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("rows", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), ["batch", None])],
        [numpy_helper.from_array(table.astype(kind), "table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), str(path))


def test_a_graph_that_splits_otherwise_is_not_kept(
    workshop: Any, sentences: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import compress.ngrams.graph as module

    parent = workshop.make(written("bag", sentences), Config("model"))
    monkeypatch.setattr(module, "WORD", "[a-z]+")
    with pytest.raises(ParityError, match="differ"):
        workshop.make(export.run, Export(id="text", type="export"), parent=parent)
    assert not (workshop.folder / "artifacts" / "text").exists()
