"""Static int8: weights and the inputs of products in 8 bits, by ranges found beforehand (Jacob et al. 2018), as QDQ."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compress.errors import ParityError
from compress.products import int8_share
from compress.recipe.quantizing import Calibration
from compress.stages.quantize.calibrate import activation_ranges
from compress.stages.quantize.mixed import TwoForms, name_products, round_for_products_alone
from compress.stages.quantize.tables import int8_tables
from compress.tokenizer import Batch

# an artifact that is called int8 must be so for the most part
LEAST_SHARE = 0.5


def int8_static(source: Path, batches: Sequence[Batch], how: Calibration, reduce_range: bool) -> TwoForms:
    """Quantizes the products that have weights, and tables of embeddings by column.

    Additions, LayerNorm, Softmax and products of two activations stay fp32, and so does what goes past a block: with
    all of them in int8 a DistilBERT lost 15 points of SST-2. source: fp32 ONNX file whose masks are clamped. batches:
    what ranges are taken of. reduce_range: 7 bits a weight. Raises ParityError where less than half of the weights in
    products became int8.
    """
    import onnx

    whole = onnx.load(str(source))
    products = name_products(whole)
    int8_tables(whole.graph)
    wanted = {node.input[0] for node in whole.graph.node if node.name in {it.name for it in products}}
    ranges = activation_ranges(source, wanted, batches, how)
    small = _quantized(whole, [product.name for product in products], ranges, reduce_range)
    check_share(int8_share(small))
    return TwoForms(whole, small, products)


def check_share(share: float) -> None:
    """Raises ParityError where less than half of the weights in products became integers."""
    import onnxruntime

    if share < LEAST_SHARE:
        raise ParityError(
            f"only {share:.0%} of the weights in matrix products became int8: ONNX Runtime {onnxruntime.__version__} "
            "quantizes MatMul and Gemm with constant weights, and this graph has few of them. Nothing was kept; use "
            "scheme: fp16."
        )


def _quantized(whole: Any, names: Sequence[str], ranges: Any, reduce_range: bool) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.ModelProto()
    model.CopyFrom(whole)
    # the exporter's symbolic shapes make shape inference fail
    del model.graph.value_info[:]
    products = ["MatMul", "Gemm"]
    options = {"OpTypesToExcludeOutputQuantization": products, "MatMulConstBOnly": True}
    with quiet_root():
        quantizer = QDQQuantizer(
            onnx.shape_inference.infer_shapes(model),
            per_channel=True,
            reduce_range=reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=list(names),
            nodes_to_exclude=[],
            op_types_to_quantize=products,
            extra_options=options,
        )
        quantizer.quantize_model()
    small = quantizer.model.model
    del small.graph.value_info[:]
    quantizer.model.topological_sort()
    round_for_products_alone(small.graph, set(names))
    onnx.checker.check_model(small)
    return small


@contextlib.contextmanager
def quiet_root() -> Iterator[None]:
    """Without the advice that ONNX Runtime's quantizers log about a pre-processing step that the graph has had."""
    root = logging.getLogger()
    root.disabled, before = True, root.disabled
    try:
        yield
    finally:
        root.disabled = before
