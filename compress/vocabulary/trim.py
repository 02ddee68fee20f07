"""Tokenizers cut to the pieces that the texts use most: a teacher's for its student, and a model's own."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import EncoderError
from compress.recipe.long_text import TRUNCATE, LongText
from compress.tokenizer import Tokenizer, open_pieces, save_tokenizer
from compress.vocabulary.cut import KINDS, UNCUT, alphabet, ancestors, closed, count_pieces, cut_to, fill, letters_of
from compress.vocabulary.words import by_frequency

_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def teachers_tokenizer(
    teacher: Path, texts: Sequence[str], size: int | None, target: Path, max_tokens: int, long_text: LongText = TRUNCATE
) -> Tokenizer:
    """The tokenizer in the folder `teacher` with the `size` pieces, at most, that `texts` use most, saved in `target`.

    Special tokens and the characters of the texts stay whatever happens; size None keeps every piece. Texts are padded
    on the right and have no segment numbers. Raises EncoderError where `size` leaves no room for what must stay, or
    the tokenizer is of a kind that cannot be cut.
    """
    stored = _stored(teacher)
    kept = _kept(stored, open_pieces(teacher, UNCUT), texts, size)
    _save(cut_to(stored, kept, one_segment=True), teacher, target, max_tokens)
    return open_pieces(target, max_tokens, long_text)


def check_pieces(teacher: Path, texts: Sequence[str], size: int) -> None:
    """Raises EncoderError where teachers_tokenizer would, without reading the texts as tokens; nothing is written."""
    stored = _stored(teacher)
    ids = open_pieces(teacher, UNCUT).inner.get_vocab(with_added_tokens=True)
    if size < len(ids):
        _needed(stored, ids, texts, size)


@dataclass(frozen=True)
class Trimmed:
    """A tokenizer with fewer pieces than it had.

    rows: for each of its V pieces the number that it had (V,). counts: how often the texts use each (V,).
    """

    tokenizer: Tokenizer
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]


def trimmed_tokenizer(
    source: Path,
    texts: Sequence[str],
    min_count: int,
    keep_top: int | None,
    staying: Iterable[int],
    target: Path,
    max_tokens: int,
    long_text: LongText = TRUNCATE,
) -> Trimmed:
    """The tokenizer in the folder `source` with the pieces that `texts` use min_count times or more, saved in `target`.

    keep_top: at most so many pieces, the most used. staying: ids of pieces that stay whatever happens, as special
    tokens, the characters of the texts and the steps of merges do. Padding and segment numbers stay as they are. A text
    of kept pieces alone, none of them the unknown one, is read exactly as before.

    Raises EncoderError as check_trim does.
    """
    stored, whole = _stored(source), open_pieces(source, UNCUT)
    ids: dict[str, int] = dict(whole.inner.get_vocab(with_added_tokens=True))
    needed = _staying(stored, whole, texts, keep_top, staying)
    counts = count_pieces(whole, texts)
    often = {piece: counts[number] for piece, number in ids.items() if counts[number] >= min_count}
    kept = fill(needed, by_frequency(often), ancestors(stored["model"]), keep_top or len(ids))
    cut = cut_to(stored, sorted(kept, key=ids.__getitem__), one_segment=False)
    _save(cut, source, target, max_tokens, whole)
    small = open_pieces(target, max_tokens, long_text)
    rows = np.zeros(small.vocabulary_size, np.int64)
    for piece, number in small.inner.get_vocab(with_added_tokens=True).items():
        rows[number] = ids[piece]
    return Trimmed(small, rows, np.array([counts[number] for number in rows.tolist()], np.int64))


def check_trim(source: Path, texts: Sequence[str], keep_top: int | None, staying: Iterable[int]) -> None:
    """Raises EncoderError where the tokenizer is of a kind that cannot be cut, or keep_top has no room for what stays.

    The texts are not read as tokens, and nothing is written.
    """
    _staying(_stored(source), open_pieces(source, UNCUT), texts, keep_top, staying)


def _staying(
    stored: dict[str, Any], whole: Tokenizer, texts: Sequence[str], keep_top: int | None, staying: Iterable[int]
) -> set[str]:
    """What stays whatever happens."""
    kind = stored["model"]["type"]
    if kind not in KINDS:
        raise EncoderError(
            f"type: the tokenizer is of kind {kind}, and pieces can be taken out of {', '.join(KINDS)} alone. Remove "
            "the stage."
        )
    ids = whole.inner.get_vocab(with_added_tokens=True)
    named = set(staying)
    named_pieces = {piece for piece, number in ids.items() if number in named}
    needed = closed(stored, alphabet(stored, ids, _cleaned_letters(whole, texts)) | named_pieces)
    if keep_top is not None and len(needed) > keep_top:
        raise EncoderError(
            f"keep_top: {keep_top:,} is smaller than the alphabet: special tokens and the pieces of one character that "
            f"train and unlabeled use are {len(needed):,} of the {len(ids):,}, and pieces of several letters come on "
            f"top. Write at least {2 * len(needed):,}, or use min_count."
        )
    return needed


def _cleaned_letters(tokenizer: Tokenizer, texts: Sequence[str]) -> set[str]:
    """The characters of the texts, and what the tokenizer makes of each before it splits."""
    letters = letters_of(texts)
    clean = tokenizer.inner.normalizer
    if clean is None:
        return letters
    return letters | {found for letter in letters for found in clean.normalize_str(letter)}


def _stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return found


def _save(cut: dict[str, Any], source: Path, target: Path, max_tokens: int, reads: Tokenizer | None = None) -> None:
    """Writes the tokenizer with the special tokens of `source`. reads: whose padding it takes over; else on the right.

    It is saved without a class of its own, of which some would build the rules around the pieces anew.
    """
    from tokenizers import Tokenizer as Inner
    from transformers import PreTrainedTokenizerFast

    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {name: _content(config[name]) for name in _TOKENS if config.get(name)}
    made = PreTrainedTokenizerFast(tokenizer_object=Inner.from_str(json.dumps(cut)), **special)
    if reads is not None:
        made.padding_side = "left" if reads.pad_left else "right"
    save_tokenizer(made, target, max_tokens)
    if reads is not None:  # what its class said, and transformers does not write down
        path = target / "tokenizer_config.json"
        types = ["token_type_ids"] if reads.needs_types else []
        said = {"pad_token_type_id": reads.pad_type, "model_input_names": ["input_ids", *types, "attention_mask"]}
        written = json.loads(path.read_text(encoding="utf-8")) | said
        path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _kept(stored: dict[str, Any], tokenizer: Tokenizer, texts: Sequence[str], size: int | None) -> list[str]:
    """The pieces that stay, by their old ids."""
    ids: dict[str, int] = dict(tokenizer.inner.get_vocab(with_added_tokens=True))
    if size is None or size >= len(ids):
        return sorted(ids, key=ids.__getitem__)
    needed = _needed(stored, ids, texts, size)
    counts = count_pieces(tokenizer, texts)
    names = {number: piece for piece, number in ids.items()}
    wanted = by_frequency({names[number]: times for number, times in counts.items() if times})
    return sorted(fill(needed, wanted, ancestors(stored["model"]), size), key=ids.__getitem__)


def _needed(stored: dict[str, Any], ids: dict[str, int], texts: Sequence[str], size: int) -> set[str]:
    """What stays whatever happens. Raises EncoderError where it is more than `size`, or the kind cannot be cut."""
    kind = stored["model"]["type"]
    if kind not in KINDS:
        raise EncoderError(
            f"tokenizer.size: the teacher's tokenizer is of kind {kind}, which cannot be cut to fewer pieces. Leave "
            "size out, or give the student a tokenizer of its own, e.g. type: wordpiece."
        )
    needed = alphabet(stored, ids, letters_of(texts))
    if len(needed) > size:
        raise EncoderError(
            f"tokenizer.size: {size:,} is smaller than the alphabet: the teacher's special tokens and the pieces of "
            f"one character that train and unlabeled use are {len(needed):,}, and pieces of several letters come on "
            f"top. Write at least {2 * len(needed):,}, or give the student a tokenizer of its own."
        )
    return needed
