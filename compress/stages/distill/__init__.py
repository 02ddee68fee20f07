"""Trains a student on its teacher's answers (Hinton et al. 2015)."""

from pathlib import Path

import torch

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.pretrained import pin_notes
from compress.recipe.stages import Distill, PretrainedStudent
from compress.runtime import open_predictor
from compress.stages.distill.students import build_student
from compress.train.finish import save_decided, validation_score
from compress.train.learning import distilling_loss, transfer_examples
from compress.train.loop import train


def run(config: Distill, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Builds the student, asks the teacher once, trains, fits the decision."""
    if inputs.teacher is None:
        raise ValueError("distill needs a teacher")
    torch.manual_seed(context.seed)
    built = build_student(config.student, inputs, folder)
    teacher = open_predictor(inputs.teacher, device="cuda" if context.device == "cuda" else "cpu")
    examples = transfer_examples(built.tokenizer, inputs, teacher.predict_logits, context, config.id)
    del teacher
    loss = distilling_loss(inputs.task, config.hardness, config.temperature)
    score = validation_score(built.model, built.tokenizer, inputs, context.device, config)
    train(built.model, examples, built.tokenizer, config, loss, context, score)
    decided = save_decided(built.model, built.tokenizer, inputs, context.device, folder, config)
    student = config.student
    notes = pin_notes(student.encoder, student.revision) if isinstance(student, PretrainedStudent) else ()
    return Made("torch", built.tokenizer.max_tokens, notes=(*notes, *decided), long_text=built.tokenizer.long_text)
