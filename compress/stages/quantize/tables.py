"""Smaller tables of weights in a graph that takes texts, whose rows Gather picks: nearly all such a file holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np

from compress.errors import ParityError

_LEVELS = 127


def to_small_tables(source: Path, target: Path, scheme: Literal["fp16", "int8_dynamic"]) -> str:
    """Stores every table in fp16, or in int8 with a scale for each column; what is computed stays fp32.

    A table of one column, as learned weights of features are, is fp16 in both. Returns a note of what became of them.
    Raises ParityError where none can be stored so.
    """
    import onnx

    model = onnx.load(str(source))
    small = whole = 0
    for table in list(_tables(model.graph)):
        columns = table.dims[1]
        size = table.dims[0] * columns
        whole += size
        match scheme:
            case "fp16":
                _to_fp16(model.graph, table)
                small += size
            case "int8_dynamic" if columns > 1:
                _to_int8(model.graph, table)
                small += size
            case "int8_dynamic":
                _to_fp16(model.graph, table)
            case _ as unknown:
                assert_never(unknown)
    if not whole:
        raise ParityError(
            "the graph has no fp32 table of weights whose rows Gather picks, and no scheme makes another smaller. "
            "Nothing was kept; leave this stage out."
        )
    if not small:
        raise ParityError(
            "every table of the graph has one column, as embeddings of width 1 have, and int8_dynamic leaves these "
            "alone. Nothing was kept; use scheme: fp16, which halves them."
        )
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return f"{scheme.removesuffix('_dynamic')}: {small / whole:.1%} of the weights in tables"


def int8_tables(graph: Any) -> None:
    """Stores every table of several columns in int8 with a scale for each; what is made of its rows stays fp32."""
    for table in list(_tables(graph)):
        if table.dims[1] > 1:
            _to_int8(graph, table)


def _tables(graph: Any) -> Iterator[Any]:
    """Matrices of fp32 whose rows are gathered, and that nothing else reads."""
    from onnx import TensorProto

    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers.setdefault(name, set()).add(node.op_type if place == 0 else "")
    for item in graph.initializer:
        if item.data_type == TensorProto.FLOAT and len(item.dims) == 2 and readers.get(item.name) == {"Gather"}:
            yield item


def _to_fp16(graph: Any, table: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    stored = numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), f"{table.name}_fp16")
    _replace(graph, table, stored)
    _after_gather(graph, stored.name, lambda raw, out: helper.make_node("Cast", [raw], [out], to=TensorProto.FLOAT))


def _to_int8(graph: Any, table: Any) -> None:
    """Symmetric, a scale for each column (Jacob et al. 2018, eq. 1, zero point 0): |x - scale q| <= scale / 2.

    In a column without negatives, as a linear model's n is whose sums others are divided by, what is above 0 stays so:
    it becomes one level at least.
    """
    from onnx import helper, numpy_helper

    array = numpy_helper.to_array(table)
    scale = np.maximum(np.abs(array).max(axis=0) / _LEVELS, np.finfo(np.float32).tiny).astype(np.float32)
    levels = np.round(array / scale)
    levels[(array > 0) & (levels == 0) & (array.min(axis=0) >= 0)] = 1
    stored = numpy_helper.from_array(levels.astype(np.int8), f"{table.name}_quantized")
    scales = numpy_helper.from_array(scale, f"{table.name}_scale")
    _replace(graph, table, stored)
    graph.initializer.append(scales)
    _after_gather(
        graph,
        stored.name,
        lambda raw, out: helper.make_node("DequantizeLinear", [raw, scales.name], [out], axis=-1),
    )


def _replace(graph: Any, table: Any, stored: Any) -> None:
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == table.name:
                node.input[place] = stored.name
    graph.initializer.remove(table)
    graph.initializer.append(stored)


def _after_gather(graph: Any, table: str, made: Any) -> None:
    """Puts a node between each Gather of the table and what reads its rows. made: (rows, output) -> the node."""
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if node.op_type == "Gather" and node.input[0] == table:
            output = node.output[0]
            node.output[0] = f"{output}_stored"
            graph.node.insert(place + 1, made(node.output[0], output))
