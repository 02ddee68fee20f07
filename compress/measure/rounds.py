"""One way to open the candidates: their times on every batch size and length, over several openings."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np

from compress.artifact import Artifact
from compress.context import Progress
from compress.environment import Reading, environment, machine_cores, machine_reading
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from compress.runtime.base import Device
from eval.contract import Candidate, Interval
from eval.latency.conditions import Conditions
from eval.latency.intervals import paired_speedup
from eval.latency.rounds import (
    MINIMUM_ROUNDS,
    LatencyRow,
    LatencySamples,
    StepTimes,
    joined,
    latency_rows,
    measure_latency,
    measure_steps,
)

# the same file opened again lies elsewhere in memory, and is a per cent or two faster or slower for as long as it is
# open: rounds on one opening, however many, cannot tell that from a difference between models
OPENINGS = 8
_ROUNDS_AN_OPENING = 10  # with fewer, one opening must do
_STEPS_SHARE = 10  # tokenization and model apart take a tenth of the rounds and of the time
_HALF = " (fp16)"
_COMPARED = 32  # texts


@dataclass(frozen=True)
class Setting:
    """One way to open candidates so that their times compare."""

    device: Device
    threads: int

    def __str__(self) -> str:
        return f"{self.device}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class Workload:
    """What a call gets. tokens: how long each text was made; None: as they come."""

    batch_size: int
    tokens: int | None
    texts: tuple[str, ...]


@dataclass(frozen=True)
class AgainstParent:
    """How fast a pruned model is, its parent's speed being 1."""

    parent: str
    where: str
    speed: Interval


@dataclass(frozen=True)
class Times:
    """What one way to open the candidates gave; or all ways, put together.

    against_parent: pruned id -> its parent's time / its own, paired by round, at the batch size `where` names.
    length_rows: of texts that were all made of one length.
    """

    rows: dict[str, tuple[LatencyRow, ...]]
    notes: tuple[str, ...]
    against_parent: dict[str, AgainstParent]
    length_rows: dict[str, tuple[LatencyRow, ...]] = field(default_factory=dict)
    conditions: tuple[Conditions, ...] = ()


@dataclass
class _Taken:
    """The rounds that one workload has had so far, and the seconds they took."""

    workload: Workload
    parts: list[LatencySamples] = field(default_factory=list)
    steps: dict[str, StepTimes] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rounds(self) -> int:
        return sum(len(part.seconds) for part in self.parts)

    def enough(self, config: Evaluate) -> bool:
        """Whether the time is up, or all rounds are done."""
        late = self.seconds >= config.max_seconds and self.rounds >= MINIMUM_ROUNDS
        return self.rounds >= config.rounds or late


