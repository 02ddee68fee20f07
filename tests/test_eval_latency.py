import gc
from dataclasses import dataclass, field

import numpy as np
import pytest

from eval.contract import Candidate, Footprint
from eval.errors import InvalidInputError
from eval.latency import LatencyRow, LatencySamples, latency_rows, measure_latency, paired_speedup
from eval.plain import dump, read

TEXTS = tuple(f"text {i}" for i in range(20))


@dataclass
class Clock:
    """Time moves only when a predictor says it worked."""

    now: float = 0.0

    def __call__(self):
        return self.now


@dataclass
class Worker:
    """Takes `cost` seconds a text, times the machine's slowness, which changes from batch to batch."""

    cost: float
    clock: Clock
    name: str = ""
    log: list = field(default_factory=list)
    slow: bool = False
    labels: tuple = ("a",)

    def predict_proba(self, texts):
        slowness = 1 + len(self.log) % 7 if self.slow else 1
        self.clock.now += self.cost * len(texts) * slowness
        self.log.append((self.name, tuple(texts), gc.isenabled()))
        return np.zeros((len(texts), 1), np.float32)


def candidate(name, predictor, threads=1):
    footprint = Footprint(1, 1, 1, 1, 0.0)
    return Candidate(name, "distill", "onnx", "onnxruntime", "cpu", threads, footprint, None, predictor)


def timed(costs, **options):
    clock = Clock()
    pool = [candidate(name, Worker(cost, clock, name, slow=options.get("slow", False))) for name, cost in costs.items()]
    options = {"batch_size": 2, "rounds": 10, "max_seconds": 1e9, "seed": 0} | options
    options.pop("slow", None)
    return measure_latency(pool, TEXTS, clock=clock, **options), pool


def test_seconds_are_what_the_clock_says():
    samples, _ = timed({"teacher": 0.030, "student": 0.010})
    assert samples.seconds.shape == (10, 2)
    np.testing.assert_allclose(samples.seconds, np.tile([0.060, 0.020], (10, 1)))
    row = latency_rows(samples, "teacher", seed=0)["student"]
    assert (row.samples, row.batch_size, row.threads, row.device, row.runtime) == (10, 2, 1, "cpu", "onnxruntime")
    assert (row.p50_ms, row.p95_ms) == (pytest.approx(20), pytest.approx(20))
    assert row.texts_per_second == pytest.approx(100)
    assert row.speedup_vs_teacher.value == pytest.approx(3)


def test_every_round_gives_all_the_same_texts_in_changing_order():
    clock, log = Clock(), []
    pool = [candidate(name, Worker(0.1, clock, name, log)) for name in "abc"]
    measure_latency(pool, TEXTS, batch_size=4, rounds=30, max_seconds=1e9, seed=3, clock=clock)
    rounds = [log[-90:][i : i + 3] for i in range(0, 90, 3)]
    assert all({name for name, _, _ in calls} == set("abc") for calls in rounds)
    assert all(len({texts for _, texts, _ in calls}) == 1 for calls in rounds)
    assert len({calls[0][1] for calls in rounds}) > 20  # other texts in other rounds
    assert len({tuple(name for name, _, _ in calls) for calls in rounds}) == 6  # each order of three turns up
    assert {text for _, texts, _ in log for text in texts} <= set(TEXTS)
    assert len(log) > 90  # warm-up calls came before, and none of them was timed


def test_a_machine_that_slows_down_does_not_change_the_paired_speedup():
    samples, _ = timed({"teacher": 0.030, "student": 0.010}, slow=True, rounds=40)
    row = latency_rows(samples, "teacher", seed=0)["student"]
    assert row.p95_ms > 2 * row.p50_ms / 1.5
    speedup = row.speedup_vs_teacher
    assert (speedup.low, speedup.value, speedup.high) == (pytest.approx(3), pytest.approx(3), pytest.approx(3))


def test_stops_at_the_time_limit_but_never_under_five_rounds():
    assert len(timed({"a": 0.5}, rounds=100, max_seconds=20.0)[0].seconds) == pytest.approx(17, abs=3)
    assert len(timed({"a": 0.5}, rounds=100, max_seconds=0.1)[0].seconds) == 5
    assert len(timed({"a": 0.5}, rounds=2, max_seconds=0.1)[0].seconds) == 2


def test_progress_counts_rounds():
    seen = []
    timed({"a": 0.1}, rounds=6, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_no_garbage_is_collected_inside_a_timed_call_and_the_switch_is_put_back():
    _, pool = timed({"a": 0.1}, rounds=5)
    assert not any(enabled for _, _, enabled in pool[0].predictor.log[-5:])
    assert gc.isenabled()


@pytest.mark.parametrize(("count", "known"), [(199, False), (200, True)])
def test_p99_needs_200_samples(count, known):
    seconds = np.linspace(0.001, 0.002, count)[:, None]
    row = latency_rows(LatencySamples(("a",), ("onnxruntime",), "cpu", 1, 1, seconds), None, seed=0)["a"]
    assert (row.p99_ms is not None) == known
    if known:
        assert row.p99_ms == pytest.approx(np.percentile(seconds, 99) * 1000)


def test_the_teacher_against_itself_is_exactly_one_and_without_a_teacher_there_is_no_speedup():
    samples, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    own = latency_rows(samples, "teacher", seed=0)["teacher"].speedup_vs_teacher
    assert (own.low, own.value, own.high) == (1.0, 1.0, 1.0)
    assert latency_rows(samples, None, seed=0)["student"].speedup_vs_teacher is None
    assert latency_rows(samples, "elsewhere", seed=0)["student"].speedup_vs_teacher is None


def test_the_interval_of_a_speedup_covers_the_truth_under_noise():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(100):
        machine = rng.lognormal(0, 0.5, 60)  # the round's mood, shared
        teacher, student = (cost * machine * rng.lognormal(0, 0.1, 60) for cost in (4.0, 2.0))
        found = paired_speedup(teacher, student, seed=trial)
        held += found.low <= 2.0 <= found.high
        assert found.high - found.low < 0.4  # the shared mood has cancelled
    assert held >= 88


def test_same_seed_same_order_and_json_round_trip():
    samples, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    again, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    np.testing.assert_array_equal(samples.seconds, again.seconds)
    for teacher in ("teacher", None):
        for row in latency_rows(samples, teacher, seed=1).values():
            assert read(LatencyRow, dump(row)) == row


def test_a_call_too_short_for_the_clock_is_no_division_by_zero():
    samples, _ = timed({"teacher": 0.0, "student": 0.0})
    assert latency_rows(samples, "teacher", seed=0)["student"].speedup_vs_teacher.value == 1.0


def test_bad_input_is_refused():
    one, two = candidate("a", Worker(1, Clock())), candidate("b", Worker(1, Clock()), threads=2)
    options = {"batch_size": 1, "rounds": 1, "max_seconds": 1.0, "seed": 0}
    with pytest.raises(InvalidInputError, match="one number of threads"):
        measure_latency([one, two], TEXTS, **options)
    with pytest.raises(InvalidInputError, match="recur"):
        measure_latency([one, one], TEXTS, **options)
    with pytest.raises(InvalidInputError, match="at least one"):
        measure_latency([one], [], **options)
    with pytest.raises(InvalidInputError, match="must be at least 1"):
        measure_latency([one], TEXTS, **options | {"batch_size": 0})
