"""`--set KEY=VALUE`: a value in place of the file's; items of a list go by their ids."""

from typing import Any

import yaml

from compress.errors import did_you_mean
from compress.recipe.source import Document, bracket_hint, parse_value


def apply_override(document: Document, override: str, problems: list[str]) -> None:
    """Sets a value of the document and remembers its place; what cannot be set is added to `problems`."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        problems.append(f"--set {override}: must read KEY=VALUE, e.g. --set stages.teacher.epochs=1")
        return
    try:
        value = parse_value(text)
    except yaml.YAMLError:
        problems.append(f"--set {key}: {text!r} is not a YAML value; quote it{bracket_hint(text)}")
        return
    *parents, last = key.strip().split(".")
    here: Any = document.data
    place: list[str | int] = []
    for depth, part in enumerate(parents):
        where = ".".join(parents[: depth + 1])
        if isinstance(here, list):
            items, here = here, _item(here, part, where, problems)
            place.append(items.index(here) if here is not None else part)
        elif isinstance(here, dict):
            if here.get(part) is None:  # not there, or there without a value
                here[part] = {}
            here = here[part]
            place.append(part)
        else:
            problems.append(
                f"--set {key}: {'.'.join(parents[:depth])} holds a single value, nothing below it can be set"
            )
            return
        if here is None:
            return
    if isinstance(here, list):
        where = ".".join(parents)
        named = any(isinstance(item, dict) and "id" in item for item in here)
        hint = f"name a key of its item, e.g. {where}.{last}.KEY=VALUE" if named else f"set it whole: {where}=[...]"
        problems.append(f"--set {key}: {where} is a list; {hint}")
    elif isinstance(here, dict):
        here[last] = value
        document.set_.add((*place, last))
    else:
        problems.append(f"--set {key}: {'.'.join(parents)} holds a single value, nothing below it can be set")


def _item(items: list[Any], wanted: str, where: str, problems: list[str]) -> Any:
    ids = {str(item.get("id")): item for item in items if isinstance(item, dict)}
    if wanted not in ids:
        problems.append(f"--set {where}: no item has the id {wanted}{did_you_mean(wanted, ids)}; ids: {', '.join(ids)}")
    return ids.get(wanted)
