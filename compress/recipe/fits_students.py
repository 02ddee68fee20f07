"""Students that cannot begin as their recipe says, as far as the recipe alone shows it."""

from collections.abc import Callable, Collection, Mapping, Sequence

from compress.recipe.fits_hints import Size, size_of
from compress.recipe.follows import result_kind
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.stages import Distill, Recovering, Stage, shape_of
from compress.recipe.students import FromTeacher, PretrainedStudent, TinyEncoder

Report = Callable[[int, str, str], None]


def check_students(
    parsed: Sequence[Stage | None], known: Mapping[str, Stage], baselines: Collection[str], report: Report
) -> None:
    """Reports (index, key, text) for students that do not fit; stages with mistakes are None. known: stages by id."""
    for index, stage in enumerate(parsed):
        match stage:
            case Distill(student=TinyEncoder() as shape) if shape.needs_teacher:
                first = stage.teacher_ids[0]
                if first in baselines or (first in known and result_kind(known[first]) != "torch"):
                    text = (
                        f"takes its pieces or its embeddings from the first teacher, and {first} is no transformer; "
                        "name one first, or give the student a tokenizer and embeddings of its own"
                    )
                    report(index, "student", text)
            case Distill(student=PretrainedStudent(init=FromTeacher() as init)):
                problem = _misfit(init, known)
                if problem is not None:
                    report(index, "student.init.layers", problem)
                too_long = _too_long(stage, init, known)
                if too_long is not None:
                    report(index, "student.max_tokens", too_long)


def _misfit(init: FromTeacher, known: Mapping[str, Stage]) -> str | None:
    begun = known.get(init.from_)
    if begun is None:
        return None
    shape = shape_of(_origin(begun, known))
    if isinstance(shape, TinyEncoder) and shape.share_layers:
        return f"the layers of {init.from_} share their weights, so that there is none to choose"
    count = size_of(begun, known, lambda _: Size()).layers
    missing = [layer for layer in init.layers if count is not None and layer >= count]
    if count is None or not missing:
        return None
    return f"there is no layer {missing[0]}: {init.from_} has {count}, numbered 0 to {count - 1}"


def _too_long(stage: Distill, init: FromTeacher, known: Mapping[str, Stage]) -> str | None:
    """Where the shape that the layers are of is the recipe's: its positions are as many as its max_tokens."""
    begun = known.get(init.from_)
    if begun is None or not isinstance(shape_of(_origin(begun, known)), TinyEncoder):
        return None
    tokens, positions = max_tokens_of(stage, known), max_tokens_of(_origin(begun, known), known)
    if tokens is None or positions is None or tokens <= positions:
        return None
    return (
        f"{tokens} is above the {positions} positions of {init.from_}, whose layers it takes; write at most {positions}"
    )


def _origin(stage: Stage, known: Mapping[str, Stage]) -> Stage:
    """The stage whose shape a model has: where it prunes or begins as layers, the one that it begins with."""
    match stage:
        case Recovering(from_=str() as name) | Distill(student=PretrainedStudent(init=FromTeacher(from_=name))):
            return _origin(known[name], known) if name in known else stage
        case _:
            return stage
