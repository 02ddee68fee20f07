"""One way to open the candidates: their times on every batch size and length, over several openings."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact, Manifest
from compress.context import Progress
from compress.environment import Reading, environment, machine_cores, machine_reading
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from compress.runtime.base import Device
from eval.contract import Candidate, Interval
from eval.latency.conditions import Conditions, threads_text
from eval.latency.intervals import FEWEST_OPENINGS, paired_speedup
from eval.latency.rounds import (
    MINIMUM_ROUNDS,
    LatencyRow,
    LatencySamples,
    joined,
    latency_rows,
    measure_latency,
    measure_steps,
    step_times,
)

# the same file opened again lies elsewhere in memory, and is a per cent or two faster or slower for as long as it is
# open: rounds on one opening, however many, cannot tell that from a difference between models
OPENINGS = 8
_ROUNDS_AN_OPENING = 10  # with fewer, one opening must do
_STEPS_SHARE = 0.1  # of the time, for tokenization and model apart
_LEAST_TIMED = 0.5  # of an opening's share of the time, however long it took to open the models
_HALF = " (fp16)"
_COMPARED = 32  # texts


@dataclass(frozen=True)
class Setting:
    """One way to open candidates so that their times compare."""

    device: Device
    threads: int

    def __str__(self) -> str:
        return f"{self.device}, {threads_text(self.threads)}"


@dataclass(frozen=True)
class Workload:
    """What a call gets. tokens: how long each text was made; None: as they come."""

    batch_size: int
    tokens: int | None
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Times:
    """What one way to open the candidates gave; or all ways, put together.

    length_rows: of texts that were all made of one length. fell_back: by candidate, the devices on which it was to be
    timed, and ran on the CPU instead.
    """

    rows: dict[str, tuple[LatencyRow, ...]]
    notes: tuple[str, ...]
    length_rows: dict[str, tuple[LatencyRow, ...]] = field(default_factory=dict)
    conditions: tuple[Conditions, ...] = ()
    fell_back: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class _Taken:
    """The rounds that one workload has had so far.

    steps: of each opening, the two steps apart. seconds: all that was spent on it, with its share of the openings.
    """

    workload: Workload
    parts: list[LatencySamples] = field(default_factory=list)
    steps: list[dict[str, NDArray[np.float64]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rounds(self) -> int:
        return sum(len(part.seconds) for part in self.parts)

    def enough(self, config: Evaluate) -> bool:
        """Whether all rounds are done; or the time is up, after as many openings as an interval needs."""
        least = min(_openings(config), FEWEST_OPENINGS)
        late = self.seconds >= config.max_seconds and self.rounds >= MINIMUM_ROUNDS and len(self.parts) >= least
        return self.rounds >= config.rounds or late


def time_setting(
    artifacts: Mapping[str, Artifact],
    workloads: Sequence[Workload],
    setting: Setting,
    teacher: str | None,
    parents: Mapping[str, str],
    store: Store,
    progress: Progress,
) -> Times:
    """Every workload in turn with each opening. A candidate that does not run on the device asked for is left out.

    parents: id -> id of the candidate it is timed against beside the teacher.
    """
    config = store.config
    taken = [_Taken(workload) for workload in workloads]
    notes: tuple[str, ...] = ()
    before = machine_reading()
    for number in range(_openings(config)):
        wanted = [one for one in taken if not one.enough(config)]
        if wanted:
            notes += _one_opening(artifacts, setting, number, wanted, taken, store, progress)
    conditions = _conditions(setting, before, machine_reading())
    found = [one for one in taken if one.parts]
    natural = [one for one in found if one.workload.tokens is None]
    rows = _by_name(natural, teacher, parents)
    return Times(
        rows=rows,
        notes=tuple(dict.fromkeys(notes)),
        length_rows=_by_name([one for one in found if one.workload.tokens is not None], teacher, parents),
        conditions=(conditions,) if found else (),
        fell_back={name: (setting.device,) for name in _asked(artifacts, setting) if name not in rows},
    )


def _openings(config: Evaluate) -> int:
    return OPENINGS if config.rounds >= OPENINGS * _ROUNDS_AN_OPENING else 1


def _one_opening(
    artifacts: Mapping[str, Artifact],
    setting: Setting,
    number: int,
    wanted: Sequence[_Taken],
    taken: Sequence[_Taken],
    store: Store,
    progress: Progress,
) -> tuple[str, ...]:
    """Opens the candidates and takes this opening's share of the rounds of each workload; notes of what they are.

    They are gone on return.
    """
    started = perf_counter()
    opened = _open(artifacts, setting, np.random.default_rng((store.seed, number)))
    spent = (perf_counter() - started) / len(wanted)
    there = [candidate for candidate in opened if candidate.device == setting.device]
    total = store.config.rounds * len(taken)
    for one in wanted if there else ():
        before = sum(it.rounds for it in taken)
        _take(one, there, number, store, spent, partial(_told, progress, f"timing {setting}", before, total))
    return _half_notes(there, wanted[0].workload.texts) if number == 0 else ()


def _told(progress: Progress, what: str, before: int, total: int, done: int, _: int) -> None:
    progress(what, before + done, total)


def _take(
    one: _Taken,
    there: Sequence[Candidate],
    number: int,
    store: Store,
    spent: float,
    told: Callable[[int, int], None],
) -> None:
    """One opening's share of a workload's rounds, then the same ones in two steps. spent: seconds, to open the models.

    What opening takes is taken from the time for rounds, half of it at most.
    """
    config, openings, started = store.config, _openings(store.config), perf_counter()
    size, texts, seed = one.workload.batch_size, one.workload.texts, store.seed + number
    rounds = config.rounds // openings + (number < config.rounds % openings)
    share = config.max_seconds / openings
    seconds = max(share - spent, _LEAST_TIMED * share)
    samples = measure_latency(
        there,
        texts,
        batch_size=size,
        rounds=rounds,
        max_seconds=(1 - _STEPS_SHARE) * seconds,
        seed=seed,
        least=MINIMUM_ROUNDS if openings == 1 else 1,
        progress=told,
    )
    one.parts.append(samples)
    one.steps.append(
        measure_steps(there, texts, batch_size=size, rounds=rounds, max_seconds=_STEPS_SHARE * seconds, seed=seed)
    )
    one.seconds += spent + perf_counter() - started


def _by_name(
    taken: Sequence[_Taken], teacher: str | None, parents: Mapping[str, str]
) -> dict[str, tuple[LatencyRow, ...]]:
    """Each candidate's rows; fp16 on CUDA after fp32."""
    rows: dict[str, tuple[LatencyRow, ...]] = {}
    for one in taken:
        for name, row in _rows(one, teacher, parents).items():
            plain = name.removesuffix(_HALF)
            rows[plain] = (*rows.get(plain, ()), row)
    return rows


