"""What a text looks like, whatever it says: shouting, and words spelt so that a filter misses them. No list of words.

These are rules of thumb for text in Latin letters. They sort rows into slices, and decide nothing about a row.
"""

import re
import unicodedata

SHOUTED_LETTERS = 10
SHOUTED_SHARE = 0.5
_LETTER = "[A-Za-z]"
_NO_WORD = re.compile(r"://|^www\.|^[^@\s]+@[^@\s]+\.[a-z]|\.(?:com|org|net|html?|php|jpe?g|png|gif|svg|pdf)\b", re.I)
# signs that stand for letters: inside a word, as its first letter ($tupid), or as its last (gue$$, d***; not **bold**)
_SIGN = re.compile(r"[a-z](?:[*@$]+|[*@$#%&!]{2,})[a-z]|^(?-i:\$[a-z]{2})", re.I)
_SIGNS_LAST = re.compile(r"^[^*$]*[a-z](?:\*{2,}|\$\$)$", re.I)
_EXCLAMATION = re.compile(r"[a-z]![a-z]{2}|[A-Z]![A-Z]{2}")  # st!nker; not hello!World
_AT_FIRST = re.compile(r"^@([b-df-hj-np-tv-z])\1", re.I)  # @ss: no name begins with two of one consonant
_DIGIT = re.compile(r"[a-z][013457]+[a-z]", re.I)
_READ_AS = str.maketrans("013457", "oieast")
_VOWEL = re.compile("[aeiou]", re.I)
_SPACED = re.compile(rf"(?<![^\W_])({_LETTER})(?:([.\-_*~, ]){_LETTER})(?:\2{_LETTER}){{2,}}(?![^\W_])")
_REPEATED = re.compile(r"([^\W\d_])\1{2,}", re.I)
_COLOUR = re.compile(r"#[0-9a-f]{3,8}\b", re.I)
_ROMAN = re.compile(r"[ivxlcdm]+", re.I)
_HIDDEN = re.compile(f"{_LETTER}[\u00ad\u200b-\u200d\u2060\ufeff]+{_LETTER}")  # characters without a width
_EDGES = ".,;:!?\"'()[]{}<>«»“”‘’…"


def shouting(text: str) -> bool:
    """Whether at least half of the letters are capitals, of ten letters or more."""
    letters = sum(map(str.isalpha, text))
    return letters >= SHOUTED_LETTERS and sum(map(str.isupper, text)) >= SHOUTED_SHARE * letters


def disguised(text: str) -> bool:
    """Whether some word looks spelt so as not to be found: one of

    - signs in place of letters: st*pid, cr@p, $tupid, st!nker, gue$$, d***, @ss (an address or a mention like @anna is
      none);
    - digits in place of letters: 1d10t, cl0wn. The digits are 0 1 3 4 5 7, between letters, and read as letters they
      give a word of four letters or more with a vowel. Codes in capitals (SW1A) and hexadecimal numbers are none;
    - four letters or more parted by one and the same mark or blank: s.t.u.p.i.d, i d i o t. Capitals with points or
      blanks (N.A.T.O.) are an acronym, unless the whole text shouts;
    - a letter three times or more in a row, beside another: stuuupid, nooo (no Roman number, no colour like #FFFFFA);
    - letters of two scripts in one word, such as a Cyrillic o among Latin letters, full-width letters, and characters
      without a width between letters.

    Misses what looks like a word (azz), and takes some innocent spellings (l10n, Schifffahrt) for disguised.
    """
    loud = shouting(text)
    if _HIDDEN.search(text) or any(loud or not _is_acronym(found[0], found[2]) for found in _SPACED.finditer(text)):
        return True
    repeats = _REPEATED.search(text) is not None
    words = (word.strip(_EDGES) for word in text.split())
    return any(_disguised_word(word, loud) for word in words if repeats or not (word.isascii() and word.isalpha()))


def _is_acronym(letters: str, mark: str) -> bool:
    return letters.isupper() and mark in ". "


def _disguised_word(word: str, loud: bool) -> bool:
    if _NO_WORD.search(word):
        return False
    return _has_signs(word) or _has_digits(word, loud) or _has_repeats(word) or _mixes_scripts(word)


def _has_signs(word: str) -> bool:
    inside = _SIGN.search(word) or _EXCLAMATION.search(word)
    if inside and sum(map(str.isalpha, word)) > 2:  # x*y is a product
        return True
    return _SIGNS_LAST.search(word) is not None or _AT_FIRST.match(word) is not None


def _has_digits(word: str, loud: bool) -> bool:
    if not (word.isascii() and word.isalnum()) or len(word) < 4 or not _DIGIT.search(word):
        return False
    read = word.translate(_READ_AS)
    code = (word.isupper() and not loud) or not set(word.lower()) - set("0123456789abcdef")
    return read.isalpha() and _VOWEL.search(read) is not None and not code


def _has_repeats(word: str) -> bool:
    if _REPEATED.search(_COLOUR.sub("", word)) is None or _ROMAN.fullmatch(word):
        return False
    return len({it for it in word.casefold() if it.isalpha()}) > 1


def _mixes_scripts(word: str) -> bool:
    if word.isascii():
        return False
    latin = any(it.isascii() and it.isalpha() for it in word)
    names = [unicodedata.name(it, "").split(" ")[0] for it in word if not it.isascii() and it.isalpha()]
    return "FULLWIDTH" in names or (latin and not {"CYRILLIC", "GREEK"}.isdisjoint(names))
