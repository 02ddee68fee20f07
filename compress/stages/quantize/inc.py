"""neural-compressor's autotune on the torch model.

It tries its settings one after the other, by PT2E quantization of torchao below, until one keeps the quality. What it
saves itself holds the weights in fp32 and pickled inputs; so weights are folded to int8 and the program is saved here.
transformers 5.23 offers torchao's PT2E as well (exporters.PT2EQuantizer), without any search.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compress.batches import text_logits
from compress.classifier import Classifier
from compress.context import Context
from compress.encoder.files import load_classifier
from compress.environment import check_extra
from compress.errors import DataError, ParityError
from compress.inputs import Inputs, Made
from compress.pieces import Reader
from compress.recipe.quantizing import IncInt8
from compress.runtime.onnx import inherit
from compress.runtime.torch_export import PROGRAM, run_program, weight_arrays
from compress.stages.quantize.beside import beside_parent
from compress.stages.quantize.calibrate import absence_notes, calibration_batches, drawn_rows
from compress.stages.quantize.drop import score_name, score_of
from compress.tokenizer import Batch, open_tokenizer

_JUDGED_ROWS = 512
# two texts of 16 tokens: an export from a batch or a length of one would fix that axis
_SAMPLE = (2, 16)


def run(config: IncInt8, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Quantizes the parent's torch model. Raises ParityError where the result does not answer."""
    check_extra("inc")
    parent, train = inputs.followed(), inputs.splits().train
    rows = drawn_rows(train, config.calibration_rows, context.seed)
    if not len(rows):
        raise DataError(f"stages.{config.id}: inc_int8 is calibrated on train rows, and there are none.")
    inherit(parent.path, folder)
    tokenizer = open_tokenizer(parent.path, parent.manifest.token_limit, parent.manifest.long_text)
    batches = calibration_batches([train.texts[row] for row in rows], tokenizer)
    judge = _Judge(inputs, tokenizer, context, config)
    try:
        with _quiet(), torch.no_grad():
            given = _graph(load_classifier(parent.path, attention="eager"), tuple(batches[0]))
            small = _tuned(config, given, batches, judge)
            _fold(small)
            save_program(small, folder / PROGRAM, tuple(batches[0]))
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:  # as each tracer likes
        raise ParityError(
            f"stages.{config.id}: torch.export or PT2E quantization cannot take this architecture: {error}. Nothing "
            "was kept; export it and take another scheme."
        ) from error
    notes = (_share(folder), judge.note(), *absence_notes(train, rows, "calibration_rows"))
    tokens, long_text = parent.manifest.max_tokens, parent.manifest.long_text
    return beside_parent(inputs, Made("torch_export", tokens, "int8", notes, long_text), folder)


def _tuned(config: IncInt8, given: Any, batches: Sequence[Batch], judge: "_Judge") -> Any:
    from neural_compressor.torch.quantization import DynamicQuantConfig, StaticQuantConfig, TuningConfig, autotune

    def calibrate(model: Any) -> None:
        for batch in batches:
            model(*map(torch.from_numpy, batch.values()))

    channels = {"w_granularity": "per_channel"}
    # static first: its linear layers run in int8 kernels (runtime/torch_export.py), dynamic ones in fp32
    settings = [
        StaticQuantConfig(**channels, act_algo="minmax"),
        StaticQuantConfig(**channels, act_algo="kl"),
        DynamicQuantConfig(**channels, act_algo="minmax"),
    ]
    tuning = TuningConfig(settings[: config.trials], tolerable_loss=config.tolerance, max_trials=config.trials)
    found = autotune(given, tuning, judge.quality, run_fn=calibrate)
    if found is None:
        raise ParityError(f"stages.{config.id}: neural-compressor found no setting. Nothing was kept.")
    return found


def _graph(model: Classifier, names: Sequence[str]) -> Any:
    """The model as a graph of torch.export, marked as neural-compressor's own export marks it.

    Its own tries another tracing first, and turns every error into a line of its log.
    """
    given: Any = torch.export.export(model, _sample(names), dynamic_shapes=_axes(names)).module()
    given.graph.eliminate_dead_code()
    given.recompile()
    given._exported, given.dynamic_shapes = True, _axes(names)
    return given


def _sample(names: Sequence[str]) -> tuple[Tensor, ...]:
    return tuple(torch.ones(_SAMPLE, dtype=torch.long) for _ in names)


def _axes(names: Sequence[str]) -> tuple[dict[int, Any], ...]:
    return tuple({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for _ in names)


def _fold(model: Any) -> None:
    """Weights that are quantized at each call become the integers themselves."""
    from torchao.quantization.pt2e.constant_fold import constant_fold

    operators = torch.ops.quantized_decomposed
    made = {operators.quantize_per_channel.default, operators.quantize_per_tensor.default}
    constant_fold(model, lambda node: node.op == "call_function" and node.target in made)
    read = {str(node.target) for node in model.graph.nodes if node.op == "get_attr"}
    for name, _ in [*model.named_parameters(), *model.named_buffers()]:
        if name not in read:  # what was folded would be saved as well
            path, _, last = name.rpartition(".")
            delattr(model.get_submodule(path), last)


def save_program(model: Any, path: Path, names: Sequence[str]) -> None:
    """Writes a graph as a .pt2 file: no sample inputs, which are pickled, and nothing of where this code lies."""
    program = torch.export.export(model, _sample(names), dynamic_shapes=_axes(names))
    for node in program.graph.nodes:
        for key in set(node.meta) - {"val", "tensor_meta"}:  # else stack traces, with paths of this machine
            del node.meta[key]
    program._example_inputs = None
    torch.export.save(program, str(path))


def _share(folder: Path) -> str:
    sizes = [(array.dtype == np.int8, array.size) for array in weight_arrays(folder)]
    share = sum(size for small, size in sizes if small) / max(1, sum(size for _, size in sizes))
    return f"int8: {share:.1%} of the weights; embeddings stay fp32, as neural-compressor quantizes linear layers alone"


class _Judge:
    """What a graph is worth: its macro ROC-AUC (of a regression R²) on some validation rows. Remembers all it said."""

    def __init__(self, inputs: Inputs, tokenizer: Reader, context: Context, config: IncInt8) -> None:
        validation = inputs.splits().validation
        if not len(validation):
            raise DataError(f"stages.{config.id}: inc_int8 is tuned on validation rows, and there are none.")
        chosen = drawn_rows(validation, _JUDGED_ROWS, context.seed, positives=_JUDGED_ROWS)
        self.texts = tuple(validation.texts[row] for row in chosen)
        self.targets = validation.targets[chosen]
        self.score, self.metric = score_of(inputs.followed()), score_name(inputs.task)
        self.tokenizer, self.context, self.config = tokenizer, context, config
        self.found: list[float] = []

    def quality(self, model: Any) -> float:
        """The metric; 0 where it is defined for no label."""
        self.context.progress(f"{self.config.id}: trials", len(self.found), self.config.trials + 1)
        logits = text_logits(partial(run_program, model), self.texts, self.tokenizer, self.targets.shape[1])
        self.found.append(float(self.score(self.targets, logits) or 0.0))
        return self.found[-1]

    def note(self) -> str:
        """What was tried."""
        whole, *tried = self.found
        listed = ", ".join(f"{value:.4f}" for value in tried)
        return f"{self.metric} on {len(self.texts)} validation rows: fp32 {whole:.4f}; neural-compressor tried {listed}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' logs and warnings off the user's screen; their errors still arrive as exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
