"""Untrained classifiers with their tokenizers: on a pretrained encoder, or small and from scratch."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from compress.classifier import Classifier
from compress.convert import bert_to_distilbert, check_convertible
from compress.encoder.build import build_classifier, build_tiny, set_attention_dropout
from compress.encoder.source import Pretrained, check_usable, open_pretrained
from compress.inputs import Inputs
from compress.pretrained import find_pretrained
from compress.recipe.data import Task
from compress.recipe.long_text import LongText
from compress.recipe.stages import FromPretrained, TinyEncoder
from compress.tokenizer import Tokenizer, read_pretrained_tokenizer, save_pretrained_tokenizer, train_wordpiece


@dataclass(frozen=True)
class Built:
    """An untrained classifier and its tokenizer, which lies in the stage's folder already."""

    model: Classifier
    tokenizer: Tokenizer


def build_on_pretrained(
    name: str, config: FromPretrained, task: Task, folder: Path, max_tokens: int, long_text: LongText
) -> Built:
    """The encoder `name` with a fresh head, and its tokenizer copied into `folder`."""
    source = _source(name, config)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = _converted(source, config, Path(scratch))
        if config.attention_dropout is not None:
            set_attention_dropout(encoder.config, config.attention_dropout)
        model = build_classifier(encoder, task, config.pooling, max_tokens)
    return Built(model, save_pretrained_tokenizer(source.folder, folder, max_tokens, long_text))


def check_pretrained(name: str, config: FromPretrained, max_tokens: int) -> None:
    """Raises EncoderError where build_on_pretrained could not; reads configuration and tokenizer, not the weights."""
    source = _source(name, config)
    if config.attention_dropout is not None:
        set_attention_dropout(source.config, config.attention_dropout)
    check_usable(source, config.pooling, max_tokens)
    if config.convert:
        check_convertible(source.folder)
    read_pretrained_tokenizer(source.folder)


def _converted(source: Pretrained, config: FromPretrained, scratch: Path) -> Pretrained:
    """The encoder in the architecture that the recipe asks for; its files lie in `scratch` if it was converted."""
    if config.convert is None:
        return source
    bert_to_distilbert(source.folder, scratch)
    return open_pretrained(scratch)


def _source(name: str, config: FromPretrained) -> Pretrained:
    return open_pretrained(find_pretrained(name, config.revision, config.sha256))


def build_from_scratch(shape: TinyEncoder, inputs: Inputs, folder: Path, max_tokens: int, long_text: LongText) -> Built:
    """Trains the vocabulary on train and unlabeled; the weights are random, by torch's seed."""
    splits = inputs.splits()
    texts = (*splits.train.texts, *splits.unlabeled)
    wanted = shape.tokenizer
    tokenizer = train_wordpiece(texts, wanted.size, wanted.lowercase, folder, max_tokens, long_text)
    model = build_tiny(
        inputs.task,
        tokenizer.vocabulary_size,
        layers=shape.layers,
        width=shape.width,
        heads=shape.heads,
        ffn=shape.ffn or 4 * shape.width,
        pooling=shape.pooling,
        max_tokens=max_tokens,
        dropout=shape.dropout,
    )
    return Built(model, tokenizer)
