"""Attention as one node of ONNX Runtime's own (com.microsoft Attention), which its quantizer makes a QAttention.

A tiny model's time on a CPU goes into many small nodes: three products that quantize the same states, reshapes,
transposes, a mask that is added. A 2 x 128 model as int8 takes a tenth less with one node in place of some twenty.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.products import constants_of

_MASK = "attention_mask"
_OTHERS = ("input_ids", "token_type_ids")
# what the graphs of exporters look like: queries and values (B, heads, T, d), keys (B, heads, d, T)
_QUERIES, _KEYS = [0, 2, 1, 3], [0, 2, 3, 1]
_NEAR = 1e-4


@dataclass(frozen=True)
class _Projection:
    """states W + b, in heads of `size` numbers. states: name of the value.

    weight: (H, h). bias: (h,); h is H, or less where heads were taken out. source: names of W and b.
    """

    source: tuple[str, str]
    states: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    size: int


@dataclass(frozen=True)
class _Found:
    """Attention whose result is `output`; its queries, keys and values are products of the same states.

    source: names of their weights and biases; layers that share them have the same.
    """

    source: tuple[tuple[str, str], ...]
    output: str
    states: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    heads: int


def fuse_attention(model: Any) -> Any:
    """The same graph with each self-attention as one node, or `model` itself where there is none or answers move.

    model: onnx.ModelProto with inputs input_ids and attention_mask (B, T). Attention of other kinds (relative
    positions, scores of other scales, causal masks) stays as it is.
    """
    # what a branch reads of the graph around it stands in no node's inputs
    branches = any(item.HasField("g") or item.graphs for node in model.graph.node for item in node.attribute)
    found = [] if branches else list(_attentions(model.graph))
    if not found:
        return model
    fused = type(model)()
    fused.CopyFrom(model)
    _put(fused, found)
    return fused if _same(model, fused) else model


def _attentions(graph: Any) -> Iterator[_Found]:
    from onnx import numpy_helper

    made_by = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {name: numpy_helper.to_array(item) for name, item in constants_of(graph).items()}
    for node in graph.node:
        if node.op_type == "Softmax":
            found = _attention(node, made_by, readers, constants)
            if found is not None:
                yield found


def _attention(
    softmax: Any, made_by: dict[str, Any], readers: dict[str, list[Any]], constants: dict[str, NDArray[Any]]
) -> _Found | None:
    """What a Softmax stands in the middle of, if every node around it is as expected."""
    product = _only(readers, softmax.output[0], "MatMul")
    turned = product and _only(readers, product.output[0], "Transpose")
    joined = turned and _only(readers, turned.output[0], "Reshape")
    added = made_by.get(softmax.input[0])
    if not product or not joined or not added or added.op_type != "Add" or _order(turned) != _QUERIES:
        return None
    scaled, mask = (made_by.get(name) for name in added.input)
    if mask is None or scaled is None or not _of_mask_alone(mask, made_by):
        scaled, mask = mask, scaled
    if mask is None or scaled is None or scaled.op_type != "Mul" or not _of_mask_alone(mask, made_by):
        return None
    scores, scale = made_by.get(scaled.input[0]), constants.get(scaled.input[1])
    if scores is None or scale is None or scores.op_type != "MatMul" or scale.size != 1:
        return None
    parts = [
        _projection(name, order, made_by, constants)
        for name, order in ((scores.input[0], _QUERIES), (scores.input[1], _KEYS), (product.input[1], _QUERIES))
    ]
    return _joined(joined.output[0], parts, float(scale.reshape(())))


def _joined(output: str, parts: list[_Projection | None], scale: float) -> _Found | None:
    known = [part for part in parts if part is not None]
    if len(known) < 3 or len({(part.states, part.size) for part in known}) > 1:
        return None
    size, width = known[0].size, len(known[0].bias)
    if not math.isclose(scale, size**-0.5, rel_tol=1e-5):
        return None
    weight = np.concatenate([part.weight for part in known], axis=1)
    source = tuple(part.source for part in known)
    return _Found(source, output, known[0].states, weight, np.concatenate([part.bias for part in known]), width // size)


def _projection(
    name: str, order: list[int], made_by: dict[str, Any], constants: dict[str, NDArray[Any]]
) -> _Projection | None:
    """states W + b behind a Transpose of a Reshape into heads; None where something else is there."""
    turned = made_by.get(name)
    split = made_by.get(turned.input[0]) if turned is not None and turned.op_type == "Transpose" else None
    summed = made_by.get(split.input[0]) if split is not None and split.op_type == "Reshape" else None
    if turned is None or split is None or summed is None or summed.op_type != "Add" or _order(turned) != order:
        return None
    size = _last_axis(split.input[1], made_by, constants)
    biases = [value for value in summed.input if value in constants]
    products = [made_by[value] for value in summed.input if value in made_by]
    if len(biases) != 1 or len(products) != 1 or products[0].op_type != "MatMul" or size is None:
        return None
    source = products[0].input[1], biases[0]
    weight, bias = constants.get(source[0]), constants[source[1]].reshape(-1)
    if weight is None or weight.ndim != 2 or weight.shape[1] != bias.size or bias.size % size:
        return None
    return _Projection(source, products[0].input[0], weight, bias, size)


def _last_axis(name: str, made_by: dict[str, Any], constants: dict[str, NDArray[Any]]) -> int | None:
    """The last number of a Reshape's target, given as it is or put together; None where it is not a fixed one."""
    node = made_by.get(name)
    last = constants.get(node.input[-1] if node is not None and node.op_type == "Concat" else name)
    return int(last.reshape(-1)[-1]) if last is not None and last.size and last.reshape(-1)[-1] > 0 else None


