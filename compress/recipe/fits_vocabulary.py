"""Vocabulary stages that save nothing, as far as the recipe alone shows it."""

from collections.abc import Callable, Mapping, Sequence

from compress.recipe.stages import Distill, Recovering, Stage, TrimVocabulary, shape_of
from compress.recipe.students import FromTeacher, PretrainedStudent, TinyEncoder

Report = Callable[[int, str, str], None]


def check_vocabularies(parsed: Sequence[Stage | None], known: Mapping[str, Stage], report: Report) -> None:
    """Reports (index, key, text) for an embedding_rank that is none; stages with mistakes are None. known: by id."""
    for index, stage in enumerate(parsed):
        if not isinstance(stage, TrimVocabulary) or stage.embedding_rank is None:
            continue
        if stage.from_ is not None and stage.from_ in known:
            width = embedding_width(known[stage.from_], known)
            if width is not None and stage.embedding_rank >= width:
                text = (
                    f"{stage.embedding_rank} saves nothing: an embedding of {stage.from_} has {width} numbers; choose "
                    "a smaller one, or leave the key out"
                )
                report(index, "embedding_rank", text)


def embedding_width(stage: Stage, known: Mapping[str, Stage]) -> int | None:
    """How many numbers a stage's model keeps of each piece; None where the recipe does not say."""
    shape = shape_of(stage)
    if isinstance(shape, TinyEncoder):
        return shape.embedding_rank or shape.width
    match stage:
        case TrimVocabulary(embedding_rank=int() as rank):
            return rank
        case Recovering(from_=str() as name) | Distill(student=PretrainedStudent(init=FromTeacher(from_=name))):
            return embedding_width(known[name], known) if name in known else None
        case _:
            return None
