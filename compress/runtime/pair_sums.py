"""Sums of two u8 x s8 products beyond 16 bits: where CPUs without VNNI answer otherwise than this one, seen from here.

ONNX Runtime's kernels for x86 CPUs with AVX2 or AVX-512 alone multiply u8 activations by s8 weights with vpmaddubsw,
which adds the products of neighbouring places of the inner dimension, (0, 1), (2, 3) and so on, in int16 with
saturation: 255 x 127 + 255 x 127 = 64,770 becomes 32,767. VNNI adds in 32 bits. ONNX Runtime says so itself, of its
session option `session.x64quantprecision` (onnxruntime_session_options_config_keys.h), which takes slower kernels with
exact sums on such CPUs; what is counted here is computed with it. oneDNN, which OpenVINO and torch use, multiplies so
too ("Nuances of int8 computations" in its manual). Weights in 7 bits cannot overflow: 255 x 64 x 2 = 32,640.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact
from compress.runtime.onnx import open_session
from compress.tokenizer import Batch, open_tokenizer
from eval.contract import OlderCpus

TEXTS = 200
_LOW, _HIGH = -32_768, 32_767
_MOST_ACTIVATION = 255
_WINDOWS = 2  # of a text that is read in several
_AT_ONCE = 4_000_000  # sums


@dataclass(frozen=True)
class RiskyPairs:
    """The pairs of weights in a matrix that some activations would make too large, each field (R,).

    pairs: p of the rows 2p and 2p + 1 of the weights. first, second: the two weights. rows, columns: of the matrix.
    """

    pairs: NDArray[np.int64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    rows: int
    columns: int

    @property
    def sums(self) -> int:
        """How many pair sums one row of activations makes."""
        return -(-self.rows // 2) * self.columns

    def reached(self, pairs: NDArray[np.int64], most: int | NDArray[Any]) -> NDArray[np.bool_]:
        """Which of them come beyond int16 where activations are as large as `most` allows: (R, 2), or one for all."""
        bound = np.broadcast_to(np.asarray(most, np.int32), (len(pairs), 2))
        weights = np.stack([self.first, self.second], axis=1)
        high = (np.maximum(weights, 0) * bound).sum(axis=1)
        low = (np.minimum(weights, 0) * bound).sum(axis=1)
        return np.asarray((high > _HIGH) | (low < _LOW))


def risky_pairs(weights: NDArray[np.int8]) -> RiskyPairs:
    """Those of a matrix (K, N) that could go beyond int16: of one sign and 129 together. An odd K gets a 0."""
    rows, columns = weights.shape
    padded = np.zeros((rows + rows % 2, columns), np.int32)
    padded[:rows] = weights
    first, second = padded[::2].ravel(), padded[1::2].ravel()
    every = RiskyPairs(np.repeat(np.arange(len(padded) // 2), columns), first, second, rows, columns)
    return _kept(every, every.reached(every.pairs, _MOST_ACTIVATION))


def beyond_int16(activations: NDArray[np.uint8], risky: RiskyPairs) -> int:
    """How many of the pair sums of activations (T, K) with the weights are below -32,768 or above 32,767. Exact."""
    tokens, width = activations.shape
    padded = np.zeros((tokens, width + width % 2), np.int32)
    padded[:, :width] = activations
    most = padded.max(axis=0, initial=0).reshape(-1, 2)
    left = _kept(risky, risky.reached(risky.pairs, most[risky.pairs]))
    step = max(1, _AT_ONCE // max(tokens, 1))
    count = 0
    for start in range(0, len(left.pairs), step):
        part = slice(start, start + step)
        places = 2 * left.pairs[part]
        sums = padded[:, places] * left.first[part] + padded[:, places + 1] * left.second[part]
        count += int(((sums > _HIGH) | (sums < _LOW)).sum())
    return count


def _kept(risky: RiskyPairs, held: NDArray[np.bool_]) -> RiskyPairs:
    return RiskyPairs(risky.pairs[held], risky.first[held], risky.second[held], risky.rows, risky.columns)


@dataclass(frozen=True)
class Product:
    """A matrix product of 8-bit activations and s8 weights in a graph.

    name: of its node. activations: name of their tensor. weights: (K, N).
    """

    name: str
    activations: str
    weights: NDArray[np.int8]


@dataclass(frozen=True)
class Products:
    """Those of a model. fetch: the activations of each for a batch, in their order, (T, K)."""

    all: Sequence[Product]
    fetch: Callable[[Batch], Iterator[NDArray[np.uint8]]]


def int8_products(graph: Any) -> list[Product]:
    """Every one in an onnx.GraphProto: MatMulInteger, QAttention, QLinearMatMul, QGemm, and products between QDQ nodes.

    Weights in u8 are left out: kernels of u8 x u8 add in 32 bits everywhere.
    """
    from onnx import TensorProto, numpy_helper

    from compress.products import constants_of

    constants = constants_of(graph)
    makers = {output: node for node in graph.node for output in node.output}
    found = []
    for node in graph.node:
        operands = _operands(node, makers)
        weight = constants.get(operands[1]) if operands else None
        if operands and weight is not None and weight.data_type == TensorProto.INT8 and len(weight.dims) == 2:
            array = numpy_helper.to_array(weight)
            found.append(Product(node.name or node.output[0], operands[0], array.T if _turned(node) else array))
    return found


def _operands(node: Any, makers: dict[str, Any]) -> tuple[str, str] | None:
    """Names of the 8-bit tensors that a product multiplies; None where it is none of these."""
    match node.op_type:
        case "MatMulInteger" | "MatMulIntegerToFloat" | "QAttention":
            return node.input[0], node.input[1]
        case "QLinearMatMul" | "QGemm":
            return node.input[0], node.input[3]
        case "MatMul" | "Gemm":
            sides = [makers.get(name) for name in node.input[:2]]
            if all(side is not None and side.op_type == "DequantizeLinear" for side in sides):
                activations, weights = (side.input[0] for side in sides if side is not None)
                return activations, weights
    return None


def _turned(node: Any) -> bool:
    """Whether a Gemm reads its weights (N, K)."""
    return any(item.name == "transB" and item.i for item in node.attribute)


def older_cpus(
    artifact: Artifact, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> OlderCpus:
    """What products of an int8 artifact come to on CPUs without VNNI, counted on the texts, each read alone.

    A graph that takes texts has tables in int8 and no such products. progress(done, total): texts.
    """
    products = _products(artifact)
    if not products.all:
        return OlderCpus(0, 0, 0, 0, None, None, reduce_range=False)
    tokenizer = open_tokenizer(artifact.path, artifact.manifest.token_limit, artifact.manifest.long_text)
    tally = _Tally(products.all)
    for done, text in enumerate(texts):
        for item in tokenizer.pieces([text], 1, _WINDOWS).tokens:
            tally.add(products.fetch(tokenizer.pad([item])))
        if progress is not None:
            progress(done + 1, len(texts))
    return tally.summed_up(len(texts))


def _products(artifact: Artifact) -> Products:
    match artifact.manifest.format:
        case "openvino":
            from compress.runtime.openvino_products import open_products

            return open_products(artifact.path)
        case "torch_export":
            from compress.runtime.torch_export_products import open_products as open_exported

            return open_exported(artifact.path)
        case _:
            return _onnx_products(artifact.path / "model.onnx")


def _onnx_products(file: Path) -> Products:
    import onnx

    model = onnx.load(str(file))
    found = int8_products(model.graph)
    session = _session(model, [product.activations for product in found]) if found else None
    return Products(found, partial(_fetched, session, found))


class _Tally:
    """Counts by product."""

    def __init__(self, products: Sequence[Product]) -> None:
        self.names = [product.name for product in products]
        self.risky = [risky_pairs(product.weights) for product in products]
        self.sums = [0] * len(products)
        self.beyond = [0] * len(products)

    def add(self, activations: Iterator[NDArray[np.uint8]]) -> None:
        """Those of one reading, in the order of the products, each (T, K)."""
        for place, array in enumerate(activations):
            self.sums[place] += len(array) * self.risky[place].sums
            self.beyond[place] += beyond_int16(array, self.risky[place])

    def summed_up(self, texts: int) -> OlderCpus:
        shares = [beyond / max(sums, 1) for beyond, sums in zip(self.beyond, self.sums, strict=True)]
        worst = int(np.argmax(shares))
        return OlderCpus(
            texts=texts,
            products=len(self.names),
            pair_sums=sum(self.sums),
            beyond=sum(self.beyond),
            worst=self.names[worst] if shares[worst] else None,
            worst_share=float(f"{shares[worst]:.4g}") if shares[worst] else None,
            reduce_range=any(self.beyond),
        )


def _session(model: Any, names: Sequence[str]) -> Any:
    """A session that also gives these tensors, computed as with VNNI on whatever CPU this is."""
    import onnx

    known = {item.name for item in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in known)
    return open_session(model.SerializeToString(), "cpu", 1, exact=True)


def _fetched(session: Any, products: Sequence[Product], batch: Batch) -> Iterator[NDArray[np.uint8]]:
    kept = {item.name for item in session.get_inputs()}
    names = list(dict.fromkeys(product.activations for product in products))
    arrays = session.run(names, {name: value for name, value in batch.items() if name in kept})
    by_name = dict(zip(names, map(_as_u8, arrays), strict=True))
    return (by_name[product.activations].reshape(-1, product.weights.shape[0]) for product in products)


def _as_u8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """s8 activations are moved by 128 first: x86 kernels take u8 alone."""
    return np.asarray(array.astype(np.int16) + 128, np.uint8) if array.dtype == np.int8 else np.asarray(array, np.uint8)
