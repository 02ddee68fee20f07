"""Keeps the pieces of a vocabulary that the texts use, and their embeddings; may factorize these."""

from pathlib import Path

import numpy as np
import torch

from compress.artifact import Artifact, Floats, save_readout
from compress.classifier import Classifier
from compress.context import Context
from compress.encoder.files import load_classifier, save_classifier
from compress.encoder.rows import factorize, pick_rows, staying_ids
from compress.errors import EncoderError
from compress.inputs import Inputs, Made
from compress.recipe.pruning import TrimVocabulary
from compress.runtime import open_predictor
from compress.tokenizer import Tokenizer, open_pieces
from compress.train.finish import model_logits, save_decided
from compress.train.recovery import Recovery
from compress.train.transfer import transfer_texts
from compress.vocabulary.resplit import Resplit, resplit
from compress.vocabulary.trim import Trimmed, trimmed_tokenizer
from eval.contract import Targets
from eval.metrics import decide


def run(config: TrimVocabulary, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Trims the parent's vocabulary; without a change of the weights themselves it decides by the parent's thresholds.

    Raises EncoderError with the stage's place where the tokenizer or the model cannot be cut so.
    """
    parent = inputs.followed()
    torch.manual_seed(context.seed)
    model = load_classifier(parent.path)
    try:
        trimmed, cut = _cut(config, model, inputs, context, folder)
    except EncoderError as error:
        raise EncoderError(f"stages.{config.id}.{error}") from error
    small = trimmed.tokenizer
    Recovery(config, inputs, context, small, open_predictor).train(model)
    decided = _save(config, model, small, inputs, context, folder)
    effect = _effect(model, small, inputs, context, folder)
    return Made("torch", small.max_tokens, notes=(*cut, *effect, *decided), long_text=small.long_text)


def _cut(
    config: TrimVocabulary, model: Classifier, inputs: Inputs, context: Context, folder: Path
) -> tuple[Trimmed, tuple[str, ...]]:
    """Cuts the tokenizer into `folder` and the model's embeddings in place; notes of what went."""
    parent = inputs.followed()
    limit, long_text = parent.manifest.token_limit, parent.manifest.long_text
    context.progress(f"{config.id}: counting pieces", 0, 1)
    rows, whole = int(model.config.vocab_size), sum(weight.numel() for weight in model.parameters())
    trimmed = trimmed_tokenizer(
        parent.path,
        transfer_texts(inputs),
        config.min_count,
        config.keep_top,
        staying_ids(model.config),
        folder,
        limit,
        long_text,
    )
    context.progress(f"{config.id}: counting pieces", 1, 1)
    pick_rows(model, trimmed.rows)
    factors: tuple[str, ...] = ()
    if config.embedding_rank is not None:
        held = factorize(model, config.embedding_rank, trimmed.counts)
        factors = (f"embeddings are a product of rank {config.embedding_rank}, which holds {held:.1%} of them",)
    kept, left = len(trimmed.rows), sum(weight.numel() for weight in model.parameters())
    cut = (
        f"vocabulary: {kept:,} of {rows:,} rows of the embeddings kept, {1 - kept / rows:.1%} gone; parameters: "
        f"{left:,} of {whole:,}"
    )
    return trimmed, (cut, *factors)


def _save(
    config: TrimVocabulary, model: Classifier, tokenizer: Tokenizer, inputs: Inputs, context: Context, folder: Path
) -> tuple[str, ...]:
    """Writes the model, and how it decides: as its parent, so that a text that is read as before is answered so too.

    Where weights changed decisions are fitted anew. Returns notes on them.
    """
    if config.epochs or config.embedding_rank is not None:
        return save_decided(model, tokenizer, inputs, context.device, folder, config)
    parent = inputs.followed()
    save_classifier(model, folder)
    save_readout(parent.scaling() if inputs.task.type == "regression" else parent.decision(), folder)
    return ()


def _effect(model: Classifier, tokenizer: Tokenizer, inputs: Inputs, context: Context, folder: Path) -> tuple[str, ...]:
    """Notes of how differently validation is read and answered. folder: has what makes logits decisions."""
    parent = inputs.followed()
    texts, labels, device = inputs.splits().validation.texts, len(inputs.task.labels), context.device
    whole = open_pieces(parent.path, parent.manifest.token_limit, parent.manifest.long_text)
    before = model_logits(load_classifier(parent.path).to(device), whole, texts, labels, device)
    after = model_logits(model.to(device), tokenizer, texts, labels, device)
    read, now = resplit(whole, tokenizer, texts), Artifact(folder, parent.manifest)
    if inputs.task.type == "regression":
        moved = np.abs(now.scaling().values(after) - parent.scaling().values(before))
        return in_words(
            read
        ), f"validation: values moved by {moved.mean():.3g} on average, by {moved.max():.3g} at most"
    one_a_text = inputs.task.type == "single_label"
    return in_words(read), changed(_decided(parent, before), _decided(now, after), one_a_text)


def _decided(artifact: Artifact, logits: Floats) -> Targets:
    """Decisions (N, L) of logits (N, L), by the artifact's own thresholds."""
    decision = artifact.decision()
    bounds = None if decision.thresholds is None else np.asarray(decision.thresholds, np.float32)
    return decide(decision.probabilities(logits, artifact.manifest.task), bounds)


def in_words(read: Resplit) -> str:
    """What became of the tokens, and of the texts' length in them."""
    lost, touched = _share(read.lost, read.tokens), _share(read.touched, read.texts)
    longer = read.tokens_after / read.tokens - 1 if read.tokens else 0.0
    return (
        f"validation: {lost:.2%} of {read.tokens:,} tokens are read as other pieces, in {touched:.1%} of "
        f"{read.texts:,} texts, which are {longer:.1%} longer together"
    )


def changed(before: Targets, after: Targets, one_a_text: bool) -> str:
    """How many decisions (N, L) differ, and in how many texts. one_a_text: of a single-label task a row is one."""
    differ = before != after
    texts = differ.any(axis=1)
    if one_a_text:
        differ = texts
    count = int(differ.sum())
    return (
        f"validation: {count:,} of {differ.size:,} decisions changed ({_share(count, differ.size):.2%}), in "
        f"{_share(int(texts.sum()), len(texts)):.1%} of the texts"
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
