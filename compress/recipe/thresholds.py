"""The recipe's `thresholds`: by which rule validation rows turn a label's probability into a decision."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from compress.recipe.model import Section, one_of


class FBeta(Section):
    """The highest F-beta (van Rijsbergen 1979): recall counts `f_beta` times as much as precision."""

    f_beta: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AtPrecision(Section):
    """The highest recall with such a precision at least."""

    precision: Annotated[float, Field(gt=0, lt=1)]


def _kind(value: object) -> str:
    """Which of the three it is, so that a mistake in it is told once; no tag is a key, as places leave tags out."""
    if isinstance(value, FBeta | AtPrecision):
        return "an F-beta" if isinstance(value, FBeta) else "a precision"
    if isinstance(value, dict):
        return "a precision" if "precision" in value else "an F-beta"
    return "a name"


def _fits(value: object) -> bool:
    keys = set(value) if isinstance(value, dict) else None
    return isinstance(value, FBeta | AtPrecision) or value == "max_f1" or keys in ({"f_beta"}, {"precision"})


Thresholds = Annotated[
    Annotated[Literal["max_f1"], Tag("a name")]
    | Annotated[FBeta, Tag("an F-beta")]
    | Annotated[AtPrecision, Tag("a precision")],
    Discriminator(_kind),
    one_of("max_f1, {f_beta: N} or {precision: P}, one of them", _fits),
]
