"""Hints that cannot be given: what a recipe alone shows of a student and its teacher, and what their configs add."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from compress.recipe.learning import Hints
from compress.recipe.stages import Distill, Finetune, Prune, Stage, Tfidf
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
        first = stage.teacher_ids[0]
        if first in baselines or isinstance(known.get(first), Tfidf):
            report(
                index, "hints", f"look into the first teacher, and {first} (TF-IDF) has no states; name another first"
            )
        problem = _tokens_apart(stage.hints, stage.student) or misfit(stage, known, lambda named: Size())
        if problem is not None:
            report(index, "hints", problem)


def misfit(stage: Distill, known: Mapping[str, Stage], look: Look) -> str | None:
    """Why the stage's hints do not fit its student and first teacher, as far as their sizes can be known."""
    hints = stage.hints
    taught_by = known.get(stage.teacher_ids[0])
    if hints is None or taught_by is None:
        return None
    student, teacher = size_of(stage, known, look), size_of(taught_by, known, look)
    problem = hints.hidden.misfit(student.layers, teacher.layers) if hints.hidden else None
    if problem is not None:
        return f"hidden.layers: {problem}"
    if hints.cosine and None not in (student.width, teacher.width) and student.width != teacher.width:
        return (
            f"cosine compares states of one width; the student's is {student.width}, the teacher's {teacher.width}. "
            "Use hidden, which projects them"
        )
    return None


def size_of(stage: Stage, known: Mapping[str, Stage], look: Look) -> Size:
    """Layers and width of what a stage makes. known: the stages before it, by id."""
    match stage:
        case Finetune(encoder=TinyEncoder() as shape) | Distill(student=TinyEncoder() as shape):
            return Size(shape.layers, shape.width)
        case Distill(student=PretrainedStudent(init=FromTeacher() as init)):
            begun = known.get(init.from_)
            return Size(len(init.layers), size_of(begun, known, look).width if begun else None)
        case Prune(from_=str() as name):
            return size_of(known[name], known, look) if name in known else Size()
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
