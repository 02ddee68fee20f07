"""Hints that cannot be given: what a recipe alone shows of a student and its teacher, and what their configs add."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from compress.recipe.follows import in_words, result_kind
from compress.recipe.learning import Hints
from compress.recipe.max_tokens import NOTHING, max_tokens_of
from compress.recipe.pruning import PruneLayers
from compress.recipe.stages import Distill, Recovering, Stage, shape_of
from compress.recipe.students import FromTeacher, PretrainedStudent, Student, TeachersPieces, TinyEncoder

Report = Callable[[int, str, str], None]


@dataclass(frozen=True)
class Size:
    """What is known of a transformer: its number of layers and the width of its token states."""

    layers: int | None = None
    width: int | None = None


Look = Callable[[Stage], Size]
"""The size of what a stage makes of a pretrained model, as far as it can be known."""


def check_hints(
    parsed: Sequence[Stage | None], known: Mapping[str, Stage], baselines: Collection[str], report: Report
) -> None:
    """Reports (index, key, text) for hints that do not fit; stages with mistakes are None. known: stages by id."""
    for index, stage in enumerate(parsed):
        if not isinstance(stage, Distill) or stage.hints is None:
            continue
        stateless = _without_states(stage.teacher_ids[0], known, baselines)
        sizes = misfits(stage, known, lambda named: Size()) if stateless is None else ()
        for problem in (stateless, _tokens_apart(stage.hints, stage.student), *sizes):
            if problem is not None:
                report(index, "hints", problem)


def _without_states(first: str, known: Mapping[str, Stage], baselines: Collection[str]) -> str | None:
    """Why a stage can give no hints, where it is no transformer as it was trained."""
    kind = "tfidf" if first in baselines else result_kind(known[first]) if first in known else "torch"
    if kind == "torch":
        return None
    return f"look into the first teacher, and {first} is {in_words(kind)}, without states; name a transformer first"


def misfits(
    stage: Distill, known: Mapping[str, Stage], look: Look, tokens: Mapping[str, int | None] = NOTHING
) -> tuple[str, ...]:
    """Every reason why the stage's hints do not fit its student and first teacher, as far as their sizes can be known.

    tokens: where the stages before it cut texts, by id, where more is known of it than the recipe says.
    """
    hints = stage.hints
    taught_by = known.get(stage.teacher_ids[0])
    if hints is None or taught_by is None:
        return ()
    student, teacher = size_of(stage, known, look), size_of(taught_by, known, look)
    layers = hints.hidden.misfit(student.layers, teacher.layers) if hints.hidden else None
    found = (
        f"hidden.layers: {layers}" if layers else None,
        _widths_apart(hints, student, teacher),
        _reads_more(stage, hints, known, tokens),
    )
    return tuple(problem for problem in found if problem is not None)


def _widths_apart(hints: Hints, student: Size, teacher: Size) -> str | None:
    if not hints.cosine or None in (student.width, teacher.width) or student.width == teacher.width:
        return None
    return (
        f"cosine compares states of one width, and the student's is {student.width}, the teacher's {teacher.width}. "
        "Use hidden, which projects them"
    )


def _reads_more(
    stage: Distill, hints: Hints, known: Mapping[str, Stage], tokens: Mapping[str, int | None]
) -> str | None:
    """Why the teacher could not read the student's own batches, which token states are compared on."""
    first, asked = stage.teacher_ids[0], stage.student.max_tokens
    limit = tokens[first] if first in tokens else max_tokens_of(known[first], known, tokens)
    if not hints.of_tokens or asked is None or limit is None or asked <= limit:
        return None
    return (
        f"hidden and cosine have the teacher read the student's batches, of {asked} tokens, and {first} reads {limit}; "
        f"set student.max_tokens to at most {limit}"
    )


def size_of(stage: Stage, known: Mapping[str, Stage], look: Look) -> Size:
    """Layers and width of what a stage makes. known: the stages before it, by id."""
    shape = shape_of(stage)
    if isinstance(shape, TinyEncoder):
        return Size(shape.layers, shape.width)
    match stage:
        case Distill(student=PretrainedStudent(init=FromTeacher() as init)):
            begun = known.get(init.from_)
            return Size(len(init.layers), size_of(begun, known, look).width if begun else None)
        case Recovering(from_=str() as name):
            size = size_of(known[name], known, look) if name in known else Size()
            gone = stage.how_many if isinstance(stage, PruneLayers) else 0
            return size if size.layers is None else replace(size, layers=size.layers - gone)
        case _:
            return look(stage)


def _tokens_apart(hints: Hints, student: Student) -> str | None:
    """Why token states of student and teacher cannot be compared one by one, where the student's shape shows it."""
    if not hints.of_tokens:
        return None
    if isinstance(student, TinyEncoder) and not (
        isinstance(student.tokenizer, TeachersPieces) and student.tokenizer.size is None
    ):
        return (
            "hidden and cosine compare token by token, so the student must cut texts as its teacher does: set "
            "student.tokenizer: {type: teacher, size: null}. pooled works across tokenizers"
        )
    return None
