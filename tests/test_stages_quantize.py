"""Quantization: files that open, are smaller, lie within half a step of their parent, and keep its zeros."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.artifact import open_artifact
from compress.errors import ParityError
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.quantizing import Fp16, Int8Dynamic, Quantize
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.stages import export, prune, quantize
from compress.stages.quantize import onnx_file
from compress.stages.quantize.attention import fuse_attention

Arrays = dict[str, np.ndarray]


def config(scheme: Any) -> Quantize:
    given = {"id": scheme, "type": "quantize", "from": "student-onnx", "scheme": scheme}
    return (Fp16 if scheme == "fp16" else Int8Dynamic).model_validate(given)


def arrays(folder: Path) -> Arrays:
    graph = onnx.load(str(folder / "model.onnx")).graph
    return {item.name: numpy_helper.to_array(item) for item in graph.initializer}


def fused_arrays(folder: Path) -> Arrays:
    """The same of what is quantized: queries, keys and values are one weight."""
    graph = fuse_attention(onnx.load(str(folder / "model.onnx"))).graph
    return {item.name: numpy_helper.to_array(item) for item in graph.initializer}


def quantized(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """(name of the parent's weight, integers, scale, zero point) of each quantized weight."""
    found = arrays(folder)
    for name, array in found.items():
        if name.endswith("_quantized"):
            base = name.removesuffix("_quantized")
            yield base, array, found[f"{base}_scale"], found[f"{base}_zero_point"]


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, teacher: Any) -> Any:
    """{stage: artifact}: torch, ONNX by the older exporter (it is quick), fp16 and int8 of a model with 60 % zeros."""
    shop = new_workshop(tmp_path_factory.mktemp("pruned"))
    sparse = PruneMagnitude.model_validate(
        {"id": "torch", "type": "prune", "final_sparsity": 0.6, "epochs": 0.5, "precision": "fp32"}
    )
    made = {"torch": shop.make(prune.run, sparse, parent=teacher)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.write, "_export_dynamo", lambda *arguments: 1 / 0)
        made["onnx"] = shop.make(export.run, Export(id="onnx", type="export"), parent=made["torch"])
    for scheme in ("fp16", "int8_dynamic"):
        made[scheme] = shop.make(quantize.run, config(scheme), parent=made["onnx"])
    return made


@pytest.mark.parametrize(("name", "near"), [("student-fp16", 5e-3), ("student-int8", 5e-2)])
def test_it_answers_nearly_as_its_parent(tiny_run: Path, comment_splits: Any, name: str, near: float) -> None:
    texts = comment_splits.tests["test"].texts
    parent, child = (open_artifact(tiny_run / "artifacts" / stage) for stage in ("student-onnx", name))
    before, after = (open_predictor(artifact).predict_proba(texts) for artifact in (parent, child))
    assert 0 < np.abs(before - after).max() < near
    assert child.manifest.precision == name.removeprefix("student-")
    for inherited in ("decision.json", "config.json", "tokenizer.json"):
        assert (child.path / inherited).read_bytes() == (parent.path / inherited).read_bytes()


def test_files_shrink(tiny_run: Path, pruned: Any) -> None:
    def weight(name: str) -> int:
        return footprint(open_artifact(tiny_run / "artifacts" / name)).model_bytes

    assert weight("student-int8") < weight("student-onnx")
    assert weight("student-fp16") < weight("student-onnx")
    # no model of this size is all weights; the weights themselves are a quarter, and a half
    sizes = {
        name: sum(a.nbytes for a in arrays(pruned[name].path).values()) for name in ("onnx", "fp16", "int8_dynamic")
    }
    assert sizes["fp16"] < 0.55 * sizes["onnx"]
    assert sizes["int8_dynamic"] < 0.32 * sizes["onnx"]


@pytest.mark.parametrize("source", ["run", "pruned"])
def test_int8_weights_lie_within_half_a_step(source: str, tiny_run: Path, pruned: Any) -> None:
    parent, child = (
        (pruned["onnx"].path, pruned["int8_dynamic"].path)
        if source == "pruned"
        else (tiny_run / "artifacts" / "student-onnx", tiny_run / "artifacts" / "student-int8")
    )
    exact = fused_arrays(parent)
    seen = 0
    for name, integers, scale, zero in quantized(child):
        original = exact[name].astype(np.float64)
        # the head is a Gemm, whose weights are stored the other way round
        original = original if integers.shape == original.shape else original.T
        assert integers.shape == original.shape
        restored = (integers.astype(np.float64) - zero.astype(np.float64)) * scale.astype(np.float64)
        assert (np.abs(original - restored) <= scale / 2 * (1 + 1e-5)).all()
        # per channel: one scale for each output of a product, one alone for a table of embeddings
        assert scale.size in {1, original.shape[-1]}
        seen += 1
    layers = 1 if source == "run" else 2
    assert seen >= 4 * layers + 2
    nodes = onnx.load(str(child / "model.onnx")).graph.node
    assert sum(node.op_type == "QAttention" for node in nodes) == layers


