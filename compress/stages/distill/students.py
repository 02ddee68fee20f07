"""Builds the student a recipe describes."""

from pathlib import Path
from typing import assert_never

from compress.inputs import Inputs
from compress.recipe.long_text import TRUNCATE
from compress.recipe.stages import PretrainedStudent, Student, TinyEncoder
from compress.train.build import Built, build_from_scratch, build_on_pretrained

_DEFAULT_TOKENS = 256


def build_student(student: Student, inputs: Inputs, folder: Path) -> Built:
    """An untrained student. Without max_tokens and long_text of its own it reads as its teacher does."""
    taught = inputs.teacher.manifest if inputs.teacher else None
    max_tokens = student.max_tokens or (taught and taught.max_tokens) or _DEFAULT_TOKENS
    long_text = student.long_texts(taught.long_text if taught else TRUNCATE)
    match student:
        case TinyEncoder():
            return build_from_scratch(student, inputs, folder, max_tokens, long_text)
        case PretrainedStudent():
            return build_on_pretrained(student.encoder, student, inputs.task, folder, max_tokens, long_text)
        case _ as unknown:
            assert_never(unknown)
