"""`compress bench`, and what else is measured with times: lengths, cold starts, cost, the state of the machine."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from compress import environment
from compress.artifact import Artifact, open_artifact
from compress.bench import Bench
from compress.context import silent
from compress.environment import Reading
from compress.errors import CompressError, DataError
from compress.measure import cold, latency, measure_cost, rounds
from compress.measure.latency import time_candidates
from compress.measure.lengths import length_texts, texts_of_length
from compress.measure.rounds import Setting, Times, Workload, time_setting
from compress.measure.store import Store
from compress.memory import peak_memory_bytes
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from eval.contract import Interval
from eval.latency.conditions import Conditions
from eval.latency.rounds import measure_latency, measure_steps

QUICK = ("--rounds", 5, "--max-seconds", 1, "--batch-sizes", 1, "--threads", 1, "--no-cold-start")
SMALL = Evaluate(rounds=5, max_seconds=1, batch_sizes=(1,), threads=(1,), devices="cpu")
TEXTS = ("you are a numpty", "the map is from an older edition", "thanks", "   ")


@pytest.fixture
def artifacts(tiny_run: Path) -> dict[str, Artifact]:
    return {name: open_artifact(tiny_run / "artifacts" / name) for name in ("teacher", "student-int8", "tfidf")}


def times(artifacts: dict[str, Artifact], folder: Path, config: Evaluate, teacher: str | None = None) -> Times:
    return time_candidates(artifacts, TEXTS, "", teacher, {}, Store(folder, config, 13), silent)


# ---------------------------------------------------------------------------------------------------- rounds


def test_models_are_opened_anew_for_each_share_of_the_rounds(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(artifact: Artifact, *how: Any) -> Any:
        opened.append(artifact.manifest.stage_id)
        return open_predictor(artifact, *how)

    monkeypatch.setattr(rounds, "open_predictor", counted)
    in_steps: list[int] = []

    def stepped(*given: Any, **how: Any) -> Any:
        in_steps.append(len(opened) // 2)
        return measure_steps(*given, **how)

    monkeypatch.setattr(rounds, "measure_steps", stepped)
    two = {name: artifacts[name] for name in ("student-int8", "tfidf")}
    config = SMALL.model_copy(update={"rounds": 83, "max_seconds": 1000})
    told: list[tuple[str, int, int]] = []
    found = time_setting(
        two,
        [Workload(size, None, TEXTS) for size in (1, 2)],
        Setting("cpu", 1),
        "student-int8",
        {},
        Store(tmp_path, config, 13),
        lambda *said: told.append(said),
    )
    assert len(opened) == 8 * 2
    assert in_steps == [number for number in range(1, 9) for _ in range(2)]  # both batch sizes, with every opening
    assert len({tuple(opened[i : i + 2]) for i in range(0, 16, 2)}) == 2  # now the one first, now the other
    assert [row.samples for row in found.rows["tfidf"]] == [83, 83]
    assert told[-1] == ("timing cpu, 1 thread", 166, 166)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    row = found.rows["tfidf"][0]
    assert row.speedup_vs_teacher is not None
    assert row.tokenize_ms is not None
    assert row.model_ms is not None
    assert min(row.tokenize_ms, row.model_ms) > 0


def test_the_time_budget_ends_openings_but_five_rounds_there_are(
    artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    config = SMALL.model_copy(update={"rounds": 100_000, "max_seconds": 1e-6})
    (row,) = times({"tfidf": artifacts["tfidf"]}, tmp_path, config).rows["tfidf"]
    assert row.samples == 5


@pytest.mark.parametrize(("opening", "openings"), [(0.0, 8), (0.1, 5)])
def test_opening_the_models_is_part_of_the_time_budget(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: float, openings: int
) -> None:
    """A clock that stands but while models are opened."""
    now = [0.0]

    def opened(*how: Any) -> Any:
        now[0] += opening
        return open_predictor(*how)

    monkeypatch.setattr(rounds, "open_predictor", opened)
    monkeypatch.setattr(rounds, "perf_counter", lambda: now[0])
    found = time_setting(
        {"tfidf": artifacts["tfidf"]},
        [Workload(1, None, TEXTS)],
        Setting("cpu", 1),
        None,
        {},
        Store(tmp_path, SMALL.model_copy(update={"rounds": 80, "max_seconds": 0.3}), 13),
        silent,
    )
    assert round(now[0], 6) == opening * openings
    assert found.rows["tfidf"][0].samples <= 10 * openings


def test_opening_takes_half_of_the_time_for_rounds_at_most(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[float] = []
    now = [0.0]

    def opened(*how: Any) -> Any:
        now[0] += 4.0 if len(allowed) else 9.0
        return open_predictor(*how)

    def timed(*given: Any, **how: Any) -> Any:
        allowed.append(how["max_seconds"])
        return measure_latency(*given, **how)

    monkeypatch.setattr(rounds, "open_predictor", opened)
    monkeypatch.setattr(rounds, "measure_latency", timed)
    monkeypatch.setattr(rounds, "perf_counter", lambda: now[0])
    config = SMALL.model_copy(update={"rounds": 80, "max_seconds": 80})
    workloads = [Workload(size, None, TEXTS) for size in (1, 2)]
    store = Store(tmp_path, config, 13)
    time_setting({"tfidf": artifacts["tfidf"]}, workloads, Setting("cpu", 1), None, {}, store, silent)
    # a tenth is for the two steps; of ten seconds an opening, half of nine or of four is each workload's
    assert allowed == pytest.approx([0.9 * 5.5] * 2 + [0.9 * 8] * 14)


def test_a_kept_time_keeps_the_state_of_the_machine(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    first = times(artifacts, tmp_path, SMALL, "teacher")
    assert times(artifacts, tmp_path, SMALL, "teacher") == first
    (conditions,) = first.conditions
    assert (conditions.device, conditions.threads) == ("cpu", 1)
    assert conditions.cores >= 1
    assert conditions.seconds > 0
    assert conditions.others_busy >= 0


def test_a_price_gives_costs_and_takes_no_time_again(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = times(artifacts, tmp_path, SMALL)
    monkeypatch.setattr("compress.measure.latency.time_setting", lambda *_: pytest.fail("times were taken again"))
    priced = times(artifacts, tmp_path, SMALL.model_copy(update={"price_per_hour": 0.36}))
    (row,), (plain,) = priced.rows["tfidf"], before.rows["tfidf"]
    assert row.cost_per_million == pytest.approx(100 / row.texts_per_second)  # .0001 a second
    assert plain.cost_per_million is None


# ---------------------------------------------------------------------------------------------------- CUDA


class OnCuda:
    """A predictor that says it runs on CUDA, or that it could not."""

    def __init__(self, inner: Any, device: str, half: bool) -> None:
        self.inner, self.device, self.half = inner, device, half
        self.runtime = "torch fp16" if half else inner.runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def labels(self) -> Any:
        return self.inner.labels

    def judged(self) -> "OnCuda":
        return self

    def predict_proba(self, texts: Any) -> Any:
        return self.inner.predict_proba(texts) + (0.0005 if self.half else 0)


def test_on_cuda_torch_is_timed_in_fp16_too_and_a_silent_fallback_is_told(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime falls back to the CPU without a word: what ran there is not shown as a GPU's."""
    names = ("teacher", "student-onnx", "student-int8", "tfidf")
    found = {name: open_artifact(tiny_run / "artifacts" / name) for name in names}

    def opened(artifact: Artifact, device: str, threads: int, half: bool) -> Any:
        assert device == "cuda"
        inner = open_predictor(artifact, "cpu", threads)
        return OnCuda(inner, "cuda" if artifact.manifest.format == "torch" else "cpu", half)

    monkeypatch.setattr(rounds, "open_predictor", opened)
    taken = time_setting(
        found, [Workload(1, None, TEXTS)], Setting("cuda", 1), "teacher", {}, Store(tmp_path, SMALL, 13), silent
    )
    assert [row.runtime for row in taken.rows["teacher"]] == ["torch", "torch fp16"]
    assert set(taken.rows) == {"teacher"}
    (half,) = taken.notes
    assert half.startswith("teacher: in torch fp16 on CUDA its answers to 4 texts are within 0.0005 of fp32's")
    assert taken.fell_back == {"student-onnx": ("cuda",)}  # int8 and TF-IDF were not to run there
    monkeypatch.setattr(latency, "has_cuda", lambda: True)
    config = SMALL.model_copy(update={"threads": (), "devices": "auto", "batch_sizes": (1,)})
    cost = measure_cost(found, TEXTS, "digest", "teacher", Store(tmp_path / "cost", config, 13), silent)
    assert {it.id: it.fell_back for it in cost.measurements if it.fell_back} == {"student-onnx": ("cuda",)}
    assert cost.notes.count("student-onnx: cuda asked for, but it ran on the CPU: not measured") == 1


