"""Trains a classifier on the labelled rows: a pretrained encoder, or a small one from scratch."""

from pathlib import Path
from typing import assert_never

import torch

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.pretrained import pin_notes
from compress.recipe.long_text import TRUNCATE
from compress.recipe.stages import Finetune
from compress.recipe.students import EmbeddingBagShape, LinearShape, TinyEncoder
from compress.train.build import Built, build_bag, build_from_scratch, build_on_pretrained
from compress.train.finish import save_decided, validation_score
from compress.train.learning import labelled_examples, labelling_loss
from compress.train.linear import candidate_terms, fit_linear, labels_lesson
from compress.train.loop import train
from compress.train.losses import positive_weights
from compress.train.transfer import learnt


def run(config: Finetune, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Trains on train, fits the decision on validation."""
    torch.manual_seed(context.seed)
    if isinstance(config.encoder, LinearShape):
        return _run_linear(config, config.encoder, inputs, context, folder)
    built = _build(config, inputs, folder)
    model, tokenizer = built.model, built.tokenizer
    examples = labelled_examples(tokenizer, inputs, context)
    weights = positive_weights(torch.from_numpy(examples.targets), config.pos_weight)
    score = validation_score(model, tokenizer, inputs, context.device, config)
    loss = labelling_loss(inputs.task, weights, config.label_loss)
    train(model, examples, tokenizer, config, loss, context, score)
    decided = save_decided(model, tokenizer, inputs, context.device, folder, config)
    notes = pin_notes(config.encoder, config.revision) if isinstance(config.encoder, str) else ()
    return Made("torch", tokenizer.max_tokens, notes=(*notes, *built.notes, *decided), long_text=tokenizer.long_text)


def _run_linear(config: Finetune, shape: LinearShape, inputs: Inputs, context: Context, folder: Path) -> Made:
    rows = inputs.splits().train
    targets = learnt(rows, inputs)
    weights = positive_weights(torch.from_numpy(targets), config.pos_weight)
    lesson = labels_lesson(rows.texts, targets, inputs.task, None if weights is None else weights.numpy())
    fitted = fit_linear(shape, candidate_terms(rows.texts, shape, False), lesson, inputs, context, folder, config.id)
    notes = save_decided(fitted.model, fitted.tokenizer, inputs, context.device, folder, config)
    return Made("torch", shape.max_tokens, notes=notes)


def _build(config: Finetune, inputs: Inputs, folder: Path) -> Built:
    long_text = config.long_texts(TRUNCATE)
    match config.encoder:
        case TinyEncoder() as shape:
            max_tokens = shape.max_tokens or config.max_tokens
            return build_from_scratch(shape, inputs, folder, max_tokens, shape.long_texts(long_text))
        case EmbeddingBagShape() as shape:
            return build_bag(shape, inputs, folder)
        case LinearShape():
            raise ValueError("a linear model is fitted, not trained in steps")
        case str() as name:
            return build_on_pretrained(name, config, inputs.task, folder, config.max_tokens, long_text)
        case _ as unknown:
            assert_never(unknown)
