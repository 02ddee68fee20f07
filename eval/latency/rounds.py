"""Wall-clock latency from text to answers: warm-up, interleaved rounds, percentiles, paired speedups.

Candidates are compared within a round: each gets the same texts, one right after the other, in an order drawn at random
and turned round in the next round, so that nobody gains by coming later. So a slow minute of the machine slows all of
them, and the ratio of two times in one round stays fair. Before its timed call each answers another text, untimed: a
server that keeps one model busy has it in the processor's caches, and what ran before it here would have emptied them.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from eval.contract import Candidate, Interval, InTwoSteps
from eval.errors import InvalidInputError
from eval.latency.intervals import paired_speedup, percentile_interval

MINIMUM_ROUNDS = 5
P99_SAMPLES = 200  # below this, the 99th percentile is the worst one or two calls: noise, so it is not given
_WARM_UP_CALLS = 3
_CLOCK_STEP = 1e-9  # seconds; a coarse clock may not move during a call, and a ratio needs something to divide by


@dataclass(frozen=True)
class LatencyRow:
    """How fast one candidate is, opened one way, at one batch size. Times are per call of `batch_size` texts.

    p99_ms: None under 200 samples. speedup_vs_teacher: teacher time / candidate time, above 1 is faster; None where
    there is no teacher to compare with. speedup_vs_parent: the same over the candidate that its stage began with; None
    where there is none, or it was not timed in these rounds. p50_low_ms ... p95_high_ms: 95 % intervals, None where
    there are too few samples for one. tokenize_ms, model_ms: medians of the two steps timed apart, on as many of the
    same batches as a tenth of the time allows; None of a predictor that does not tell them apart. tokens: how long
    every text was made; None: texts as they come. cost_per_million: of that many texts at texts_per_second, in the
    currency of the price per hour; None without one.
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
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p95_low_ms: float | None = None
    p95_high_ms: float | None = None
    tokenize_ms: float | None = None
    model_ms: float | None = None
    tokens: int | None = None
    cost_per_million: float | None = None
    speedup_vs_parent: Interval | None = None


@dataclass(frozen=True)
class LatencySamples:
    """Raw times of C candidates on one device with one number of threads. seconds: (rounds, C).

    openings: of samples put together, the rounds taken with each opening of the models.
    """

    candidates: tuple[str, ...]
    runtimes: tuple[str, ...]
    device: str
    threads: int
    batch_size: int
    seconds: NDArray[np.float64]
    openings: tuple[int, ...] = ()


@dataclass(frozen=True)
class StepTimes:
    """Medians of tokenization alone and of the model alone, per call, over all rounds of all openings."""

    tokenize_ms: float
    model_ms: float


def measure_latency(
    candidates: Sequence[Candidate],
    texts: Sequence[str],
    *,
    batch_size: int,
    rounds: int,
    max_seconds: float,
    seed: int,
    least: int = MINIMUM_ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[int, int], None] | None = None,
) -> LatencySamples:
    """Times every candidate on the same `batch_size` real texts, round after round, in random order.

    Stops after `rounds`, or once `max_seconds` have gone by (warm-up included), but not before `least` rounds (or all
    of them, where fewer were asked for). clock: seconds, rising. progress(done, total): called after each round.
    A predictor returns host memory, so the clock around it waits for a GPU too. Raises InvalidInputError without
    candidates or texts, if sizes are not positive, ids recur, or devices or threads differ.
    """
    _check(candidates, texts, batch_size, rounds)
    started = clock()
    _warm_up(candidates, texts, batch_size, clock, started + max_seconds / 4, np.random.default_rng((seed, 1)))
    seconds: list[NDArray[np.float64]] = []
    for order, first, batch in _schedule(len(candidates), texts, batch_size, seed):
        if len(seconds) == rounds or (len(seconds) >= least and clock() - started >= max_seconds):
            break
        seconds.append(_round(candidates, first, batch, order, clock))
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


def joined(parts: Sequence[LatencySamples]) -> LatencySamples:
    """The rounds of several openings of the same candidates, one after the other. parts: at least one."""
    return replace(
        parts[0],
        seconds=np.concatenate([part.seconds for part in parts]),
        openings=tuple(len(part.seconds) for part in parts),
    )


