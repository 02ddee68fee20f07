"""Text to token ids with the Rust tokenizers alone (no transformers): the same code trains, predicts and exports.

Long texts are cut here. Batches are padded to their longest piece, on the side the tokenizer's own configuration names.
"""

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.artifact import library_versions, sha256_text
from compress.errors import EncoderError
from compress.ngrams.tokenizer import NGRAMS, open_ngrams
from compress.pieces import Pieces, Reader, TokenIds, cuts, text_runs
from compress.recipe.long_text import TRUNCATE, LongText
from compress.threads import all_threads

Batch = dict[str, NDArray[np.int64]]
# characters given to Rust at once: its encodings take about 100 bytes for each
_RUN_CHARACTERS = 1_000_000
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", NGRAMS)


class Tokenizer:
    """A tokenizer.json with what becomes of texts above max_tokens, and its padding.

    needs_types: whether segment numbers carry anything (XLNet); where they are all zero the model is not given them.
    """

    def __init__(
        self, inner: Any, max_tokens: int, long_text: LongText, pad_id: int, pad_type: int, pad_left: bool
    ) -> None:
        self.inner = inner
        self.max_tokens, self.long_text = max_tokens, long_text
        self.pad_id, self.pad_type, self.pad_left = pad_id, pad_type, pad_left
        inner.no_padding()
        inner.no_truncation()
        if long_text.how == "truncate":
            inner.enable_truncation(max_tokens)
        self.needs_types = any(inner.encode("a").type_ids)

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces, special tokens included."""
        return int(self.inner.get_vocab_size(with_added_tokens=True))

    @cached_property
    def digest(self) -> str:
        """sha256 of all that the ids depend on but the text."""
        how = self.long_text.model_dump(mode="json") | library_versions(("tokenizers",))
        return sha256_text(json.dumps([self.inner.to_str(), self.max_tokens, how], sort_keys=True))

    def text_of(self, number: int) -> str:
        """What a piece stands for in a text, without the signs of its place in a word."""
        return str(self.inner.decode([number], skip_special_tokens=False)).removeprefix("##").strip()

    def encode(self, texts: Sequence[str], threads: int = 0) -> list[TokenIds]:
        """Token ids of every piece of the texts, max_tokens at most in each, special tokens included.

        threads: 0 or all there are use the process's one Rust pool; with fewer Rust stays on this thread, because the
        pool cannot be made smaller for one call.
        """
        return list(self.pieces(texts, threads).tokens)

    def pieces(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Pieces:
        """The texts as the model reads them. most: of a text with more windows only so many, evenly spread."""
        runs = list(self.runs(texts, threads, most))
        if len(runs) == 1:
            return runs[0]
        counts = [run.counts for run in runs]
        tokens = [item for run in runs for item in run.tokens]
        return Pieces(tokens, np.concatenate(counts) if counts else np.zeros(0, np.int64))

    def runs(self, texts: Sequence[str], threads: int = 0, most: int | None = None) -> Iterator[Pieces]:
        """The same by runs of neighbouring texts, so that memory does not grow with their number.

        A run has a million characters at most, or is one text.
        """
        for run in text_runs(texts, _RUN_CHARACTERS):
            bound_pool()
            # read by the Rust side at each call
            wanted = "true" if threads == 0 or (threads > 1 and threads >= all_threads()) else "false"
            if os.environ.get("TOKENIZERS_PARALLELISM") != wanted:
                os.environ["TOKENIZERS_PARALLELISM"] = wanted
            encodings = self.inner.encode_batch_fast(run)
            yield self._cut([self._ids(encoding) for encoding in encodings], encodings, most)

    def _ids(self, encoding: Any) -> TokenIds:
        ids = np.array(encoding.ids, np.int32)
        # Rust's lists become Python's number by number
        types = np.array(encoding.type_ids, np.int32) if self.needs_types else np.zeros(len(ids), np.int32)
        return TokenIds(ids, types)

    def _cut(self, whole: list[TokenIds], encodings: Sequence[Any], most: int | None) -> Pieces:
        """The texts' pieces; only what is above max_tokens is cut, and truncation has been done in Rust."""
        how = self.long_text.how
        if how == "truncate" or all(len(item) <= self.max_tokens for item in whole):
            return Pieces(whole, np.ones(len(whole), np.int64))
        found = [[item] for item in whole]
        for row, item in enumerate(whole):
            if len(item) > self.max_tokens:
                special = np.array(encodings[row].special_tokens_mask, bool)
                found[row] = [item.at(places) for places in cuts(special, self.max_tokens, how, most)]
        return Pieces(list(chain.from_iterable(found)), np.array([len(parts) for parts in found], np.int64))

    def pad(self, tokens: Sequence[TokenIds]) -> Batch:
        """Arrays (B, T) padded to the longest: input_ids, attention_mask, and token_type_ids where they are needed."""
        if len(tokens) == 1 and not self.needs_types:
            ids = tokens[0].ids[None].astype(np.int64)
            return {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        longest = max(len(item) for item in tokens)
        ids = np.full((len(tokens), longest), self.pad_id, np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        types = np.full((len(tokens), longest), self.pad_type, np.int64)
        for row, item in enumerate(tokens):
            place = slice(longest - len(item), longest) if self.pad_left else slice(0, len(item))
            ids[row, place], mask[row, place], types[row, place] = item.ids, 1, item.types
        batch = {"input_ids": ids, "attention_mask": mask}
        return batch | {"token_type_ids": types} if self.needs_types else batch


def bound_pool() -> None:
    """Bounds Rust's pool to the cores this process may use; it is read once, when the pool's first work comes."""
    if "RAYON_NUM_THREADS" not in os.environ:
        os.environ["RAYON_NUM_THREADS"] = str(all_threads())


def open_tokenizer(folder: Path, max_tokens: int, long_text: LongText = TRUNCATE) -> Reader:
    """What reads texts for the model in an artifact's folder: its pieces, or its words and runs of words.

    Raises EncoderError if its file is missing or unreadable.
    """
    if (folder / NGRAMS).is_file():
        return open_ngrams(folder, max_tokens)
    return open_pieces(folder, max_tokens, long_text)


def open_pieces(folder: Path, max_tokens: int, long_text: LongText = TRUNCATE) -> Tokenizer:
    """The tokenizer saved in a folder. Raises EncoderError if tokenizer.json is missing or unreadable."""
    from tokenizers import Tokenizer as Inner

    path = folder / "tokenizer.json"
    try:
        inner = Inner.from_file(str(path))
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except Exception as error:  # the Rust side raises plain Exception
        raise EncoderError(f"{path} cannot be read as a tokenizer: {error}") from error
    pad = config.get("pad_token")
    pad = pad.get("content") if isinstance(pad, dict) else pad
    pad_id = inner.token_to_id(pad) if pad is not None else None
    return Tokenizer(
        inner,
        max_tokens,
        long_text,
        pad_id=pad_id if pad_id is not None else 0,
        pad_type=int(config.get("pad_token_type_id", 3 if "XLNet" in str(config.get("tokenizer_class")) else 0)),
        pad_left=config.get("padding_side", "right") == "left",
    )


def save_pretrained_tokenizer(source: Path, target: Path, max_tokens: int, long_text: LongText = TRUNCATE) -> Tokenizer:
    """Copies a pretrained tokenizer into `target` in the fast format; slow-only ones are converted by transformers.

    It pads on the right, but for XLNet, whose <cls> is the last token: others may count their positions from the left,
    and a tokenizer that was set up to generate would shift them.
    """
    loaded = read_pretrained_tokenizer(source)
    kind = json.loads((source / "config.json").read_text(encoding="utf-8")).get("model_type")
    loaded.padding_side = "left" if kind == "xlnet" else "right"
    save_tokenizer(loaded, target, max_tokens)
    return open_pieces(target, max_tokens, long_text)


def read_pretrained_tokenizer(source: Path) -> Any:
    """transformers' tokenizer of a pretrained model. Raises EncoderError where there is none, or only a slow one."""
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the Rust side and the converters raise plain Exception
        raise EncoderError(f"no tokenizer can be read from {source}: {error}") from error
    if not getattr(loaded, "is_fast", False):
        raise EncoderError(f"{source} has only a slow Python tokenizer; one with a tokenizer.json is needed.")
    # where a folder holds no vocabulary, transformers makes a tokenizer of special tokens alone
    if len(loaded) <= len(set(loaded.all_special_tokens)):
        raise EncoderError(f"{source} holds no tokenizer. Put its tokenizer.json there, or name another model.")
    return loaded


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files from one artifact's folder to another's."""
    for name in _FILES:
        if (source / name).is_file():
            (target / name).write_bytes((source / name).read_bytes())


def save_tokenizer(tokenizer: Any, target: Path, max_tokens: int) -> None:
    """Writes transformers' tokenizer into an artifact's folder, in words that transformers 4 reads too."""
    tokenizer.model_max_length = max_tokens
    tokenizer.save_pretrained(str(target))
    path = target / "tokenizer_config.json"
    config = _for_older_readers(json.loads(path.read_text(encoding="utf-8")))
    # transformers leaves out the side that is the tokenizer class's own: XLNet's is the left
    if tokenizer.padding_side != "right":
        config["padding_side"] = tokenizer.padding_side
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _for_older_readers(config: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json in words that transformers 4 knows as well as 5; optimum's runtime reads with 4.57."""
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"  # its name in 4, an alias in 5
    if isinstance(config.get("extra_special_tokens"), list):  # in 4 this key holds names and tokens, not a list
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    return config
