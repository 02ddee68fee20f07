"""The u8 x s8 products of an OpenVINO graph that NNCF quantized, and what they read: for `pair_sums`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Floats
from compress.runtime.openvino import GRAPH, openvino
from compress.runtime.pair_sums import Product, Products
from compress.tokenizer import Batch

_LEVELS = 256
# what stands between integers, or rounded activations, and the product that reads them
_OF_WEIGHTS = {"Convert", "Subtract", "Multiply"}
_MOVES = {"Reshape", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True)
class Rounded:
    """A FakeQuantize of activations: 256 levels from `low` to `high`. node: openvino.Node."""

    node: Any
    low: float
    high: float

    def levels(self, values: Floats) -> NDArray[np.uint8]:
        """Numbers of the levels that values are; kernels of x86 CPUs move s8 ones by 128, so that these are theirs."""
        step = (self.high - self.low) / (_LEVELS - 1)
        return np.clip(np.rint((values - self.low) / step), 0, _LEVELS - 1).astype(np.uint8)


def open_products(folder: Path) -> Products:
    """Those of an artifact's graph, which is run with its activations rounded, and sums in fp32."""
    library = openvino()
    model = library.Core().read_model(str(folder / GRAPH))
    found, rounded = list[Product](), dict[str, Rounded]()
    for node in model.get_ordered_ops():
        product, read = _product(node)
        if product is not None and read is not None:
            found.append(product)
            rounded[product.activations] = read
    outputs = model.add_outputs([it.node.output(0) for it in rounded.values()]) if rounded else []
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = library.Core().compile_model(model, "CPU", options)
    kept = {name for item in compiled.inputs for name in item.get_names()}
    first = len(compiled.outputs) - len(outputs)

    def fetch(batch: Batch) -> Iterator[NDArray[np.uint8]]:
        given = compiled({name: value for name, value in batch.items() if name in kept})
        seen = {name: it.levels(given[first + place]) for place, (name, it) in enumerate(rounded.items())}
        return (seen[product.activations].reshape(-1, len(product.weights)) for product in found)

    return Products(found, fetch)


def _product(node: Any) -> tuple[Product | None, Rounded | None]:
    if node.get_type_name() != "MatMul":
        return None, None
    read, weights = _rounded(node.input_value(0).get_node()), _integers(node.input_value(1).get_node())
    if read is None or weights is None:
        return None, None
    turned = bool(node.get_attributes()["transpose_b"])
    name = node.get_friendly_name()
    return Product(name, read.node.get_friendly_name(), weights.T if turned else weights), read


def _rounded(node: Any) -> Rounded | None:
    """The FakeQuantize behind a product's activations; None where they are not rounded to 256 levels of one range."""
    while node.get_type_name() in _MOVES:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize" or node.get_attributes()["levels"] != _LEVELS:
        return None
    low, high = (node.input_value(place).get_node() for place in (3, 4))
    if any(it.get_type_name() != "Constant" or it.data.size != 1 for it in (low, high)):
        return None
    return Rounded(node, float(low.data.item()), float(high.data.item()))


def _integers(node: Any) -> NDArray[np.int8] | None:
    """The s8 matrix that a product's weights are made of; None where there is none."""
    while node.get_type_name() in _OF_WEIGHTS:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() != "i8":
        return None
    array = np.array(node.data)
    return array if array.ndim == 2 else None
