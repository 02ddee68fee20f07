"""The u8 x s8 products of a torch.export program, and what they read: for `pair_sums`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compress.runtime.pair_sums import Product, Products
from compress.runtime.torch_export import PROGRAM, int8_linears, open_graph
from compress.tokenizer import Batch


def open_products(folder: Path) -> Products:
    """Those of an artifact's program; it is run as it was written, in floats, which hold all such sums."""
    module = open_graph(folder / PROGRAM)
    found = [Product(it.node.name, it.quantized.name, it.table.numpy().T) for it in int8_linears(module)]

    def fetch(batch: Batch) -> Iterator[NDArray[np.uint8]]:
        seen = _seen(module, [product.activations for product in found], batch)
        return (seen[product.activations].reshape(-1, len(product.weights)) for product in found)

    return Products(found, fetch)


def _seen(module: Any, names: Sequence[str], batch: Batch) -> dict[str, NDArray[np.uint8]]:
    """What the nodes of these names give for a batch."""
    wanted, seen = set(names), dict[str, NDArray[np.uint8]]()

    class Watching(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            given = super().run_node(n)
            if n.name in wanted:
                seen[n.name] = given.numpy()
            return given

    with torch.inference_mode():
        Watching(module).run(*(torch.from_numpy(value) for value in batch.values()))
    return seen
