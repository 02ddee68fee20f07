"""Times of artifacts: each opened in every setting asked for, all of them in one interleaved run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from compress.artifact import Artifact
from compress.context import Progress
from compress.environment import environment, has_cuda
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from compress.runtime.base import Device
from compress.threads import all_threads
from eval.contract import Interval
from eval.latency import LatencyRow, LatencySamples, latency_rows, measure_latency, paired_speedup

NO_CUDA = "torch sees no CUDA device: nothing was measured on a GPU"
_MACHINE = ("cpu", "cpu_features", "cores", "libraries")
_GPU = ("gpu", "gpu_driver", "cuda_visible_devices")


@dataclass(frozen=True)
class Setting:
    """One way to open candidates so that their times compare."""

    device: Device
    threads: int


def settings(config: Evaluate) -> tuple[Setting, ...]:
    """Every (device, threads) that is measured here; `all` and its number are one."""
    counts = dict.fromkeys(min(all_threads(), all_threads() if count == "all" else count) for count in config.threads)
    on_cpu = tuple(Setting("cpu", count) for count in counts)
    return (*on_cpu, Setting("cuda", all_threads())) if config.devices == "auto" and has_cuda() else on_cpu


@dataclass(frozen=True)
class Times:
    """What one way to open the candidates gave; or all ways, put together.

    against_parent: pruned id -> its parent's time / its own, paired by round, at the batch size `where` names.
    """

    rows: dict[str, tuple[LatencyRow, ...]]
    notes: tuple[str, ...]
    against_parent: dict[str, "AgainstParent"]


@dataclass(frozen=True)
class AgainstParent:
    """How fast a pruned model is, its parent's speed being 1."""

    parent: str
    where: str
    speed: Interval


def pruning_notes(zeros_shares: Mapping[str, float], pairs: Mapping[str, AgainstParent]) -> tuple[str, ...]:
    """Zeros save bytes once compressed; whether they save time is measured, not supposed."""
    return tuple(
        f"{name}: {zeros_shares[name]:.0%} of its parameters are exactly zero; it runs at {pair.speed.value:.2f}x "
        f"({pair.speed.low:.2f}–{pair.speed.high:.2f}) the speed of {pair.parent}, which it was pruned from "
        f"({pair.where})"
        for name, pair in pairs.items()
    )


def time_candidates(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    digest: str,
    teacher: str | None,
    pruned: Mapping[str, str],
    store: Store,
    progress: Progress,
) -> Times:
    """All candidates again whenever one of them is new: times compare only within one interleaved run."""
    rows: dict[str, list[LatencyRow]] = {name: [] for name in artifacts}
    notes: list[str] = []
    pairs: dict[str, AgainstParent] = {}
    chosen = settings(store.config)
    if store.config.devices == "auto" and not any(setting.device == "cuda" for setting in chosen):
        notes.append(NO_CUDA)
    digests = {name: artifact.digest for name, artifact in artifacts.items()}
    timing = store.config.model_dump(mode="json", exclude={"resamples", "threads", "devices"})
    for setting in chosen:
        machine = {key: environment()[key] for key in (*_MACHINE, *(_GPU if setting.device == "cuda" else ()))}
        parts = [list(digests.items()), digest, timing, asdict(setting), teacher, sorted(pruned.items()), machine]
        time = partial(_time, artifacts, texts, setting, teacher, pruned, store, progress)
        found = store.once("latency", parts, time, Times)
        notes += found.notes
        pairs = found.against_parent | pairs  # the first setting's: one thread, where that is measured
        for name, measured in found.rows.items():
            rows[name] += measured
    return Times({name: tuple(it) for name, it in rows.items()}, tuple(notes), pairs)


def _time(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    setting: Setting,
    teacher: str | None,
    pruned: Mapping[str, str],
    store: Store,
    progress: Progress,
) -> Times:
    """One interleaved run for each batch size. A candidate that does not run on the device asked for is left out."""
    opened = [
        candidate_of(name, artifact, open_predictor(artifact, setting.device, setting.threads))
        for name, artifact in artifacts.items()
        if setting.device == "cpu" or _runs_on_cuda(artifact)
    ]
    there = [candidate for candidate in opened if candidate.device == setting.device]
    missing = [candidate.id for candidate in opened if candidate.device != setting.device]
    notes = (f"{', '.join(missing)}: {setting.device} asked for, but it ran on the CPU: not measured",)
    rows: dict[str, list[LatencyRow]] = {candidate.id: [] for candidate in there}
    pairs: dict[str, AgainstParent] = {}
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
    return Times({name: tuple(it) for name, it in rows.items()}, notes if missing else (), pairs)


def _against_parents(
    samples: LatencySamples, pruned: Mapping[str, str], where: str, seed: int
) -> dict[str, AgainstParent]:
    seconds = dict(zip(samples.candidates, samples.seconds.T, strict=True))
    return {
        name: AgainstParent(parent, where, paired_speedup(seconds[parent], seconds[name], seed))
        for name, parent in pruned.items()
        if name in seconds and parent in seconds
    }


def _runs_on_cuda(artifact: Artifact) -> bool:
    """int8 kernels and TF-IDF are the CPU's."""
    manifest = artifact.manifest
    return manifest.format == "torch" or (manifest.format == "onnx" and manifest.precision in {"fp32", "fp16"})
