"""How a recipe's mistakes are told: each with its line and place, and one in a variable's value once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from compress.recipe.source import Document, Path


@dataclass(frozen=True)
class Mistake:
    """What is wrong at a place of the recipe. text: "what is wrong; the next step"."""

    place: Path
    text: str


def tell(mistakes: Iterable[Mistake], document: Document, data: Any) -> list[str]:
    """A line for each mistake. data: the recipe with the values of its variables in their places.

    What is wrong with a variable's value is told at that value, once for all the places that take it, which it names.
    """
    told: dict[tuple[Path, str], list[Mistake]] = {}
    for mistake in mistakes:
        place = document.origin(mistake.place)
        # the next step may differ from stage to stage: which ones stand before it
        what = mistake.text if place == mistake.place else mistake.text.partition(";")[0]
        told.setdefault((place, what), []).append(mistake)
    lines = []
    for (place, _), same in told.items():
        users = [document.taking(mistake.place) for mistake in same]
        names = ", ".join(dict.fromkeys(readable(user, data) for user in users if user is not None))
        lines.append(say(document, place, same[0].text + (f" (used in {names})" if names else ""), data))
    return lines


def say(document: Document, place: Path, text: str, data: Any) -> str:
    """The text with its place: the line, or --set where the value is from there, then the keys."""
    shown = readable(place, data)
    if document.is_set(place):
        return f"--set {shown}: {text}"
    sets = ", ".join(f"--set {readable(one, data)}" for one in document.sets_below(place))
    line = document.line(place) if document.lines else None
    where = f"line {line}" + (f" with {sets}" if sets else "") if line else ""
    return (f"{where}: " if where else "") + (f"{shown}: " if shown else "") + text


def readable(place: Path, data: Any) -> str:
    """`stages.teacher.epochs`: list items that have an id are named by it, as `--set` names them."""
    parts: list[str] = []
    for part in place:
        data = data[part] if holds(data, part) else None
        named = isinstance(part, int) and isinstance(data, dict) and data.get("id")
        parts.append(str(data["id"]) if named else str(part))
    return ".".join(parts)


def holds(data: Any, part: str | int) -> bool:
    """Whether `data[part]` is there."""
    return (isinstance(data, dict) and part in data) or (
        isinstance(data, list) and isinstance(part, int) and part < len(data)
    )
