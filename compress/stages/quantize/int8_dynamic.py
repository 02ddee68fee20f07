"""Dynamic int8: weights in 8 bits, activations quantized as they come (Jacob et al. 2018)."""

import tempfile
from pathlib import Path

from compress.products import int8_share
from compress.stages.quantize.attention import fuse_attention
from compress.stages.quantize.int8_static import check_share, quiet_root
from compress.stages.quantize.mixed import TwoForms, name_products

# opset 20 graphs become invalid when further operators are quantized
OPERATORS = ["MatMul", "Gemm", "Gather", "Attention"]


def int8_dynamic(source: Path, fuse: bool = True) -> TwoForms:
    """Quantizes MatMul and Gemm per channel, embeddings (Gather) per tensor. source: fp32 ONNX file.

    fuse: self-attention as BERT and its kin have it becomes one node, QAttention, which only ONNX Runtime knows.

    Raises ParityError where less than half of the weights in matrix products became integers.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole, given = onnx.load(str(source)), onnx.ModelProto()
    if fuse:
        whole = fuse_attention(whole)
    products = name_products(whole)
    given.CopyFrom(whole)
    # the exporter's symbolic shapes make the quantizer's shape inference fail
    del given.graph.value_info[:]
    with tempfile.TemporaryDirectory() as scratch, quiet_root():
        target = Path(scratch) / "model.onnx"
        quantize_dynamic(
            given,
            str(target),
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            # shape inference does not know what Attention gives
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        small = onnx.load(str(target))
    check_share(int8_share(small))
    return TwoForms(whole, small, products)
