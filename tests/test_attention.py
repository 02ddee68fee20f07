"""Attention as one node: the same answers from fewer nodes, or the graph as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compress.runtime.onnx import open_session
from compress.stages.quantize.attention import fuse_attention
from compress.stages.quantize.int8_dynamic import int8_dynamic

WIDTH = 8


def graph(heads: int = 2, scale: float | None = None, kept: int = WIDTH, shift: float = 0.0, far: float = 1e4) -> Any:
    """One attention over the embeddings of ids, as the exporters write it; logits are the sums over the tokens.

    kept: width of queries, keys and values. shift: added to scores of keys by their place; of 4 tokens alone.
    """
    draw = np.random.default_rng(heads)
    sizes = {"table": (50, WIDTH), **{f"{name}_w": (WIDTH, kept) for name in "qkv"}, "o_w": (kept, 3)}
    size = kept // heads
    known = {name: draw.normal(size=shape).astype(np.float32) for name, shape in sizes.items()}
    known |= {f"{name}_b": draw.normal(size=kept).astype(np.float32) for name in "qkv"}
    known |= {
        "scale": np.float32(size**-0.5 if scale is None else scale),
        "one": np.float32(1),
        "far": np.float32(far),
        "axes": np.array([1, 2]),
        "second": np.array([1]),
        "split": np.array([0, 0, heads, size]),
        "joined": np.array([0, 0, kept]),
        "shift": (np.arange(4, dtype=np.float32) * shift)[None, None, None],
    }
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["states"])]
    for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            helper.make_node("MatMul", ["states", f"{name}_w"], [f"{name}1"]),
            helper.make_node("Add", [f"{name}1", f"{name}_b"], [f"{name}2"]),
            helper.make_node("Reshape", [f"{name}2", "split"], [f"{name}3"]),
            helper.make_node("Transpose", [f"{name}3"], [name], perm=order),
        ]
    steps = (
        ("Unsqueeze", ["attention_mask", "axes"], "m1"),
        ("Cast", ["m1"], "m2"),
        ("Sub", ["m2", "one"], "m3"),
        ("Mul", ["m3", "far"], "m4"),
        ("Add", ["m4", "shift"] if shift else ["m4", "m4"], "mask"),
        ("MatMul", ["q", "k"], "scores"),
        ("Mul", ["scores", "scale"], "scaled"),
        ("Add", ["scaled", "mask"], "masked"),
        ("Softmax", ["masked"], "shares"),
        ("MatMul", ["shares", "v"], "seen"),
        ("Transpose", ["seen"], "turned"),
        ("Reshape", ["turned", "joined"], "result"),
        ("MatMul", ["result", "o_w"], "out"),
        ("ReduceSum", ["out", "second"], "logits"),
    )
    more: dict[str, dict[str, Any]] = {"m2": {"to": TensorProto.FLOAT}, "turned": {"perm": [0, 2, 1, 3]}}
    more["logits"] = {"keepdims": 0}
    nodes += [helper.make_node(kind, names, [out], **more.get(out, {})) for kind, names, out in steps]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in ("input_ids", "attention_mask")
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 3])
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in known.items()]
    made = helper.make_graph(nodes, "attention", ends, [logits], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def kinds(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


def answers(model: Any, folder: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    onnx.save(model, str(folder / "model.onnx"))
    session = open_session(str(folder / "model.onnx"), "cpu", 1)
    return np.asarray(session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0])


@pytest.mark.parametrize(("heads", "kept"), [(1, WIDTH), (2, WIDTH), (4, WIDTH), (1, 2), (2, 4), (3, 12)])
def test_attention_becomes_one_node_and_what_nothing_reads_goes(heads: int, kept: int) -> None:
    before = graph(heads, kept=kept)
    bytes_before = before.SerializeToString()
    after = fuse_attention(before)
    assert before.SerializeToString() == bytes_before
    assert kinds(after) == ["Cast", "Gather", "Attention", "MatMul", "ReduceSum"]
    names = [item.name for item in after.graph.initializer]
    assert sorted(names) == ["o_w", "result_bias", "result_weight", "second", "table"]
    onnx.checker.check_model(after)


@settings(max_examples=15)
@given(st.data())
def test_answers_stay_at_every_length_and_padding(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows, length = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    ids = np.array(data.draw(st.lists(st.integers(0, 49), min_size=rows * length, max_size=rows * length)))
    sizes = [data.draw(st.integers(1, length)) for _ in range(rows)]
    mask = np.array([[int(place < size) for place in range(length)] for size in sizes])
    given_ = (tmp_path_factory.mktemp("a"), ids.reshape(rows, length), mask)
    plain = graph(kept=data.draw(st.sampled_from([WIDTH, 4, 2])))
    before, after = answers(plain, *given_), answers(fuse_attention(plain), *given_)
    # padded places are summed too: they see what the others see
    np.testing.assert_allclose(after, before, atol=1e-3)


@pytest.mark.parametrize("kept", [WIDTH, 4])
def test_it_is_quantized_also_where_heads_were_taken_out(tmp_path: Path, kept: int) -> None:
    (tmp_path / "fp32").mkdir()
    onnx.save(graph(kept=kept), str(tmp_path / "fp32" / "whole.onnx"))
    small = int8_dynamic(tmp_path / "fp32" / "whole.onnx").small
    assert "QAttention" in kinds(small)
    assert "MatMul" not in kinds(small)
    ids, mask = np.arange(12).reshape(2, 6), np.ones((2, 6), np.int64)
    before, after = answers(graph(kept=kept), tmp_path / "fp32", ids, mask), answers(small, tmp_path, ids, mask)
    assert np.abs(after - before).max() < 0.05 * np.abs(before).max()


@pytest.mark.parametrize("other", [{"scale": 0.3}, {"shift": 0.5}, {"far": 0.5}])
def test_attention_of_another_kind_stays_as_it_is(other: dict[str, Any]) -> None:
    before = graph(**other)
    assert fuse_attention(before) is before


def test_layers_that_share_their_weights_go_on_sharing_them(tmp_path: Path) -> None:
    from compress.encoder.tiny import build_tiny
    from compress.recipe.data import Task
    from compress.recipe.students import TinyEncoder
    from compress.stages.export.write import write_onnx

    shape = TinyEncoder(layers=3, width=16, heads=2, share_layers=True, tokenizer={"type": "wordpiece", "size": 200})
    model = build_tiny(Task(type="multi_label", text="t", labels=("a", "b")), shape, 200, 32)
    model.encoder.set_attn_implementation("eager")
    ids = np.arange(5, 37).reshape(2, 16)
    write_onnx(model, {"input_ids": ids, "attention_mask": np.ones_like(ids)}, tmp_path / "model.onnx")
    before = onnx.load(str(tmp_path / "model.onnx"))
    after = fuse_attention(before)
    assert kinds(after).count("Attention") == 3
    assert sum(item.dims == [16, 48] for item in after.graph.initializer) == 1
    assert after.ByteSize() < before.ByteSize()
