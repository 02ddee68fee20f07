"""Augmented texts: of their own words, in their order, by chance that is always the same."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.augment import augmented_texts
from compress.recipe.learning import Augment

TEXTS = tuple(f"{number} the quick brown fox jumps over the lazy dog again and again" for number in range(300))


def changes(delete: float = 0.0, mask: float = 0.0, ngrams: float = 0.0, copies: int = 1) -> Augment:
    return Augment(delete=delete, mask=mask, ngrams=ngrams, copies=copies)


def in_order(words: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in words)


def by_number(made: tuple[str, ...]) -> list[tuple[list[str], list[str]]]:
    """Each made text that still has its number, beside the words it was made of."""
    return [(text.split(), TEXTS[int(text.split()[0])].split()) for text in made if text.split()[0].isdigit()]


def test_deleted_words_leave_the_others_in_order_at_the_rate_that_was_asked_for() -> None:
    made = augmented_texts(TEXTS, changes(delete=0.2), 13, "[MASK]")
    pairs = by_number(made)
    assert len(pairs) > 200
    assert all(len(found) < len(whole) and in_order(found, whole) for found, whole in pairs)
    words = sum(len(text.split()) for text in made)
    assert words / (13 * len(made)) == pytest.approx(0.8, abs=0.03)


def test_masked_words_keep_their_places_at_the_rate_that_was_asked_for() -> None:
    made = augmented_texts(TEXTS, changes(mask=0.3), 13, "[MASK]")
    masked = 0
    for text in made:
        found = text.split()
        masked += found.count("[MASK]")
        whole = TEXTS[0].split()
        assert len(found) == len(whole)
        assert all(new in ("[MASK]", old) for new, old in zip(found[1:], whole[1:], strict=True))
    assert masked / (13 * len(made)) == pytest.approx(0.3, abs=0.03)


def test_without_a_mask_token_masked_words_are_left_out() -> None:
    made = augmented_texts(TEXTS, changes(mask=0.3), 13, None)
    assert sum(len(text.split()) for text in made) / (13 * len(made)) == pytest.approx(0.7, abs=0.03)
    assert augmented_texts(TEXTS, changes(delete=0.3), 13, None) == made


def test_runs_are_one_to_five_neighbouring_words() -> None:
    made = augmented_texts(TEXTS, changes(ngrams=1.0, copies=3), 13, None)
    lengths = {len(text.split()) for text in made}
    assert lengths == {1, 2, 3, 4, 5}
    assert all(any(text in whole for whole in TEXTS) for text in made)


def test_a_share_of_the_copies_is_runs() -> None:
    made = augmented_texts(TEXTS, changes(ngrams=0.25, mask=0.5), 13, "[MASK]")
    runs = [text for text in made if "[MASK]" not in text]
    assert len(runs) < 100  # runs that several texts share are kept once
    assert len(made) > 225


def test_blanks_inside_stay_as_they_were() -> None:
    (found,) = augmented_texts(("one\ttwo\n\nthree  four",), changes(mask=0.9), 3, "_")
    assert found.replace("_", "").split() == [word for word in found.split() if "_" not in word]
    assert [blank in found for blank in ("\t", "\n\n", "  ")] == [True, True, True]


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(0, 99), st.sampled_from([None, "[MASK]", "<mask>"]))
def test_any_texts_give_new_texts_of_their_own_words(texts: list[str], seed: int, mask: str | None) -> None:
    made = augmented_texts(texts, changes(0.3, 0.3, 0.3, copies=2), seed, mask)
    words = {word for text in texts for word in text.split()} | {mask}
    assert len(set(made)) == len(made) <= 2 * len(texts)
    assert not set(made) & set(texts)
    assert all(text.strip() and set(text.split()) <= words for text in made)


def test_nothing_can_be_made_of_nothing() -> None:
    assert augmented_texts((), changes(delete=0.5), 13, None) == ()
    assert augmented_texts(("", " \n"), changes(delete=0.5), 13, None) == ()


def test_the_seed_alone_decides_in_any_process() -> None:
    given_texts = TEXTS[:5]
    here = augmented_texts(given_texts, changes(0.2, 0.2, 0.2), 13, "[MASK]")
    assert augmented_texts(given_texts, changes(0.2, 0.2, 0.2), 14, "[MASK]") != here
    program = (
        "from compress.augment import augmented_texts\nfrom compress.recipe.learning import Augment\n"
        f"print(ascii(augmented_texts({given_texts!r}, Augment(delete=.2, mask=.2, ngrams=.2), 13, '[MASK]')))"
    )
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert process.stdout.strip() == ascii(here)
