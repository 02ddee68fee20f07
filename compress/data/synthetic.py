"""The built-in corpus: short comments, made by a seeded generator, whose labels depend on context. Not real text.

A comment is one to three sentences; each is made from a template (a way through synthetic_grammar.txt) whose slots are
filled with words. The labels follow from the text by these rules, which were fixed before any model was trained on it
(how often each kind of sentence comes, and how many rows there are, was set afterwards, with first models in view):

1. insult: an insulting word ("numpty") is said of the reader, by the writer. Not when it is denied ("you are not a
   numpty"), when the writer reports or quotes somebody else, or when it is said of a thing or of the writer.
2. obscene: a swear word ("darn") goes with the reader or what is the reader's: "your darn opinion", "you darn numpty".
   Not when it goes with a thing or the weather, when it is denied or when somebody else is reported.
3. threat: the writer says that harm is coming to the reader, or to the reader's family or friends. Not when it is
   denied, when somebody else is reported, or when it comes to a thing ("I will kill the process").
4. identity_hate: a group of people (all invented) is called something vile, or ought to be banned. Not when it is
   denied, when somebody else is reported, or when it is said of a thing ("the ads are a plague") beside the group.
5. severe_toxic: at least two of the four above hold in the comment.
6. toxic: at least one of the four holds.

A comment has a label if any of its sentences has it. Disguised spelling (numpt1, i d i o t) and letter case change no
label. About half of the sentences are mirrored: the same words in another order are abuse in one and harmless in the
other ("you are a numpty and I am a hero"). Train (with the unlabeled rows), validation and test take their sentences
from disjoint sets of templates; the words and the parts of a template are mostly shared.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from random import Random
from typing import Literal

import numpy as np

from compress.data import synthetic_words as words
from eval.contract import Targets

Split = Literal["train", "validation", "unlabeled", "test"]

VERSION = 1  # of the generator: raise it whenever a seed would give other rows
LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
SIZES: dict[Split, int] = {"train": 12000, "validation": 1500, "unlabeled": 6000, "test": 2000}

_ABUSE: dict[str, frozenset[str]] = {  # kind of sentence -> what it is; a kind not named here is harmless
    "insult": frozenset({"insult"}),
    "swear": frozenset({"obscene"}),
    "threat": frozenset({"threat"}),
    "hate": frozenset({"identity_hate"}),
}
_ABUSIVE = {"insult": 40, "swear": 22, "threat": 14, "hate": 14}  # how often, in parts
_HARMLESS = {
    "insult_denied": 14, "insult_reported": 13, "insult_other": 10, "swear_thing": 12, "swear_reported": 10,
    "threat_thing": 5, "threat_denied": 5, "threat_reported": 5, "hate_denied": 5, "hate_reported": 5, "hate_thing": 4,
}  # fmt: skip
_PLANS = {"plain": 40, "harmless": 33, "abusive": 27}  # what the comment is built around

_DISGUISED = 0.1  # share of insulting and swear words in disguised spelling
_SWEARING = 0.2  # share of insulting words with a swear word before them
_OPENED = 0.15  # share of sentences with an opener
_LOOKALIKES = str.maketrans("aeiost", "@3!0$7")


@dataclass(frozen=True)
class Comment:
    """A generated row. templates: of its sentences, every part chosen and every slot open."""

    text: str
    labels: frozenset[str]
    templates: tuple[str, ...]


@lru_cache(maxsize=1)
def grammar() -> dict[str, list[str]]:
    """The alternatives of every part."""
    parts: dict[str, list[str]] = {}
    alternatives: list[str] = []
    for line in files("compress.data").joinpath("synthetic_grammar.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            alternatives = parts[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            alternatives.append("" if line == "~" else line)
    return parts


def pool_of(template: str) -> str:
    """The split that a template belongs to, by its hash: 60 % train, 10 % validation, 30 % test."""
    share = hashlib.sha256(template.encode()).digest()[0] / 256
    return "train" if share < 0.6 else "validation" if share < 0.7 else "test"


def generate(split: Split, seed: int) -> tuple[tuple[str, ...], Targets]:
    """Texts and targets (N, 6) int8 of one split, columns as in LABELS. The same seed gives the same rows."""
    rows = list(comments(split, seed))
    targets = np.array([[label in row.labels for label in LABELS] for row in rows], dtype=np.int8)
    return tuple(row.text for row in rows), targets


def comments(split: Split, seed: int) -> Iterator[Comment]:
    """The rows of a split, no text twice."""
    pool = "train" if split == "unlabeled" else split
    writer = _Writer(Random(f"{VERSION}/{seed}/{split}"), pool)  # a string seeds the same on every platform
    seen: set[str] = set()
    while len(seen) < SIZES[split]:
        comment = writer.comment()
        if comment.text not in seen:
            seen.add(comment.text)
            yield comment


def _labels(abuse: frozenset[str]) -> frozenset[str]:
    """Rules 5 and 6: what the comment as a whole is, from the kinds of abuse in it."""
    derived = {"toxic"} if abuse else set()
    if len(abuse) >= 2:
        derived.add("severe_toxic")
    return abuse | derived


class _Writer:
    """Writes comments from the templates of one pool with one stream of random numbers."""

    def __init__(self, random: Random, pool: str) -> None:
        self.random = random
        self.pool = pool
        self.reserved = pool != "train"

    def comment(self) -> Comment:
        """One to three sentences: plain ones, and up to two that the plan asks for."""
        abuse: frozenset[str] = frozenset()
        templates, sentences = [], []
        for kind in self._kinds():
            template = self._template(kind)
            templates.append(template)
            sentences.append(self._sentence(template))
            abuse |= _ABUSE.get(kind, frozenset())
            if kind == "insult" and "{swear}" in template:
                abuse |= {"obscene"}
        return Comment(self._typed(" ".join(sentences)), _labels(abuse), tuple(templates))

    def _kinds(self) -> list[str]:
        plan = self._weighted(_PLANS)
        kinds = []
        if plan == "abusive":
            kinds.append(self._weighted(_ABUSIVE))
            if self.random.random() < 0.2:
                kinds.append(self._weighted(_ABUSIVE))
        if plan == "harmless" or (plan == "abusive" and self.random.random() < 0.15):
            kinds.append(self._weighted(_HARMLESS))
        room = 3 - len(kinds)
        kinds += ["plain"] * (
            self.random.choice((1, 1, 1, 2)) if plan == "plain" else int(room > 1 and self.random.random() < 0.3)
        )
        self.random.shuffle(kinds)
        return kinds

    def _weighted(self, parts: dict[str, int]) -> str:
        return self.random.choices(list(parts), weights=list(parts.values()))[0]

    def _template(self, kind: str) -> str:
        """A template of this kind that belongs to this pool."""
        while True:
            template = self._expanded(kind)
            if "{insult}" in template and self.random.random() < _SWEARING:
                template = template.replace("{insult}", "{swear} {insult}")
            if pool_of(template) == self.pool:
                return template

    def _expanded(self, part: str) -> str:
        chosen = self.random.choice(grammar()[part])
        text = re.sub(r"<([^>]+)>", lambda inner: self._expanded(inner.group(1)), chosen)
        return " ".join(text.split()).replace(" ,", ",")

    def _sentence(self, template: str) -> str:
        """The template with words in its slots, an article that fits, and spelling disguised here and there."""
        text = template
        if self.random.random() < _OPENED:
            text = f"{self.random.choice(words.OPENERS)} {text}"
        text = re.sub(r"\{(\w+)\}", lambda slot: self._word(slot.group(1)), text)
        text = re.sub(r"\b([Aa]) (?=<?[aeio])", r"\1n ", text)
        text = re.sub(r"<([^>]*)>", lambda word: self._disguised(word.group(1)), text)
        return text[0].upper() + text[1:] + self.random.choice("....!")

    def _word(self, slot: str) -> str:
        """A word for the slot; <> marks words whose spelling may be disguised once the article before them is right."""
        if slot == "thing":
            return f"{self.random.choice(words.DETERMINERS)} {self._word('noun')}"
        chosen = self._one_of(words.SLOTS[slot])
        return f"<{chosen}>" if slot in words.DISGUISABLE else chosen

    def _one_of(self, lists: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
        everywhere, reserved = lists
        return self.random.choice(everywhere + reserved if self.reserved else everywhere)

    def _disguised(self, word: str) -> str:
        """Mostly the word itself; else with lookalike characters, spaced out, starred or drawn out."""
        if self.random.random() >= _DISGUISED:
            return word
        way = self.random.choice(("lookalike", "spaced", "starred", "drawn out"))
        if way == "spaced":
            return " ".join(word)
        if way == "drawn out":
            return word + word[-1] * self.random.randint(2, 4)
        spots = [place for place, letter in enumerate(word) if letter in "aeiou"]
        place = self.random.choice(spots)
        changed = "*" if way == "starred" else word[place].translate(_LOOKALIKES)
        return f"{word[:place]}{changed}{word[place + 1 :]}"

    def _typed(self, text: str) -> str:
        """As people type: some all in small letters without a full stop, a few in capitals."""
        style = self.random.random()
        if style < 0.15:
            return text.lower().rstrip(".")
        return text.upper() if style < 0.18 else text
