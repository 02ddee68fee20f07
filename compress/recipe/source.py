"""YAML with places: plain data plus the line of every key, so that each mistake can be pointed at."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from compress.errors import RecipeError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of scalars: only true and false are booleans, and 1e-4 is a number.

    PyYAML follows YAML 1.1, which reads a label called `no` as False and `1e-4` as text.
    """


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


@dataclass
class Document:
    """A parsed YAML mapping. lines: 1-based line of every key and item, by its path."""

    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """Line of `path`, or of the nearest thing around it that stands in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


def parse_value(text: str) -> Any:
    """One YAML value, as in `--set KEY=VALUE`. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader


def parse(text: str, source: str) -> Document:
    """Parses a recipe. Raises RecipeError for bad syntax, a key that stands twice or a recipe that is no mapping."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise RecipeError(["the file holds no mapping; a recipe begins with `version: 1`"], source)
        document = Document({})
        duplicates: list[str] = []
        _walk(node, (), document.lines, duplicates)
        document.data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise RecipeError([f"{place}not valid YAML: {error.problem or error.context}"], source) from error
    finally:
        loader.dispose()
    if duplicates:
        raise RecipeError(duplicates, source)
    return document


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], duplicates: list[str]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, duplicates)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*path, str(key.value))
            if key.value in seen:
                where = ".".join(str(part) for part in inner)
                duplicates.append(f"line {key.start_mark.line + 1}: {where}: stands twice; keep one of them")
            seen.add(key.value)
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, duplicates)
