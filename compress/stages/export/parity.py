"""Whether two forms of a model answer alike."""

import numpy as np

from compress.artifact import Floats
from compress.errors import ParityError

TOLERANCE = 1e-4


def compare(before: Floats, after: Floats, thresholds: tuple[float, ...] | None) -> str:
    """A note with the largest difference of two (N, L) probability arrays.

    Raises ParityError where one exceeds 1e-4, or a decision differs that was further than 1e-4 from its threshold.
    """
    largest = float(np.abs(before - after).max()) if before.size else 0.0
    if not largest <= TOLERANCE:  # also when it is NaN
        raise ParityError(
            f"the ONNX model's probabilities differ from torch's by up to {largest:.2e} on {len(before)} validation "
            f"texts (at most {TOLERANCE:.0e} is allowed). Nothing was kept."
        )
    flipped = _flipped(before, after, thresholds)
    if flipped:
        raise ParityError(
            f"the ONNX model decides {flipped} labels of {len(before)} validation texts otherwise. Nothing was kept."
        )
    return (
        f"ONNX equals torch on {len(before)} validation texts: probabilities within {largest:.1e}, no decision flipped"
    )


def compare_outputs(before: Floats, after: Floats) -> str:
    """A note with the largest difference of a regression's outputs (N, L), of which 1 is a deviation of the target.

    Where a target's outputs go beyond 1 it is a share of the largest: those of a loaded model are values of any size.
    Raises ParityError where it exceeds 1e-4.
    """
    sizes = np.maximum(1, np.abs(before).max(axis=0)) if before.size else np.ones(before.shape[1], np.float32)
    largest = float((np.abs(before - after) / sizes).max()) if before.size else 0.0
    if not largest <= TOLERANCE:
        raise ParityError(
            f"the ONNX model's outputs differ from torch's by up to {largest:.2e} of the largest on {len(before)} "
            f"validation texts (at most {TOLERANCE:.0e} is allowed). Nothing was kept."
        )
    return f"ONNX equals torch on {len(before)} validation texts: outputs within {largest:.1e} of the largest"


def _flipped(before: Floats, after: Floats, thresholds: tuple[float, ...] | None) -> int:
    if thresholds is None:
        top = np.sort(before, axis=1)
        clear = (top[:, -1] - top[:, -2]) > TOLERANCE
        return int(((before.argmax(axis=1) != after.argmax(axis=1)) & clear).sum())
    bound = np.asarray(thresholds, np.float32)
    clear = np.abs(before - bound) > TOLERANCE
    return int((((before >= bound) != (after >= bound)) & clear).sum())
