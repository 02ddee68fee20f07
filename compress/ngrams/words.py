"""Which words a text has, and which runs of words.

The rules need no Unicode tables, so that Python, ONNX Runtime's regular expressions and any other reader agree for
good: capitals A to Z become small; a word is a run of [0-9a-z'] or a run of characters beyond ASCII.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice

# RE2 and Python's re read it alike
WORD = r"[0-9a-z']+|[^\x00-\x7F]+"
JOINT = " "
# runs of words are hashed as the digits of a number to the base 1,000,003, modulo the prime 2^31 - 1 but for the last
# word's: below 2^63 throughout, so that int64 holds it
HASH_BASE, HASH_MODULUS = 1_000_003, 2**31 - 1
_WORD = re.compile(WORD)
_UNSIGNED = 0xFFFFFFFF


def words_of(text: str, most: int) -> list[str]:
    """The first `most` words of a text. Halves of surrogate pairs, which UTF-8 cannot hold, part words."""
    plain = text.encode("utf-8", "replace").lower().decode("utf-8")  # of bytes, lower changes ASCII alone
    return [match.group() for match in islice(_WORD.finditer(plain), most)]


def runs_of(words: Sequence[str], longest: int) -> Iterator[str]:
    """All words, then all runs of two, and so on up to `longest`; those of one length in the order of the text."""
    return chain.from_iterable(
        map(JOINT.join, zip(*(words[start:] for start in range(length)), strict=False)) if length > 1 else words
        for length in range(1, longest + 1)
    )


def frequent_terms(texts: Sequence[str], longest: int, most: int, min_count: int) -> tuple[str, ...]:
    """Words and runs of up to `longest` words that min_count texts hold, those of most texts first.

    most: words of a text that are read.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(dict.fromkeys(runs_of(words_of(text, most), longest), 1))
    kept = ((term, count) for term, count in counts.items() if count >= min_count)
    return tuple(term for term, _ in sorted(kept, key=lambda item: (-item[1], item[0])))


def hashes_of(words: Sequence[str], longest: int) -> list[int]:
    """A number below 2^63 for each run that runs_of gives, in its order: of a word its murmur3, of a run its words'.

    Runs that end in a word whose murmur3 is 0 are left out: 0 is what the graph knows the padding by.
    """
    single = [_murmur3(word) for word in words]
    keys, found = single, [key for key in single if key]
    for length in range(2, longest + 1):
        lasts = single[length - 1 :]
        keys = [key % HASH_MODULUS * HASH_BASE + last for key, last in zip(keys, lasts, strict=False)]
        found += [key for key, last in zip(keys, lasts, strict=True) if last]
    return found


@lru_cache(maxsize=2**17)
def _murmur3(word: str) -> int:
    return murmur3(word.encode("utf-8"))


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0, unsigned (Appleby 2011), as ONNX Runtime's operator of that name gives it."""
    whole = len(data) // 4 * 4
    state = 0
    for start in range(0, whole, 4):
        state ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        state = (_rotated(state, 13) * 5 + 0xE6546B64) & _UNSIGNED
    if whole < len(data):
        state ^= _scrambled(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _UNSIGNED
    state = (state ^ state >> 13) * 0xC2B2AE35 & _UNSIGNED
    return state ^ state >> 16


def _scrambled(part: int) -> int:
    return _rotated(part * 0xCC9E2D51 & _UNSIGNED, 15) * 0x1B873593 & _UNSIGNED


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _UNSIGNED
