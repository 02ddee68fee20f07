"""YAML with places: plain data plus the line of every key, so that each mistake can be pointed at."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from compress.errors import RecipeError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of scalars: only true and false are booleans, 1e-4 is a number, dates and 1:30 are text.

    PyYAML follows YAML 1.1, which reads a label called `no` as False, `1e-4` as text and class `010` as 8. Digits after
    a leading zero are text here: they are somebody's label.
    """


_REPLACED = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


@dataclass
class Document:
    """A parsed YAML mapping.

    lines: 1-based line of every key and item, by its path. set_: paths that --set filled. taken: the name of the
    variable whose value stands at a path, whole.
    """

    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)
    set_: set[Path] = field(default_factory=set)
    taken: dict[Path, str] = field(default_factory=dict)

    def is_set(self, path: Path) -> bool:
        """Whether what stands there is not the file's, but came from --set."""
        return any(path[: len(one)] == one for one in self.set_)

    def sets_below(self, path: Path) -> list[Path]:
        """What of the value that stands there came from --set."""
        return sorted((one for one in self.set_ if path and one[: len(path)] == path), key=str)

    def taking(self, path: Path) -> Path | None:
        """Where a variable's value begins that `path` lies in; None where it lies in none."""
        return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.taken), None)

    def origin(self, path: Path) -> Path:
        """Where the value at `path` is written: in `vars`, if it was taken from there, else `path` itself."""
        taking = self.taking(path)
        if taking is None:
            return path
        # its value may hold others, of those above it
        return self.origin(("vars", self.taken[taking], *path[len(taking) :]))

    def line(self, path: Path) -> int | None:
        """Line of `path`, or of the nearest thing around it that stands in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


# what PyYAML raises for `!!int x` and the like
_ODD_TAGS = (ValueError, AttributeError, TypeError)


def parse_value(text: str) -> Any:
    """One YAML value, as in `--set KEY=VALUE`. Raises yaml.YAMLError."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        duplicates: list[str] = []
        _walk(node, (), {}, duplicates)
        if duplicates:
            raise yaml.YAMLError(duplicates[0])
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("an alias (*) that holds itself") from error
    except _ODD_TAGS as error:
        raise yaml.YAMLError(f"a tag (!!) does not fit its value: {error}") from error


def parse(text: str, source: str) -> Document:
    """Parses a recipe. Raises RecipeError for bad syntax, a key that stands twice or a recipe that is no mapping."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise RecipeError(["the file holds no mapping; a recipe begins with `version: 1`"], source)
        document = Document({})
        duplicates: list[str] = []
        _walk(node, (), document.lines, duplicates)
        document.data = _apart(loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        hint = bracket_hint(_between(text, error.context_mark, error.problem_mark))
        raise RecipeError([f"{place}not valid YAML: {error.problem or error.context}{hint}"], source) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError([f"line {line}: not valid YAML: a control character; remove it"], source) from error
    except RecursionError as error:
        raise RecipeError(["not valid YAML: an alias (*) that holds itself"], source) from error
    except _ODD_TAGS as error:
        raise RecipeError([f"not valid YAML: a tag (!!) does not fit its value: {error}"], source) from error
    if duplicates:
        raise RecipeError(duplicates, source)
    return document


def _apart(value: Any) -> Any:
    """The same data where every alias (*) is a copy of its own, so that `--set` changes what it names and no more."""
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items()}
    return [_apart(item) for item in value] if isinstance(value, list) else value


def bracket_hint(text: str) -> str:
    """What to do where a goal with brackets stands bare in a list in brackets, which YAML cannot read."""
    if not re.search(r"\[.*\w\[", text, re.DOTALL):
        return ""
    return '; inside [...] a goal with brackets stands in quotes: ["p95_ms[cpu] <= 15"]'


def _between(text: str, start: yaml.Mark | None, end: yaml.Mark | None) -> str:
    """The lines from one mark to the other; none where either is missing."""
    return "\n".join(text.splitlines()[start.line : end.line + 1]) if start and end else ""


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], duplicates: list[str]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, duplicates)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # a list or a mapping as a key: the constructor says so
            inner = (*path, str(key.value))
            if key.value in seen:
                where = ".".join(str(part) for part in inner)
                duplicates.append(f"line {key.start_mark.line + 1}: {where}: stands twice; keep one of them")
            seen.add(key.value)
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, duplicates)
