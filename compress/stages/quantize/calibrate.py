"""Ranges of activations on train rows: which rows, in which batches, and what ONNX Runtime makes of them."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.pieces import Reader
from compress.recipe.quantizing import Calibration
from compress.tokenizer import Batch
from eval.contract import LabelledTexts

_BATCH = 16
# positives of a label that are asked for, so that what they alone excite is within the ranges
POSITIVES = 4
# masks are at most -3.4e38 or -inf, weights far from it; exp(-1e4) is 0 as well
_BEYOND, _FAR = 1e30, 1e4
# ONNX Runtime's own 128 leave least entropy nothing to choose from, and its search takes the square of their number
_BINS = {"percentile": 2048, "entropy": 256}


def drawn_rows(rows: LabelledTexts, count: int, seed: int, positives: int = POSITIVES) -> NDArray[np.int64]:
    """Which rows to take, at most `count`: drawn by chance, but so many positives of every label where there are.

    The positives asked for take half of the rows at most; of a regression all is chance.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows))
    if len(rows) <= count or not np.isin(rows.targets, (0, 1)).all():
        return np.sort(order[:count])
    each = max(1, min(positives, count // (2 * max(1, len(rows.labels)))))
    chosen: dict[int, None] = {}
    for column in np.argsort(rows.targets.sum(axis=0), kind="stable").tolist():  # the rarest first
        having = order[rows.targets[order, column] == 1].tolist()
        lacking = each - sum(row in chosen for row in having)
        room = max(0, min(lacking, count - len(chosen)))
        chosen.update(dict.fromkeys([row for row in having if row not in chosen][:room]))
    chosen.update(dict.fromkeys([row for row in order.tolist() if row not in chosen][: count - len(chosen)]))
    return np.sort(np.array(list(chosen), np.int64))


def absent_labels(rows: LabelledTexts, chosen: NDArray[np.int64]) -> tuple[str, ...]:
    """Labels that hold for none of the chosen rows; none of a regression, whose targets are numbers."""
    if np.issubdtype(rows.targets.dtype, np.floating):
        return ()
    some = [bool(held) for held in np.atleast_1d(rows.targets[chosen].any(axis=0))]
    return tuple(label for label, held in zip(rows.labels, some, strict=True) if not held)


def absence_notes(train: LabelledTexts, chosen: NDArray[np.int64], key: str) -> tuple[str, ...]:
    """A note where ranges are taken without an example of a label. key: of the recipe, that says how many rows."""
    labels = absent_labels(train, chosen)
    if not labels:
        return ()
    more = "train has none" if len(chosen) == len(train) else f"raise {key} where train has more of them"
    return (
        f"warning: no calibration row has {', '.join(labels)}: of {len(chosen):,} rows; what these labels alone excite "
        f"is clipped; {more}, and look at these labels' ROC-AUC",
    )


def calibration_batches(texts: Sequence[str], tokenizer: Reader) -> list[Batch]:
    """All pieces of the texts in batches of 16 of like length, padded to their longest only, as they are in service."""
    tokens = sorted((piece for pieces in tokenizer.runs(texts) for piece in pieces.tokens), key=len)
    return [tokenizer.pad(tokens[start : start + _BATCH]) for start in range(0, len(tokens), _BATCH)]


def clamp_masks(model: Any) -> int:
    """Brings constants of 1e30 and beyond, which masks add to scores, to 1e4 with their sign. Returns how many graph
    constants it changed.

    With them a range of activations is all mask: one step of 8 bits would be 1e36. model: onnx.ModelProto.
    """
    from onnx import TensorProto, numpy_helper

    constants = [item for item in model.graph.initializer if item.data_type == TensorProto.FLOAT]
    for node in model.graph.node:
        if node.op_type in {"Constant", "ConstantOfShape"}:
            constants += [it.t for it in node.attribute if it.name == "value" and it.t.data_type == TensorProto.FLOAT]
    changed = 0
    for item in constants:
        array = numpy_helper.to_array(item)
        far = np.abs(array) >= _BEYOND
        if far.any():
            item.CopyFrom(numpy_helper.from_array(np.where(far, np.sign(array) * np.float32(_FAR), array), item.name))
            changed += 1
    return changed


def activation_ranges(source: Path, wanted: Collection[str], batches: Sequence[Batch], how: Calibration) -> Any:
    """ONNX Runtime's TensorsData of the wanted activations of an fp32 ONNX file: least and greatest value of each."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):  # its calibrators print
        own = Path(scratch) / "model.onnx"  # they write beside the file that they are given
        shutil.copyfile(source, own)
        calibrator = _calibrator(own, own.with_name("calibrated.onnx"), how)
        known = calibrator.select_tensors_to_calibrate

        def select(model: Any) -> tuple[set[str], Mapping[str, Any]]:
            found, infos = known(model)
            return found & set(wanted), infos

        calibrator.select_tensors_to_calibrate = select  # else the histograms of every product's result are taken too
        calibrator.augment_graph()
        calibrator.create_inference_session()
        read = {item.name for item in calibrator.infer_session.get_inputs()}
        for batch in batches:  # one at a time: it cannot put arrays of several lengths together
            calibrator.collect_data(_Once({name: value for name, value in batch.items() if name in read}))
        return calibrator.compute_data()


def _calibrator(source: Path, scratch: Path, how: Calibration) -> Any:
    from onnxruntime.quantization import calibrate

    products = ["MatMul", "Gemm"]
    match how.method:
        case "min_max":
            return calibrate.MinMaxCalibrater(source, products, str(scratch))
        case "percentile":
            return calibrate.PercentileCalibrater(
                source, products, str(scratch), num_bins=_BINS["percentile"], percentile=how.percentile
            )
        case "entropy":
            return calibrate.EntropyCalibrater(source, products, str(scratch), num_bins=_BINS["entropy"])


class _Once:
    """A calibration data reader of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._left: Iterator[Batch] = iter([batch])

    def get_next(self) -> Batch | None:
        """The batch, then None."""
        return next(self._left, None)
