"""Graphs of which some matrix products are fp32 and others int8, put together of a graph in both precisions. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Product:
    """A MatMul or Gemm with constant weights. name: of its node. shape: of the weights, as they lie in the file."""

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} ({' x '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class TwoForms:
    """One graph in two precisions, as onnx.ModelProto. products: what may be int8, by the names both have.

    whole: products in fp32. small: all of them in int8. Tables of embeddings are int8 in both, but where the whole is a
    parent's file as it was.
    """

    whole: Any
    small: Any
    products: tuple[Product, ...]


def name_products(model: Any) -> tuple[Product, ...]:
    """The products of an onnx.ModelProto in their order; those without a name, or with one that is taken, get one.

    Products of two activations, as attention has them, are left out: no scheme makes integers of them here.
    """
    weights = {item.name: tuple(item.dims) for item in model.graph.initializer}
    taken = {node.name for node in model.graph.node}
    seen: set[str] = set()
    found = []
    for place, node in enumerate(model.graph.node):
        if node.op_type not in {"MatMul", "Gemm"} or len(weights.get(node.input[1], ())) != 2:
            continue
        if not node.name or node.name in seen:
            node.name = next(name for name in _numbered(f"{node.op_type}_{place}") if name not in taken)
            taken.add(node.name)
        seen.add(node.name)
        found.append(Product(node.name, weights[node.input[1]]))
    return tuple(found)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1


def mixed(whole: Any, small: Any, kept: Collection[str]) -> Any:
    """`small`, with the products named in `kept` as they are in `whole`. Both are left as they were.

    whole: onnx.ModelProto in fp32. small: the same quantized, statically or dynamically, by ONNX Runtime: what a
    product gives has the same name in both, however many nodes give it there.
    """
    import onnx

    own = {node.output[0]: node for node in whole.graph.node if node.name in kept}
    constants = {item.name: item for item in whole.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(small)
    stored = {item.name for item in result.graph.initializer}
    for place, node in enumerate(small.graph.node):
        if node.output[0] not in own:
            continue
        restored = result.graph.node[place]
        restored.CopyFrom(own[node.output[0]])
        for number, name in enumerate(restored.input):
            if name not in constants or name in stored:
                continue
            restored.input[number] = f"{name}_fp32"  # the name itself may be that of what a node makes of integers
            if f"{name}_fp32" not in stored:
                stored.add(f"{name}_fp32")
                result.graph.initializer.append(constants[name])
                result.graph.initializer[-1].name = f"{name}_fp32"
    _dequantize_rows(result.graph)
    drop_unread(result.graph)
    return result


def _dequantize_rows(graph: Any) -> None:
    """Makes the floats that only a restored product reads: a table's int8 rows, which an int8 one reads as they are."""
    from onnx import helper
    from onnxruntime.quantization.quant_utils import TENSOR_NAME_QUANT_SUFFIX as INTEGERS

    made = {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in node.input}
    nodes = []
    for node in graph.node:
        nodes.append(node)
        name = node.output[0].removesuffix(INTEGERS)
        if node.op_type == "Gather" and name in read and name not in made:
            table = node.input[0].removesuffix(INTEGERS)
            scaled = [node.output[0], f"{table}_scale", f"{table}_zero_point"]
            nodes.append(helper.make_node("DequantizeLinear", scaled, [name], name=f"{name}_rows"))
    _replace(graph.node, nodes)


def round_for_products_alone(graph: Any, products: Collection[str]) -> None:
    """Lets all nodes but the products read what was not rounded.

    ONNX Runtime's quantizer gives the rounded values to whoever reads them, so that the sums past each block, which
    need no rounding, would lose digits as well.
    """
    made = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.name in products or node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        for place, name in enumerate(node.input):
            before = (
                made.get(made[name].input[0]) if name in made and made[name].op_type == "DequantizeLinear" else None
            )
            if before is not None and before.op_type == "QuantizeLinear":
                node.input[place] = before.input[0]
    drop_unread(graph)


def drop_unread(graph: Any) -> None:
    """Takes out nodes whose results nobody reads, and then weights that nobody reads. Nodes stand in order."""
    read = {item.name for item in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            nodes.append(node)
            read.update(_reads(node))
    _replace(graph.node, nodes[::-1])
    _replace(graph.initializer, [item for item in graph.initializer if item.name in read])


def _reads(node: Any) -> Iterator[str]:
    """What a node reads, the graphs of its branches included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)


def _replace(field: Any, items: Sequence[Any]) -> None:
    if len(items) == len(field):
        return
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
