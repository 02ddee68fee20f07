"""What may follow what: checks over all stages at once, and the default of `from`."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from compress.errors import did_you_mean
from compress.recipe.quantizing import Bf16, IncInt8
from compress.recipe.stages import (
    Distill,
    Export,
    Finetune,
    Follows,
    Load,
    Prune,
    Quantize,
    Stage,
    Taught,
    Tfidf,
    TrimVocabulary,
    shape_of,
    stage_class,
)
from compress.recipe.students import EmbeddingBagShape, LinearShape, PretrainedStudent

Kind = Literal["torch", "ngrams", "onnx", "small", "tfidf"]
Report = Callable[[int, str, str], None]

_IN_WORDS: dict[Kind, str] = {
    "torch": "a transformer (load, finetune, distill, prune, trim_vocabulary)",
    "ngrams": "a linear model or an embedding_bag",
    "onnx": "an fp32 ONNX model (export)",
    "small": "a model that is already quantized",
    "tfidf": "a TF-IDF baseline",
}


def result_kind(stage: Stage) -> Kind:
    """What a stage leaves behind, as far as the next stage cares."""
    if isinstance(shape_of(stage), LinearShape | EmbeddingBagShape):
        return "ngrams"
    match stage:
        case Load() | Finetune() | Distill() | Prune() | TrimVocabulary():
            return "torch"
        case Export():
            return "onnx"
        case Quantize():
            return "small"
        case Tfidf():
            return "tfidf"


def in_words(kind: Kind) -> str:
    """What such a result is called."""
    return _IN_WORDS[kind]


def needed_kinds(stage: Follows) -> tuple[Kind, ...]:
    """What a stage can start from."""
    match stage:
        case Bf16() | IncInt8():
            return ("torch",)
        case Quantize():
            return ("onnx",)
        case Export():
            return ("torch", "ngrams")
        case _:
            return ("torch",)


def check_stages(
    raw: Sequence[Any], parsed: Sequence[Stage | None], baselines: Sequence[str], report: Report
) -> list[Stage]:
    """Fills in `from` and reports (index, key, text) for each reference that does not hold.

    raw: the stages as written; one with a mistake of its own (parsed: None) still counts as being there.
    """
    kinds: dict[str, Kind | None] = dict.fromkeys(baselines, "tfidf")
    # a disk that does not tell A from a (macOS, Windows) would give both one folder
    taken = {name.casefold(): name for name in baselines}
    filled: list[Stage] = []
    previous: str | None = None
    later = [str(item.get("id")) for item in raw if isinstance(item, dict)]
    for index, (item, stage) in enumerate(zip(raw, parsed, strict=True)):
        written = item if isinstance(item, dict) else {}
        name = str(written.get("id"))
        other = taken.setdefault(name.casefold(), name)
        if name in kinds:
            report(index, "id", f"{name} is taken by another stage or baseline; ids are unique")
        elif other != name:
            report(index, "id", f"{name} and {other} differ only in case, and some disks cannot tell them apart")
        _check_shapes(written, index, report)
        known = stage if stage is not None else _as_written(written)
        if known is not None:
            known = _with_from(known, previous, index, report)
        if known is not None and stage is not None:
            filled.append(known)
        for key, others in (_named(known) if known is not None else _named_in(written)).items():
            for other in others:
                _check_name(other, key, known, name, kinds, later, index, report)
        kinds[name] = result_kind(known) if known is not None else None
        previous = name
    return filled


def by_id(stages: Sequence[Stage]) -> dict[str, Stage]:
    """Stages by id, without those that name themselves or a later one: from each of these the way back ends."""
    ids = {stage.id for stage in stages}
    found: dict[str, Stage] = {}
    for stage in stages:
        named = {name for names in _named(stage).values() for name in names}
        if not (named & ids) - found.keys():
            found.setdefault(stage.id, stage)
    return found


def _as_written(written: dict[str, Any]) -> Stage | None:
    """A stage with a mistake in it, unchecked: enough to see what it follows and what may follow it."""
    cls = stage_class(written)
    if cls is None:
        return None
    named = _named_in(written)
    values: dict[str, Any] = {"teacher": dict.fromkeys(named.get("teacher", ()), 1.0) or None}
    values |= {"from_": next(iter(named.get("from", ())), None), "student": None}
    return cast(Stage, cls.model_construct(id=str(written.get("id")), type=written["type"], **values))


def _named_in(written: dict[str, Any]) -> dict[str, list[str]]:
    """Ids of other stages in a stage as written: a teacher's or several's, as far as they are text."""
    teacher = written.get("teacher")
    named = {"from": [written.get("from")], "teacher": list(teacher) if isinstance(teacher, dict) else [teacher]}
    return {key: [name for name in names if isinstance(name, str)] for key, names in named.items()}


def _with_from(stage: Stage, previous: str | None, index: int, report: Report) -> Stage:
    if not isinstance(stage, Follows) or stage.from_ is not None:
        return stage
    if previous is None:
        report(index, "from", f"{stage.type} works on another stage's result, and none stands before it")
        return stage
    return stage.model_copy(update={"from_": previous})


def _named(stage: Stage) -> dict[str, list[str]]:
    """Ids of other stages by the key that names them."""
    named: dict[str, list[str]] = {}
    if isinstance(stage, Follows) and stage.from_ is not None:
        named["from"] = [stage.from_]
    if isinstance(stage, Taught):
        named["teacher"] = list(stage.teacher_ids)
    if isinstance(stage, Distill) and isinstance(stage.student, PretrainedStudent) and stage.student.init:
        named["student.init.from"] = [stage.student.init.from_]
    return named


def _wanted(stage: Stage, key: str) -> tuple[Kind, ...]:
    """What a stage can take under a key; nothing where it takes anything."""
    if key == "from" and isinstance(stage, Follows):
        return needed_kinds(stage)
    return ("torch",) if key == "student.init.from" else ()


def _check_name(
    name: str,
    key: str,
    stage: Stage | None,
    own: str,
    kinds: dict[str, Kind | None],
    all_ids: list[str],
    index: int,
    report: Report,
) -> None:
    if name in kinds:
        found = kinds[name]
        wanted = _wanted(stage, key) if stage is not None else ()
        if stage is not None and wanted and found is not None and found not in wanted:
            needed = " or ".join(_IN_WORDS[kind] for kind in wanted)
            report(index, key, f"{stage.type} needs {needed}; {name} is {_IN_WORDS[found]}")
    elif name == own:
        report(index, key, f"{name} is this stage itself")
    elif name in all_ids:
        report(index, key, f"{name} comes later; a stage reads only those before it, so move it up")
    else:
        hint = did_you_mean(name, kinds)
        report(index, key, f"there is no stage {name}{hint}; before it stand: {', '.join(kinds) or 'none'}")


def _check_shapes(written: dict[str, Any], index: int, report: Report) -> None:
    """Attention heads share the width evenly."""
    for key in ("student", "encoder"):
        shape = written.get(key)
        width, heads = (shape.get("width"), shape.get("heads")) if isinstance(shape, dict) else (None, None)
        if isinstance(width, int) and isinstance(heads, int) and heads > 0 and width % heads:
            report(index, key, f"width {width} is not a multiple of heads {heads}")