def measure_steps(
    candidates: Sequence[Candidate],
    texts: Sequence[str],
    *,
    batch_size: int,
    rounds: int,
    max_seconds: float,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, NDArray[np.float64]]:
    """Seconds of tokenization and of the model apart, (rounds, 2) by candidate id, with one opening of the models.

    The rounds that `measure_latency` takes with this seed, the same texts in the same orders: one at least, and no new
    one once `max_seconds` have gone by. Nothing is warmed up: it comes after `measure_latency`. Candidates whose
    predictor does not tell the steps apart are left out. Raises InvalidInputError as `measure_latency` does.
    """
    _check(candidates, texts, batch_size, rounds)
    able = {it.id: it.predictor for it in candidates if isinstance(it.predictor, InTwoSteps)}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in able}
    started = clock()
    for done, (order, first, batch) in enumerate(_schedule(len(candidates), texts, batch_size, seed)):
        if not able or done == rounds or (done and clock() - started >= max_seconds):
            break
        for name in (candidates[place].id for place in order):
            if name in able:
                _two_steps(able[name], first, clock)
                seconds[name].append(_two_steps(able[name], batch, clock))
    return {name: np.array(times) for name, times in seconds.items()}


def step_times(openings: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, StepTimes]:
    """Each candidate's medians over the rounds of all openings. openings: what `measure_steps` gave with each."""
    together = {name: np.concatenate([opening[name] for opening in openings]) for name in openings[0]}
    middles = {name: np.median(seconds, axis=0) * 1000 for name, seconds in together.items()}
    return {name: StepTimes(float(first), float(second)) for name, (first, second) in middles.items()}


def latency_rows(samples: LatencySamples, teacher_id: str | None) -> dict[str, LatencyRow]:
    """One row per candidate id. teacher_id: the one to compare with; None, or an id that was not timed: no speedups."""
    teacher = samples.candidates.index(teacher_id) if teacher_id in samples.candidates else None
    rows = {}
    for column, candidate_id in enumerate(samples.candidates):
        own = samples.seconds[:, column]
        speedup = None if teacher is None else paired_speedup(samples.seconds[:, teacher], own, samples.openings)
        p50, p95, p99 = (float(value) for value in np.percentile(own * 1000, (50, 95, 99)))
        (p50_low, p50_high), (p95_low, p95_high) = (
            percentile_interval(own * 1000, share) or (None, None) for share in (0.5, 0.95)
        )
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
            p50_low_ms=p50_low,
            p50_high_ms=p50_high,
            p95_low_ms=p95_low,
            p95_high_ms=p95_high,
        )
    return rows


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


def _schedule(
    candidates: int, texts: Sequence[str], batch_size: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], list[str], list[str]]]:
    """Orders of the candidates, a text to begin with and batches, without end: of one seed always the same ones.

    An order is drawn at random, and turned round in the next round.
    """
    rng = np.random.default_rng(seed)
    order = np.arange(candidates)
    for number in count():
        order = order[::-1] if number % 2 else rng.permutation(candidates)
        yield order, _pick(texts, 1, rng), _pick(texts, batch_size, rng)


def _pick(texts: Sequence[str], batch_size: int, rng: np.random.Generator) -> list[str]:
    drawn = rng.choice(len(texts), size=batch_size, replace=batch_size > len(texts))
    return [texts[place] for place in drawn]


def _round(
    candidates: Sequence[Candidate],
    first: list[str],
    batch: list[str],
    order: NDArray[np.int64],
    clock: Callable[[], float],
) -> NDArray[np.float64]:
    """(C,) seconds, one timed call each, right after an untimed one with `first`."""
    seconds = np.empty(len(candidates))
    for place in order:
        predict = candidates[place].predict
        predict(first)
        with _without_garbage_collection():
            before = clock()
            predict(batch)
            seconds[place] = max(clock() - before, _CLOCK_STEP)
    return seconds


def _two_steps(predictor: InTwoSteps, batch: list[str], clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds of each step of one call."""
    with _without_garbage_collection():
        begun = clock()
        tokens = predictor.tokenize(batch)
        between = clock()
        predictor.run(tokens)
        return between - begun, clock() - between


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
