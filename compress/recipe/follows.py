"""What may follow what: checks over all stages at once, and the default of `from`."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from compress.errors import did_you_mean
from compress.recipe.stages import (
    STAGE_TYPES,
    Distill,
    Export,
    Finetune,
    Follows,
    Load,
    Prune,
    Quantize,
    Stage,
    Tfidf,
)

Kind = Literal["torch", "onnx", "onnx_small", "tfidf"]
Report = Callable[[int, str, str], None]

_IN_WORDS: dict[Kind, str] = {
    "torch": "a torch model (load, finetune, distill, prune)",
    "onnx": "an fp32 ONNX model (export)",
    "onnx_small": "an ONNX model that is already quantized",
    "tfidf": "a TF-IDF baseline",
}


def result_kind(stage: Stage) -> Kind:
    """What a stage leaves behind, as far as the next stage cares."""
    match stage:
        case Load() | Finetune() | Distill() | Prune():
            return "torch"
        case Export():
            return "onnx"
        case Quantize():
            return "onnx_small"
        case Tfidf():
            return "tfidf"


def needed_kind(stage: Follows) -> Kind:
    """What a stage can start from."""
    return "onnx" if isinstance(stage, Quantize) else "torch"


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
            written = {"from": known.from_ if isinstance(known, Follows) else None, "teacher": _teacher(known)}
        if known is not None and stage is not None:
            filled.append(known)
        for key in ("from", "teacher"):
            if written.get(key) is not None:
                _check_name(str(written[key]), key, known, name, kinds, later, index, report)
        kinds[name] = result_kind(known) if known is not None else None
        previous = name
    return filled


def _as_written(written: dict[str, Any]) -> Stage | None:
    """A stage with a mistake in it, unchecked: enough to see what it follows and what may follow it."""
    cls = STAGE_TYPES.get(str(written.get("type")))
    if cls is None:
        return None
    named = {key: str(written[key]) for key in ("teacher", "from") if isinstance(written.get(key), str)}
    values: dict[str, Any] = {"teacher": named.get("teacher"), "from_": named.get("from")}
    return cast(Stage, cls.model_construct(id=str(written.get("id")), type=written["type"], **values))


def _with_from(stage: Stage, previous: str | None, index: int, report: Report) -> Stage:
    if not isinstance(stage, Follows) or stage.from_ is not None:
        return stage
    if previous is None:
        report(index, "from", f"{stage.type} works on another stage's result, and none stands before it")
        return stage
    return stage.model_copy(update={"from_": previous})


def _teacher(stage: Stage) -> str | None:
    return stage.teacher if isinstance(stage, Distill | Prune) else None


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
        wanted = needed_kind(stage) if key == "from" and isinstance(stage, Follows) else None
        if stage is not None and wanted is not None and found is not None and found != wanted:
            report(index, key, f"{stage.type} needs {_IN_WORDS[wanted]}; {name} is {_IN_WORDS[found]}")
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
