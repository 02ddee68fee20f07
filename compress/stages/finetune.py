"""Trains a classifier on the labelled rows: a pretrained encoder, or a small one from scratch."""

from pathlib import Path

import torch

from compress.context import Context
from compress.inputs import Inputs, Made
from compress.pretrained import pin_notes
from compress.recipe.long_text import TRUNCATE
from compress.recipe.stages import Finetune, TinyEncoder
from compress.train.build import Built, build_from_scratch, build_on_pretrained
from compress.train.finish import save_decided, validation_score
from compress.train.learning import labelled_examples, labelling_loss
from compress.train.loop import train
from compress.train.losses import positive_weights


def run(config: Finetune, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Trains on train, fits the decision on validation."""
    torch.manual_seed(context.seed)
    built = _build(config, inputs, folder)
    model, tokenizer = built.model, built.tokenizer
    examples = labelled_examples(tokenizer, inputs)
    weights = positive_weights(torch.from_numpy(examples.targets), config.pos_weight)
    score = validation_score(model, tokenizer, inputs, context.device, config)
    train(model, examples, tokenizer, config, labelling_loss(inputs.task, weights), context, score)
    decided = save_decided(model, tokenizer, inputs, context.device, folder, config)
    notes = pin_notes(config.encoder, config.revision) if isinstance(config.encoder, str) else ()
    return Made("torch", tokenizer.max_tokens, notes=(*notes, *decided), long_text=tokenizer.long_text)


def _build(config: Finetune, inputs: Inputs, folder: Path) -> Built:
    shape, long_text = config.encoder, config.long_texts(TRUNCATE)
    if isinstance(shape, TinyEncoder):
        max_tokens = shape.max_tokens or config.max_tokens
        return build_from_scratch(shape, inputs, folder, max_tokens, shape.long_texts(long_text))
    return build_on_pretrained(shape, config, inputs.task, folder, config.max_tokens, long_text)