def test_embeddings_are_quantized_too(pruned: Any) -> None:
    biggest = max((a for n, a in arrays(pruned["int8_dynamic"].path).items()), key=lambda a: a.size)
    assert biggest.dtype in (np.int8, np.uint8)
    assert biggest.shape == (biggest.shape[0], 32)


def test_zeros_stay_exact_through_export_and_int8(pruned: Any) -> None:
    before, after = (
        fused_arrays(pruned["onnx"].path),
        {name: rest for name, *rest in quantized(pruned["int8_dynamic"].path)},
    )
    sparse = [name for name in after if (before[name] == 0).mean() > 0.2]
    assert len(sparse) == 8
    total = sum(before[name].size for name in sparse)
    assert sum(int((before[name] == 0).sum()) for name in sparse) == round(0.6 * total)
    for name in sparse:
        integers, _, zero = after[name]
        assert (integers == zero)[before[name] == 0].all()
    shares = {name: footprint(artifact).zeros_share for name, artifact in pruned.items()}
    assert shares["onnx"] == pytest.approx(shares["torch"], rel=0.02)
    # rounding can only add zeros
    assert shares["fp16"] >= shares["onnx"]
    assert shares["int8_dynamic"] >= shares["onnx"] * 0.98
    gzipped = {name: footprint(artifact).size_gzip_bytes for name, artifact in pruned.items()}
    assert gzipped["int8_dynamic"] < gzipped["fp16"] < gzipped["onnx"]


def test_fp16_weights_are_the_nearest_halves(pruned: Any) -> None:
    exact, half = arrays(pruned["onnx"].path), arrays(pruned["fp16"].path)
    compared = 0
    for name, array in half.items():
        if array.dtype == np.float16 and name in exact and exact[name].ndim == 2:
            large = np.abs(exact[name]) > 1e-6  # the converter lifts what fp16 cannot hold
            np.testing.assert_array_equal(array[large], exact[name].astype(np.float16)[large])
            assert (array[exact[name] == 0] == 0).all()
            compared += 1
    assert compared >= 12


@pytest.mark.parametrize("damage", ["nonsense", "infinite"])
def test_a_graph_that_does_not_answer_is_not_kept(
    workshop: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def broken(source: Path, target: Path) -> None:
        if damage == "nonsense":
            target.write_bytes(b"no graph")
            return
        model = onnx.load(str(source))
        for item in model.graph.initializer:
            if item.data_type == onnx.TensorProto.FLOAT and len(item.dims) == 2:
                item.CopyFrom(numpy_helper.from_array(np.full(item.dims, np.inf, np.float32), item.name))
        onnx.save(model, str(target))

    monkeypatch.setattr(onnx_file, "to_fp16", broken)
    what = "does not run" if damage == "nonsense" else "infinite or undefined"
    with pytest.raises(ParityError, match=what):
        workshop.make(quantize.run, config("fp16"), parent=open_artifact(tiny_run / "artifacts" / "student-onnx"))
    assert list((workshop.folder / "artifacts").iterdir()) == []


def test_overflow_on_the_tasks_own_texts_is_found(
    workshop: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two texts of our own may well be finite; a word that only the data have is not."""
    texts = workshop.splits.validation.texts
    asked: list[int] = []

    def run(session: Any, batch: Any) -> np.ndarray:
        asked.append(len(batch["input_ids"]))
        logits = np.zeros((len(batch["input_ids"]), 6), np.float32)
        logits[-1] = np.inf
        return logits

    monkeypatch.setattr(onnx_file, "run_session", run)
    with pytest.raises(ParityError, match=r"logits for \d+ of 82 texts\. Nothing was kept.*int8_dynamic"):
        workshop.make(quantize.run, config("fp16"), parent=open_artifact(tiny_run / "artifacts" / "student-onnx"))
    assert sum(asked) == 2 + len(texts)


def test_a_graph_that_dropped_an_input_is_not_given_it(tiny_run: Path) -> None:
    from compress.runtime.onnx import open_session, run_session

    session = open_session(str(tiny_run / "artifacts" / "student-onnx" / "model.onnx"), "cpu", 1)
    ids = np.ones((2, 5), np.int64)
    given = {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids}
    assert run_session(session, given).shape == (2, 6)


def test_quantizing_says_nothing_and_leaves_logging_as_it_was(
    workshop: Any, tiny_run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    parent = open_artifact(tiny_run / "artifacts" / "student-onnx")
    capfd.readouterr()
    for scheme in ("fp16", "int8_dynamic"):
        workshop.make(quantize.run, config(scheme), parent=parent)
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger().disabled


def test_the_parent_is_left_as_it_was(tiny_run: Path) -> None:
    for name in ("student", "student-onnx"):
        open_artifact(tiny_run / "artifacts" / name)  # checks every sha256