def time_setting(
    artifacts: Mapping[str, Artifact],
    workloads: Sequence[Workload],
    setting: Setting,
    teacher: str | None,
    pruned: Mapping[str, str],
    store: Store,
    progress: Progress,
) -> Times:
    """Every workload in turn with each opening. A candidate that does not run on the device asked for is left out."""
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
    smallest = min(natural, key=lambda one: one.workload.batch_size, default=None)
    return Times(
        rows=_by_name(natural, teacher),
        notes=tuple(dict.fromkeys(notes)),
        against_parent={} if smallest is None else _against_parents(joined(smallest.parts), pruned, setting),
        length_rows=_by_name([one for one in found if one.workload.tokens is not None], teacher),
        conditions=(conditions,) if found else (),
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
    """Opens the candidates and takes this opening's share of the rounds of each workload. They are gone on return."""
    opened = _open(artifacts, setting, np.random.default_rng((store.seed, number)))
    there = [candidate for candidate in opened if candidate.device == setting.device]
    missing = [candidate.id for candidate in opened if candidate.device != setting.device]
    total = store.config.rounds * len(taken)
    for one in wanted if there else ():
        before = sum(it.rounds for it in taken)
        _take(one, there, number, store, partial(_told, progress, f"timing {setting}", before, total))
    notes = (f"{', '.join(missing)}: {setting.device} asked for, but it ran on the CPU: not measured",)
    return (notes if missing else ()) + (_half_notes(there, wanted[0].workload.texts) if number == 0 else ())


def _told(progress: Progress, what: str, before: int, total: int, done: int, _: int) -> None:
    progress(what, before + done, total)


def _take(one: _Taken, there: Sequence[Candidate], number: int, store: Store, told: Callable[[int, int], None]) -> None:
    """One opening's share of a workload's rounds; with the first opening its two steps apart."""
    config, openings, started = store.config, _openings(store.config), perf_counter()
    size, texts, seed = one.workload.batch_size, one.workload.texts, store.seed + number
    samples = measure_latency(
        there,
        texts,
        batch_size=size,
        rounds=config.rounds // openings + (number < config.rounds % openings),
        max_seconds=config.max_seconds / openings,
        seed=seed,
        least=MINIMUM_ROUNDS if openings == 1 else 1,
        progress=told,
    )
    one.parts.append(samples)
    one.seconds += perf_counter() - started
    if number == 0:
        rounds, seconds = max(1, config.rounds // _STEPS_SHARE), config.max_seconds / _STEPS_SHARE
        one.steps = measure_steps(there, texts, batch_size=size, rounds=rounds, max_seconds=seconds, seed=seed)


def _by_name(taken: Sequence[_Taken], teacher: str | None) -> dict[str, tuple[LatencyRow, ...]]:
    """Each candidate's rows; fp16 on CUDA after fp32."""
    rows: dict[str, tuple[LatencyRow, ...]] = {}
    for one in taken:
        for name, row in _rows(one, teacher).items():
            plain = name.removesuffix(_HALF)
            rows[plain] = (*rows.get(plain, ()), row)
    return rows


def _rows(one: _Taken, teacher: str | None) -> dict[str, LatencyRow]:
    rows = latency_rows(joined(one.parts), teacher)
    return {
        name: replace(
            row,
            tokens=one.workload.tokens,
            tokenize_ms=one.steps[name].tokenize_ms if name in one.steps else None,
            model_ms=one.steps[name].model_ms if name in one.steps else None,
        )
        for name, row in rows.items()
    }


def _open(artifacts: Mapping[str, Artifact], setting: Setting, rng: np.random.Generator) -> list[Candidate]:
    """The candidates in their own order, opened in a random one: the first to come finds memory another way.

    On CUDA torch models come a second time, in fp16.
    """
    gc.collect()  # the last opening's models: some hold themselves in cycles
    ways = [(name, False) for name in artifacts if setting.device == "cpu" or _runs_on_cuda(artifacts[name])]
    if setting.device == "cuda":
        ways += [(name, True) for name, _ in ways if artifacts[name].manifest.format == "torch"]
    opened: dict[tuple[str, bool], Candidate] = {}
    for place in rng.permutation(len(ways)):
        name, half = ways[place]
        predictor = open_predictor(artifacts[name], setting.device, setting.threads, half)
        opened[name, half] = candidate_of(name + _HALF * half, artifacts[name], predictor)
    return [opened[way] for way in ways]


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


def _against_parents(samples: LatencySamples, pruned: Mapping[str, str], setting: Setting) -> dict[str, AgainstParent]:
    seconds = dict(zip(samples.candidates, samples.seconds.T, strict=True))
    where = f"{setting}, batch {samples.batch_size}"
    return {
        name: AgainstParent(parent, where, paired_speedup(seconds[parent], seconds[name], samples.openings))
        for name, parent in pruned.items()
        if name in seconds and parent in seconds
    }


def _runs_on_cuda(artifact: Artifact) -> bool:
    """int8 kernels and TF-IDF are the CPU's."""
    manifest = artifact.manifest
    return manifest.format == "torch" or (manifest.format == "onnx" and manifest.precision in {"fp32", "fp16"})
