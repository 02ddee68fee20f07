"""Text to token ids with the Rust tokenizers alone (no transformers): the same code trains, predicts and exports.

Batches are padded to their longest text, on the side the tokenizer's own configuration names.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.errors import EncoderError
from compress.threads import all_threads

Ids = NDArray[np.int32]
Batch = dict[str, NDArray[np.int64]]
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class TokenIds:
    """One text's tokens: ids (T,) and segment numbers (T,)."""

    ids: Ids
    types: Ids

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A tokenizer.json with its truncation length and padding.

    needs_types: whether segment numbers carry anything (XLNet); where they are all zero the model is not given them.
    """

    def __init__(self, inner: Any, max_tokens: int, pad_id: int, pad_type: int, pad_left: bool) -> None:
        self.inner = inner
        self.max_tokens, self.pad_id, self.pad_type, self.pad_left = max_tokens, pad_id, pad_type, pad_left
        inner.no_padding()
        inner.enable_truncation(max_tokens)
        self.needs_types = any(inner.encode("a").type_ids)

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces, special tokens included."""
        return int(self.inner.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[str], threads: int = 0) -> list[TokenIds]:
        """Token ids of each text, cut at max_tokens, special tokens included.

        threads: 0 or all there are use the process's one Rust pool; with fewer Rust stays on this thread, because the
        pool cannot be made smaller for one call.
        """
        _bound_pool()
        # read by the Rust side at each call
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads == 0 or threads >= all_threads() > 1 else "false"
        encodings = self.inner.encode_batch_fast(list(texts))
        return [TokenIds(np.array(e.ids, np.int32), np.array(e.type_ids, np.int32)) for e in encodings]

    def pad(self, tokens: Sequence[TokenIds]) -> Batch:
        """Arrays (B, T) padded to the longest: input_ids, attention_mask, and token_type_ids where they are needed."""
        longest = max(len(item) for item in tokens)
        ids = np.full((len(tokens), longest), self.pad_id, np.int64)
        mask = np.zeros((len(tokens), longest), np.int64)
        types = np.full((len(tokens), longest), self.pad_type, np.int64)
        for row, item in enumerate(tokens):
            place = slice(longest - len(item), longest) if self.pad_left else slice(0, len(item))
            ids[row, place], mask[row, place], types[row, place] = item.ids, 1, item.types
        batch = {"input_ids": ids, "attention_mask": mask}
        return batch | {"token_type_ids": types} if self.needs_types else batch


def _bound_pool() -> None:
    """Bounds Rust's pool to the cores this process may use; it is read once, when the pool's first work comes."""
    os.environ.setdefault("RAYON_NUM_THREADS", str(all_threads()))


def open_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer saved in an artifact's folder. Raises EncoderError if tokenizer.json is missing or unreadable."""
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
        pad_id=pad_id if pad_id is not None else 0,
        pad_type=int(config.get("pad_token_type_id", 3 if "XLNet" in str(config.get("tokenizer_class")) else 0)),
        pad_left=config.get("padding_side", "right") == "left",
    )


def save_pretrained_tokenizer(source: Path, target: Path, max_tokens: int) -> Tokenizer:
    """Copies a pretrained tokenizer into `target` in the fast format; slow-only ones are converted by transformers."""
    _save(read_pretrained_tokenizer(source), target, max_tokens)
    return open_tokenizer(target, max_tokens)


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


def train_wordpiece(texts: Sequence[str], size: int, lowercase: bool, target: Path, max_tokens: int) -> Tokenizer:
    """Trains a BERT-style WordPiece vocabulary on `texts`, saved in `target`; the same texts give the same ids."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=special["unk_token"]))
    inner.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.decoder = tokenizers.decoders.WordPiece()
    vocabulary = _wordpiece_vocabulary(inner, texts, size, list(special.values()))
    inner.model = tokenizers.models.WordPiece(vocabulary, unk_token=special["unk_token"])
    ids = [(token, inner.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    _save(PreTrainedTokenizerFast(tokenizer_object=inner, **special), target, max_tokens)
    return open_tokenizer(target, max_tokens)


def _wordpiece_vocabulary(rules: Any, texts: Sequence[str], size: int, special: list[str]) -> dict[str, int]:
    """Pieces and their ids. rules: a tokenizer that splits texts into words.

    The trainer numbers single characters in the order of a hash that is new in every process, and breaks ties by these
    numbers. Here every character has its number beforehand.
    """
    import tokenizers

    split, clean = rules.pre_tokenizer.pre_tokenize_str, rules.normalizer.normalize_str
    words = Counter(word for text in texts for word, _ in split(clean(text)))
    counts: Counter[str] = Counter()
    for word, times in words.items():
        counts.update(dict.fromkeys(word, times))
    alphabet = sorted(sorted(counts, key=lambda letter: (-counts[letter], letter))[: min(1000, size // 2)])
    inside = {letter for word in words for letter in word[1:]}
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*special, *(f"##{letter}" for letter in alphabet if letter in inside)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    scratch = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=special[1]))
    scratch.normalizer, scratch.pre_tokenizer = rules.normalizer, rules.pre_tokenizer
    _bound_pool()
    scratch.train_from_iterator(texts, trainer)
    return dict(scratch.get_vocab(with_added_tokens=True))


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files from one artifact's folder to another's."""
    for name in _FILES:
        if (source / name).is_file():
            (target / name).write_bytes((source / name).read_bytes())


def _save(tokenizer: Any, target: Path, max_tokens: int) -> None:
    tokenizer.model_max_length = max_tokens
    tokenizer.save_pretrained(str(target))
    path = target / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(_for_older_readers(config), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _for_older_readers(config: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json in words that transformers 4 knows as well as 5; optimum's runtime reads with 4.57."""
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"  # its name in 4, an alias in 5
    if isinstance(config.get("extra_special_tokens"), list):  # in 4 this key holds names and tokens, not a list
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    return config
