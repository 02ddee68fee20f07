"""Dynamic int8: weights in 8 bits, activations quantized as they come (Jacob et al. 2018)."""

import logging
from pathlib import Path

# opset 20 graphs become invalid when further operators are quantized
OPERATORS = ["MatMul", "Gemm", "Gather"]


def to_int8_dynamic(source: Path, target: Path) -> None:
    """Quantizes MatMul and Gemm per channel, embeddings (Gather) per tensor."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(source))
    # the exporter's symbolic shapes make the quantizer's shape inference fail
    del model.graph.value_info[:]
    # it logs advice about a pre-processing step that this graph has had
    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        quantize_dynamic(
            model, str(target), op_types_to_quantize=OPERATORS, per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        logging.getLogger().disabled = before
