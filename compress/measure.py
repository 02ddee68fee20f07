"""Artifacts -> measurements: opens each as the judge's Candidate, and keeps what was measured by content."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from compress.artifact import Artifact, library_versions, read_json, sha256_text, write_json
from compress.context import Progress
from compress.environment import LIBRARIES, cpu_features, environment, has_cuda
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from compress.runtime.base import Device, LogitsPredictor, Values
from compress.threads import all_threads
from eval.contract import Candidate, Footprint, Interval, LabelledTexts
from eval.evaluator import Measurement, Quality, measure_quality, quality_from_json
from eval.latency import LatencyRow, LatencySamples, latency_rows, measure_latency, paired_speedup

# raised when a measurement's meaning changes
VERSION = 2
NO_CUDA = "torch sees no CUDA device: nothing was measured on a GPU"
_MACHINE = ("cpu", "cpu_features", "cores", "libraries")
_GPU = ("gpu", "gpu_driver", "cuda_visible_devices")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Setting:
    """One way to open candidates so that their times compare."""

    device: Device
    threads: int


@dataclass(frozen=True)
class Measured:
    """Every candidate's measurement, and what a reader must know of how they were taken."""

    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]


def measure(
    artifacts: dict[str, Artifact],
    tests: dict[str, LabelledTexts],
    test_digests: dict[str, str],
    config: Evaluate,
    teacher: str | None,
    seed: int,
    cache_dir: Path,
    progress: Progress,
    pruned: Mapping[str, str] | None = None,
) -> Measured:
    """Quality on every test set, size, and latency in one interleaved run of all candidates.

    artifacts: by candidate id. tests: by name, the first one lends its texts to the latency measurement. pruned: id ->
    id of the candidate it was pruned from; the notes say what pruning did to the speed.
    """
    store = _Store(cache_dir / "measurements", config, seed)
    quality = {
        name: {
            test: _quality(name, artifact, test, rows, test_digests[test], store, progress)
            for test, rows in tests.items()
        }
        for name, artifact in artifacts.items()
    }
    prints = {name: _footprint(artifact, store) for name, artifact in artifacts.items()}
    first = next(iter(tests))
    times = _latency(artifacts, tests[first].texts, test_digests[first], teacher, pruned or {}, store, progress)
    measurements = tuple(
        Measurement(
            id=name,
            stage=artifact.manifest.stage_type,
            format=_format(artifact),
            footprint=prints[name],
            quality_by_set=quality[name],
            latency=tuple(times.rows[name]),
        )
        for name, artifact in artifacts.items()
    )
    shares = {name: prints[name].zeros_share for name in pruned or {}}
    return Measured(measurements, (*times.notes, *_pruning_notes(shares, times.against_parent)))


def settings(config: Evaluate) -> tuple[Setting, ...]:
    """Every (device, threads) that is measured here; `all` and its number are one."""
    counts = dict.fromkeys(min(all_threads(), all_threads() if count == "all" else count) for count in config.threads)
    on_cpu = tuple(Setting("cpu", count) for count in counts)
    return (*on_cpu, Setting("cuda", all_threads())) if config.devices == "auto" and has_cuda() else on_cpu


@dataclass(frozen=True)
class _Store:
    """Measurements on disk, named by all that they depend on."""

    folder: Path
    config: Evaluate
    seed: int

    def once(
        self, kind: str, parts: Sequence[Any], compute: Callable[[], dict[str, Any]], read: Callable[[Any], _T]
    ) -> _T:
        """What `read` makes of the kept measurement; one that is missing or damaged is taken again."""
        key = sha256_text(json.dumps([VERSION, kind, self.seed, *parts], sort_keys=True))
        file = self.folder / f"{kind}-{key[:32]}.json"
        kept = read_json(file)
        if kept is not None:
            with suppress(KeyError, TypeError, AttributeError):  # JSON, but not what was written there
                return read(kept)
        computed = compute()
        write_json(file, computed)
        return read(computed)


def _format(artifact: Artifact) -> str:
    manifest = artifact.manifest
    return manifest.format if manifest.precision == "fp32" else f"{manifest.format}-{manifest.precision}"


def _candidate(name: str, artifact: Artifact, predictor: LogitsPredictor) -> Candidate:
    """footprint: of no matter to quality and latency, and counted apart."""
    judged = predictor.judged()
    thresholds = None if isinstance(judged, Values) else predictor.decision.thresholds
    return Candidate(
        id=name,
        stage=artifact.manifest.stage_type,
        format=_format(artifact),
        runtime=predictor.runtime,
        device=predictor.device,
        threads=predictor.threads,
        footprint=Footprint(0, 0, 0, 0, 0.0),
        thresholds=None if thresholds is None else np.asarray(thresholds, np.float32),
        predictor=judged,
    )


def _quality(
    name: str, artifact: Artifact, test: str, rows: LabelledTexts, digest: str, store: _Store, progress: Progress
) -> Quality:
    def compute() -> dict[str, Any]:
        candidate = _candidate(name, artifact, open_predictor(artifact))
        return measure_quality(
            candidate,
            rows,
            resamples=store.config.resamples,
            seed=store.seed,
            progress=lambda done, total: progress(f"evaluating {name} on {test}", done, total),
        ).to_json()

    # without VNNI int8 kernels saturate, and answer otherwise
    parts = [artifact.digest, digest, store.config.resamples, library_versions(LIBRARIES), cpu_features()]
    return store.once("quality", parts, compute, quality_from_json)


