"""A share of rows with its interval. Standard library alone."""

from math import sqrt
from statistics import NormalDist

from eval.contract import Interval
from eval.errors import InvalidInputError

Z = NormalDist().inv_cdf(0.975)  # 95 % two-sided


def wilson(hits: float, rows: float) -> Interval:
    """hits / rows with the 95 % score interval of a binomial share; undefined without rows.

    Wilson 1927. It stays within [0, 1], and is of use at few rows and at shares of 0 and 1, where the interval from the
    estimate's own variance has no width. Fractions of rows are taken too, as an effective number of them. Raises
    InvalidInputError unless 0 <= hits <= rows.
    """
    if not 0 <= hits <= rows * (1 + 1e-9):  # share x rows may come out a rounding above rows
        raise InvalidInputError(f"{hits} of {rows} rows is no share")
    if rows == 0:
        return Interval(None, None, None)
    share = min(hits / rows, 1.0)
    shrink = 1 + Z**2 / rows
    middle = (share + Z**2 / (2 * rows)) / shrink
    half = Z * sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2)) / shrink
    return Interval(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))
