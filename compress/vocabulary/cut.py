"""A tokenizer.json cut to some of its pieces: a text of these alone is read as before.

Why that holds: WordPiece takes the longest piece that fits, a unigram model the likeliest split, byte pairs the merges
by their rank, and none of these changes where only pieces go that were not chosen. Of byte pairs the pieces on the way
to a kept one stay too. A word that was read as unknown may be read in pieces afterwards.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

import numpy as np

from compress.tokenizer import Tokenizer

KINDS = ("WordPiece", "BPE", "Unigram")
"""The kinds of tokenizers that can be cut."""
UNCUT = 2**30
"""A max_tokens that cuts no text."""


def count_pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    """How often each piece, by its id, stands in the texts; special tokens among them."""
    counts: Counter[int] = Counter()
    for run in tokenizer.runs(texts):
        used, times = np.unique(np.concatenate([item.ids for item in run.tokens]), return_counts=True)
        counts.update(dict(zip(used.tolist(), times.tolist(), strict=True)))
    return counts


def letters_of(texts: Iterable[str]) -> set[str]:
    """The characters of the texts, and those of their lower case."""
    letters = set[str]().union(*texts)
    return letters | {letter for upper in letters for letter in upper.lower()}


def alphabet(stored: dict[str, Any], ids: Iterable[str], letters: Set[str]) -> set[str]:
    """Special tokens, bytes, and pieces of one of these characters. stored: tokenizer.json; ids: its pieces."""
    model = stored["model"]
    special = {token["content"] for token in stored.get("added_tokens", ())}
    if isinstance(model.get("unk_id"), int):
        special.add(model["vocab"][model["unk_id"]][0])
    if model.get("unk_token"):
        special.add(model["unk_token"])
    whole_bytes = _is_byte_level(stored)

    def stays(piece: str) -> bool:
        bare = piece.removeprefix("##").lstrip("▁")
        if model.get("byte_fallback") and len(piece) == 6 and piece.startswith("<0x"):
            return True
        return piece in special or piece == "▁" or (len(bare) == 1 and (bare in letters or whole_bytes))

    return {piece for piece in ids if stays(piece)}


def _is_byte_level(stored: dict[str, Any]) -> bool:
    """Whether a character of a piece stands for a byte: then all of them may be needed by a text to come."""
    return '"ByteLevel"' in json.dumps([stored.get("pre_tokenizer"), stored.get("normalizer")])


def ancestors(model: dict[str, Any]) -> Callable[[str], Iterable[str]]:
    """piece -> the pieces that merges make it of, directly; none but for byte pairs."""
    parts: defaultdict[str, set[str]] = defaultdict(set)
    if model["type"] == "BPE":
        for left, right in _merges(model):
            parts[_merged(model, left, right)] |= {left, right}
    return lambda piece: parts.get(piece, ())


def _merges(model: dict[str, Any]) -> list[tuple[str, str]]:
    """Pairs in the order of their rank; older files write them as one string."""
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"])
    return [(str(left), str(right)) for left, right in pairs]


def _merged(model: dict[str, Any], left: str, right: str) -> str:
    """What a merge makes; a prefix that marks the inside of words stands once."""
    return left + right.removeprefix(model.get("continuing_subword_prefix") or "")


def fill(needed: Set[str], wanted: Sequence[str], parents: Callable[[str], Iterable[str]], size: int) -> set[str]:
    """`needed` and then `wanted` in order, each with all that it is made of, while there is room."""
    kept = set(needed)
    for piece in wanted:
        more: set[str] = set()
        open_ = [piece]
        while open_:
            one = open_.pop()
            if one not in kept and one not in more:
                more.add(one)
                open_.extend(parents(one))
        if len(kept) + len(more) <= size:
            kept |= more
    return kept


def closed(stored: dict[str, Any], pieces: Set[str]) -> set[str]:
    """These pieces and what their reading hangs on: what merges make them of, and of a unigram model its unlikeliest.

    By that one's score such a model tells what an unknown character costs, and so which split is the likeliest.
    """
    model = stored["model"]
    least = {min(model["vocab"], key=lambda item: item[1])[0]} if model["type"] == "Unigram" else set()
    return fill(set(), sorted(pieces | least), ancestors(model), sys.maxsize)


def cut_to(stored: dict[str, Any], kept: Sequence[str], one_segment: bool) -> dict[str, Any]:
    """The file with the kept pieces alone, numbered anew in their order. one_segment: texts get no segment numbers."""
    model = dict(stored["model"])
    unigram = model["type"] == "Unigram"
    own = {item[0] for item in model["vocab"]} if unigram else model["vocab"].keys()
    # added tokens that stand outside the model's own list are numbered after it by the library
    ordered = [*(piece for piece in kept if piece in own), *(piece for piece in kept if piece not in own)]
    number = {piece: place for place, piece in enumerate(ordered)}
    if unigram:
        unknown = model["vocab"][model["unk_id"]][0] if model.get("unk_id") is not None else None
        model["vocab"] = [item for item in model["vocab"] if item[0] in number]
        model["unk_id"] = number[unknown] if unknown is not None else None
    else:
        model["vocab"] = {piece: number[piece] for piece in model["vocab"] if piece in number}
    if model["type"] == "BPE":
        pairs = [(left, right) for left, right in _merges(model) if {left, right} <= number.keys()]
        model["merges"] = [list(pair) for pair in pairs if _merged(model, *pair) in number]
    added = [token | {"id": number[token["content"]]} for token in stored.get("added_tokens", ())]
    processor = _renumbered(stored.get("post_processor"), number, one_segment)
    return stored | {
        "model": model,
        "added_tokens": added,
        "post_processor": processor,
        "truncation": None,
        "padding": None,
    }


def _renumbered(processor: Any, number: dict[str, int], one_segment: bool) -> Any:
    """The rules that put special tokens around a text, with their new numbers."""
    match processor:
        case {"type": "Sequence", "processors": list(parts)}:
            return processor | {"processors": [_renumbered(part, number, one_segment) for part in parts]}
        case {"type": "TemplateProcessing", "single": [*single], "pair": [*pair], "special_tokens": dict(tokens)}:
            renamed = {
                name: token | {"ids": [number[one] for one in token["tokens"]]} for name, token in tokens.items()
            }
            rules = {"single": _in_one_segment(single), "pair": _in_one_segment(pair)} if one_segment else {}
            return processor | rules | {"special_tokens": renamed}
        case {"sep": [str(sep), int()], "cls": [str(cls), int()]}:  # BERT's and RoBERTa's
            return processor | {"sep": [sep, number[sep]], "cls": [cls, number[cls]]}
        case _:
            return processor


def _in_one_segment(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{kind: item | {"type_id": 0} for kind, item in piece.items()} for piece in pieces]
