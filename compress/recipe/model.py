"""The base of every recipe section: frozen, and a key it does not know is an error."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

Item = TypeVar("Item")


class Section(BaseModel):
    """A part of a recipe. Frozen; unknown keys are errors; `from` in YAML is `from_` in Python."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def refuse_ignored(self, keys: Iterable[str], why: str) -> None:
        """Raises ValueError for keys that were written down with a value that would have no effect.

        The default spelt out is no mistake: a recipe written back in full has every key.
        """
        written = [
            key
            for key in keys
            if key in self.model_fields_set and getattr(self, key) != type(self).model_fields[key].default
        ]
        if written:
            raise ValueError(f"{' and '.join(written)} would have no effect here: only {why}")


def one_of(shapes: str, fits: Callable[[object], bool]) -> BeforeValidator:
    """A check, before the branches of a union are tried, that a value is of one of its shapes.

    A mistake is then told once, with all the shapes there are, where one branch alone would deny the others.
    """

    def check(value: object) -> object:
        if fits(value):
            return value
        found = ", ".join(f"{key}: {it}" for key, it in value.items()) if isinstance(value, dict) else None
        raise ValueError(f"must be {shapes}" + (f" (found {{{found}}})" if found is not None else ""))

    return BeforeValidator(check)


def plain_name(marks: str) -> Callable[[str], str]:
    """A check that a name is letters, digits and `marks`, so that it can name a folder. ValueError where it is not."""
    fits = re.compile(rf"[A-Za-z0-9][A-Za-z0-9{re.escape(marks)}]{{0,79}}")

    def check(name: str) -> str:
        if not fits.fullmatch(name):
            raise ValueError(
                f"may hold letters, digits and {' '.join(marks)} only, begins with a letter or digit, and has at most "
                "80 characters"
            )
        return name

    return check


def distinct(items: Sequence[Item]) -> Sequence[Item]:
    """A check that no item of a list stands twice. ValueError where one does."""
    twice = next((item for index, item in enumerate(items) if item in items[:index]), None)
    if twice is not None:
        raise ValueError(f"{twice} stands twice; keep one of them")
    return items
