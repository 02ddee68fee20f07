"""Attention heads and feed-forward neurons taken out for good, by first-order importance, in steps."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from compress import processes
from compress.artifact import read_json, write_json
from compress.batches import LengthBatches
from compress.classifier import Classifier
from compress.context import Context
from compress.encoder.cut import check_prune, cut_layers, take_out
from compress.encoder.files import load_classifier, save_classifier
from compress.inputs import Inputs, Made
from compress.pieces import Reader
from compress.recipe.fits_pruning import NEURONS
from compress.recipe.pruning import PruneStructured
from compress.runtime import open_predictor
from compress.stages.prune.importance import first_order, least_out, normalized
from compress.tokenizer import copy_tokenizer, open_tokenizer
from compress.train.finish import save_decided
from compress.train.learning import labelling_loss
from compress.train.loop import TRAINING_WINDOWS
from compress.train.recovery import Part, Recovery
from compress.train.transfer import learnt

_BATCH = 32


class Sizes(NamedTuple):
    """Heads and neurons of each layer with weights of its own."""

    heads: tuple[int, ...]
    neurons: tuple[int, ...]


class Kept(NamedTuple):
    """The numbers of the heads and of the neurons that stay in each layer."""

    heads: list[list[int]]
    neurons: list[list[int]]


def run(config: PruneStructured, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Prunes the parent in config.steps, with a part of the recovery training after each.

    What a step made is kept in context.work_dir, so that a stage that was cut off goes on with the step it was in.
    """
    parent = inputs.followed()
    max_tokens, long_text = parent.manifest.token_limit, parent.manifest.long_text
    copy_tokenizer(parent.path, folder)
    tokenizer = open_tokenizer(folder, max_tokens, long_text)
    recovery = Recovery(config, inputs, context, tokenizer, open_predictor)
    whole = load_classifier(parent.path)
    check_prune(config, whole.config)
    before, weights = sizes_of(whole), _weights(whole)
    done = processes.from_first(lambda: _steps_done(context.work_dir, config.steps))
    model = load_classifier(_step(context.work_dir, done)) if done else whole
    for number in range(done, config.steps):
        left = _left(before, config, number + 1)
        kept = processes.from_first(partial(_kept, model, left, number, config, tokenizer, inputs, context))
        take_out(model.encoder, *kept)
        part = Part(number, config.steps)
        recovery.train(model, part)
        if not part.is_last:
            processes.meet()  # each has read the part's best weights and written its checkpoints: they go now
            if processes.number() == 0:
                _keep_step(model, context.work_dir, number)
    notes = (_note(before, sizes_of(model), weights, _weights(model)),)
    decided = save_decided(model, tokenizer, inputs, context.device, folder, config)
    return Made("torch", max_tokens, notes=(*notes, *decided), long_text=long_text)


def sizes_of(model: Classifier) -> Sizes:
    """What is left in each layer of a classifier."""
    layers = cut_layers(model.encoder)
    return Sizes(tuple(layer.heads for layer in layers), tuple(layer.neurons for layer in layers))


def parts_left(counts: Sequence[int], share: float, step: int, steps: int) -> int:
    """How many of all layers' parts are left after a step, from 1: of `share` of them an equal part goes in each."""
    return sum(counts) - round(share * sum(counts) * step / steps)


class Left(NamedTuple):
    """Heads and neurons of all layers together."""

    heads: int
    neurons: int


def _left(before: Sizes, config: PruneStructured, step: int) -> Left:
    return Left(
        parts_left(before.heads, config.heads, step, config.steps),
        parts_left(before.neurons, config.ffn, step, config.steps),
    )


def _kept(
    model: Classifier,
    left: Left,
    number: int,
    config: PruneStructured,
    tokenizer: Reader,
    inputs: Inputs,
    context: Context,
) -> Kept:
    """What stays in this step; chosen once, so that a training that is resumed finds a model of the same sizes."""
    path = context.work_dir / f"kept-{number}.json"
    match read_json(path):
        case {"heads": list() as heads, "neurons": list() as neurons}:
            return Kept(heads, neurons)
    layers, found = cut_layers(model.encoder), sizes_of(model)
    losses = _losses(model.to(context.device).eval(), config, tokenizer, inputs, context)
    scores = first_order(layers, losses)
    heads = least_out(normalized(scores.heads), sum(found.heads) - left.heads)
    neurons = least_out(normalized(scores.neurons), sum(found.neurons) - left.neurons, NEURONS)
    kept = Kept([numbers.tolist() for numbers in heads], [numbers.tolist() for numbers in neurons])
    write_json(path, kept._asdict())
    return kept


def _losses(
    model: Classifier, config: PruneStructured, tokenizer: Reader, inputs: Inputs, context: Context
) -> Iterator[Tensor]:
    """The summed losses of batches of training rows, to their labels, of each text the first piece.

    To the labels also where a teacher is named: often it is the very model that is pruned, whose distance to itself has
    no gradient.
    """
    rows, loss = inputs.splits().train, labelling_loss(inputs.task)
    chosen = np.random.default_rng(context.seed).permutation(len(rows))[: config.importance_rows]
    targets = torch.from_numpy(learnt(rows, inputs)[chosen])
    pieces = tokenizer.pieces([rows.texts[row] for row in chosen], most=TRAINING_WINDOWS)
    first = [pieces.tokens[start] for start in pieces.starts]
    batches = LengthBatches([len(tokens) for tokens in first], _BATCH, context.seed)
    for done, batch in enumerate(batches):
        context.progress(f"{config.id}: importance", done, len(batches))
        given = {
            name: torch.from_numpy(value).to(context.device)
            for name, value in tokenizer.pad([first[row] for row in batch]).items()
        }
        yield loss(model(**given), {"targets": targets[batch].to(context.device)}) * len(batch)


def _step(work_dir: Path, done: int) -> Path:
    """The folder of the model after so many steps."""
    return work_dir / f"step-{done}"


def _steps_done(work_dir: Path, steps: int) -> int:
    return max((done for done in range(1, steps) if _step(work_dir, done).exists()), default=0)


def _keep_step(model: Classifier, work_dir: Path, number: int) -> None:
    """Keeps a step's model, whole or not at all; what led to it is no longer needed."""
    scratch, final = work_dir / "step.part", _step(work_dir, number + 1)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    save_classifier(model, scratch)
    scratch.rename(final)
    shutil.rmtree(_step(work_dir, number), ignore_errors=True)
    shutil.rmtree(work_dir / f"part-{number}", ignore_errors=True)


def _weights(model: Classifier) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _note(before: Sizes, after: Sizes, weights: int, left: int) -> str:
    """What was taken out, and what each layer has left."""
    parts = []
    for name, counts, found in zip(Sizes._fields, before, after, strict=True):
        if counts != found:
            gone = sum(counts) - sum(found)
            parts.append(f"{gone:,} of {sum(counts):,} {name} (left in each layer: {', '.join(map(str, found))})")
    return f"taken out: {' and '.join(parts)}; parameters {weights:,} -> {left:,}"
