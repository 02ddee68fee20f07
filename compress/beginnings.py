"""Before the first stage runs: can every student begin as it is to, with its vocabulary, embeddings or layers?

What needs the texts is looked at here, and by nothing that trains.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.data import Splits
from compress.errors import EncoderError
from compress.plan import Plan, Step
from compress.pretrained import find_pretrained
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import Distill, Prune, Stage, shape_key, shape_of
from compress.recipe.students import (
    EmbeddingBagShape,
    FromTeacher,
    Hashed,
    PretrainedStudent,
    TeachersPieces,
    TinyEncoder,
    WordVectors,
)
from compress.vocabulary.vectors import check_vectors


def check_beginnings(plan: Plan, splits: Callable[[], Splits]) -> None:
    """Raises EncoderError with the stage's place where a stage to run trains a student that cannot begin."""
    steps = {step.stage.id: step for step in plan.steps}
    stages = {name: step.stage for name, step in steps.items()}
    tokens: dict[str, int | None] = {}
    for step in plan.steps:
        stage = step.stage
        tokens[stage.id] = step.artifact.manifest.max_tokens if step.artifact else max_tokens_of(stage, stages, tokens)
        if step.artifact is None:
            try:
                _check(stage, steps, tokens, splits)
            except EncoderError as error:
                raise EncoderError(f"stages.{stage.id}.{_place(stage)}{error}") from error


def vector_mistakes(stage: Stage) -> tuple[tuple[tuple[str, ...], str], ...]:
    """What is wrong with the word vectors of a stage, and its place in the stage; nothing where it takes none.

    They must be on this disk, be those that are pinned, and as wide as the embeddings. Of a text file the first lines
    are read, and all of it only for a pin.
    """
    shape = shape_of(stage)
    if not isinstance(shape, TinyEncoder) or not isinstance(shape.embeddings, WordVectors):
        return ()
    try:
        check_vectors(shape.embeddings, shape.embedding_rank or shape.width)
    except EncoderError as error:
        place, _, text = str(error).partition(": ")
        return (((shape_key(stage), *place.split(".")), text),)
    return ()


def _place(stage: Stage) -> str:
    """Where a shape stands in a stage; what is said of layers names its key itself."""
    return f"{shape_key(stage)}." if shape_of(stage) is not None else ""


def _check(
    stage: Stage, steps: Mapping[str, Step], tokens: Mapping[str, int | None], splits: Callable[[], Splits]
) -> None:
    """tokens: where the models of this stage and of those before it cut texts, as far as that is known."""
    shape = shape_of(stage)
    if isinstance(shape, TinyEncoder | EmbeddingBagShape):
        _check_tokenizer(stage, shape, steps, splits)
    if isinstance(shape, TinyEncoder) and isinstance(shape.embeddings, WordVectors):
        check_vectors(shape.embeddings, shape.embedding_rank or shape.width)
    if isinstance(stage, Distill) and isinstance(shape, TinyEncoder) and shape.embeddings == "teacher":
        _check_width(shape.embedding_rank or shape.width, _config(stage.teacher_ids[0], steps))
    match stage:
        case Distill(student=PretrainedStudent(init=FromTeacher() as init) as student):
            _check_layers(init, steps)
            _check_source(student, tokens[stage.id], _source(init.from_, steps, tokens))


def _check_layers(init: FromTeacher, steps: Mapping[str, Step]) -> None:
    from compress.encoder.layers import check_layers

    config = _config(init.from_, steps)
    if config is not None:
        check_layers(config, init.layers)


@dataclass(frozen=True)
class _Source:
    """What is known of the model whose layers a student takes. positions: the longest text it can read, in tokens."""

    name: str
    config: Any
    positions: int | None


def _source(name: str, steps: Mapping[str, Step], tokens: Mapping[str, int | None]) -> _Source:
    from compress.encoder.source import open_pretrained

    folder = _folder(name, steps)
    if folder is not None:
        found = open_pretrained(folder)
        return _Source(name, found.config, found.max_positions)
    match steps[name].stage:
        case Prune(from_=str() as before) | Distill(student=PretrainedStudent(init=FromTeacher(from_=before))):
            return _source(before, steps, tokens)
        case stage:
            return _Source(name, None, tokens[name] if shape_of(stage) is not None else None)


def _check_source(student: PretrainedStudent, tokens: int | None, source: _Source) -> None:
    """Raises EncoderError where a student of that model's layers cannot read as it is to, or lacks what it sets."""
    from compress.encoder.build import set_attention_dropout

    if tokens is not None and source.positions is not None and tokens > source.positions:
        raise EncoderError(
            f"student.max_tokens: {tokens} is above the {source.positions} positions of {source.name}, whose layers it "
            f"takes; set it to at most {source.positions}."
        )
    if student.attention_dropout is not None and source.config is not None:
        try:
            set_attention_dropout(source.config, student.attention_dropout)
        except EncoderError as error:
            raise EncoderError(f"student.{error}") from error


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
    from compress.vocabulary.trim import UNCUT

    folder = _folder(name, steps)
    if folder is None:
        return None
    save_pretrained_tokenizer(folder, scratch, UNCUT)
    return scratch
