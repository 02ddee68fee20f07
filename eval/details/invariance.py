"""Whether an answer depends on what is asked with it: padding and batch invariance. Pure NumPy.

Where activations are quantized as they come, a tensor has one scale: padding, and the other texts of a batch, move the
answer to a text that did not change. In fp32 only the order of sums does, by some 1e-7.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.contract import Candidate, Floats, check_probabilities, check_values
from eval.errors import InvalidInputError
from eval.metrics import decide

TEXTS = 100
# a neighbour is so much longer, in characters: a predictor that sorts by length would not pad to a much longer one
_LONGER = 1.25


@dataclass(frozen=True)
class Shift:
    """How far answers to N texts and L labels lie from those to each text alone.

    largest: of the N x L absolute differences of probabilities (of a regression, of values). decisions: how many of the
    N x L decisions flipped (of N where each text has one class); texts: of how many texts one did; both None of a
    regression.
    """

    largest: float
    decisions: int | None
    texts: int | None


@dataclass(frozen=True)
class Invariance:
    """How far a candidate's answer to a text depends on what it is asked with.

    texts: how many were asked. padded: each beside a text a quarter longer or more and the longest of all, to which it
    is padded unless the predictor keeps lengths apart. among: all of them at once.
    """

    texts: int
    padded: Shift
    among: Shift


def measure_invariance(
    candidate: Candidate,
    texts: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Invariance:
    """Asks for each text alone, padded by longer neighbours, and among all others. progress(done, total): texts.

    It asks the predictor, and so tells of its batches: another program that runs the same file may pad otherwise.
    Raises InvalidInputError naming the candidate for answers that are none, and without texts.
    """
    if not texts:
        raise InvalidInputError(f"{candidate.id}: there are no texts to ask it for alone and together")
    neighbours = longer_neighbours(texts)
    alone, padded = [], []
    for place, text in enumerate(texts):
        alone.append(_asked(candidate, [text])[0])
        padded.append(_asked(candidate, [text, *neighbours[place]])[0])
        if progress is not None:
            progress(place + 1, len(texts))
    own = np.stack(alone)
    return Invariance(
        texts=len(texts),
        padded=shift(own, np.stack(padded), candidate.thresholds, candidate.is_regression),
        among=shift(own, _asked(candidate, texts), candidate.thresholds, candidate.is_regression),
    )


def shift(alone: Floats, together: Floats, thresholds: Floats | None, is_regression: bool = False) -> Shift:
    """What became of the answers (N, L). thresholds: as for `eval.metrics.decide`."""
    largest = float(f"{np.abs(alone.astype(np.float64) - together).max():.4g}")
    if is_regression:
        return Shift(largest, None, None)
    flipped = decide(alone, thresholds) != decide(together, thresholds)
    texts = int(flipped.any(axis=1).sum())
    # where each text is given one class, another class is one decision, though two cells differ
    return Shift(largest, texts if thresholds is None else int(flipped.sum()), texts)


def spread_texts(texts: Sequence[str], most: int = TEXTS) -> tuple[str, ...]:
    """At most so many of the texts, evenly by length from the shortest to the longest, in the order given."""
    by_length = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
    if len(texts) > most:
        by_length = [by_length[place] for place in np.linspace(0, len(texts) - 1, most).round().astype(int)]
    return tuple(texts[place] for place in sorted(by_length))


def longer_neighbours(texts: Sequence[str]) -> list[tuple[str, str]]:
    """For each text the shortest that is at least a quarter longer (the longest where none is), and the longest."""
    ordered = sorted(texts, key=len)
    lengths = [len(text) for text in ordered]
    found = (bisect_left(lengths, max(_LONGER * len(text), len(text) + 1)) for text in texts)
    return [(ordered[min(place, len(ordered) - 1)], ordered[-1]) for place in found]


def _asked(candidate: Candidate, texts: Sequence[str]) -> Floats:
    answer, labels = candidate.predict(texts), len(candidate.predictor.labels)
    check = check_values if candidate.is_regression else check_probabilities
    return check(answer, rows=len(texts), labels=labels, candidate=candidate.id)
