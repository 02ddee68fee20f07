"""How long texts are in tokens, what a limit cuts off, and which limit the texts ask for. Pure: lengths come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Lengths = NDArray[np.int32]
Unit = Literal["tokens", "words"]

STEP = 16  # suggested limits are multiples of it: sizes that kernels like, and round enough to remember
CUT_SHARE = 0.05  # a suggested limit cuts fewer texts than this
LEARNED_FROM = ("train", "unlabeled")  # no choice is made by what the models are judged on
_BARS = 64  # of the histogram; one more holds what is longer
_BODY = 48  # bars that reach the 95th percentile, at least


@dataclass(frozen=True)
class Counted:
    """Lengths (N,) of a split's texts, or of N drawn from them. rows: of the whole split; longest: the longest known.

    Special tokens are included, nothing is cut.
    """

    lengths: Lengths
    rows: int
    longest: int


@dataclass(frozen=True)
class TokenLengths:
    """What one tokenizer counted. counted: by split. max_tokens: by stage that reads with it, None where not known.

    unit: words (by blanks) where the tokenizer cannot be had; note says why. positions: the most tokens that the model
    can read, where it has a limit.
    """

    tokenizer: str
    unit: Unit
    note: str | None
    positions: int | None
    max_tokens: Mapping[str, int | None]
    counted: Mapping[str, Counted]


@dataclass(frozen=True)
class SplitLengths:
    """The lengths of one split. Percentiles are lengths that occur: p95 is the least that 95 % of texts do not pass.

    histogram: texts by length in bars of `TokenFacts.bar_width` from 1 on; the last bar holds all that is longer.
    """

    rows: int
    counted: int
    p50: int
    p90: int
    p95: int
    p99: int
    longest: int
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """What a limit takes off, by split: share of the texts that are longer, share of all tokens that are lost."""

    max_tokens: int
    texts: dict[str, float]
    tokens: dict[str, float]


@dataclass(frozen=True)
class TokenFacts:
    """Everything about one tokenizer's lengths. cuts: by stage. suggested: None where only words were counted.

    The suggestion follows from the texts alone; positions may be fewer.
    """

    tokenizer: str
    unit: Unit
    note: str | None
    positions: int | None
    bar_width: int
    splits: dict[str, SplitLengths]
    cuts: dict[str, Cut]
    suggested: Cut | None


def token_facts(found: TokenLengths) -> TokenFacts:
    """Percentiles, what each stage's limit cuts, and a suggestion by `suggested_limit`."""
    width = _bar_width(found.counted)
    suggested = suggested_limit(found.counted) if found.unit == "tokens" else None
    return TokenFacts(
        tokenizer=found.tokenizer,
        unit=found.unit,
        note=found.note,
        positions=found.positions,
        bar_width=width,
        splits={name: _split_lengths(counted, width) for name, counted in found.counted.items()},
        cuts={stage: cut_at(limit, found.counted) for stage, limit in found.max_tokens.items() if limit is not None},
        suggested=cut_at(suggested, found.counted) if suggested is not None else None,
    )


def cut_at(limit: int, counted: Mapping[str, Counted]) -> Cut:
    """What a limit of so many tokens takes off each split."""
    texts = {name: float(np.mean(it.lengths > limit)) for name, it in counted.items()}
    over = {name: int(np.maximum(it.lengths.astype(np.int64) - limit, 0).sum()) for name, it in counted.items()}
    whole = {name: int(it.lengths.sum(dtype=np.int64)) for name, it in counted.items()}
    return Cut(limit, texts, {name: over[name] / max(1, whole[name]) for name in counted})


def suggested_limit(counted: Mapping[str, Counted]) -> int | None:
    """The smallest multiple of STEP that cuts under CUT_SHARE of the texts of train and unlabeled; None without them.

    Splits of which only some texts were counted weigh as many rows as they have.
    """
    learned = [counted[name] for name in LEARNED_FROM if name in counted]
    rows = sum(it.rows for it in learned)
    if not rows:
        return None
    limit = STEP
    while sum(it.rows * float(np.mean(it.lengths > limit)) for it in learned) >= CUT_SHARE * rows:
        limit += STEP
    return limit


def percentile(lengths: NDArray[Any] | Sequence[int], share: float) -> int:
    """The smallest length that occurs which `share` (in percent) of the texts do not pass. lengths: (N,), N > 0."""
    return int(np.percentile(lengths, share, method="inverted_cdf"))


def _split_lengths(counted: Counted, width: int) -> SplitLengths:
    p50, p90, p95, p99 = (percentile(counted.lengths, share) for share in (50, 90, 95, 99))
    bars = np.clip((counted.lengths - 1) // width, 0, _BARS)  # an empty text without special tokens has length 0
    histogram = tuple(int(count) for count in np.bincount(bars, minlength=_BARS + 1))
    return SplitLengths(counted.rows, len(counted.lengths), p50, p90, p95, p99, counted.longest, histogram)


def _bar_width(counted: Mapping[str, Counted]) -> int:
    """The smallest power of two by which _BODY bars reach the 95th percentile of every split."""
    reach = max(percentile(it.lengths, 95) for it in counted.values())
    width = 1
    while width * _BODY < reach:
        width *= 2
    return width
