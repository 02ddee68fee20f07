"""Matrix products of an ONNX graph: the form that quantizers look for, and which of their weights became integers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_PRODUCTS = {"MatMul", "Gemm", "Einsum", "Conv", "MatMulInteger", "Attention", "QAttention"}
_MOVES = {"Transpose", "Reshape", "Identity", "DequantizeLinear"}


def plain_products(model: Any) -> None:
    """Makes every product with weights a MatMul or Gemm that has them beside it as they are. model: onnx_ir.Model.

    ONNX Runtime's quantizer passes over all others without a word: Einsum (XLNet's attention), and weights that arrive
    through Identity or Transpose, as those that several layers share do (ALBERT; DeBERTa's keys), because the exporters
    fold a transposed weight of more than 8,192 numbers into the file only where one product uses it.
    """
    from onnx_ir.passes import common

    common.IdentityEliminationPass()(model)
    _turn_einsums(model)
    # one Transpose for all that share a weight, so that it lies in the file once
    common.CommonSubexpressionEliminationPass()(model)
    _turn_weights(model)
    common.RemoveUnusedNodesPass()(model)


def int8_share(model: Any) -> float:
    """Share of the numbers in the weights of matrix products that are 8-bit integers; 0 where there are no weights.

    model: onnx.ModelProto. A weight that several products use counts once; two activations multiplied have none.
    """
    from onnx import TensorProto

    weights = {weight.name: weight for weight in _weights(model.graph)}
    sizes = {name: _size(weight.dims) for name, weight in weights.items()}
    whole = sum(sizes.values())
    small = {TensorProto.INT8, TensorProto.UINT8}
    return sum(size for name, size in sizes.items() if weights[name].data_type in small) / whole if whole else 0.0


def constants_of(graph: Any) -> dict[str, Any]:
    """Name -> onnx.TensorProto of an onnx.GraphProto's constants, kept beside its nodes or made by one."""
    found = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _weights(graph: Any) -> Iterator[Any]:
    """The constant operands of products, through whatever moves their numbers about."""
    constants = constants_of(graph)
    moved = {node.output[0]: node.input[0] for node in graph.node if node.op_type in _MOVES}
    for node in graph.node:
        for name in node.input[:2] if node.op_type in _PRODUCTS else ():
            while name in moved and name not in constants:
                name = moved[name]
            if name in constants and len(constants[name].dims) > 1:
                yield constants[name]


def _size(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _turn_weights(model: Any) -> None:
    """Stores transposed weights transposed."""
    import onnx_ir as ir

    for node in list(model.graph):
        weight = node.inputs[0] if node.op_type == "Transpose" else None
        if weight is None or not weight.is_initializer():
            continue
        order = node.attributes.get_ints("perm", None)
        turned = _constant(model, f"{weight.name}_turned", weight.const_value.numpy().transpose(order))
        ir.convenience.replace_all_uses_with(node.outputs[0], turned)
        model.graph.remove(node, safe=True)


def _turn_einsums(model: Any) -> None:
    """Einsum of an activation with weights -> Reshape, MatMul, Reshape, where it is a plain product of two matrices."""
    import onnx_ir as ir

    for node in list(model.graph):
        if node.op_type != "Einsum" or len(node.inputs) != 2 or not node.inputs[1].is_initializer():
            continue
        terms = node.attributes.get_string("equation").replace(" ", "").replace("->", ",").split(",")
        plan = _matrix_form(*terms) if len(terms) == 3 else None
        if plan is not None:
            nodes, result = _as_matmul(model, node, *plan)
            result.name = node.outputs[0].name
            ir.convenience.replace_nodes_and_values(model.graph, node, [node], nodes, node.outputs, [result])


def _matrix_form(left: str, right: str, result: str) -> tuple[str, str, str] | None:
    """Indices of left that stay, those summed over, those of right that stay; None if this is no product of matrices.

    It is one where left is "stay, summed" and the result "stay of left, stay of right"; right's may stand in any order.
    """
    summed = "".join(index for index in left if index in right)
    rows = left.removesuffix(summed) if summed and left.endswith(summed) else ""
    columns = "".join(index for index in right if index not in summed)
    fits = rows and columns and result == rows + columns and not set(rows) & set(columns)
    return (rows, summed, columns) if fits else None


def _as_matmul(model: Any, node: Any, rows: str, summed: str, columns: str) -> tuple[list[Any], Any]:
    """The nodes that compute an Einsum, and their last value."""
    import onnx_ir as ir

    value, weight = node.inputs
    right = node.attributes.get_string("equation").replace(" ", "").split(",")[1].split("->")[0]
    array = weight.const_value.numpy().transpose([right.index(index) for index in summed + columns])
    inner, outer = array.shape[: len(summed)], array.shape[len(summed) :]
    matrix = _constant(model, f"{weight.name}_matrix", array.reshape(_size(inner), _size(outer)))
    nodes = []

    def reshaped(value: Any, shape: tuple[int, ...]) -> Any:
        # 0: as it was
        target = np.array([*(0 for _ in rows), *shape], np.int64)
        nodes.append(ir.node("Reshape", [value, _constant(model, f"{value.name}_shape", target)]))
        return nodes[-1].outputs[0]

    value = reshaped(value, (_size(inner),)) if len(inner) > 1 else value
    nodes.append(ir.node("MatMul", [value, matrix]))
    result = nodes[-1].outputs[0]
    return nodes, reshaped(result, outer) if len(outer) > 1 else result


def _constant(model: Any, name: str, array: Any) -> Any:
    """A new initializer, under `name` or, where that is taken, with a number behind it."""
    import onnx_ir as ir

    taken = model.graph.initializers
    free = next(one for one in (name, *(f"{name}_{number}" for number in range(len(taken) + 1))) if one not in taken)
    value = ir.Value(name=free, const_value=ir.tensor(array, name=free))
    value.shape, value.dtype = value.const_value.shape, value.const_value.dtype
    model.graph.register_initializer(value)
    return value
