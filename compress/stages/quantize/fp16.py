"""fp16 weights and arithmetic by ONNX Runtime's converter; inputs and logits keep their types."""

from pathlib import Path


def to_fp16(source: Path, target: Path) -> None:
    """Converts an fp32 ONNX file. ONNX Runtime's own converter: onnxconverter-common writes wrong Cast types."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    # the noted types must stay: without them it does not see which inputs of Max and Where need a Cast
    converted = convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    # it appends its Casts at the end of the graph, which ONNX does not allow
    OnnxModel(converted).topological_sort()
    onnx.checker.check_model(converted)
    onnx.save(converted, str(target))