def _of_mask_alone(node: Any, made_by: dict[str, Any]) -> bool:
    """Whether a value depends on no input of texts but the mask, sizes apart."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        for name in () if node.op_type == "Shape" else node.input:
            if name in _OTHERS:
                return False
            if name in made_by and name not in seen:
                seen.add(name)
                waiting.append(made_by[name])
    return True


def _put(model: Any, found: list[_Found]) -> None:
    """Puts the nodes where the results were made, and takes out what nothing reads any more."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    whole = f"{_MASK}_int32"
    cast = helper.make_node("Cast", [_MASK], [whole], name=whole, to=TensorProto.INT32)
    results = {item.output: item for item in found}
    nodes = [cast]
    stored: dict[Any, list[str]] = {}
    for node in graph.node:
        item = results.get(node.output[0])
        if item is None:
            nodes.append(node)
            continue
        names = stored.get(item.source)
        if names is None:
            names = stored[item.source] = [f"{item.output}_weight", f"{item.output}_bias"]
            for name, array in zip(names, (item.weight, item.bias), strict=True):
                graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        nodes.append(
            helper.make_node(
                "Attention",
                [item.states, *names, whole],
                [item.output],
                name=f"{item.output}_attention",
                domain="com.microsoft",
                num_heads=item.heads,
            )
        )
    _keep_needed(graph, nodes)
    if all(known.domain != "com.microsoft" for known in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _keep_needed(graph: Any, nodes: list[Any]) -> None:
    """Makes `nodes` the graph's own, without those, and without the constants, that no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    constants = [item for item in graph.initializer if item.name in needed]
    kept.reverse()
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    weights = [type(item).FromString(item.SerializeToString()) for item in constants]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _same(before: Any, after: Any) -> bool:
    """Whether both give the same logits for two texts of which one is padded, within 1e-4 of the largest."""
    import onnxruntime

    names = {value.name for value in before.graph.input}
    # few and small enough for every vocabulary and every table of positions
    ids = np.array([[0, 2, 3, 4], [4, 3, 2, 0]], np.int64)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.int64)
    given = {"input_ids": ids, _MASK: mask, "token_type_ids": np.zeros_like(ids)}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        answers = [
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(
                ["logits"], {name: value for name, value in given.items() if name in names}
            )[0]
            for model in (before, after)
        ]
    except Exception:  # ONNX Runtime's exceptions share no base of their own
        return False  # e.g. fewer than five pieces in the vocabulary
    return bool(np.abs(answers[0] - answers[1]).max() <= _NEAR * max(1.0, float(np.abs(answers[0]).max())))


def _only(readers: dict[str, list[Any]], name: str, kind: str) -> Any | None:
    """The one node that reads a value, if it is of that kind."""
    nodes = readers.get(name, [])
    return nodes[0] if len(nodes) == 1 and nodes[0].op_type == kind else None


def _order(node: Any) -> list[int]:
    return next((list(item.ints) for item in node.attribute if item.name == "perm"), [])
