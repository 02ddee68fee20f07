"""Builds students: a pretrained encoder with its own tokenizer, or a small transformer from scratch."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from compress.encoder import Classifier, build_classifier, build_tiny, open_pretrained
from compress.inputs import Inputs
from compress.pretrained import find_pretrained
from compress.recipe.stages import PretrainedStudent, Student, TinyStudent
from compress.tokenizer import Tokenizer, save_pretrained_tokenizer, train_wordpiece

_DEFAULT_TOKENS = 256


@dataclass(frozen=True)
class BuiltStudent:
    """An untrained student and its tokenizer, which lies in the stage's folder already."""

    model: Classifier
    tokenizer: Tokenizer


def build_student(student: Student, inputs: Inputs, folder: Path) -> BuiltStudent:
    """The student a recipe describes. Without max_tokens of its own it reads as many as its teacher."""
    taught = inputs.teacher.manifest.max_tokens if inputs.teacher else None
    max_tokens = student.max_tokens or taught or _DEFAULT_TOKENS
    match student:
        case TinyStudent():
            return _tiny(student, inputs, folder, max_tokens)
        case PretrainedStudent():
            return _pretrained(student, inputs, folder, max_tokens)
        case _ as unknown:
            assert_never(unknown)


def _tiny(student: TinyStudent, inputs: Inputs, folder: Path, max_tokens: int) -> BuiltStudent:
    splits = inputs.splits()
    texts = (*splits.train.texts, *splits.unlabeled)
    tokenizer = train_wordpiece(texts, student.tokenizer.size, student.tokenizer.lowercase, folder, max_tokens)
    model = build_tiny(
        inputs.task,
        tokenizer.vocabulary_size,
        layers=student.layers,
        width=student.width,
        heads=student.heads,
        ffn=student.ffn or 4 * student.width,
        pooling=student.pooling,
        max_tokens=max_tokens,
        dropout=student.dropout,
    )
    return BuiltStudent(model, tokenizer)


def _pretrained(student: PretrainedStudent, inputs: Inputs, folder: Path, max_tokens: int) -> BuiltStudent:
    source = open_pretrained(find_pretrained(student.encoder, student.revision, student.sha256))
    tokenizer = save_pretrained_tokenizer(source.folder, folder, max_tokens)
    return BuiltStudent(build_classifier(source, inputs.task, student.pooling, max_tokens), tokenizer)
