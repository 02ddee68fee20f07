"""Shouting and disguised spelling: what is taken for it and what is not, whatever the words mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.details.spelling import disguised, shouting

LOUD = "PLEASE READ THE MANUAL"


@pytest.mark.parametrize(
    ("text", "loud"),
    [
        (LOUD, True),
        ("TEN LETTERS", True),
        ("NINE CHAR", False),  # 8 letters are too few
        ("HALF of it", False),
        ("FIVES fives", True),  # five of ten
        ("123 !!! 456", False),
        ("", False),
        ("文章很好文章很好文章很好", False),  # no capitals in this script
        ("ÄÖÜÄÖÜÄÖÜÄÖÜ", True),
    ],
)
def test_half_of_ten_letters_or_more_in_capitals(text: str, loud: bool) -> None:
    assert shouting(text) == loud


@pytest.mark.parametrize(
    "text",
    [
        "that is st*pid", "a load of cr@p", "$tupid thing", "what a st!nker", "so gue$$", "d***", "oh d***!", "you @ss",
        "such cl#%wn", "a 1d10t", "you cl0wn", "N00b.", "s.t.u.p.i.d", "such an i d i o t!", "S-T-U-P-I-D",
        "s_t_u_p_i_d", "stuuupid", "nooooo", "Sοme grοcery", "ＦＯＯＬ", "fo\u200bol", "fo\u00adol",
        f"S.T.U.P.I.D. {LOUD}", f"CL0WN {LOUD}",
    ],
)  # fmt: skip
def test_taken_for_disguised(text: str) -> None:
    assert disguised(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "a plain sentence, with (brackets) and 'quotes'!", "mail anna@example.org", "thanks @anna and @stevie",
        "it costs $5 or 5$", "US$ 5 and $AAPL", "of the U.S.A. and N.A.T.O.", "e.g. this, i.e. that, a Ph.D",
        "see http://example.org/st*pid", "www.example.org", "Henry VIII and XXIII, III", "mp3 h2o 4chan 10am 1st 2nd",
        "SW1A 1AA", "e3b0c44298fc1c14", "x*y = z", "*bold* and **bold**", "Hello!World", "50% of C++ and C#",
        "don't e-mail", "café naïve Straße", "Москва и Αθήνα", "... --- :::: !!!!", "a b c", "2001-03-01 12:30pm",
        "mmmmm", "color: #FFFFFA", "word\u200b \u200bword", "AT&T", "section#History",
    ],
)  # fmt: skip
def test_not_taken_for_disguised(text: str) -> None:
    assert not disguised(text)


@given(st.lists(st.sampled_from(["quick", "brown", "fox", "jumps", "over", "it"]), max_size=8), st.sampled_from("*@$"))
def test_a_sign_inside_a_word_of_plain_text_is_found_wherever_it_stands(words: list[str], sign: str) -> None:
    plain = " ".join(words)
    assert not disguised(plain)
    assert disguised(f"{plain} cl{sign}wn {plain}")


@given(st.text())
def test_any_text_is_one_or_the_other(text: str) -> None:
    assert disguised(text) in {True, False}
    assert shouting(text) == shouting(f"  {text} ")
