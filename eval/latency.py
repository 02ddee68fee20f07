"""Wall-clock latency from text to answers: warm-up, interleaved rounds, percentiles, paired speedups.

Candidates are compared within a round: each gets the same texts, one right after the other, in an order drawn anew for
every round. So a slow minute of the machine slows all of them, and the ratio of two times in one round stays fair.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.contract import Candidate, Interval
from eval.errors import InvalidInputError

MINIMUM_ROUNDS = 5
P99_SAMPLES = 200  # below this, the 99th percentile is the worst one or two calls: noise, so it is not given
_WARM_UP_CALLS = 3
_SPEEDUP_RESAMPLES = 2_000
_CLOCK_STEP = 1e-9  # seconds; a coarse clock may not move during a call, and a ratio needs something to divide by


@dataclass(frozen=True)
class LatencyRow:
    """How fast one candidate is, opened one way, at one batch size. Times are per call of `batch_size` texts.

    p99_ms: None under 200 samples. speedup_vs_teacher: teacher time / candidate time, above 1 is faster; None where
    there is no teacher to compare with.
    """

    device: str
    runtime: str
    threads: int
    batch_size: int
    samples: int
    p50_ms: float
    p95_ms: float
    p99_ms: float | None
    texts_per_second: float
    speedup_vs_teacher: Interval | None


@dataclass(frozen=True)
class LatencySamples:
    """Raw times of C candidates on one device with one number of threads. seconds: (rounds, C)."""

    candidates: tuple[str, ...]
    runtimes: tuple[str, ...]
    device: str
    threads: int
    batch_size: int
    seconds: NDArray[np.float64]


def measure_latency(
    candidates: Sequence[Candidate],
    texts: Sequence[str],
    *,
    batch_size: int,
    rounds: int,
    max_seconds: float,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[int, int], None] | None = None,
) -> LatencySamples:
    """Times every candidate on the same `batch_size` real texts, round after round, in random order.

    Stops after `rounds`, or once `max_seconds` have gone by (warm-up included), but not before 5 rounds (or all of
    them, where fewer were asked for). clock: seconds, rising. progress(done, total): called after each round.
    A predictor returns host memory, so the clock around it waits for a GPU too. Raises InvalidInputError without
    candidates or texts, if sizes are not positive, ids recur, or devices or threads differ.
    """
    _check(candidates, texts, batch_size, rounds)
    rng = np.random.default_rng(seed)
    started = clock()
    _warm_up(candidates, texts, batch_size, clock, started + max_seconds / 4, rng)
    seconds: list[NDArray[np.float64]] = []
    while len(seconds) < rounds:
        if len(seconds) >= MINIMUM_ROUNDS and clock() - started >= max_seconds:
            break
        seconds.append(_round(candidates, _pick(texts, batch_size, rng), clock, rng))
        if progress is not None:
            progress(len(seconds), rounds)
    return LatencySamples(
        candidates=tuple(candidate.id for candidate in candidates),
        runtimes=tuple(candidate.runtime for candidate in candidates),
        device=candidates[0].device,
        threads=candidates[0].threads,
        batch_size=batch_size,
        seconds=np.array(seconds),
    )


def latency_rows(samples: LatencySamples, teacher_id: str | None, seed: int) -> dict[str, LatencyRow]:
    """One row per candidate id. teacher_id: the one to compare with; None, or an id that was not timed: no speedups."""
    teacher = samples.candidates.index(teacher_id) if teacher_id in samples.candidates else None
    rows = {}
    for column, candidate_id in enumerate(samples.candidates):
        own = samples.seconds[:, column]
        speedup = None if teacher is None else paired_speedup(samples.seconds[:, teacher], own, seed)
        p50, p95, p99 = (float(value) for value in np.percentile(own * 1000, (50, 95, 99)))
        rows[candidate_id] = LatencyRow(
            device=samples.device,
            runtime=samples.runtimes[column],
            threads=samples.threads,
            batch_size=samples.batch_size,
            samples=len(own),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99 if len(own) >= P99_SAMPLES else None,
            texts_per_second=float(samples.batch_size * len(own) / own.sum()),
            speedup_vs_teacher=speedup,
        )
    return rows


def paired_speedup(teacher_seconds: NDArray[np.float64], seconds: NDArray[np.float64], seed: int) -> Interval:
    """Median over rounds of teacher time / candidate time, with a 95 % bootstrap interval over rounds.

    teacher_seconds, seconds: (rounds,), paired by round. A teacher compared with itself gives exactly 1, 1, 1.
    """
    ratios = teacher_seconds / seconds
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(ratios), size=(_SPEEDUP_RESAMPLES, len(ratios)))
    value = float(np.median(ratios))
    low, high = (float(bound) for bound in np.percentile(np.median(ratios[drawn], axis=1), (2.5, 97.5)))
    return Interval(value, min(low, value), max(high, value))


def _check(candidates: Sequence[Candidate], texts: Sequence[str], batch_size: int, rounds: int) -> None:
    if not candidates or not texts:
        raise InvalidInputError(f"{len(candidates)} candidates and {len(texts)} texts: at least one of each is needed")
    if batch_size < 1 or rounds < 1:
        raise InvalidInputError(f"batch_size {batch_size} and rounds {rounds} must be at least 1")
    ids = [candidate.id for candidate in candidates]
    if len(set(ids)) < len(ids):
        raise InvalidInputError(f"candidate ids recur in one latency measurement: {', '.join(ids)}")
    places = sorted({(candidate.device, candidate.threads) for candidate in candidates})
    if len(places) > 1:
        raise InvalidInputError(f"times are comparable on one device with one number of threads only, not on {places}")


def _warm_up(
    candidates: Sequence[Candidate],
    texts: Sequence[str],
    batch_size: int,
    clock: Callable[[], float],
    until: float,
    rng: np.random.Generator,
) -> None:
    """Untimed calls: the first ones load kernels and grow memory pools. One each, more while there is time."""
    for call in range(_WARM_UP_CALLS):
        if call > 0 and clock() >= until:
            return
        batch = _pick(texts, batch_size, rng)
        for candidate in candidates:
            candidate.predict(batch)


def _pick(texts: Sequence[str], batch_size: int, rng: np.random.Generator) -> list[str]:
    drawn = rng.choice(len(texts), size=batch_size, replace=batch_size > len(texts))
    return [texts[place] for place in drawn]


def _round(
    candidates: Sequence[Candidate], batch: list[str], clock: Callable[[], float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(C,) seconds, one call each."""
    seconds = np.empty(len(candidates))
    for place in rng.permutation(len(candidates)):
        predict = candidates[place].predict
        with _without_garbage_collection():
            before = clock()
            predict(batch)
            seconds[place] = max(clock() - before, _CLOCK_STEP)
    return seconds


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A collection inside a timed call would charge one candidate for the litter of all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
