"""Learns a vocabulary from texts; the same texts give the same ids in every process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

from compress.recipe.long_text import TRUNCATE, LongText
from compress.recipe.students import Bpe, TrainedVocabulary, Unigram, WordPiece
from compress.tokenizer import Tokenizer, bound_pool, open_pieces, save_tokenizer
from compress.vocabulary.rules import SPECIAL, joiner, normalizer, splitter
from compress.vocabulary.unigram import unigram_pieces
from compress.vocabulary.words import by_frequency, count_letters, count_words, letters_kept


def train_vocabulary(
    wanted: TrainedVocabulary, texts: Sequence[str], target: Path, max_tokens: int, long_text: LongText = TRUNCATE
) -> Tokenizer:
    """A tokenizer of `wanted.size` pieces at most, learnt from `texts` and saved in `target`.

    [PAD], [UNK], [CLS], [SEP] and [MASK] are its first five pieces; a text stands between [CLS] and [SEP].
    """
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.normalizer, inner.pre_tokenizer = normalizer(wanted), splitter(wanted)
    inner.decoder = joiner(wanted)
    inner.model = _model(wanted, inner, texts)
    ids = [(token, inner.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    save_tokenizer(PreTrainedTokenizerFast(tokenizer_object=inner, **SPECIAL), target, max_tokens)
    return open_pieces(target, max_tokens, long_text)


def _model(wanted: TrainedVocabulary, rules: Any, texts: Sequence[str]) -> Any:
    """The pieces, as tokenizers keeps them. rules: a tokenizer that cleans and splits as `wanted` says."""
    from tokenizers import models

    special = list(SPECIAL.values())
    match wanted:
        case WordPiece():
            return models.WordPiece(wordpiece_vocabulary(rules, texts, wanted.size, special), unk_token="[UNK]")  # noqa: S106
        case Bpe():
            return _byte_pairs(rules, texts, wanted.size, special)
        case Unigram():
            learnt = unigram_pieces(count_words(rules, texts), wanted.size - len(special))
            return models.Unigram([*((name, 0.0) for name in special), *learnt], unk_id=1)
        case _ as unknown:
            assert_never(unknown)


def wordpiece_vocabulary(rules: Any, texts: Sequence[str], size: int, special: list[str]) -> dict[str, int]:
    """Pieces and their ids. rules: a tokenizer that splits texts into words.

    The trainer numbers single characters in the order of a hash that is new in every process, and breaks ties by these
    numbers. Here every character has its number beforehand.
    """
    import tokenizers

    words = count_words(rules, texts)
    alphabet = sorted(by_frequency(count_letters(words))[: letters_kept(size)])
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
    bound_pool()
    scratch.train_from_iterator(texts, trainer)
    return dict(scratch.get_vocab(with_added_tokens=True))


def _byte_pairs(rules: Any, texts: Sequence[str], size: int, special: list[str]) -> Any:
    """Merges over bytes: they need no [UNK], and all 256 have their place."""
    import tokenizers

    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    scratch = tokenizers.Tokenizer(tokenizers.models.BPE())
    scratch.normalizer, scratch.pre_tokenizer = rules.normalizer, rules.pre_tokenizer
    bound_pool()
    scratch.train_from_iterator(texts, trainer)
    return scratch.model
