"""Builds the student a recipe describes."""

from pathlib import Path
from typing import assert_never

from compress.artifact import Manifest, read_json
from compress.bag import is_bag
from compress.inputs import Inputs
from compress.recipe.long_text import TRUNCATE
from compress.recipe.students import EmbeddingBagShape, PretrainedStudent, TinyEncoder
from compress.train.build import Built, build_bag, build_from_scratch, build_on_layers, build_on_pretrained

_DEFAULT_TOKENS = 256


def build_student(student: PretrainedStudent | TinyEncoder | EmbeddingBagShape, inputs: Inputs, folder: Path) -> Built:
    """An untrained student. Without max_tokens and long_text of its own it reads as its first transformer teacher."""
    if isinstance(student, EmbeddingBagShape):
        return build_bag(student, inputs, folder)
    taught = _read_as(inputs)
    max_tokens = student.max_tokens or (taught.max_tokens if taught else None) or _DEFAULT_TOKENS
    long_text = student.long_texts(taught.long_text if taught else TRUNCATE)
    match student:
        case TinyEncoder():
            return build_from_scratch(student, inputs, folder, max_tokens, long_text)
        case PretrainedStudent(encoder=str() as name):
            return build_on_pretrained(name, student, inputs.task, folder, max_tokens, long_text)
        case PretrainedStudent():
            return build_on_layers(student, inputs, folder, max_tokens, long_text)
        case _ as unknown:
            assert_never(unknown)


def _read_as(inputs: Inputs) -> Manifest | None:
    """Of the first teacher that counts a text in pieces: TF-IDF has no limit, a bag's is one of words."""
    artifacts = (teacher.artifact for teacher in inputs.teachers)
    return next((it.manifest for it in artifacts if it.manifest.max_tokens and not _is_bag(it.path)), None)


def _is_bag(folder: Path) -> bool:
    config = read_json(folder / "config.json")
    return isinstance(config, dict) and is_bag(config)