def test_without_cuda_half_is_the_file_as_it_is(artifacts: dict[str, Artifact]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    predictor = open_predictor(artifacts["teacher"], "cuda", 1, half=True)
    assert (predictor.device, predictor.runtime) == ("cpu", "torch")
    np.testing.assert_array_equal(
        predictor.predict_logits(TEXTS), open_predictor(artifacts["teacher"]).predict_logits(TEXTS)
    )


# ---------------------------------------------------------------------------------------------------- two steps


@pytest.mark.parametrize("name", ["teacher", "student-int8", "tfidf"])
def test_tokenization_and_model_together_are_the_prediction(artifacts: dict[str, Artifact], name: str) -> None:
    predictor = open_predictor(artifacts[name], threads=1)
    np.testing.assert_array_equal(predictor.run(predictor.tokenize(TEXTS)), predictor.predict_logits(TEXTS))


# ---------------------------------------------------------------------------------------------------- lengths


@pytest.mark.parametrize("tokens", [1, 7, 40])
def test_texts_are_cut_and_joined_to_a_length(tokens: int) -> None:
    made = texts_of_length(TEXTS, tokens, lambda text: len(text.split()), np.random.default_rng(0))
    assert len(made) == 64
    assert {len(text.split()) for text in made} == {tokens}
    assert len(set(made)) > 2
    assert set(" ".join(made).split()) >= {"thanks"}


def test_one_word_that_is_longer_is_kept_as_far_as_there_is_room() -> None:
    """Scripts without blanks: cut between characters."""
    assert set(texts_of_length(("地图是旧版的" * 9,), 5, len, np.random.default_rng(0))) == {"地图是旧版"}
    with pytest.raises(DataError, match="blank"):
        texts_of_length(("", " \n"), 5, len, np.random.default_rng(0))


def test_lengths_are_the_teachers_tokens_and_end_where_models_do(artifacts: dict[str, Artifact]) -> None:
    made = length_texts(artifacts, "teacher", TEXTS, (8, 24, 500), 13)
    assert list(made.texts) == [8, 24]
    predictor = open_predictor(artifacts["teacher"])
    for tokens, texts in made.texts.items():
        lengths = predictor.tokenizer.pieces(texts).lengths
        assert lengths.max() <= tokens
        assert np.median(lengths) >= tokens - 1
    assert made.notes == (
        "times by length: on the same texts, joined and cut; lengths are tokens of teacher's tokenizer, special ones "
        "included",
        "times by length: none above 32 tokens, which is the most that a model here reads",
    )
    words = length_texts({"tfidf": artifacts["tfidf"]}, "tfidf", TEXTS, (500,), 13)
    assert {len(text.split()) for text in words.texts[500]} == {500}
    assert words.notes[0].endswith("lengths are words")
    assert length_texts(artifacts, "teacher", TEXTS, (), 13).texts == {}


def test_lengths_have_rows_of_their_own(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    found = times(artifacts, tmp_path, SMALL.model_copy(update={"lengths": (8, 16)}), "teacher")
    assert [row.tokens for row in found.length_rows["tfidf"]] == [8, 16]
    assert [row.tokens for row in found.rows["tfidf"]] == [None]
    assert found.length_rows["teacher"][0].speedup_vs_teacher == Interval(1.0, 1.0, 1.0)


# ---------------------------------------------------------------------------------------------------- cold start


def test_a_fresh_process_imports_what_its_model_needs(
    artifacts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold, "STARTS", 1)
    found = cold.cold_starts({name: artifacts[name] for name in ("student-int8", "tfidf")}, TEXTS, silent).by_id
    start, memory = found["tfidf"].start_ms, found["tfidf"].peak_memory_mb
    assert start.low == start.value == start.high
    assert start.value is not None
    assert start.value > 10
    if sys.platform == "linux":
        assert memory is not None
        assert 10 < memory < 200
        assert memory < found["student-int8"].peak_memory_mb < 400  # ONNX Runtime; neither of them torch
        assert found["student-int8"].peak_memory_batch_mb >= found["student-int8"].peak_memory_mb


def test_every_round_starts_each_model_once_in_the_order_turned_round(
    artifacts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slows down from start to start slows all of them."""
    started: list[str] = []
    told: list[tuple[int, int]] = []

    def start(artifact: Path, *_: Path) -> Any:
        started.append(artifact.name)
        return cold._Start(float(len(started)), (1_000_000 * len(started), None))

    monkeypatch.setattr(cold, "_start", start)
    found = cold.cold_starts(artifacts, TEXTS, lambda _, done, total: told.append((done, total)))
    there = list(artifacts)
    assert started == [*there, *there[::-1], *there, *there[::-1], *there]
    assert found.by_id["teacher"].start_ms == Interval(7000.0, 1000.0, 13000.0)  # 1, 6, 7, 12 and 13
    assert found.by_id["tfidf"].start_ms == Interval(9000.0, 3000.0, 15000.0)
    assert (found.by_id["tfidf"].peak_memory_mb, found.by_id["tfidf"].peak_memory_batch_mb) == (9.0, None)
    assert told == [(done, 15) for done in range(16)]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('no such thing')", "before its first answer (exit code 1): no such thing"),
        ("raise SystemExit(3)", "before its first answer (exit code 3): it said nothing"),
        (
            "import os; os.kill(os.getpid(), 9)",
            "before its first answer (killed by SIGKILL, as the system does when memory runs out): it said nothing",
        ),
        ("import os; os.kill(os.getpid(), 15)", "before its first answer (killed by SIGTERM): it said nothing"),
        (
            "print(5_000_000, flush=True); raise SystemExit('too much')",
            "after its first answer, at a batch of 32 texts (exit code 1): too much",
        ),
    ],
)
def test_a_process_that_dies_is_told(
    artifacts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    monkeypatch.setattr(cold, "_PROGRAM", program)
    with pytest.raises(CompressError, match=re.escape(f"tfidf: a fresh process ended {said}")):
        cold.cold_starts({"tfidf": artifacts["tfidf"]}, TEXTS, silent)


def test_peak_memory_is_what_was_held_once() -> None:
    if peak_memory_bytes() is None:
        pytest.skip("this system does not say")
    program = (
        "from compress.memory import peak_memory_bytes as peak; before = peak(); held = bytearray(80_000_000); "
        "del held; print(peak() - before, before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown, before = map(int, done.stdout.split())
    assert 75_000_000 < grown < 90_000_000
    assert before < 100_000_000  # not what the parent holds


# ---------------------------------------------------------------------------------------------------- the machine


def test_others_are_what_the_machine_did_and_this_process_did_not() -> None:
    before = Reading(at=100.0, busy=50.0, own=5.0, load=0.5)
    assert Reading(at=110.0, busy=68.0, own=13.0, load=3.1).others_since(before) == pytest.approx(1.0)
    assert Reading(at=110.0, busy=58.0, own=13.5, load=3.1).others_since(before) == 0.0  # rounded clocks


def test_a_reading_counts_own_work_as_own() -> None:
    before = environment.machine_reading()
    while environment.machine_reading().own < before.own + 0.2:
        pass
    after = environment.machine_reading()
    assert after.at > before.at
    assert after.busy - before.busy >= 0.1


def test_a_bench_says_what_machine_it_was() -> None:
    def seen(threads: int, device: str = "cpu", load: float | None = 0.5) -> Conditions:
        return Conditions(device, threads, "some CPU", ("avx2",), 8, load, 3.14 if load else None, 0.0, 1.0)

    facts: dict[str, Any] = {"cpu": "some CPU", "cores": 2, "cpu_features": ["avx2", "avx512f"], "gpu": "an H100"}
    found = Bench((), None, "", (), facts, (seen(1), seen(2)))
    assert found.machine == "some CPU, 2 cores (avx2, avx512f), threads 1, 2, load 0.5–3.1"
    bare = facts | {"cores": 1, "cpu_features": []}
    found = Bench((), None, "", (), bare, (seen(1, load=None), seen(1, "cuda", None)))
    assert found.machine == "some CPU, 1 core (no vector extensions known), threads 1, an H100"


def test_the_neighbour_in_the_benchmark_has_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of matrices takes every core that it is not kept from."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    neighbour = runpy.run_path(str(Path(__file__).parent / "benchmarks" / "aa.py"))["neighbour"]
    with mock.patch("subprocess.Popen") as started, neighbour(True):
        pass
    program = (
        "import numpy; from threadpoolctl import threadpool_info as all; print({it['num_threads'] for it in all()})"
    )
    kept = started.call_args.kwargs["env"]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=kept)
    assert done.stdout == "{1}\n"


@pytest.mark.parametrize(("others", "busy"), [(0.1, False), (0.3, True)])
def test_a_busy_machine_is_told(others: float, busy: bool) -> None:
    found = Conditions("cpu", 1, "some", ("avx2",), 2, 0.4, 3.14, others, 12.0)
    assert found.busy == busy
    assert found.note().startswith(f"timing on cpu with 1 thread: other work kept {others} of 2 cores busy, load 3.1: ")


# ---------------------------------------------------------------------------------------------------- the command


def folder(tiny_run: Path, name: str) -> Path:
    return tiny_run / "artifacts" / name


def test_bench_without_data_says_whose_texts_they_are(command: Callable[..., Any], tiny_run: Path) -> None:
    ended = command("bench", folder(tiny_run, "tfidf"), *QUICK)
    assert ended.code == 0, ended.err
    assert "the built-in generated comments" in ended.out
    assert "2,000 texts, generated" in ended.out
    assert f"Measured on: {environment.environment()['cpu']}, " in ended.out
    assert "┃ speedup" not in ended.out  # over what? there is no teacher


def test_bench_writes_json_and_a_report_and_finds_its_times_again(
    command: Callable[..., Any], tiny_run: Path, comment_files: Path, tmp_path: Path
) -> None:
    typed = ("bench", folder(tiny_run, "student-int8"), "--teacher", folder(tiny_run, "teacher"), *QUICK)
    data = ("--data", comment_files / "unlabeled.csv", "--lengths", "8,16", "--price-per-hour", 0.1)
    first = command(*typed, *data, "--out", tmp_path / "b", "--json")
    assert first.code == 0, first.err
    found = json.loads(first.out)
    assert found == json.loads((tmp_path / "b" / "bench.json").read_text(encoding="utf-8"))
    assert found["texts"] == f"80 texts, {comment_files / 'unlabeled.csv'}"
    assert [it["id"] for it in found["candidates"]] == ["teacher", "student-int8"]
    student = found["candidates"][1]
    assert student["latency"][0]["speedup_vs_teacher"]["value"] > 0
    assert student["latency"][0]["cost_per_million"] > 0
    assert [row["tokens"] for row in student["length_latency"]] == [8, 16]
    assert (student["quality"], student["cold_start_ms"]) == (None, None)
    assert found["timing"][0]["threads"] == 1
    markdown = (tmp_path / "b" / "bench.md").read_text(encoding="utf-8")
    assert all(words in markdown for words in ("## Latency by length", "cost per million", "tokenize ms"))
    assert re.search(r"\nMeasured on: .+, \d+ cores? .*, threads 1, load [\d.]+–", markdown)
    again = command(*typed, *data, "--out", tmp_path / "b", "--json")
    assert json.loads(again.out)["candidates"] == found["candidates"]


def test_bench_shows_cold_starts(
    command: Callable[..., Any], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.measure.cold.STARTS", 1)
    lines = tmp_path / "lines.txt"
    lines.write_text("one text\n\nanother one\n", encoding="utf-8")
    ended = command("bench", folder(tiny_run, "tfidf"), *QUICK[:-1], "--cold-start", "--data", lines)
    assert ended.code == 0, ended.err
    assert "Cold start: 2 texts" in ended.out
    assert "peak MB" in ended.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "gone.csv"), "gone.csv: no such file; --data names a file of texts"),
        (("--batch-sizes", "1;32"), "--batch-sizes 1;32: '1;32' is no number; give numbers with commas"),
        (("--batch-sizes", "0"), "--batch-sizes 0: "),
        (("--batch-sizes", "²"), "--batch-sizes ²: '²' is no number"),
        (("--threads", "١"), "--threads ١: '١' is no number"),
        (("--price-per-hour", "inf"), "--price-per-hour inf: Input should be "),
        (("--price-per-hour", "nan"), "--price-per-hour nan: Input should be "),
        (("--price-per-hour", "1e308"), "--price-per-hour 1e+308: Input should be "),
        (("--max-seconds", "inf"), "--max-seconds inf: Input should be a finite number"),
        (("--batch-sizes", "all"), "--batch-sizes all: "),
        (("--lengths", "16,16"), "16 stands twice"),
        (("--max-seconds", "-1"), "--max-seconds -1.0: "),
        (("--teacher", "nowhere"), "nowhere"),
    ],
)
def test_a_mistake_is_said_in_one_paragraph(
    command: Callable[..., Any], tiny_run: Path, options: tuple[str, ...], said: str
) -> None:
    ended = command("bench", folder(tiny_run, "tfidf"), *options)
    assert ended.code == 2
    assert said in ended.err


def test_a_file_of_blanks_or_without_the_column_is_told(
    command: Callable[..., Any], tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("id,words\n1,hello\n", encoding="utf-8")
    for name, said in (("blank.txt", "holds no text but blanks"), ("other.csv", "comment_text")):
        ended = command("bench", folder(tiny_run, "tfidf"), "--data", tmp_path / name)
        assert ended.code == 2
        assert said in ended.err


def test_a_folder_of_somebody_elses_is_left_alone(command: Callable[..., Any], tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    ended = command("bench", folder(tiny_run, "tfidf"), *QUICK, "--out", tmp_path)
    assert ended.code == 2
    assert "did not write" in ended.err
