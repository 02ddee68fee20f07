"""Fits a linear student to its teachers' answers, to those to single words too."""

from pathlib import Path

import numpy as np

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.recipe.stages import Distill
from compress.recipe.students import LinearShape
from compress.runtime import open_predictor
from compress.train.finish import save_decided
from compress.train.linear import candidate_terms, fit_linear, single_words, taught_lesson
from compress.train.transfer import TransferSet, mean_answers, transfer_texts


def run_linear(
    config: Distill, shape: LinearShape, inputs: Inputs, transfer: TransferSet, context: Context, folder: Path
) -> Made:
    """Asks the teachers for single words, fits, cuts, fits the decision."""
    texts = transfer_texts(inputs)
    asked = _asked(single_words(texts, shape), inputs, context, config.id) if shape.asked else None
    lesson = taught_lesson(transfer, asked, inputs.task, config.hardness, config.temperature, shape.asked)
    terms = candidate_terms(texts, shape, asked is not None)
    fitted = fit_linear(shape, terms, lesson, inputs, context, folder, config.id)
    notes = save_decided(fitted.model, fitted.tokenizer, inputs, context.device, folder, config)
    return Made("torch", shape.max_tokens, notes=notes)


def _asked(words: tuple[str, ...], inputs: Inputs, context: Context, stage: str) -> TransferSet | None:
    """The words as texts of their own, without labels; None where the texts hold no word."""
    if not words:
        return None
    answers = mean_answers(words, inputs, open_predictor, context, stage)
    return TransferSet(words, np.zeros_like(answers), np.zeros(len(words), np.float32), answers)
