"""Trains a student on its teachers' answers (Hinton et al. 2015)."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from compress.augment import augmented_texts
from compress.context import Context
from compress.inputs import Inputs, Made
from compress.pretrained import pin_notes
from compress.recipe.stages import Distill
from compress.recipe.students import LinearShape, PretrainedStudent
from compress.runtime import open_predictor
from compress.stages.distill.linear import run_linear
from compress.stages.distill.students import build_student
from compress.train.build import Built
from compress.train.finish import save_decided, validation_score
from compress.train.hints import open_source
from compress.train.learning import distilling_loss, transfer_examples
from compress.train.loop import Examples, Loss, train
from compress.train.transfer import TransferSet, common_mask, transfer_set, transfer_texts


def run(config: Distill, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Builds the student, asks each teacher once, trains, fits the decision."""
    torch.manual_seed(context.seed)
    student = config.student
    if isinstance(student, LinearShape):
        return run_linear(config, student, inputs, answered(config, inputs, context, folder), context, folder)
    built = build_student(student, inputs, folder)
    lesson = _lesson(config, inputs, built, context, folder)
    score = validation_score(built.model, built.tokenizer, inputs, context.device, config)
    train(lesson.trained, lesson.examples, built.tokenizer, config, lesson.loss, context, score)
    decided = save_decided(built.model, built.tokenizer, inputs, context.device, folder, config)
    notes = (*built.notes, *decided)
    if isinstance(student, PretrainedStudent) and student.encoder is not None:
        notes = (*pin_notes(student.encoder, student.revision), *decided)
    return Made("torch", built.tokenizer.max_tokens, notes=notes, long_text=built.tokenizer.long_text)


class _Lesson(NamedTuple):
    """trained: the student, or around it what learns from hints too and is not kept."""

    trained: nn.Module
    examples: Examples
    loss: Loss


def _lesson(config: Distill, inputs: Inputs, built: Built, context: Context, folder: Path) -> _Lesson:
    """What the student learns: the transfer set with its teachers' answers, and the first one's hints."""
    hints, source = config.hints, None
    trained: nn.Module = built.model
    if hints is not None:
        # before the teachers answer: that may take minutes, and whether it is needed must not move the chance by which
        # projections begin
        source = open_source(inputs, built.model, built.tokenizer, hints, context, config.id)
        trained = source.around(built.model)
    transfer = answered(config, inputs, context, folder)
    vectors = source.vectors(transfer.texts, context, config.id) if source else None
    loss = distilling_loss(
        inputs.task, config.hardness, config.temperature, config.distillation, config.label_loss, hints
    )
    return _Lesson(trained, transfer_examples(built.tokenizer, transfer, context, vectors), loss)


def answered(config: Distill, inputs: Inputs, context: Context, folder: Path) -> TransferSet:
    """The transfer set, augmented if the recipe says so, with the teachers' answers. folder: has the tokenizer."""
    more: tuple[str, ...] = ()
    if config.augment is not None:
        mask = common_mask((folder, *(teacher.artifact.path for teacher in inputs.teachers)))
        more = augmented_texts(transfer_texts(inputs), config.augment, context.seed, mask)
    return transfer_set(inputs, open_predictor, context, config.id, more)
