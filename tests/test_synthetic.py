"""The built-in corpus: repeatable, no template shared between splits, labels that follow from the text by the rules."""

import hashlib
import re
from functools import lru_cache

import numpy as np
import pytest

from compress.data import synthetic
from compress.data import synthetic_words as words
from compress.data.synthetic import LABELS, SIZES, Comment, Split, comments, generate, pool_of

SEED = 13
FOUR = frozenset({"obscene", "threat", "insult", "identity_hate"})


@lru_cache
def rows(split: Split) -> tuple[Comment, ...]:
    return tuple(comments(split, SEED))


def single(split: Split) -> list[tuple[str, Comment]]:
    """Comments of one sentence with their template, for rules that are about a sentence."""
    return [(row.templates[0], row) for row in rows(split) if len(row.templates) == 1]


def test_a_seed_gives_these_rows_and_no_others() -> None:
    """If this fails the generator has changed: raise synthetic.VERSION, or cached runs are taken for the new rows."""
    texts, targets = generate("validation", SEED)
    digest = hashlib.sha256("\n".join(texts).encode() + targets.tobytes()).hexdigest()
    assert (synthetic.VERSION, digest[:16]) == (1, "e6a04261b03eb962")
    assert generate("validation", SEED + 1)[0] != texts


def test_texts_and_targets_are_the_comments_in_order() -> None:
    texts, targets = generate("validation", SEED)
    assert texts == tuple(row.text for row in rows("validation"))
    assert targets.dtype == np.int8
    for row, target in zip(rows("validation"), targets, strict=True):
        assert row.labels == {label for label, holds in zip(LABELS, target, strict=True) if holds}


@pytest.mark.parametrize("split", list(SIZES))
def test_sizes_rates_and_support(split: Split) -> None:
    corpus = rows(split)
    assert len(corpus) == SIZES[split] == len({row.text for row in corpus})
    clean = sum(not row.labels for row in corpus) / len(corpus)
    assert 0.70 <= clean <= 0.80
    least = {"test": 40, "validation": 10}.get(split, 100)
    for label in LABELS:
        assert sum(label in row.labels for row in corpus) >= least, label


def test_no_template_is_shared_by_train_validation_and_test() -> None:
    used = {split: {name for row in rows(split) for name in row.templates} for split in SIZES}
    learned = used["train"] | used["unlabeled"]
    assert not learned & used["test"]
    assert not learned & used["validation"]
    assert not used["validation"] & used["test"]
    assert {pool_of(template) for template in used["test"]} == {"test"}
    assert len(used["test"]) > 500  # surface variety, not the same few sentences


def test_no_text_of_test_recurs_in_train() -> None:
    assert not {row.text.casefold() for row in rows("test")} & {row.text.casefold() for row in rows("train")}


def test_severe_and_toxic_follow_from_the_other_four() -> None:
    for row in rows("test"):
        abuse = row.labels & FOUR
        assert ("toxic" in row.labels) == (len(abuse) >= 1)
        assert ("severe_toxic" in row.labels) == (len(abuse) >= 2)


REPORT = re.compile(
    r"\"|according to \{person\}|I was told by \{person\}|heard \{person\} say|does \{person\} say that"
    r"|\{person\} (says|said|claims|claimed|wrote|shouted|complained|told [\w{} ]+|wrote under \{thing\}) that"
)


def abused(template: str) -> bool:
    """Whether a word that can abuse a person is there at all."""
    return bool(re.search(r"\{(insult|swear|harm|scorn|expel)\}", template))


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_quoted_or_reported_is_clean(split: Split) -> None:
    found = [(template, row) for template, row in single(split) if REPORT.search(template) and abused(template)]
    assert len(found) > 50
    for template, row in found:
        assert not row.labels, (template, row.text)


CLEAN = re.compile(
    r"\{harm\} (\{thing\}|\w+ of the)|not (\w+ )?a (\w+ )?(\{swear\} )?\{insult\}|I am a (\w+ )?(\{swear\} )?\{insult\}"
    r"|(not|never) (\w+ )?(\{harm\}|\{scorn\})|\{nuisance\} are (\w+ )?\{scorn\}|my (\w+ )?\{swear\} \{noun\}"
)


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_denied_or_said_of_things_or_the_writer_is_clean(split: Split) -> None:
    found = [(template, row) for template, row in single(split) if CLEAN.search(template)]
    assert len(found) > 60
    for template, row in found:
        assert not row.labels, (template, row.text)


def test_mirrored_sentences_differ_in_order_alone_and_in_label() -> None:
    """The same bag of words and word pairs around it, so only a model that reads the order can tell them apart."""
    you = r"you are a \{insult\} (while|and|but|whereas) I am a \{hero\}"
    me = r"I am a \{insult\} (while|and|but|whereas) you are a \{hero\}"
    every = [*single("train"), *single("unlabeled"), *single("validation"), *single("test")]
    for pattern, expected in ((you, {"toxic", "insult"}), (me, set())):
        found = [row for template, row in every if re.fullmatch(pattern, template)]
        assert found, pattern
        assert all(row.labels == expected for row in found)


def test_what_is_said_of_the_reader_is_abuse() -> None:
    """Statements with nothing around them that could take them back have the labels of their words."""
    plainly = {
        r"you (are|remain) a \{insult\}": {"toxic", "insult"},
        r"you are a \{swear\} \{insult\}": {"toxic", "severe_toxic", "insult", "obscene"},
        r"(I|we) (will|am going to|are going to|want to) \{harm\} (you|your family)": {"toxic", "threat"},
        r"(all |the )?\{groups\} (are \{scorn\}|should be \{expel\}|must be \{expel\})": {"toxic", "identity_hate"},
        r"your \{swear\} \{belongings\} (ruined \{thing\}|are in the way)": {"toxic", "obscene"},
    }
    said = single("train") + single("unlabeled") + single("test")
    for pattern, expected in plainly.items():
        around = rf"(no, |yes, |today )?((I|we all) (know|think) that )?{pattern}(, \{{name\}}|, and it rained)?"
        found = [row for template, row in said if re.fullmatch(around, template)]
        assert found, pattern
        for row in found:
            assert row.labels == expected, row.text


def test_disguised_spelling_changes_no_label() -> None:
    """Words with a sign, digit or blanks in them occur on both sides, so they give nothing away."""
    disguised = [row for row in rows("train") if re.search(r"[a-z][@!$0*13][a-z]|\b\w \w \w \w\b", row.text)]
    share = sum(bool(row.labels) for row in disguised) / len(disguised)
    assert len(disguised) > 200
    assert 0.2 < share < 0.8


def test_every_slot_and_part_of_the_grammar_is_known() -> None:
    grammar = synthetic.grammar()
    lines = [line for alternatives in grammar.values() for line in alternatives]
    parts = {part for line in lines for part in re.findall(r"<([^>]+)>", line)}
    assert parts <= set(grammar)
    assert {slot for line in lines for slot in re.findall(r"\{([^}]+)\}", line)} == {*words.SLOTS, "thing"}
    kinds = set(grammar) - parts
    assert kinds == {"plain", *synthetic._ABUSIVE, *synthetic._HARMLESS}


def test_validation_and_test_have_words_that_train_never_saw() -> None:
    train = " ".join(row.text for row in rows("train")).casefold()
    test = " ".join(row.text for row in rows("test")).casefold()
    for reserved in (*words.GROUPS[1], *words.NOUNS[1]):
        assert reserved.casefold() not in train
        assert reserved.casefold() in test
