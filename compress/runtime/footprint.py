"""What an artifact weighs, counted from its files."""

import gzip
from collections.abc import Iterator
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact
from eval.contract import Footprint

_GZIP_LEVEL = 6


def footprint(artifact: Artifact) -> Footprint:
    """Bytes of every file needed to predict, the same gzipped, and the weights with their zeros.

    Parameters are the numbers in weight arrays: floating point, or integers with a scale. An integer weight counts as
    zero where it stands for exactly 0.0.
    """
    names = list(artifact.manifest.file_sha256s)
    sizes = {name: (artifact.path / name).stat().st_size for name in names}
    packed = sum(len(gzip.compress((artifact.path / name).read_bytes(), _GZIP_LEVEL, mtime=0)) for name in names)
    parameters = zeros = 0
    for weight, zero in _weights(artifact):
        parameters += weight.size
        zeros += int((weight == zero).sum())
    return Footprint(
        size_bytes=sum(sizes.values()),
        model_bytes=sum(size for name, size in sizes.items() if name.startswith("model.")),
        size_gzip_bytes=packed,
        parameters=parameters,
        zeros_share=zeros / parameters if parameters else 0.0,
    )


def _weights(artifact: Artifact) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Each weight array with the value (or values along an axis) that stands for zero in it."""
    match artifact.manifest.format:
        case "torch" | "tfidf":
            yield from _safetensors(artifact)
        case "onnx" | "onnx_text":
            yield from _onnx(artifact)
        case "openvino":
            from compress.runtime.openvino import GRAPH, weight_arrays

            yield from _centred(weight_arrays(artifact.path / GRAPH))
        case "torch_export":
            from compress.runtime.torch_export import weight_arrays as exported_arrays

            yield from _centred(exported_arrays(artifact.path))
        case _ as unknown:
            assert_never(unknown)


def _centred(arrays: Iterator[NDArray[np.generic]]) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Those in which 0 stands for 0.0."""
    return ((array, np.zeros((), array.dtype)) for array in arrays)


def _safetensors(artifact: Artifact) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    import ml_dtypes  # with it NumPy knows bf16
    from safetensors import safe_open

    with safe_open(str(artifact.path / "model.safetensors"), framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - a safetensors file is no dict
            array = file.get_tensor(name)
            if np.issubdtype(array.dtype, np.floating) or array.dtype == ml_dtypes.bfloat16:
                yield array, np.zeros((), array.dtype)


def _onnx(artifact: Artifact) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(artifact.path / "model.onnx")).graph
    arrays = {item.name: item for item in graph.initializer}
    axes = {node.input[0]: _axis(node) for node in graph.node if node.op_type == "DequantizeLinear"}
    for name, item in arrays.items():
        if name.endswith(("_scale", "_zero_point")):
            continue
        array = numpy_helper.to_array(item)
        if name.endswith("_quantized"):
            point = arrays.get(name.removesuffix("_quantized") + "_zero_point")
            zero = numpy_helper.to_array(point) if point is not None else np.zeros((), array.dtype)
            yield array, _along(zero, array, axes.get(name, -1))
        elif item.data_type in {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16} and array.ndim:
            yield array, np.zeros((), array.dtype)


def _along(zero: NDArray[np.generic], array: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
    """Zero points per channel, shaped to compare with their weights."""
    if zero.size == 1:
        return zero.reshape(())
    shape = [1] * array.ndim
    shape[axis] = -1
    return zero.reshape(shape)


def _axis(node: Any) -> int:
    """Along which a DequantizeLinear has its channels; integer products have theirs along the last."""
    return next((int(item.i) for item in node.attribute if item.name == "axis"), 1)
