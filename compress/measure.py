"""Artifacts -> measurements: opens each as the judge's Candidate, and keeps what was measured by content."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import Artifact, library_versions, sha256_text, write_json
from compress.context import Progress
from compress.environment import LIBRARIES, environment, has_cuda
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from compress.runtime.base import Device, LogitsPredictor, all_threads
from eval.contract import Candidate, Footprint, LabelledTexts
from eval.evaluator import Measurement, SetQuality, measure_quality
from eval.latency import LatencyRow, latency_rows, measure_latency

# raised when a measurement's meaning changes
_VERSION = 1
NO_CUDA = "no CUDA device: not measured"


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
) -> Measured:
    """Quality on every test set, size, and latency in one interleaved run of all candidates.

    artifacts: by candidate id. tests: by name, the first one lends its texts to the latency measurement.
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
    latency, notes = _latency(artifacts, tests[first].texts, test_digests[first], teacher, store, progress)
    measurements = tuple(
        Measurement(
            id=name,
            stage=artifact.manifest.stage_type,
            format=_format(artifact),
            footprint=prints[name],
            quality_by_set=quality[name],
            latency=tuple(latency[name]),
        )
        for name, artifact in artifacts.items()
    )
    return Measured(measurements, notes)


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

    def once(self, kind: str, parts: Sequence[Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        key = sha256_text(json.dumps([_VERSION, kind, self.seed, *parts], sort_keys=True))
        file = self.folder / f"{kind}-{key[:32]}.json"
        if not file.exists():
            write_json(file, compute())
        return dict(json.loads(file.read_text(encoding="utf-8")))


def _format(artifact: Artifact) -> str:
    manifest = artifact.manifest
    return manifest.format if manifest.precision == "fp32" else f"{manifest.format}-{manifest.precision}"


def _candidate(name: str, artifact: Artifact, predictor: LogitsPredictor, weight: Footprint | None = None) -> Candidate:
    thresholds = predictor.decision.thresholds
    return Candidate(
        id=name,
        stage=artifact.manifest.stage_type,
        format=_format(artifact),
        runtime=predictor.runtime,
        device=predictor.device,
        threads=predictor.threads,
        footprint=weight or Footprint(0, 0, 0, 0, 0.0),
        thresholds=None if thresholds is None else np.asarray(thresholds, np.float32),
        predictor=predictor,
    )


def _quality(
    name: str, artifact: Artifact, test: str, rows: LabelledTexts, digest: str, store: _Store, progress: Progress
) -> SetQuality:
    def compute() -> dict[str, Any]:
        candidate = _candidate(name, artifact, open_predictor(artifact))
        return measure_quality(
            candidate,
            rows,
            resamples=store.config.resamples,
            seed=store.seed,
            progress=lambda done, total: progress(f"evaluating {name} on {test}", done, total),
        ).to_json()

    parts = [artifact.digest, digest, store.config.resamples, library_versions(LIBRARIES)]
    return SetQuality.from_json(store.once("quality", parts, compute))


def _footprint(artifact: Artifact, store: _Store) -> Footprint:
    def compute() -> dict[str, Any]:
        from compress.runtime.footprint import footprint

        return asdict(footprint(artifact))

    return Footprint(**store.once("footprint", [artifact.digest], compute))


def _latency(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    digest: str,
    teacher: str | None,
    store: _Store,
    progress: Progress,
) -> tuple[dict[str, list[LatencyRow]], tuple[str, ...]]:
    """All candidates again whenever one of them is new: times compare only within one interleaved run."""
    rows: dict[str, list[LatencyRow]] = {name: [] for name in artifacts}
    notes: list[str] = []
    chosen = settings(store.config)
    if store.config.devices == "auto" and not any(setting.device == "cuda" for setting in chosen):
        notes.append(NO_CUDA)
    digests = {name: artifact.digest for name, artifact in artifacts.items()}
    timing = store.config.model_dump(mode="json", exclude={"resamples", "threads", "devices"})
    machine = {key: environment()[key] for key in ("cpu", "cpu_features", "cores", "libraries")}
    for setting in chosen:
        parts = [list(digests.items()), digest, timing, asdict(setting), teacher, machine]
        found = store.once("latency", parts, partial(_time, artifacts, texts, setting, teacher, store, progress))
        notes += found["notes"]
        for name, measured in found["rows"].items():
            rows[name] += [LatencyRow.from_json(row) for row in measured]
    return rows, tuple(notes)


def _time(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    setting: Setting,
    teacher: str | None,
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
    notes = (
        [f"{', '.join(missing)}: {setting.device} asked for, but it ran on the CPU: not measured"] if missing else []
    )
    rows: dict[str, list[dict[str, Any]]] = {candidate.id: [] for candidate in there}
    for size in store.config.batch_sizes if there else ():
        what = f"timing {setting.device}, {setting.threads} thread{'s' * (setting.threads > 1)}, batch {size}"
        samples = measure_latency(
            there,
            texts,
            batch_size=size,
            rounds=store.config.rounds,
            max_seconds=store.config.max_seconds,
            seed=store.seed,
            progress=partial(progress, what),
        )
        for name, row in latency_rows(samples, teacher, store.seed).items():
            rows[name].append(row.to_json())
    return {"rows": rows, "notes": notes}


def _runs_on_cuda(artifact: Artifact) -> bool:
    """int8 kernels and TF-IDF are the CPU's."""
    manifest = artifact.manifest
    return manifest.format == "torch" or (manifest.format == "onnx" and manifest.precision in {"fp32", "fp16"})
