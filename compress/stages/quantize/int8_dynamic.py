"""Dynamic int8: weights in 8 bits, activations quantized as they come (Jacob et al. 2018)."""

import logging
from pathlib import Path

from compress.errors import ParityError
from compress.products import int8_share
from compress.stages.quantize.attention import fuse_attention

# opset 20 graphs become invalid when further operators are quantized
OPERATORS = ["MatMul", "Gemm", "Gather", "Attention"]


# an artifact that is called int8 must be so for the most part
_LEAST_SHARE = 0.5


def to_int8_dynamic(source: Path, target: Path) -> str:
    """Quantizes MatMul and Gemm per channel, embeddings (Gather) per tensor. Returns a note of the share that it did.

    Self-attention as BERT and its kin have it becomes one node, QAttention, which only ONNX Runtime knows.

    Raises ParityError where less than half of the weights in matrix products became integers.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = fuse_attention(onnx.load(str(source)))
    # the exporter's symbolic shapes make the quantizer's shape inference fail
    del model.graph.value_info[:]
    # it logs advice about a pre-processing step that this graph has had
    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            # shape inference does not know what Attention gives
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().disabled = before
    share = int8_share(onnx.load(str(target)))
    if share < _LEAST_SHARE:
        raise ParityError(
            f"only {share:.0%} of the weights in matrix products became int8: ONNX Runtime {onnxruntime.__version__} "
            "quantizes MatMul and Gemm with constant weights, and this graph has few of them. Nothing was kept; use "
            "scheme: fp16."
        )
    return f"int8: {share:.1%} of the weights in matrix products"
