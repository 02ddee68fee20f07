"""Wilson's interval of a share: numbers worked by hand, and its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from eval.contract import Interval
from eval.errors import InvalidInputError
from eval.intervals.shares import wilson


def test_no_hit_and_all_hits_worked_by_hand() -> None:
    """Of 0 in 10 the upper end is z² / (10 + z²) = 3.8415 / 13.8415; of 10 in 10 the lower end is 1 less that."""
    none, every = wilson(0, 10), wilson(10, 10)
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(0.27754, abs=1e-5))
    assert (every.value, every.low, every.high) == (1, pytest.approx(0.72246, abs=1e-5), 1)


@given(st.integers(1, 500).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
def test_it_equals_scipys_and_holds_the_share(pair: tuple[int, int]) -> None:
    hits, rows = pair
    found, known = wilson(hits, rows), binomtest(hits, rows).proportion_ci(method="wilson")
    assert found.low == pytest.approx(known.low, abs=1e-12)
    assert found.high == pytest.approx(known.high, abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= hits / rows <= found.high <= 1


def test_without_rows_it_is_undefined_and_what_is_no_share_is_refused() -> None:
    assert wilson(0, 0) == Interval(None, None, None)
    for hits, rows in ((3, 2), (-1, 2)):
        with pytest.raises(InvalidInputError, match="no share"):
            wilson(hits, rows)
