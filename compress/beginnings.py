"""Before the first stage runs: can every student begin as it is to, with its vocabulary, embeddings or layers?

What needs the texts is looked at here, and by nothing that trains.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from compress.data import Splits
from compress.errors import EncoderError
from compress.plan import Plan, Step, encoder_reference
from compress.pretrained import find_pretrained
from compress.recipe.stages import Distill, Finetune, Prune, Stage
from compress.recipe.students import (
    EmbeddingBagShape,
    FromTeacher,
    Hashed,
    PretrainedStudent,
    TeachersPieces,
    TinyEncoder,
    WordVectors,
)
from compress.vocabulary.vectors import check_vectors, find_vectors

_UNCUT = 2**20


def check_beginnings(plan: Plan, splits: Callable[[], Splits]) -> None:
    """Raises EncoderError with the stage's place where a stage to run trains a student that cannot begin."""
    steps = {step.stage.id: step for step in plan.steps}
    for step in plan.steps:
        if step.artifact is None:
            try:
                _check(step.stage, steps, splits)
            except EncoderError as error:
                raise EncoderError(f"stages.{step.stage.id}.{_key(step.stage)}{error}") from error


def check_widths(stages: Iterable[Stage]) -> None:
    """Raises EncoderError where word vectors that are on this disk are of another width than their student's."""
    for stage in stages:
        shape = _shape(stage)
        if isinstance(shape, TinyEncoder) and isinstance(shape.embeddings, WordVectors):
            try:
                find_vectors(shape.embeddings)
            except EncoderError:
                continue  # not here yet: the run says so before it trains
            try:
                check_vectors(shape.embeddings, shape.embedding_rank or shape.width)
            except EncoderError as error:
                raise EncoderError(f"stages.{stage.id}.{_key(stage)}{error}") from error


def _key(stage: Stage) -> str:
    """Where a shape stands in a stage; what is said of layers names its key itself."""
    if isinstance(stage, Finetune):
        return "encoder."
    return "student." if _shape(stage) is not None else ""


def _shape(stage: Stage) -> TinyEncoder | EmbeddingBagShape | None:
    match stage:
        case (
            Finetune(encoder=TinyEncoder() | EmbeddingBagShape() as shape)
            | Distill(student=TinyEncoder() | EmbeddingBagShape() as shape)
        ):
            return shape
        case _:
            return None


def _check(stage: Stage, steps: Mapping[str, Step], splits: Callable[[], Splits]) -> None:
    shape = _shape(stage)
    if shape is not None:
        _check_tokenizer(stage, shape, steps, splits)
    if isinstance(shape, TinyEncoder) and isinstance(shape.embeddings, WordVectors):
        check_vectors(shape.embeddings, shape.embedding_rank or shape.width)
    if isinstance(stage, Distill) and isinstance(shape, TinyEncoder) and shape.embeddings == "teacher":
        _check_width(shape.embedding_rank or shape.width, _config(stage.teacher_ids[0], steps))
    match stage:
        case Distill(student=PretrainedStudent(init=FromTeacher() as init)):
            from compress.encoder.layers import check_layers

            config = _config(init.from_, steps)
            if config is not None:
                check_layers(config, init.layers)


def _check_width(width: int, teacher: Any) -> None:
    if teacher is None:
        return
    from compress.classifier import hidden_width
    from compress.encoder.embeddings import check_projection

    check_projection(getattr(teacher, "embedding_size", None) or hidden_width(teacher), width)


def _check_tokenizer(
    stage: Stage, shape: TinyEncoder | EmbeddingBagShape, steps: Mapping[str, Step], splits: Callable[[], Splits]
) -> None:
    """Whether the size asked for has room for the characters of train and unlabeled."""
    from compress.vocabulary.trim import check_pieces
    from compress.vocabulary.words import check_alphabet

    wanted = shape.tokenizer
    if isinstance(wanted, Hashed):
        return
    if not isinstance(wanted, TeachersPieces):
        check_alphabet(wanted, _texts(splits))
    elif wanted.size is not None and isinstance(stage, Distill):
        with tempfile.TemporaryDirectory() as scratch:
            folder = _tokenizer(stage.teacher_ids[0], steps, Path(scratch))
            if folder is not None:
                check_pieces(folder, _texts(splits), wanted.size)


def _texts(splits: Callable[[], Splits]) -> tuple[str, ...]:
    found = splits()
    return (*found.train.texts, *found.unlabeled)


def _folder(name: str, steps: Mapping[str, Step]) -> Path | None:
    """Where what a stage makes, or the pretrained model it begins with, lies; None where it is still to be made."""
    step = steps.get(name)
    if step is None:
        return None
    if step.artifact is not None:
        return step.artifact.path
    if isinstance(step.stage, Prune):
        return _folder(step.stage.from_, steps) if step.stage.from_ else None
    reference = encoder_reference(step.stage)
    return find_pretrained(reference.name, reference.revision) if reference else None


def _config(name: str, steps: Mapping[str, Step]) -> Any:
    from compress.encoder.source import open_pretrained

    folder = _folder(name, steps)
    return open_pretrained(folder).config if folder is not None else None


def _tokenizer(name: str, steps: Mapping[str, Step], scratch: Path) -> Path | None:
    """A folder with the tokenizer.json that a stage's model will read with."""
    from compress.tokenizer import save_pretrained_tokenizer

    folder = _folder(name, steps)
    if folder is None:
        return None
    save_pretrained_tokenizer(folder, scratch, _UNCUT)
    return scratch
