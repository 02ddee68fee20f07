"""Fine-tunes a pretrained encoder on the labelled rows."""

from pathlib import Path

import torch

from compress.context import Context
from compress.encoder import build_classifier, open_pretrained
from compress.inputs import Inputs, Made
from compress.pretrained import find_pretrained
from compress.recipe.stages import Finetune
from compress.tokenizer import save_pretrained_tokenizer
from compress.train.finish import save_decided, validation_score
from compress.train.learning import labelled_examples, labelling_loss
from compress.train.loop import train
from compress.train.losses import positive_weights


def run(config: Finetune, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Trains on train, fits the decision on validation."""
    splits = inputs.splits()
    source = open_pretrained(find_pretrained(config.encoder, config.revision, config.sha256))
    torch.manual_seed(context.seed)
    model = build_classifier(source, inputs.task, config.pooling, config.max_tokens)
    tokenizer = save_pretrained_tokenizer(source.folder, folder, config.max_tokens)
    examples = labelled_examples(tokenizer, inputs)
    weights = positive_weights(torch.from_numpy(examples.targets), config.pos_weight)
    score = validation_score(model, tokenizer, splits.validation, context.device)
    train(model, examples, tokenizer, config, labelling_loss(inputs.task, weights), context, score)
    save_decided(model, tokenizer, splits.validation, inputs.task, context.device, folder)
    return Made("torch", config.max_tokens)
