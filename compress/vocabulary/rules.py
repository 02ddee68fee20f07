"""How texts are cleaned and split into words before a vocabulary's pieces are found, as rules in tokenizer.json."""

from typing import Any, assert_never

from compress.recipe.students import Bpe, TrainedVocabulary, Unigram, WordPiece

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# a mark (an accent written as a character of its own) belongs to its letter
_NO_LETTERS = r"[^\p{L}\p{M}]+"


def normalizer(wanted: TrainedVocabulary) -> Any:
    """What cleans a text; it lies in the artifact, so that whoever runs the ONNX file cleans as training did."""
    from tokenizers import Regex, normalizers

    steps: list[Any]
    match wanted:
        case WordPiece(rules="bert"):  # its own, which also takes accents off where it lower-cases
            steps = [normalizers.BertNormalizer(lowercase=wanted.lowercase)]
        case WordPiece():
            steps = [normalizers.Lowercase()] if wanted.lowercase else []
        case Bpe():
            steps = [normalizers.NFC(), *([normalizers.Lowercase()] if wanted.lowercase else [])]
        case Unigram():
            steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if wanted.lowercase else [])]
            steps.append(normalizers.Replace(Regex(r"\s+"), " "))  # Metaspace splits at blanks alone
        case _ as unknown:
            assert_never(unknown)
    if wanted.letters_only:
        steps.append(normalizers.Replace(Regex(_NO_LETTERS), " "))
    return steps[0] if len(steps) == 1 else normalizers.Sequence(steps)


def splitter(wanted: TrainedVocabulary) -> Any:
    """What splits a cleaned text into words; a word at the beginning of a text is the same as one inside it."""
    from tokenizers import pre_tokenizers

    match wanted:
        case WordPiece():
            return pre_tokenizers.BertPreTokenizer() if wanted.rules == "bert" else pre_tokenizers.Whitespace()
        case Bpe():
            return pre_tokenizers.ByteLevel(add_prefix_space=True)
        case Unigram():
            # marks stand apart from words, as for WordPiece, so that a vocabulary is not filled with words and commas
            return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
        case _ as unknown:
            assert_never(unknown)


def joiner(wanted: TrainedVocabulary) -> Any:
    """What puts pieces together again."""
    from tokenizers import decoders

    match wanted:
        case WordPiece():
            return decoders.WordPiece()
        case Bpe():
            return decoders.ByteLevel()
        case Unigram():
            return decoders.Metaspace()
        case _ as unknown:
            assert_never(unknown)