def _footprint(artifact: Artifact, store: _Store) -> Footprint:
    def compute() -> dict[str, Any]:
        from compress.runtime.footprint import footprint

        return asdict(footprint(artifact))

    return store.once("footprint", [artifact.digest], compute, lambda found: Footprint(**found))


@dataclass(frozen=True)
class _Times:
    """What one way to open the candidates gave; or all ways, put together.

    against_parent: pruned id -> its parent's time / its own, paired by round, at the batch size `where` names.
    """

    rows: dict[str, list[LatencyRow]]
    notes: tuple[str, ...]
    against_parent: dict[str, "_AgainstParent"]

    def to_json(self) -> dict[str, Any]:
        rows = {name: [row.to_json() for row in rows] for name, rows in self.rows.items()}
        pairs = {name: asdict(pair) for name, pair in self.against_parent.items()}
        return {"rows": rows, "notes": self.notes, "against_parent": pairs}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "_Times":
        rows = {name: [LatencyRow.from_json(row) for row in rows] for name, rows in data["rows"].items()}
        pairs = {
            name: _AgainstParent(pair["parent"], pair["where"], Interval(**pair["speed"]))
            for name, pair in data["against_parent"].items()
        }
        return cls(rows, tuple(data["notes"]), pairs)


@dataclass(frozen=True)
class _AgainstParent:
    """How fast a pruned model is, its parent's speed being 1."""

    parent: str
    where: str
    speed: Interval


def _pruning_notes(zeros_shares: Mapping[str, float], pairs: Mapping[str, _AgainstParent]) -> tuple[str, ...]:
    """Zeros save bytes once compressed; whether they save time is measured, not supposed."""
    return tuple(
        f"{name}: {zeros_shares[name]:.0%} of its parameters are exactly zero; it runs at {pair.speed.value:.2f}x "
        f"({pair.speed.low:.2f}–{pair.speed.high:.2f}) the speed of {pair.parent}, which it was pruned from "
        f"({pair.where})"
        for name, pair in pairs.items()
    )


def _latency(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    digest: str,
    teacher: str | None,
    pruned: Mapping[str, str],
    store: _Store,
    progress: Progress,
) -> _Times:
    """All candidates again whenever one of them is new: times compare only within one interleaved run."""
    rows: dict[str, list[LatencyRow]] = {name: [] for name in artifacts}
    notes: list[str] = []
    pairs: dict[str, _AgainstParent] = {}
    chosen = settings(store.config)
    if store.config.devices == "auto" and not any(setting.device == "cuda" for setting in chosen):
        notes.append(NO_CUDA)
    digests = {name: artifact.digest for name, artifact in artifacts.items()}
    timing = store.config.model_dump(mode="json", exclude={"resamples", "threads", "devices"})
    for setting in chosen:
        machine = {key: environment()[key] for key in (*_MACHINE, *(_GPU if setting.device == "cuda" else ()))}
        parts = [list(digests.items()), digest, timing, asdict(setting), teacher, sorted(pruned.items()), machine]
        time = partial(_time, artifacts, texts, setting, teacher, pruned, store, progress)
        found = store.once("latency", parts, time, _Times.from_json)
        notes += found.notes
        pairs = found.against_parent | pairs  # the first setting's: one thread, where that is measured
        for name, measured in found.rows.items():
            rows[name] += measured
    return _Times(rows, tuple(notes), pairs)


def _time(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    setting: Setting,
    teacher: str | None,
    pruned: Mapping[str, str],
    store: _Store,
    progress: Progress,
) -> dict[str, Any]:
    """One interleaved run for each batch size. A candidate that does not run on the device asked for is left out."""
    opened = [
        _candidate(name, artifact, open_predictor(artifact, setting.device, setting.threads))
        for name, artifact in artifacts.items()
        if setting.device == "cpu" or _runs_on_cuda(artifact)
    ]
    there = [candidate for candidate in opened if candidate.device == setting.device]
    missing = [candidate.id for candidate in opened if candidate.device != setting.device]
    notes = (f"{', '.join(missing)}: {setting.device} asked for, but it ran on the CPU: not measured",)
    rows: dict[str, list[LatencyRow]] = {candidate.id: [] for candidate in there}
    pairs: dict[str, _AgainstParent] = {}
    for size in store.config.batch_sizes if there else ():
        where = f"{setting.device}, {setting.threads} thread{'s' * (setting.threads > 1)}, batch {size}"
        samples = measure_latency(
            there,
            texts,
            batch_size=size,
            rounds=store.config.rounds,
            max_seconds=store.config.max_seconds,
            seed=store.seed,
            progress=partial(progress, f"timing {where}"),
        )
        for name, row in latency_rows(samples, teacher, store.seed).items():
            rows[name].append(row)
        if size == min(store.config.batch_sizes):
            pairs = _against_parents(samples, pruned, where, store.seed)
    return _Times(rows, notes if missing else (), pairs).to_json()


def _against_parents(
    samples: LatencySamples, pruned: Mapping[str, str], where: str, seed: int
) -> dict[str, _AgainstParent]:
    seconds = dict(zip(samples.candidates, samples.seconds.T, strict=True))
    return {
        name: _AgainstParent(parent, where, paired_speedup(seconds[parent], seconds[name], seed))
        for name, parent in pruned.items()
        if name in seconds and parent in seconds
    }


def _runs_on_cuda(artifact: Artifact) -> bool:
    """int8 kernels and TF-IDF are the CPU's."""
    manifest = artifact.manifest
    return manifest.format == "torch" or (manifest.format == "onnx" and manifest.precision in {"fp32", "fp16"})
