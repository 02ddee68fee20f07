"""Where models cut texts, as far as a recipe shows it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from compress.recipe.follows import result_kind
from compress.recipe.stages import Distill, Export, Finetune, Load, Quantize, Recovering, Stage, Tfidf

NOTHING: Mapping[str, int | None] = MappingProxyType({})


def max_tokens_of(stage: Stage, stages: Mapping[str, Stage], known: Mapping[str, int | None] = NOTHING) -> int | None:
    """Where the stage's model will cut texts. stages: by id. known: what was found of those before it, by id.

    None where there are no tokens, or where only the model that is loaded can say.
    """

    def other(name: str) -> int | None:
        if name in known:
            return known[name]
        return max_tokens_of(stages[name], stages, known) if name in stages else None

    match stage:
        case Load():
            return stage.max_tokens
        case Finetune():
            own = None if isinstance(stage.encoder, str) else stage.encoder.max_tokens
            return own or stage.max_tokens
        case Distill():
            teachers = (name for name in stage.teacher_ids if name in stages and is_transformer(stages[name], stages))
            return stage.student.max_tokens or next((tokens for name in teachers if (tokens := other(name))), None)
        case Recovering() | Export() | Quantize():
            return other(stage.from_) if stage.from_ else None
        case Tfidf():
            return None
        case _ as unknown:
            assert_never(unknown)


def is_transformer(stage: Stage, stages: Mapping[str, Stage]) -> bool:
    """Whether a stage's model reads pieces in their order, exported or not: others count a text's words, or nothing."""
    match stage:
        case Export(from_=str() as name) | Quantize(from_=str() as name):
            return name in stages and is_transformer(stages[name], stages)
        case _:
            return result_kind(stage) == "torch"
