"""Our frozen dataclasses as plain JSON data, and back, exactly."""

from dataclasses import asdict
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from eval.errors import InvalidInputError

T = TypeVar("T")


def dump(value: Any) -> dict[str, Any]:
    """A dataclass, however deep, as dicts and lists of JSON's own types; `read` gives it back."""
    plain: dict[str, Any] = asdict(value)
    return plain


def read(kind: type[T], data: Any) -> T:
    """What `dump` wrote of a `kind`. Keys added by a later version are passed over; ones it does not know yet take
    their default. Raises InvalidInputError if one is missing or of another type.
    """
    try:
        of: Any = kind
        found: T = _adapter(of).validate_python(data)
        return found
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{where}: {first['msg']}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
