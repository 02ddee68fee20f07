"""Times of artifacts: each opened in every setting asked for, all of them in one interleaved run."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from compress.artifact import Artifact
from compress.context import Progress
from compress.environment import environment, has_cuda
from compress.measure.lengths import length_texts
from compress.measure.rounds import Setting, Times, Workload, time_setting
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.threads import all_threads, beyond, thread_limit
from eval.latency.conditions import threads_text
from eval.latency.rounds import LatencyRow

NO_CUDA = "torch sees no CUDA device: nothing was measured on a GPU"
# of how times are taken: raised when they would come out otherwise, or more is kept of them
METHOD = 8
_MACHINE = ("cpu", "cpu_features", "cores", "libraries")
_GPU = ("gpu", "gpu_driver", "cuda_visible_devices")


def settings(config: Evaluate) -> tuple[Setting, ...]:
    """Every (device, threads) that is measured here; `all` and its number are one. None where no threads are named."""
    counts = dict.fromkeys(all_threads() if count == "all" else count for count in config.threads)
    on_cpu = tuple(Setting("cpu", count) for count in counts if count <= all_threads())
    if counts and not on_cpu:
        on_cpu = (Setting("cpu", all_threads()),)
    return (*on_cpu, Setting("cuda", all_threads())) if config.devices == "auto" and has_cuda() else on_cpu


def thread_notes(config: Evaluate) -> tuple[str, ...]:
    """Which threads were asked for and cannot be had, and what `all` is where that is not every core."""
    notes, above = [] if config.threads else ["nothing was timed, as asked for"], beyond(config.threads)
    if above:
        instead = f"; timed on {all_threads()} instead" if len(above) == len(config.threads) else ""
        notes.append(f"threads {', '.join(map(str, above))} left out: {thread_limit()}{instead}")
    if "all" in config.threads and all_threads() < (os.cpu_count() or 1):
        notes.append(f"threads all is {all_threads()} of the machine's {os.cpu_count()} cores: {thread_limit()}")
    return tuple(notes)


def pruning_notes(
    zeros_shares: Mapping[str, float], parents: Mapping[str, str], rows: Mapping[str, Sequence[LatencyRow]]
) -> Iterator[str]:
    """Zeros save bytes once compressed; whether they save time is measured, not supposed.

    zeros_shares: of the pruned candidates. rows: each one's times; told is the CPU's with the fewest threads and texts.
    """
    for name, share in zeros_shares.items():
        timed = [(row, row.speedup_vs_parent) for row in rows[name] if row.speedup_vs_parent is not None]
        order = sorted(timed, key=lambda it: (it[0].device != "cpu", it[0].threads, it[0].batch_size))
        for row, speed in order[:1]:
            yield (
                f"{name}: {share:.0%} of its parameters are exactly zero; it runs at {speed.value:.2f}x "
                f"({speed.low:.2f}–{speed.high:.2f}) the speed of {parents[name]}, which it was pruned from "
                f"({row.device}, {threads_text(row.threads)}, batch {row.batch_size})"
            )


def time_candidates(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    digest: str,
    teacher: str | None,
    parents: Mapping[str, str],
    store: Store,
    progress: Progress,
) -> Times:
    """All candidates again whenever one of them is new: times compare only within one interleaved run."""
    config = store.config
    found = Times(dict.fromkeys(artifacts, ()), thread_notes(config), dict.fromkeys(artifacts, ()))
    chosen = settings(config)
    if config.devices == "auto" and not any(setting.device == "cuda" for setting in chosen):
        found = replace(found, notes=(*found.notes, NO_CUDA))
    made = length_texts(artifacts, teacher, texts, config.lengths, store.seed)
    by_length = ((None, tuple(texts)), *made.texts.items())
    workloads = [Workload(size, tokens, it) for tokens, it in by_length for size in config.batch_sizes]
    digests = {name: artifact.digest for name, artifact in artifacts.items()}
    timing = config.model_dump(mode="json", include={"batch_sizes", "rounds", "max_seconds", "lengths"})
    for setting in chosen:
        machine = {key: environment()[key] for key in (*_MACHINE, *(_GPU if setting.device == "cuda" else ()))}
        which = [list(digests.items()), digest, asdict(setting), teacher, sorted(parents.items())]
        time = partial(time_setting, artifacts, workloads, setting, teacher, parents, store, progress)
        found = _together(found, store.once("latency", [METHOD, timing, *which, machine], time, Times))
    found = replace(found, notes=(*found.notes, *made.notes))
    return found if config.price_per_hour is None else _priced(found, config.price_per_hour)


def _together(found: Times, more: Times) -> Times:
    """The times of settings side by side."""

    def added(
        rows: Mapping[str, tuple[LatencyRow, ...]], others: Mapping[str, tuple[LatencyRow, ...]]
    ) -> dict[str, tuple[LatencyRow, ...]]:
        return {name: (*it, *others.get(name, ())) for name, it in rows.items()}

    return Times(
        rows=added(found.rows, more.rows),
        notes=(*found.notes, *more.notes),
        length_rows=added(found.length_rows, more.length_rows),
        conditions=(*found.conditions, *more.conditions),
        fell_back=found.fell_back | more.fell_back,  # the CPU's settings have none
    )


def _priced(found: Times, price_per_hour: float) -> Times:
    """What a million texts cost at each row's throughput."""

    def priced(rows: Mapping[str, tuple[LatencyRow, ...]]) -> dict[str, tuple[LatencyRow, ...]]:
        return {
            name: tuple(replace(row, cost_per_million=price_per_hour / 3600 * 1e6 / row.texts_per_second) for row in it)
            for name, it in rows.items()
        }

    return replace(found, rows=priced(found.rows), length_rows=priced(found.length_rows))
