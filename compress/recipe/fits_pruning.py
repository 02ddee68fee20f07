"""Prunings that cannot be: more heads, neurons or layers taken out than a model has to give."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from compress.recipe.pruning import Prune, PruneLayers, PruneStructured, TrimVocabulary
from compress.recipe.stages import Distill, Stage, shape_of
from compress.recipe.students import FromTeacher, PretrainedStudent, TinyEncoder

NEURONS = 8
"""Neurons are taken out so many together: kernels of matrix products work in eights."""
FAMILIES = "BERT, RoBERTa, DistilBERT, ALBERT, ELECTRA, MPNet and DeBERTa-v2"
"""Whose heads and neurons can be taken out."""
MODEL_TYPES = frozenset(
    {"bert", "roberta", "xlm-roberta", "camembert", "electra", "deberta-v2", "mpnet", "albert", "distilbert"}
)
"""What config.json calls these families and their kin."""
Report = Callable[[int, str, str], None]


@dataclass(frozen=True)
class Parts:
    """What a model has to give: heads and neurons of each layer, layers that share their weights counted once.

    None: not known. layers: how many are computed. projects: whether attention has query and key projections. unknown:
    the family, where it is not known how heads and neurons are taken out of it.
    """

    heads: tuple[int, ...] | None
    neurons: tuple[int, ...] | None
    layers: int
    projects: bool = True
    unknown: str | None = None


def check_pruning(parsed: Sequence[Stage | None], known: Mapping[str, Stage], report: Report) -> None:
    """Reports (index, key, text) for what the shapes of the recipe show; stages with mistakes are None."""
    for index, written in enumerate(parsed):
        stage = known.get(written.id) if written is not None else None
        parent = known.get(stage.from_ or "") if isinstance(stage, Prune) else None
        if isinstance(stage, Prune) and parent is not None:
            parts = parts_of(parent, known)
            found = misfit(stage, parts) if parts is not None else None
            if found is not None:
                report(index, *found)


def misfit(stage: Prune, parts: Parts) -> tuple[str, str] | None:
    """The key of a stage that asks for too much of a model with these parts, and why; None where it can be done."""
    match stage:
        case PruneStructured() if parts.unknown is not None:
            what = f"structured cannot take heads and neurons out of a {parts.unknown}, only of {FAMILIES}"
            return "method", f"{what}; use magnitude or layers"
        case PruneStructured():
            return _too_many_heads(stage.heads, parts) or _too_many_neurons(stage.ffn, parts)
        case PruneLayers(drop=drop):
            return _too_many_layers(drop, stage.how_many, parts.layers)
    return None


def parts_of(stage: Stage, known: Mapping[str, Stage]) -> Parts | None:
    """What a stage's result has, where it goes back to a shape of the recipe. known: the stages before it, by id."""
    shape = shape_of(stage)
    if isinstance(shape, TinyEncoder):
        sets = 1 if shape.share_layers else shape.layers
        ffn = shape.ffn or 4 * shape.width
        return Parts((shape.heads,) * sets, (ffn,) * sets, shape.layers, shape.attention != "dot")
    match stage:
        case Distill(student=PretrainedStudent(init=FromTeacher(from_=name, layers=layers))):
            begun = parts_of(known[name], known) if name in known else None
            return of_layers(begun, layers) if begun is not None else None
        case Prune(from_=str() as name) | TrimVocabulary(from_=str() as name):
            before = parts_of(known[name], known) if name in known else None
            return after(stage, before) if before is not None else None
    return None


def after(stage: Prune | TrimVocabulary, before: Parts) -> Parts:
    """What is left of these parts after a stage; which layers lose heads and neurons is known when it has run."""
    match stage:
        case PruneStructured():
            return replace(before, heads=None, neurons=None)
        case PruneLayers(drop=drop):
            left = max(0, before.layers - stage.how_many)
            if isinstance(drop, tuple):
                return of_layers(before, [layer for layer in range(before.layers) if layer not in drop])
            alike = all(len(set(counts or ())) <= 1 for counts in (before.heads, before.neurons))
            if alike:
                return of_layers(before, range(left))
            return replace(before, heads=None, neurons=None, layers=left)
    return before


def of_layers(parts: Parts, layers: Sequence[int]) -> Parts:
    """What these layers alone have; numbers that the model has no layer of are passed over."""

    def of(counts: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if counts is None or len(counts) < parts.layers:  # shared
            return counts
        return tuple(counts[layer] for layer in layers if layer < len(counts))

    return replace(parts, heads=of(parts.heads), neurons=of(parts.neurons), layers=len(layers))


def _too_many_heads(share: float, parts: Parts) -> tuple[str, str] | None:
    if not share:
        return None
    if not parts.projects:
        return "heads", "attention: dot has no query and key projections to make smaller; use ffn alone"
    counts = parts.heads
    return _too_many("heads", share, counts, 1)


def _too_many_neurons(share: float, parts: Parts) -> tuple[str, str] | None:
    return _too_many("ffn", share, parts.neurons, NEURONS) if share else None


def _too_many(key: str, share: float, counts: tuple[int, ...] | None, together: int) -> tuple[str, str] | None:
    """counts: of each layer. together: so many go at once, and so many stay in each layer."""
    if counts is None:
        return None
    whole, most = sum(counts), sum(max(0, count - together) for count in counts)
    asked = round(share * whole)
    what, least = ("heads", "one") if key == "heads" else ("neurons", str(together))
    layers = "its one layer" if len(counts) == 1 else f"each of {len(counts)} layers"
    if asked > most:
        way = f"set it to at most {int(1000 * most / whole) / 1000:g}" if most else "leave it out"
        return key, f"{share:g} would take out {asked} of {whole} {what}, and {layers} keeps {least}; {way}"
    if 2 * asked < together:
        enough = math.ceil(1000 * together / whole) / 1000
        return key, f"{share:g} of {whole} {what} is none of them; set it to at least {enough:g}, or leave it out"
    return None


def _too_many_layers(drop: int | tuple[int, ...], how_many: int, layers: int) -> tuple[str, str] | None:
    missing = [layer for layer in drop if layer >= layers] if isinstance(drop, tuple) else []
    if missing:
        return "drop", f"there is no layer {missing[0]}: the model has {layers}, numbered 0 to {layers - 1}"
    if how_many >= layers:
        what = "its one layer" if layers == 1 else f"{how_many} of {layers} layers"
        return "drop", f"would take out {what}; leave one at least"
    return None
