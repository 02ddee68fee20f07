import gc
from dataclasses import dataclass, field

import numpy as np
import pytest

from eval.contract import Candidate, Footprint
from eval.errors import InvalidInputError
from eval.latency.intervals import paired_speedup
from eval.latency.rounds import (
    LatencyRow,
    LatencySamples,
    StepTimes,
    joined,
    latency_rows,
    measure_latency,
    measure_steps,
    step_times,
)
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
    row = latency_rows(samples, "teacher")["student"]
    assert (row.samples, row.batch_size, row.threads, row.device, row.runtime) == (10, 2, 1, "cpu", "onnxruntime")
    assert (row.p50_ms, row.p95_ms) == (pytest.approx(20), pytest.approx(20))
    assert row.texts_per_second == pytest.approx(100)
    assert row.speedup_vs_teacher.value == pytest.approx(3)


def test_every_round_gives_all_the_same_texts_in_changing_order():
    clock, log = Clock(), []
    pool = [candidate(name, Worker(0.1, clock, name, log)) for name in "abc"]
    measure_latency(pool, TEXTS, batch_size=4, rounds=30, max_seconds=1e9, seed=3, clock=clock)
    calls_of = [log[-180:][i : i + 6] for i in range(0, 180, 6)]
    rounds = [calls[1::2] for calls in calls_of]
    before = [calls[::2] for calls in calls_of]  # each answers another text first, by itself
    assert all(
        [name for name, _, _ in one] == [name for name, _, _ in two] for one, two in zip(before, rounds, strict=True)
    )
    assert all(len({texts for _, texts, _ in calls}) == 1 == len(calls[0][1]) for calls in before)
    assert all({name for name, _, _ in calls} == set("abc") for calls in rounds)
    assert all(len({texts for _, texts, _ in calls}) == 1 for calls in rounds)
    assert len({calls[0][1] for calls in rounds}) > 20  # other texts in other rounds
    assert len({tuple(name for name, _, _ in calls) for calls in rounds}) == 6  # each order of three turns up
    assert {text for _, texts, _ in log for text in texts} <= set(TEXTS)
    assert len(log) > 180  # warm-up calls came before, and none of them was timed


def test_a_machine_that_slows_down_does_not_change_the_paired_speedup():
    samples, _ = timed({"teacher": 0.030, "student": 0.010}, slow=True, rounds=40)
    row = latency_rows(samples, "teacher")["student"]
    assert row.p95_ms > 2 * row.p50_ms / 1.5
    speedup = row.speedup_vs_teacher
    assert (speedup.low, speedup.value, speedup.high) == (pytest.approx(3), pytest.approx(3), pytest.approx(3))


def test_stops_at_the_time_limit_but_never_under_five_rounds():
    assert len(timed({"a": 0.5}, rounds=100, max_seconds=20.0)[0].seconds) == pytest.approx(11, abs=2)
    assert len(timed({"a": 0.5}, rounds=100, max_seconds=0.1)[0].seconds) == 5
    assert len(timed({"a": 0.5}, rounds=2, max_seconds=0.1)[0].seconds) == 2


