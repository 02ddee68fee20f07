"""Words of the texts that a vocabulary is learnt from, and the characters that these take."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from compress.errors import EncoderError
from compress.recipe.students import SPECIAL_TOKENS, Bpe, TrainedVocabulary, Unigram, WordPiece
from compress.vocabulary.rules import normalizer

# a character beyond these is so rare that texts lose nothing where it becomes [UNK]
_COVERED = 0.999
_MOST_LETTERS = 1000


def count_words(rules: Any, texts: Sequence[str]) -> Counter[str]:
    """How often each word stands in the texts. rules: a tokenizer, whose cleaning and splitting count."""
    split, clean = rules.pre_tokenizer.pre_tokenize_str, rules.normalizer.normalize_str
    return Counter(word for text in texts for word, _ in split(clean(text)))


def count_letters(words: Mapping[str, int]) -> Counter[str]:
    """In how many words, repeated ones counted as often as they stand there, each character is."""
    counts: Counter[str] = Counter()
    for word, times in words.items():
        counts.update(dict.fromkeys(word, times))
    return counts


def letters_kept(size: int) -> int:
    """How many characters a vocabulary of so many pieces takes in, the most frequent; others become [UNK]."""
    return min(_MOST_LETTERS, size // 2)


def size_keeping(letters: int) -> int:
    """The other way about: the fewest pieces with which so many are kept, or as many as ever are."""
    return 2 * min(letters, _MOST_LETTERS)


def check_alphabet(wanted: TrainedVocabulary, texts: Sequence[str]) -> None:
    """Raises EncoderError where `size` leaves no room for the characters that nearly every text is made of.

    A WordPiece vocabulary holds a character twice, as a word's first and inside it; a unigram one keeps half its pieces
    for words. Alphabets beyond what the largest vocabulary takes in, as of Chinese, lose their rarest characters. Of
    bytes there are 256, whatever the texts.
    """
    if isinstance(wanted, Bpe):
        return
    found = len(_common(_characters(wanted, texts)))
    least = _least_size(wanted, found)
    if wanted.size < least:
        raise EncoderError(
            f"tokenizer.size: {wanted.size:,} is smaller than the alphabet: the {found:,} characters that make up "
            f"{_COVERED:.1%} of train and unlabeled and the special tokens need {least:,} pieces, and pieces of "
            f"several letters come on top. Write at least {2 * least:,}, or type: bpe, whose alphabet is 256 bytes."
        )


def alphabet_notes(wanted: TrainedVocabulary, texts: Sequence[str], made: int) -> tuple[str, ...]:
    """A note where `size` is too small for all characters of the texts, the rare ones too. made: pieces there are."""
    if isinstance(wanted, Bpe):
        return ()
    found = len(_characters(wanted, texts))
    least = _least_size(wanted, found)
    if wanted.size >= least:
        return ()
    marks = int(isinstance(wanted, Unigram))  # the mark of a word's beginning
    kept = min(found, letters_kept(wanted.size - marks * SPECIAL_TOKENS) - marks)
    lost = "; the rarest are read as [UNK]" if kept < found else ""
    more = f", and has {made:,} pieces" if made > wanted.size else ""
    return (
        f"tokenizer.size: a vocabulary of {wanted.size:,} pieces takes in {kept:,} of the {found:,} characters of "
        f"train and unlabeled{more}{lost}. All of them need {least:,} pieces",
    )


def _characters(wanted: TrainedVocabulary, texts: Sequence[str]) -> Counter[str]:
    """How often each character, blanks apart, is in the cleaned texts."""
    clean = normalizer(wanted).normalize_str
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update("".join(clean(text).split()))
    return counts


def _least_size(wanted: WordPiece | Unigram, letters: int) -> int:
    """The smallest vocabulary whose trainer takes in so many characters, or as many as any takes in."""
    if isinstance(wanted, WordPiece):
        return SPECIAL_TOKENS + 2 * letters
    marked = letters + 1  # and the mark of a word's beginning
    return SPECIAL_TOKENS + max(marked, size_keeping(marked))


def _common(counts: Mapping[str, int]) -> list[str]:
    """The most frequent characters, as many as cover nearly all."""
    room, chosen = _COVERED * sum(counts.values()), []
    for letter in by_frequency(counts):
        if room <= 0:
            break
        chosen.append(letter)
        room -= counts[letter]
    return chosen


def by_frequency(counts: Mapping[str, int]) -> list[str]:
    """The most frequent first; of equally frequent ones the smaller, so that the order is the same in every process."""
    return sorted(counts, key=lambda item: (-counts[item], item))
