"""Architectures side by side as formatted strings: attributes down, models across."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from compress.architecture.types import TOKENS, Architecture, Stack

MISSING = "–"
_FRAME, _FRAME_OF_COLUMN = 1, 3  # characters that rich draws besides the text
_EXACT = 10_000
_UNITS = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


@dataclass(frozen=True)
class Comparison:
    """Models side by side, ready to print. rows: an attribute, and its value for each model."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def comparisons(models: Sequence[Architecture], width: int) -> tuple[Comparison, ...]:
    """The models in as few tables as fit into `width` characters; at least one model a table, however wide it is."""
    headings = short_names(models)
    groups: list[list[int]] = []
    for index in range(len(models)):
        together = [*groups[-1], index] if groups else [index]
        if groups and _width(_compare(models, headings, together)) <= width:
            groups[-1] = together
        else:
            groups.append([index])
    return tuple(_compare(models, headings, group) for group in groups)


def _compare(models: Sequence[Architecture], headings: Sequence[str], group: Sequence[int]) -> Comparison:
    """Some of the models, with each attribute that at least one of them has."""
    rows = [(attribute, *(of(models[index]) or MISSING for index in group)) for attribute, of in _ATTRIBUTES]
    kept = tuple(row for row in rows if set(row[1:]) != {MISSING})
    return Comparison(tuple(headings[index] for index in group), kept)


def _width(table: Comparison) -> int:
    columns = zip(("", *table.headings), *table.rows, strict=True)
    return _FRAME + sum(max(map(len, column)) + _FRAME_OF_COLUMN for column in columns)


def short_names(models: Sequence[Architecture]) -> tuple[str, ...]:
    """Short names of the models: as many of the last parts of their paths as tell them apart."""
    parts = [_path(model.name) for model in models]
    return tuple("/".join(path[-_depth(path, parts) :]) for path in parts)


def use_lines(models: Sequence[Architecture]) -> tuple[str, ...]:
    """What can be done with each model, and what to know before."""
    return tuple(f"{heading}: {_uses(model)}" for heading, model in zip(short_names(models), models, strict=True))


def _uses(model: Architecture) -> str:
    remarks = "; ".join(model.remarks)
    if not model.uses:
        return f"no: {remarks}"
    return ", ".join(model.uses) + (f"; {remarks}" if remarks else "")


def _path(name: str) -> tuple[str, ...]:
    if name.startswith("package:"):  # what its folder is called says little
        return (name.removeprefix("package:"),)
    found = PurePath(name).parts
    return (found[:-1] if len(found) > 1 and found[-1] == "config.json" else found) or (name,)


def _depth(path: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> int:
    for depth in range(1, len(path)):
        if sum(other[-depth:] == path[-depth:] for other in others) == 1:
            return depth
    return len(path)


def readable(number: int) -> str:
    """109,482,240 as `109.5 M`: four digits, exact below 10,000."""
    if number < _EXACT:
        return f"{number:,}"
    rounded = float(f"{number:.4g}")
    unit, size = next((unit, size) for unit, size in _UNITS if rounded >= size)
    before = len(str(int(rounded / size)))
    return f"{rounded / size:.{max(0, 4 - before)}f} {unit}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _part(value: int) -> str:
    return readable(value) if value else ""


def _megabytes(value: int | None) -> str:
    return "" if value is None else f"{value / 1e6:,.{1 if value >= 1e7 else 2}f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _layers(stack: Stack | None) -> str:
    if stack is None or stack.layers is None:
        return ""
    return f"{stack.layers}" if stack.distinct in {None, stack.layers} else f"{stack.layers}, sharing {stack.distinct}"


def _range(by_layer: tuple[int, ...] | None, otherwise: int | None) -> str:
    """One number, or the least and the most of layers that differ."""
    if by_layer is None or len(set(by_layer)) == 1:
        return _number(by_layer[0] if by_layer else otherwise)
    return f"{min(by_layer):,} to {max(by_layer):,}"


def _heads(stack: Stack) -> str:
    if stack.heads is None or stack.kv_heads in {None, stack.heads}:
        return _range(stack.heads_by_layer, stack.heads)
    return f"{stack.heads}, {stack.kv_heads} key/value"


def _both(model: Architecture, of: Callable[[Stack], str]) -> str:
    """Of the encoder and the decoder, once where they are alike."""
    found = [of(stack) for stack in (model.encoder, model.decoder) if stack is not None]
    return " / ".join(dict.fromkeys(value for value in found if value))


def _dropouts(model: Architecture) -> str:
    if model.attention_dropout in {None, model.dropout}:
        return _share(model.dropout)
    return f"{_share(model.dropout) or MISSING}, attention {_share(model.attention_dropout)}"


def _multiply_adds(model: Architecture) -> str:
    if model.multiply_adds is None:
        return ""
    cut = f" ({model.tokens} tokens)" if model.tokens != TOKENS else ""
    return readable(model.multiply_adds) + cut


_ATTRIBUTES: tuple[tuple[str, Callable[[Architecture], str | None]], ...] = (
    ("source", lambda model: model.source),
    ("family", lambda model: model.family),
    ("class", lambda model: model.model_class),
    ("encoder layers", lambda model: _layers(model.encoder)),
    ("decoder layers", lambda model: _layers(model.decoder)),
    ("width", lambda model: _number(model.width)),
    ("heads", lambda model: _both(model, _heads)),
    ("feed-forward width", lambda model: _both(model, lambda stack: _range(stack.ffn_by_layer, stack.ffn))),
    ("activation", lambda model: model.activation),
    ("dropout", _dropouts),
    ("normalization", lambda model: model.normalization),
    ("positions", lambda model: model.positions),
    ("max positions", lambda model: _number(model.max_positions)),
    ("max tokens", lambda model: _number(model.max_tokens)),
    ("vocabulary", lambda model: _number(model.vocabulary)),
    ("pooling", lambda model: model.pooling),
    ("parameters", lambda model: readable(model.parameters.total)),
    ("  embeddings", lambda model: _part(model.parameters.embeddings)),
    ("  encoder", lambda model: _part(model.parameters.encoder)),
    ("  decoder", lambda model: _part(model.parameters.decoder)),
    ("  head", lambda model: _part(model.parameters.head)),
    ("MB as fp32", lambda model: _megabytes(model.fp32_bytes)),
    ("MB as fp16", lambda model: _megabytes(model.fp16_bytes)),
    ("MB as int8", lambda model: _megabytes(model.int8_bytes)),
    ("MB of weights here", lambda model: _megabytes(model.weights_bytes)),
    (f"multiply-adds, {TOKENS} tokens", _multiply_adds),
)