def test_progress_counts_rounds():
    seen = []
    timed({"a": 0.1}, rounds=6, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_no_garbage_is_collected_inside_a_timed_call_and_the_switch_is_put_back():
    _, pool = timed({"a": 0.1}, rounds=5)
    assert not any(enabled for _, _, enabled in pool[0].predictor.log[-10:][1::2])
    assert gc.isenabled()


@pytest.mark.parametrize(("count", "known"), [(199, False), (200, True)])
def test_p99_needs_200_samples(count, known):
    seconds = np.linspace(0.001, 0.002, count)[:, None]
    row = latency_rows(LatencySamples(("a",), ("onnxruntime",), "cpu", 1, 1, seconds), None)["a"]
    assert (row.p99_ms is not None) == known
    if known:
        assert row.p99_ms == pytest.approx(np.percentile(seconds, 99) * 1000)


def test_the_teacher_against_itself_is_exactly_one_and_without_a_teacher_there_is_no_speedup():
    samples, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    own = latency_rows(samples, "teacher")["teacher"].speedup_vs_teacher
    assert (own.low, own.value, own.high) == (1.0, 1.0, 1.0)
    assert latency_rows(samples, None)["student"].speedup_vs_teacher is None
    assert latency_rows(samples, "elsewhere")["student"].speedup_vs_teacher is None


def test_the_interval_of_a_speedup_covers_the_truth_under_noise():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        machine = rng.lognormal(0, 0.5, 60)  # the round's mood, shared
        teacher, student = (cost * machine * rng.lognormal(0, 0.1, 60) for cost in (4.0, 2.0))
        found = paired_speedup(teacher, student)
        held += found.low <= 2.0 <= found.high
        assert found.high - found.low < 0.4  # the shared mood has cancelled
    assert held >= 88


def test_same_seed_same_order_and_json_round_trip():
    samples, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    again, _ = timed({"teacher": 0.03, "student": 0.01}, slow=True)
    np.testing.assert_array_equal(samples.seconds, again.seconds)
    for teacher in ("teacher", None):
        for row in latency_rows(samples, teacher).values():
            assert read(LatencyRow, dump(row)) == row


def test_a_call_too_short_for_the_clock_is_no_division_by_zero():
    samples, _ = timed({"teacher": 0.0, "student": 0.0})
    assert latency_rows(samples, "teacher")["student"].speedup_vs_teacher.value == 1.0


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


# ---------------------------------------------------------------------------------------------------- order, openings


@dataclass
class Latecomer(Worker):
    """Whoever comes second in a round takes a fifth longer, because the first one has warmed nothing for it."""

    def predict_proba(self, texts):
        late = len(self.log) > 1 and self.log[-2][1] == tuple(texts)
        self.clock.now += self.cost * (1.2 if late else 1)
        self.log.append((self.name, tuple(texts), gc.isenabled()))
        return np.zeros((len(texts), 1), np.float32)


def test_each_order_is_turned_round_so_nobody_gains_by_coming_later():
    clock, log = Clock(), []
    pool = [candidate(name, Latecomer(0.1, clock, name, log)) for name in "ab"]
    samples = measure_latency(pool, TEXTS, batch_size=8, rounds=40, max_seconds=1e9, seed=5, clock=clock)
    names = [name for name, _, _ in log[-160:][1::2]]
    rounds = [names[i : i + 2] for i in range(0, 80, 2)]
    assert all(rounds[i] == rounds[i + 1][::-1] for i in range(0, 40, 2))
    assert latency_rows(samples, "a")["b"].speedup_vs_teacher.value == pytest.approx(1)


def test_an_opening_may_have_fewer_rounds_than_a_measurement():
    assert len(timed({"a": 0.5}, rounds=100, max_seconds=0.1, least=1)[0].seconds) == 1


def test_openings_joined_are_the_blocks_of_the_interval():
    """Each opening is faster or slower as a whole: 60 rounds, but only six things that differ."""
    parts = [timed({"teacher": 0.02, "copy": 0.02 * factor})[0] for factor in (0.98, 1.02, 0.97, 1.03, 0.99, 1.01)]
    whole = joined(parts)
    assert whole.seconds.shape == (60, 2)
    assert whole.openings == (10,) * 6
    speedup = latency_rows(whole, "teacher")["copy"].speedup_vs_teacher
    deviation = np.std(np.log([0.98, 1.02, 0.97, 1.03, 0.99, 1.01]), ddof=1)
    assert np.log(speedup.high / speedup.low) == pytest.approx(2 * 2.571 * deviation / np.sqrt(6), rel=1e-3)


# ---------------------------------------------------------------------------------------------------- intervals, steps


def test_percentiles_have_intervals_where_the_samples_are_enough():
    few, many = (timed({"a": 0.01}, slow=True, rounds=rounds)[0] for rounds in (71, 72))
    row = latency_rows(few, None)["a"]
    assert row.p50_low_ms <= row.p50_ms <= row.p50_high_ms
    assert (row.p95_low_ms, row.p95_high_ms) == (None, None)
    row = latency_rows(many, None)["a"]
    assert row.p50_low_ms < row.p95_low_ms <= row.p95_ms <= row.p95_high_ms


@dataclass
class Stepper(Worker):
    """A Worker that says where tokenization ends: at a quarter of its cost."""

    def tokenize(self, texts):
        self.clock.now += self.cost / 4 * len(texts)
        return texts

    def run(self, tokens):
        self.clock.now += self.cost * 3 / 4 * len(tokens)
        return np.zeros((len(tokens), 1), np.float32)


def test_tokenization_and_model_are_timed_apart():
    clock = Clock()
    pool = [candidate("two", Stepper(0.04, clock)), candidate("one", Worker(0.04, clock))]
    options = {"batch_size": 2, "max_seconds": 1e9, "seed": 0, "clock": clock}
    found = measure_steps(pool, TEXTS, rounds=4, **options)
    assert {name: seconds.shape for name, seconds in found.items()} == {"two": (4, 2)}
    steps = step_times([found])["two"]
    assert (steps.tokenize_ms, steps.model_ms) == (pytest.approx(20), pytest.approx(60))
    before = clock.now
    measure_steps(pool, TEXTS, rounds=1000, **options | {"max_seconds": 0.2})
    assert 0.2 <= clock.now - before < 0.3
    assert len(measure_steps(pool, TEXTS, rounds=1000, **options | {"max_seconds": 0})["two"]) == 1
    assert measure_steps(pool[1:], TEXTS, rounds=1000, **options) == {}


@dataclass
class UnevenStepper:
    """Long texts take longer, and whoever comes later in a round half as long again."""

    name: str
    clock: Clock
    log: list
    labels: tuple = ("a",)

    def work(self, cost, texts):
        late = len(self.log) > 1 and self.log[-2][0] != self.name and self.log[-2][1] == tuple(texts)
        self.clock.now += cost * sum(1 + int(text.split()[1]) for text in texts) * (1.5 if late else 1)

    def predict_proba(self, texts):
        self.work(0.004, texts)
        self.log.append((self.name, tuple(texts)))
        return np.zeros((len(texts), 1), np.float32)

    def tokenize(self, texts):
        self.work(0.001, texts)
        return texts

    def run(self, tokens):
        self.work(0.003, tokens)
        self.log.append((self.name, tuple(tokens)))
        return np.zeros((len(tokens), 1), np.float32)


def test_the_steps_are_timed_in_the_rounds_of_the_totals_and_add_up_to_them():
    """In a fixed order the first would look a third faster in its steps than the others, and in its total not."""
    clock, log, totals, steps = Clock(), [], [], []
    pool = [candidate(name, UnevenStepper(name, clock, log)) for name in "ab"]
    for opening in range(5):
        options = {"batch_size": 1, "rounds": 8, "max_seconds": 1e9, "seed": opening, "clock": clock}
        totals.append(measure_latency(pool, TEXTS, **options))
        whole = log[-32:]
        steps.append(measure_steps(pool, TEXTS, **options))
        assert log[-32:] == whole  # the same texts in the same orders
    orders = [[name for name, _ in log[-32:][1::2]][i : i + 2] for i in range(0, 16, 2)]
    assert all(orders[i] == orders[i + 1][::-1] for i in range(0, 8, 2))
    rows, found = latency_rows(joined(totals), None), step_times(steps)
    for name in "ab":
        assert found[name].tokenize_ms + found[name].model_ms == pytest.approx(rows[name].p50_ms)
        assert found[name].model_ms == pytest.approx(3 * found[name].tokenize_ms)


def test_steps_are_medians_over_all_openings():
    openings = [{"a": np.array([[0.001, 0.01]])}, {"a": np.array([[0.002, 0.03], [0.009, 0.02]])}]
    assert step_times(openings)["a"] == StepTimes(2.0, 20.0)