def _rows(one: _Taken, teacher: str | None, parents: Mapping[str, str]) -> dict[str, LatencyRow]:
    samples, steps = joined(one.parts), step_times(one.steps)
    rows, against = latency_rows(samples, teacher), _against_parents(samples, parents)
    return {
        name: replace(
            row,
            speedup_vs_parent=against.get(name),
            tokens=one.workload.tokens,
            tokenize_ms=steps[name].tokenize_ms if name in steps else None,
            model_ms=steps[name].model_ms if name in steps else None,
        )
        for name, row in rows.items()
    }


def _open(artifacts: Mapping[str, Artifact], setting: Setting, rng: np.random.Generator) -> list[Candidate]:
    """The candidates in their own order, opened in a random one: the first to come finds memory another way.

    On CUDA torch models in fp32 come a second time, in fp16.
    """
    gc.collect()  # the last opening's models: some hold themselves in cycles
    ways = [(name, False) for name in _asked(artifacts, setting)]
    if setting.device == "cuda":
        ways += [(name, True) for name, _ in ways if _in_fp32(artifacts[name].manifest)]
    opened: dict[tuple[str, bool], Candidate] = {}
    for place in rng.permutation(len(ways)):
        name, half = ways[place]
        predictor = open_predictor(artifacts[name], setting.device, setting.threads, half)
        opened[name, half] = candidate_of(name + _HALF * half, artifacts[name], predictor)
    return [opened[way] for way in ways]


def _asked(artifacts: Mapping[str, Artifact], setting: Setting) -> list[str]:
    """The candidates that are to run on its device."""
    return [name for name, artifact in artifacts.items() if setting.device == "cpu" or _runs_on_cuda(artifact)]


def _half_notes(there: Sequence[Candidate], texts: Sequence[str]) -> tuple[str, ...]:
    """What fp16 changes of a torch model's answers: only its time is in the report, its quality is fp32's."""
    by_id, sample = {candidate.id: candidate for candidate in there}, texts[:_COMPARED]
    return tuple(
        f"{name}: in torch fp16 on CUDA its answers to {len(sample)} texts are within "
        f"{np.abs(by_id[name].predict(sample) - by_id[name + _HALF].predict(sample)).max():.1g} of fp32's, whose "
        "quality is what is reported"
        for name in by_id
        if name + _HALF in by_id
    )


def _conditions(setting: Setting, before: Reading, after: Reading) -> Conditions:
    facts = environment()
    features = facts["cpu_features"]
    return Conditions(
        device=setting.device,
        threads=setting.threads,
        cpu=str(facts["cpu"]),
        cpu_features=tuple(features) if isinstance(features, list) else (),
        cores=machine_cores(),
        load_before=before.load,
        load_after=after.load,
        others_busy=after.others_since(before),
        seconds=after.at - before.at,
    )


def _against_parents(samples: LatencySamples, parents: Mapping[str, str]) -> dict[str, Interval]:
    """Its parent's time / its own, paired by round, of each candidate whose parent was timed in the same rounds."""
    seconds = dict(zip(samples.candidates, samples.seconds.T, strict=True))
    return {
        name: paired_speedup(seconds[parent], seconds[name], samples.openings)
        for name, parent in parents.items()
        if name in seconds and parent in seconds
    }


def _in_fp32(manifest: Manifest) -> bool:
    return manifest.format == "torch" and manifest.precision == "fp32"


def _runs_on_cuda(artifact: Artifact) -> bool:
    """int8 kernels and TF-IDF are the CPU's."""
    manifest = artifact.manifest
    return manifest.format == "torch" or (manifest.format == "onnx" and manifest.precision in {"fp32", "fp16"})
