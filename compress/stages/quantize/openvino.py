"""OpenVINO's graph: NNCF's static int8, or 16 bits.

Made of the parent's ONNX file, whose answers are known to be the torch model's. transformers 5.23 exports to OpenVINO
and calls NNCF there as well; it would trace the model anew, and knows no accuracy control.
"""

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.batches import pieces_logits
from compress.context import Context
from compress.environment import check_extra
from compress.errors import DataError
from compress.inputs import Inputs, Made
from compress.pieces import Pieces, Reader
from compress.recipe.quantizing import OpenvinoBf16, OpenvinoInt8
from compress.runtime.onnx import inherit
from compress.runtime.openvino import GRAPH, Arithmetic, OpenGraph, openvino, weight_arrays
from compress.stages.quantize.beside import beside_parent
from compress.stages.quantize.calibrate import absence_notes, drawn_rows
from compress.stages.quantize.drop import Score, score_name, score_of
from compress.tokenizer import Batch, open_tokenizer
from eval.contract import LabelledTexts

# what who opens the file with OpenVINO alone computes with, and NNCF: left to itself it takes bf16 where the CPU can
_HINT = ["runtime_options", "INFERENCE_PRECISION_HINT"]


def run(config: OpenvinoInt8 | OpenvinoBf16, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Converts the parent's model.onnx. Raises ParityError where the result does not answer."""
    parent, sixteen = inputs.followed(), isinstance(config, OpenvinoBf16)
    check_extra("openvino")
    library = openvino()
    context.progress(f"{config.id}: {config.scheme}", 0, 1)
    inherit(parent.path, folder)
    model = library.Core().read_model(str(parent.path / "model.onnx"))
    hint: Arithmetic = "bf16" if sixteen else "f32"
    model.set_rt_info(hint, _HINT)
    notes: tuple[str, ...] = ()
    if isinstance(config, OpenvinoInt8):
        model, notes = _int8(config, inputs, context, model)
    # the 16 bits on disk are fp16's, which round less than bf16's; what does not fit stays fp32
    library.save_model(model, str(folder / GRAPH), compress_to_fp16=sixteen)
    notes = (_share(folder / GRAPH), *notes)
    tokens, long_text = parent.manifest.max_tokens, parent.manifest.long_text
    made = Made("openvino", tokens, "bf16" if sixteen else "int8", notes, long_text)
    made = beside_parent(inputs, made, folder)
    context.progress(f"{config.id}: {config.scheme}", 1, 1)
    return made


def _share(graph: Path) -> str:
    """A note of how much became smaller."""
    arrays = [(array.dtype.itemsize, array.size) for array in weight_arrays(graph)]
    bits = 8 * min((size for size, _ in arrays), default=4)
    small = sum(count for size, count in arrays if 8 * size == bits)
    return f"{bits} bits: {small / max(1, sum(count for _, count in arrays)):.1%} of the weights"


def _int8(config: OpenvinoInt8, inputs: Inputs, context: Context, model: Any) -> tuple[Any, tuple[str, ...]]:
    """NNCF's post-training quantization; and notes.

    With smoothing of activations (Xiao et al. 2023), but under accuracy control, which gives a product its own weights
    back and leaves the smoothing of what it reads: with it one product given back moved probabilities by up to .93.
    """
    parent, train = inputs.followed(), inputs.splits().train
    rows = drawn_rows(train, config.calibration_rows, context.seed)
    if not len(rows):
        raise DataError(f"stages.{config.id}: openvino_int8 is calibrated on train rows, and there are none.")
    tokenizer = open_tokenizer(parent.path, parent.manifest.token_limit, parent.manifest.long_text)
    kept = {name for item in model.inputs for name in item.get_names()}
    texts = [train.texts[row] for row in rows]
    given = _Told([_kept(tokenizer.pad([piece]), kept) for piece in tokenizer.encode(texts)], config.id, context)
    notes = absence_notes(train, rows, "calibration_rows")
    with _quiet():
        import nncf

        how = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(given.items)}
        if config.accuracy_drop is None:
            return nncf.quantize(model, nncf.Dataset(given), **how), notes
        held = _held_out(config, inputs, tokenizer)
        plain = nncf.AdvancedQuantizationParameters(smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1))
        small = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(given),
            nncf.Dataset(held.examples, lambda example: _kept(tokenizer.pad(example.pieces.tokens), kept)),
            held.quality,
            max_drop=config.accuracy_drop,
            drop_type=nncf.DropType.ABSOLUTE,
            advanced_quantization_parameters=plain,
            **how,
        )
        last = held.quality(openvino().Core().compile_model(small, "CPU"), held.examples)
    return small, (*notes, f"accuracy_drop {config.accuracy_drop:g}: {held.metric} {held.first:.4f}, now {last:.4f}")


def _kept(batch: Batch, names: set[str]) -> Batch:
    return {name: value for name, value in batch.items() if name in names}


class _Told:
    """Calibration data of which every look tells the progress; NNCF goes through them twice."""

    def __init__(self, items: Sequence[Batch], stage: str, context: Context) -> None:
        self.items, self.stage, self.context = items, stage, context
        self.done = 0

    def __iter__(self) -> Iterator[Batch]:
        for item in self.items:
            self.done += 1
            total = 2 * len(self.items)
            self.context.progress(f"{self.stage}: calibrating", min(self.done, total), total)
            yield item


@dataclass(frozen=True)
class Example:
    """A text as the model reads it, and what it should say (L,)."""

    pieces: Pieces
    targets: NDArray[Any]


@dataclass
class HeldOut:
    """Validation rows, and how well a compiled graph does on any of them. first: of the first asked for all of them."""

    examples: list[Example]
    tokenizer: Reader
    metric: str
    score: Score
    first: float = field(default=float("nan"))

    def quality(self, compiled: Any, examples: Iterable[Example]) -> float:
        """The metric, higher is better; 0 where it is defined for no label."""
        chosen = list(examples)
        targets = np.stack([example.targets for example in chosen])
        run = OpenGraph.of(compiled).logits
        found = self.score(targets, pieces_logits(run, [it.pieces for it in chosen], self.tokenizer, targets.shape[1]))
        if np.isnan(self.first) and len(chosen) == len(self.examples):  # NNCF begins with one row, to see what it gets
            self.first = found or 0.0
        return found or 0.0


def _held_out(config: OpenvinoInt8, inputs: Inputs, tokenizer: Reader) -> HeldOut:
    rows: LabelledTexts = inputs.splits().validation
    if not len(rows):
        raise DataError(f"stages.{config.id}.accuracy_drop: is held on validation rows, and there are none.")
    examples = [
        Example(pieces, row)
        for text, row in zip(rows.texts, rows.targets, strict=True)
        for pieces in tokenizer.runs([text])
    ]
    parent = inputs.followed()
    return HeldOut(examples, tokenizer, f"{score_name(inputs.task)} on validation was", score_of(parent))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps NNCF's bars and its log off the user's screen; errors still arrive as exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # ours go to stderr
            yield
    finally:
        logging.disable(level)
