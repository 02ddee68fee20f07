"""The `goals` section of a recipe: what its models must reach. `fits_goals` sees that the recipe can tell."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from compress.recipe.model import distinct
from eval.errors import GoalError, UnknownMetricError
from eval.goals.goal import Goal
from eval.goals.text import parse_goal

UNKNOWN_METRIC = "unknown_metric"  # the type of such a mistake


def _text(value: object) -> object:
    if isinstance(value, str):
        return value
    raise ValueError(
        "a goal is a line of text, e.g. macro_f1 >= teacher - 0.01; quote it where YAML reads it otherwise"
    )


def _parses(text: str) -> str:
    try:
        return str(parse_goal(text))
    except UnknownMetricError as error:  # told by fits_goals, which knows the task and so its metrics
        raise PydanticCustomError(UNKNOWN_METRIC, "{said}", {"said": str(error)}) from error
    except GoalError as error:
        raise ValueError(str(error)) from error


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _shape(value: object) -> str:
    """A mapping or else a list, so that a mistake is told once."""
    return "by candidate" if isinstance(value, dict) else "of the last stage"


GoalText = Annotated[str, AfterValidator(_parses), BeforeValidator(_text)]
GoalList = Annotated[tuple[GoalText, ...], BeforeValidator(_as_list), AfterValidator(distinct)]
Goals = Annotated[
    Annotated[dict[str, GoalList], Tag("by candidate")] | Annotated[GoalList, Tag("of the last stage")],
    Discriminator(_shape),
]


def by_candidate(goals: Mapping[str, Sequence[str]] | Sequence[str], last: str) -> dict[str, tuple[Goal, ...]]:
    """Each candidate's goals. last: the id of the last stage, whose a plain list is."""
    named = goals if isinstance(goals, Mapping) else {last: goals}
    return {name: tuple(parse_goal(text) for text in texts) for name, texts in named.items()}
