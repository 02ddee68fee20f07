"""A teacher's tokenizer cut to the pieces that the texts use most: a text of these alone is read as before.

Why that holds: WordPiece takes the longest piece that fits, a unigram model the likeliest split, byte pairs the merges
by their rank, and none of these changes where only pieces go that were not chosen. Of byte pairs the pieces on the way
to a kept one stay too. A word that the teacher reads as unknown may be read in pieces afterwards.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import EncoderError
from compress.recipe.long_text import TRUNCATE, LongText
from compress.tokenizer import Tokenizer, open_pieces, save_tokenizer
from compress.vocabulary.words import by_frequency

UNCUT = 2**30
"""A max_tokens that cuts nothing."""
_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def teachers_tokenizer(
    teacher: Path, texts: Sequence[str], size: int | None, target: Path, max_tokens: int, long_text: LongText = TRUNCATE
) -> Tokenizer:
    """The tokenizer in the folder `teacher` with the `size` pieces, at most, that `texts` use most, saved in `target`.

    Special tokens and the characters of the texts stay whatever happens; size None keeps every piece. Texts are padded
    on the right and have no segment numbers. Raises EncoderError where `size` leaves no room for what must stay, or
    the tokenizer is of a kind that cannot be cut.
    """
    from tokenizers import Tokenizer as Inner
    from transformers import PreTrainedTokenizerFast

    stored = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))
    kept = _kept(stored, open_pieces(teacher, UNCUT), texts, size)
    inner = Inner.from_str(json.dumps(_cut(stored, kept)))
    config = json.loads((teacher / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {name: _content(config[name]) for name in _TOKENS if config.get(name)}
    save_tokenizer(PreTrainedTokenizerFast(tokenizer_object=inner, **special), target, max_tokens)
    return open_pieces(target, max_tokens, long_text)


def check_pieces(teacher: Path, texts: Sequence[str], size: int) -> None:
    """Raises EncoderError where teachers_tokenizer would, without reading the texts as tokens; nothing is written."""
    stored = json.loads((teacher / "tokenizer.json").read_text(encoding="utf-8"))
    ids = open_pieces(teacher, UNCUT).inner.get_vocab(with_added_tokens=True)
    if size < len(ids):
        _needed(stored, ids, texts, size)


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _kept(stored: dict[str, Any], tokenizer: Tokenizer, texts: Sequence[str], size: int | None) -> list[str]:
    """The pieces that stay, by their old ids."""
    ids: dict[str, int] = dict(tokenizer.inner.get_vocab(with_added_tokens=True))
    if size is None or size >= len(ids):
        return sorted(ids, key=ids.__getitem__)
    needed = _needed(stored, ids, texts, size)
    counts = _count_pieces(tokenizer, texts)
    names = {number: piece for piece, number in ids.items()}
    wanted = by_frequency({names[number]: times for number, times in counts.items() if times})
    return sorted(_fill(needed, wanted, _ancestors(stored["model"]), size), key=ids.__getitem__)


def _count_pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for run in tokenizer.runs(texts):
        used, times = np.unique(np.concatenate([item.ids for item in run.tokens]), return_counts=True)
        counts.update(dict(zip(used.tolist(), times.tolist(), strict=True)))
    return counts


def _needed(stored: dict[str, Any], ids: dict[str, int], texts: Sequence[str], size: int) -> set[str]:
    """What stays whatever happens. Raises EncoderError where it is more than `size`, or the kind cannot be cut."""
    kind = stored["model"]["type"]
    if kind not in {"WordPiece", "BPE", "Unigram"}:
        raise EncoderError(
            f"tokenizer.size: the teacher's tokenizer is of kind {kind}, which cannot be cut to fewer pieces. Leave "
            "size out, or give the student a tokenizer of its own, e.g. type: wordpiece."
        )
    needed = _alphabet(stored, ids, texts)
    if len(needed) > size:
        raise EncoderError(
            f"tokenizer.size: {size:,} is smaller than the alphabet: the teacher's special tokens and the pieces of "
            f"one character that train and unlabeled use are {len(needed):,}, and pieces of several letters come on "
            f"top. Write at least {2 * len(needed):,}, or give the student a tokenizer of its own."
        )
    return needed


def _alphabet(stored: dict[str, Any], ids: dict[str, int], texts: Sequence[str]) -> set[str]:
    """Special tokens, bytes, and pieces of one character that the texts hold."""
    model = stored["model"]
    special = {token["content"] for token in stored.get("added_tokens", ())}
    if isinstance(model.get("unk_id"), int):
        special.add(model["vocab"][model["unk_id"]][0])
    if model.get("unk_token"):
        special.add(model["unk_token"])
    letters = {letter for text in texts for letter in text}
    letters |= {letter for upper in letters for letter in upper.lower()}
    whole_bytes = _is_byte_level(stored)

    def stays(piece: str) -> bool:
        bare = piece.removeprefix("##").lstrip("▁")
        if model.get("byte_fallback") and len(piece) == 6 and piece.startswith("<0x"):
            return True
        return piece == "▁" or (len(bare) == 1 and (bare in letters or whole_bytes))

    return (special & ids.keys()) | {piece for piece in ids if stays(piece)}


def _is_byte_level(stored: dict[str, Any]) -> bool:
    """Whether a character of a piece stands for a byte: then all of them may be needed by a text to come."""
    return '"ByteLevel"' in json.dumps([stored.get("pre_tokenizer"), stored.get("normalizer")])


def _ancestors(model: dict[str, Any]) -> Callable[[str], Iterable[str]]:
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


def _fill(needed: set[str], wanted: Sequence[str], parents: Callable[[str], Iterable[str]], size: int) -> set[str]:
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


def _cut(stored: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """The file with the kept pieces alone, numbered anew in their order."""
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
    processor = _renumbered(stored.get("post_processor"), number)
    return stored | {
        "model": model,
        "added_tokens": added,
        "post_processor": processor,
        "truncation": None,
        "padding": None,
    }


def _renumbered(processor: Any, number: dict[str, int]) -> Any:
    """The rules that put special tokens around a text, with their new numbers and without segments."""
    match processor:
        case {"type": "Sequence", "processors": list(parts)}:
            return processor | {"processors": [_renumbered(part, number) for part in parts]}
        case {"type": "TemplateProcessing", "single": [*single], "pair": [*pair], "special_tokens": dict(tokens)}:
            renamed = {
                name: token | {"ids": [number[one] for one in token["tokens"]]} for name, token in tokens.items()
            }
            unsegmented = {"single": _in_one_segment(single), "pair": _in_one_segment(pair)}
            return processor | unsegmented | {"special_tokens": renamed}
        case {"sep": [str(sep), int()], "cls": [str(cls), int()]}:  # BERT's and RoBERTa's
            return processor | {"sep": [sep, number[sep]], "cls": [cls, number[cls]]}
        case _:
            return processor


def _in_one_segment(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{kind: item | {"type_id": 0} for kind, item in piece.items()} for piece in pieces]
