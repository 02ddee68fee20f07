"""Untrained classifiers with their tokenizers: on a pretrained encoder, or small and from scratch."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import Artifact
from compress.bag import embedding_bag
from compress.classifier import Classifier
from compress.convert import bert_to_distilbert, check_convertible
from compress.encoder.build import build_classifier, describe, set_attention_dropout
from compress.encoder.embeddings import project, set_embeddings, teachers_rows, vectors_rows, words_of
from compress.encoder.files import Model, load_classifier
from compress.encoder.layers import take_layers
from compress.encoder.source import Pretrained, check_length, check_usable, open_pretrained
from compress.encoder.tiny import build_tiny
from compress.inputs import Inputs
from compress.ngrams.tokenizer import Buckets, NgramTokenizer
from compress.pieces import Reader
from compress.pretrained import find_pretrained
from compress.recipe.data import Task
from compress.recipe.long_text import TRUNCATE, LongText
from compress.recipe.students import (
    EmbeddingBagShape,
    FromPretrained,
    Hashed,
    PretrainedStudent,
    TeachersPieces,
    TinyEncoder,
    Vocabulary,
    WordVectors,
)
from compress.tokenizer import (
    Tokenizer,
    copy_tokenizer,
    open_pieces,
    read_pretrained_tokenizer,
    save_pretrained_tokenizer,
)
from compress.vocabulary.learn import train_vocabulary
from compress.vocabulary.trim import teachers_tokenizer
from compress.vocabulary.vectors import find_vectors, read_vectors
from compress.vocabulary.words import alphabet_notes

# root mean square of embeddings that begin as others': at 0.02, as random ones have it, training forgets them at once
_SIZE = 0.2


@dataclass(frozen=True)
class Built:
    """An untrained classifier and its tokenizer, which lies in the stage's folder already.

    notes: on its vocabulary and embeddings, for the report.
    """

    model: Model
    tokenizer: Reader
    notes: tuple[str, ...] = ()


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
    """A small transformer whose vocabulary is learnt from train and unlabeled, or its teacher's.

    What the shape takes from no one is random, by torch's seed.
    """
    tokenizer = build_vocabulary(shape.tokenizer, inputs, folder, max_tokens, long_text)
    model = build_tiny(inputs.task, shape, tokenizer.vocabulary_size, max_tokens, tokenizer.pad_id)
    begun = _begin_embeddings(model, shape, inputs, tokenizer)
    return Built(model, tokenizer, (*_size_notes(shape.tokenizer, inputs, tokenizer), *begun))


def build_bag(shape: EmbeddingBagShape, inputs: Inputs, folder: Path) -> Built:
    """A bag of embeddings of hashed words, or of pieces learnt from train and unlabeled; random by torch's seed."""
    wanted = shape.tokenizer
    if isinstance(wanted, Hashed):
        words = NgramTokenizer(Buckets(wanted.buckets, wanted.ngrams), shape.max_tokens)
        words.save(folder)
        reader: Reader = words
        notes: tuple[str, ...] = ()
    else:
        reader = build_vocabulary(wanted, inputs, folder, shape.max_tokens, TRUNCATE)
        notes = _size_notes(wanted, inputs, reader)
    return Built(embedding_bag(inputs.task, reader.vocabulary_size, shape.width, shape.hidden), reader, notes)


def build_vocabulary(
    wanted: Vocabulary, inputs: Inputs, folder: Path, max_tokens: int, long_text: LongText
) -> Tokenizer:
    """The tokenizer a student reads with, saved in `folder`."""
    texts = _texts(inputs)
    if isinstance(wanted, TeachersPieces):
        return teachers_tokenizer(_teacher(inputs).path, texts, wanted.size, folder, max_tokens, long_text)
    return train_vocabulary(wanted, texts, folder, max_tokens, long_text)


def _texts(inputs: Inputs) -> tuple[str, ...]:
    """Those that vocabularies are learnt from."""
    splits = inputs.splits()
    return (*splits.train.texts, *splits.unlabeled)


def _size_notes(wanted: Vocabulary, inputs: Inputs, made: Reader) -> tuple[str, ...]:
    if isinstance(wanted, TeachersPieces):
        return ()
    return alphabet_notes(wanted, _texts(inputs), made.vocabulary_size)


def _begin_embeddings(model: Classifier, shape: TinyEncoder, inputs: Inputs, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Sets them where they are not to be random. Returns how many pieces have a word vector."""
    width = shape.embedding_rank or shape.width
    if shape.embeddings == "teacher":
        teacher = _teacher(inputs)
        encoder: Any = load_classifier(teacher.path).encoder
        weights = encoder.get_input_embeddings().weight.detach().numpy()
        rows = teachers_rows(weights, open_pieces(teacher.path, teacher.manifest.token_limit), tokenizer)
        set_embeddings(model.encoder, project(rows, width), _SIZE)
    if isinstance(shape.embeddings, WordVectors):
        vectors = read_vectors(find_vectors(shape.embeddings), words_of(tokenizer))
        set_embeddings(model.encoder, vectors_rows(vectors, tokenizer.vocabulary_size), _SIZE)
        return (f"{len(vectors):,} of {tokenizer.vocabulary_size:,} pieces have a word vector; others begin at random",)
    return ()


def _teacher(inputs: Inputs) -> Artifact:
    if inputs.teacher is None:
        raise ValueError("a student that takes its pieces or embeddings from a teacher was given none")
    return inputs.teacher


def build_on_layers(
    student: PretrainedStudent, inputs: Inputs, folder: Path, max_tokens: int, long_text: LongText
) -> Built:
    """Some layers of a classifier of this run, with its embeddings, pooling, head and tokenizer."""
    if inputs.layers is None or student.init is None:
        raise ValueError("a student that begins as layers of a stage was given none")
    source = inputs.layers.path
    check_length(open_pretrained(source), max_tokens)
    whole = load_classifier(source)
    if student.attention_dropout is not None:
        set_attention_dropout(whole.config, student.attention_dropout)
    model = take_layers(whole, student.init.layers)
    describe(model.config, inputs.task, model.pooling, max_tokens)
    copy_tokenizer(source, folder)
    return Built(model, open_pieces(folder, max_tokens, long_text))
