"""Products of matrices in ONNX: every form that exporters write becomes one that is quantized, and answers the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.errors import ParityError
from compress.products import int8_share, plain_products
from compress.runtime.onnx import open_session
from compress.stages.quantize.int8_dynamic import int8_dynamic

RANDOM = np.random.default_rng(5)


def graph(nodes: Sequence[Any], shape: Sequence[int | str], rank: int = 2, **weights: Sequence[int]) -> onnx.ModelProto:
    """A model of input x (float32 of `shape`) and output y of `rank`, with random weights of the shapes given."""
    arrays = [
        numpy_helper.from_array(RANDOM.normal(size=size).astype(np.float32), name) for name, size in weights.items()
    ]
    ends = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"o{axis}" for axis in range(rank)])],
    )
    made = helper.make_model(
        helper.make_graph(nodes, "g", *ends, arrays), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.checker.check_model(made)
    return made


def einsum(equation: str, shape: Sequence[int | str], weight: Sequence[int]) -> onnx.ModelProto:
    """y is the Einsum of x with a weight w."""
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation=equation)
    return graph([node], shape, len(equation.split("->")[1].replace(" ", "")), w=weight)


def plain(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The same with plain products; its answers are checked."""
    program = onnx_ir.serde.deserialize_model(model)
    plain_products(program)
    onnx_ir.save(program, str(folder / "plain.onnx"))
    onnx.save(model, str(folder / "before.onnx"))
    before, after = (open_session(str(folder / f"{name}.onnx"), "cpu", 1) for name in ("before", "plain"))
    rank = len(model.graph.input[0].type.tensor_type.shape.dim)
    last = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim if axis.dim_value]
    for free in ((2, 5, 3), (1, 1, 1)):
        x = RANDOM.normal(size=(*free[: rank - len(last)], *last)).astype(np.float32)
        np.testing.assert_allclose(after.run(["y"], {"x": x})[0], before.run(["y"], {"x": x})[0], rtol=1e-4, atol=1e-3)
    made = onnx.load(str(folder / "plain.onnx"))
    onnx.checker.check_model(made, full_check=True)
    return made


def kinds(model: onnx.ModelProto) -> list[str]:
    return sorted(node.op_type for node in model.graph.node)


def test_a_weight_that_two_layers_share_lies_in_the_file_once_and_is_quantized(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["w"], ["a"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Transpose", ["w"], ["b"], perm=[1, 0]),
        helper.make_node("MatMul", ["h", "b"], ["g"]),
        helper.make_node("Identity", ["w"], ["c"]),
        helper.make_node("MatMul", ["g", "c"], ["f"]),
        helper.make_node("Transpose", ["w"], ["d"]),  # without perm: all axes the other way round
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    model = graph(nodes, ["n", 96], w=(96, 96))
    made = plain(model, tmp_path)
    assert kinds(made) == ["MatMul"] * 4
    # as it was, and turned: once for both that say so, once for the one that says nothing
    assert len(made.graph.initializer) == 3
    assert int8_share(int8_dynamic(tmp_path / "plain.onnx").small) == 1.0
    with pytest.raises(ParityError, match=r"only 0% of the weights .* ONNX Runtime 1\..*Nothing was kept"):
        int8_dynamic(tmp_path / "before.onnx")


@pytest.mark.parametrize(
    ("equation", "shape", "weight"),
    [
        ("ibh,hnd->ibnd", ["i", "b", 12], (12, 3, 4)),
        ("ibnd,hnd->ibh", ["i", "b", 3, 4], (12, 3, 4)),
        ("i b h, h d -> i b d", ["i", "b", 12], (12, 5)),
        ("bh,dh->bd", ["b", 12], (5, 12)),
    ],
)
def test_an_einsum_with_weights_becomes_a_matmul(
    tmp_path: Path, equation: str, shape: list[int | str], weight: tuple[int, ...]
) -> None:
    made = plain(einsum(equation, shape, weight), tmp_path)
    assert "Einsum" not in kinds(made)
    assert "MatMul" in kinds(made)


@pytest.mark.parametrize(
    ("equation", "shape", "weight"),
    [
        ("ibnd,snd->ibns", ["i", "b", 3, 4], (2, 3, 4)),  # n is in all three: a product for each
        ("ibh,hd->bid", ["i", "b", 12], (12, 5)),  # another order of the rows
        ("hb,hd->bd", [12, 7], (12, 5)),  # summed over the first axis
        ("ih,hd->id", ["i", 12], (12, 5)),
    ],
)
def test_other_einsums_answer_as_before(
    tmp_path: Path, equation: str, shape: list[int | str], weight: tuple[int, ...]
) -> None:
    made = plain(einsum(equation, shape, weight), tmp_path)
    assert ("Einsum" in kinds(made)) == (equation != "ih,hd->id")


def test_the_share_counts_numbers_not_weights_and_activations_not_at_all() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "large"], ["h"]),
        helper.make_node("MatMul", ["h", "small"], ["g"]),
        helper.make_node("MatMul", ["g", "g2"], ["y"]),
        helper.make_node("Transpose", ["g"], ["g2"]),
    ]
    model = graph([nodes[0], nodes[1], nodes[3], nodes[2]], ["n", 8], large=(8, 12), small=(12, 4))
    assert int8_share(model) == 0
    large = next(item for item in model.graph.initializer if item.name == "large")
    large.CopyFrom(numpy_helper.from_array(np.zeros((8, 12), np.int8), "large"))
    assert int8_share(model) == pytest.approx(96 / 144)
