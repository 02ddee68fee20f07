"""Whole layers taken out: those of a list, or, one after another, those that validation misses least."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from compress import processes
from compress.artifact import read_json, write_json
from compress.batches import pieces_logits
from compress.classifier import Classifier, forward
from compress.context import Context
from compress.encoder.cut import check_prune
from compress.encoder.files import load_classifier
from compress.encoder.layers import are_one, leave_out_layers
from compress.errors import EncoderError
from compress.inputs import Inputs, Made
from compress.pieces import Reader
from compress.recipe.pruning import PruneLayers
from compress.runtime import open_predictor
from compress.tokenizer import copy_tokenizer, open_tokenizer
from compress.train.finish import save_decided
from compress.train.learning import labelling_loss
from compress.train.recovery import Recovery
from compress.train.transfer import learnt

# validation rows that a layer's loss is told by
_ROWS = 2048


def run(config: PruneLayers, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Drops layers of the parent, with recovery training.

    Raises EncoderError with the stage's place where they cannot go.
    """
    parent = inputs.followed()
    max_tokens, long_text = parent.manifest.token_limit, parent.manifest.long_text
    copy_tokenizer(parent.path, folder)
    tokenizer = open_tokenizer(folder, max_tokens, long_text)
    whole = load_classifier(parent.path)
    check_prune(config, whole.config)
    count = int(whole.config.num_hidden_layers)
    dropped = processes.from_first(partial(_dropped, whole, config, tokenizer, inputs, context))
    try:
        model = leave_out_layers(whole, dropped)
    except EncoderError as error:
        raise EncoderError(f"stages.{config.id}.{error}") from error
    Recovery(config, inputs, context, tokenizer, open_predictor).train(model)
    chosen = ", in this order" if isinstance(config.drop, int) else ""
    notes = (f"taken out of {count} layers, numbered from 0: {', '.join(map(str, dropped))}{chosen}",)
    decided = save_decided(model, tokenizer, inputs, context.device, folder, config)
    return Made("torch", max_tokens, notes=(*notes, *decided), long_text=long_text)


def missed_least(layers: Iterable[int], count: int, loss: Callable[[tuple[int, ...]], float]) -> tuple[int, ...]:
    """`count` of the layers, one after another: each time the one without which the loss is least, the first of equals.

    loss: of the model without these layers, in the order of their going. Peer et al. 2022, "Greedy-layer pruning".
    """
    left, gone = list(layers), tuple[int, ...]()
    for _ in range(count):
        losses = [loss((*gone, layer)) for layer in left]
        worst = left.pop(losses.index(min(losses)))
        gone = (*gone, worst)
    return gone


def _dropped(
    model: Classifier, config: PruneLayers, tokenizer: Reader, inputs: Inputs, context: Context
) -> tuple[int, ...]:
    """The layers that go; chosen once, so that a training that is resumed finds the same model."""
    layers = range(int(model.config.num_hidden_layers))
    if isinstance(config.drop, tuple):
        return config.drop
    if are_one(model.config):
        return tuple(layers[len(layers) - config.drop :])
    path = context.work_dir / "dropped.json"
    match read_json(path):
        case {"layers": list() as found}:
            return tuple(found)
    gone = missed_least(layers, config.drop, _validation_loss(model, config, tokenizer, inputs, context))
    write_json(path, {"layers": gone})
    return gone


def _validation_loss(
    model: Classifier, config: PruneLayers, tokenizer: Reader, inputs: Inputs, context: Context
) -> Callable[[tuple[int, ...]], float]:
    """The mean loss on the first rows of validation as a function of the layers left out; infinite if they cannot be.

    A family's first layer may be of another form than the others (ModernBERT's is).
    """
    rows, loss = inputs.splits().validation, labelling_loss(inputs.task)
    targets = torch.from_numpy(learnt(rows, inputs)[:_ROWS])
    pieces = list(tokenizer.runs(rows.texts[:_ROWS]))
    rounds = sum(int(model.config.num_hidden_layers) - gone for gone in range(config.how_many))
    done = 0

    def without(dropped: tuple[int, ...]) -> float:
        nonlocal done
        context.progress(f"{config.id}: layers tried", done, rounds)
        done += 1
        try:
            fewer = leave_out_layers(model, dropped).to(context.device).eval()
        except EncoderError:
            return float("inf")
        found = pieces_logits(lambda batch: forward(fewer, batch, context.device), pieces, tokenizer, targets.shape[1])
        return float(loss(torch.from_numpy(found), {"targets": targets}))

    return without
