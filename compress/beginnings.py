"""Before the first stage runs: can every student begin as it is to, with its vocabulary, embeddings or layers?

What needs the texts is looked at here, and by nothing that trains.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import read_json
from compress.data import Splits
from compress.errors import EncoderError
from compress.plan import Plan, Step
from compress.pretrained import find_pretrained, local_folder
from compress.recipe.fits_pruning import MODEL_TYPES, Parts, after, misfit, of_layers
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.pruning import PruneLayers, PruneStructured
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import Distill, Prune, Recovering, Stage, TrimVocabulary, shape_key, shape_of
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


def check_families(stages: Iterable[Stage]) -> None:
    """Raises EncoderError where heads or neurons are to be taken out of a model on this disk that gives none.

    Its config.json alone is read. What is not here yet passes: the run says so before it trains.
    """
    known: dict[str, Stage] = {}
    for stage in stages:
        if isinstance(stage, PruneStructured) and stage.from_ is not None:
            family = _family_here(stage.from_, known)
            unknown = None if family in MODEL_TYPES else family
            found = misfit(stage, Parts(None, None, 1, unknown=unknown))
            if found is not None:
                raise EncoderError(f"stages.{stage.id}.{': '.join(found)}.")
        known[stage.id] = stage


def _family_here(name: str, known: Mapping[str, Stage]) -> str | None:
    """The model_type of the pretrained model that a stage goes back to; None where it has none, or it is not here."""
    stage = known.get(name)
    if stage is None:
        return None
    match stage:
        case Recovering(from_=str() as before) | Distill(student=PretrainedStudent(init=FromTeacher(from_=before))):
            return _family_here(before, known)
    reference = encoder_reference(stage)
    if reference is None:
        return None
    try:
        folder = local_folder(reference.name, reference.revision)
    except EncoderError:  # the recipe may be for another machine
        return None
    said = read_json(folder / "config.json") if folder is not None else None
    family: str | None = said.get("model_type") if isinstance(said, dict) else None
    return family


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
        case TrimVocabulary(from_=str() as name):
            _check_trimming(stage, name, steps, splits)
        case Prune(from_=str() as name):
            _check_pruning(stage, name, steps)


def _check_pruning(stage: Prune, name: str, steps: Mapping[str, Step]) -> None:
    """Whether what stage `name` makes has so many heads, neurons or layers to give, as far as that is known."""
    parts = _parts(name, steps)
    found = misfit(stage, parts) if parts is not None else None
    if found is not None:
        raise EncoderError(f"{': '.join(found)}.")


def _parts(name: str, steps: Mapping[str, Step]) -> Parts | None:
    from compress.encoder.cut import parts_of

    step = steps[name]
    match step.stage:
        case Prune(from_=str() as source) | TrimVocabulary(from_=str() as source) if step.artifact is None:
            before = _parts(source, steps)
            return after(step.stage, before) if before is not None else None
        case Distill(student=PretrainedStudent(init=FromTeacher(from_=source, layers=layers))) if step.artifact is None:
            before = _parts(source, steps)
            return of_layers(before, layers) if before is not None else None
    config = _config(name, steps)
    return parts_of(config) if config is not None else None


def _check_trimming(stage: TrimVocabulary, name: str, steps: Mapping[str, Step], splits: Callable[[], Splits]) -> None:
    """Whether what must stay of the pieces of stage `name` has room, and a product of embeddings saves anything."""
    from compress.encoder.rows import check_rank, staying_ids, table_width
    from compress.vocabulary.trim import check_trim

    config = _config(name, steps)
    if config is None:
        return
    if stage.embedding_rank is not None:
        check_rank(stage.embedding_rank, table_width(config))
    with tempfile.TemporaryDirectory() as scratch:
        folder = _tokenizer(name, steps, Path(scratch))
        if folder is not None:
            check_trim(folder, _texts(splits), stage.keep_top, staying_ids(config))


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
        case Recovering(from_=str() as before) | Distill(student=PretrainedStudent(init=FromTeacher(from_=before))):
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
    if isinstance(step.stage, Recovering):
        return _folder(step.stage.from_, steps) if step.stage.from_ else None
    reference = encoder_reference(step.stage)
    return find_pretrained(reference.name, reference.revision) if reference else None


def _config(name: str, steps: Mapping[str, Step]) -> Any:
    from compress.encoder.source import open_pretrained

    folder = _folder(name, steps)
    if folder is None:
        return None
    config = open_pretrained(folder).config
    gone = _layers_gone(name, steps)
    if gone:
        if getattr(config, "num_hidden_groups", None) == config.num_hidden_layers:
            config.num_hidden_groups -= gone
        config.num_hidden_layers -= gone
    return config


def _layers_gone(name: str, steps: Mapping[str, Step]) -> int:
    """How many layers are still to be taken out of the model that a stage goes back to."""
    step = steps[name]
    if step.artifact is not None or not isinstance(step.stage, Recovering) or step.stage.from_ is None:
        return 0
    own = step.stage.how_many if isinstance(step.stage, PruneLayers) else 0
    return own + _layers_gone(step.stage.from_, steps)


def _tokenizer(name: str, steps: Mapping[str, Step], scratch: Path) -> Path | None:
    """A folder with the tokenizer.json that a stage's model will read with."""
    from compress.tokenizer import save_pretrained_tokenizer
    from compress.vocabulary.cut import UNCUT

    folder = _folder(name, steps)
    if folder is None:
        return None
    save_pretrained_tokenizer(folder, scratch, UNCUT)
    return scratch
