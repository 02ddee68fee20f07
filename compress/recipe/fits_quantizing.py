"""Schemes that have nothing to work on: calibration of a graph that takes texts, labels of a regression."""

from collections.abc import Callable, Mapping, Sequence

from compress.recipe.follows import result_kind
from compress.recipe.quantizing import Fp16, Int8Dynamic, Int8Static, Quantize
from compress.recipe.stages import Export, Stage

Report = Callable[[int, str, str], None]


def check_quantizing(
    parsed: Sequence[Stage | None], known: Mapping[str, Stage], task_type: object, report: Report
) -> None:
    """Reports (index, key, text) for each key that such a model or task has no use for; stages with mistakes are None.

    known: stages by id.
    """
    for index, stage in enumerate(parsed):
        if not isinstance(stage, Quantize):
            continue
        fallback = isinstance(stage, Int8Dynamic | Int8Static) and stage.fallback is not None
        if task_type == "regression" and fallback:
            text = "holds labels within tolerances, and a regression has values; use max_drop, which is of R², instead"
            report(index, "fallback", text)
        filled = known.get(stage.id, stage)
        if isinstance(filled, Quantize) and _takes_texts(filled, known):
            _check_tables(index, filled, fallback, report)


def _check_tables(index: int, stage: Quantize, fallback: bool, report: Report) -> None:
    """Of a linear model or an embedding_bag nearly all is a table, which needs neither calibration nor fallback."""
    if not isinstance(stage, Fp16 | Int8Dynamic):
        text = f"{stage.from_} is a graph that takes texts, whose tables only fp16 and int8_dynamic make smaller"
        report(index, "scheme", f"{text}; use one of them")
    elif fallback:
        text = "is for matrix products, and of a graph that takes texts only the tables become int8; remove it"
        report(index, "fallback", text)


def _takes_texts(stage: Quantize, known: Mapping[str, Stage]) -> bool:
    parent = known.get(stage.from_ or "")
    written = known.get(parent.from_ or "") if isinstance(parent, Export) else None
    return written is not None and result_kind(written) == "ngrams"
