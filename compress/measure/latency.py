"""Times of artifacts: each opened in every setting asked for, all of them in one interleaved run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from compress.artifact import Artifact
from compress.context import Progress
from compress.environment import environment, has_cuda
from compress.measure.lengths import length_texts
from compress.measure.rounds import AgainstParent, Setting, Times, Workload, time_setting
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.threads import all_threads
from eval.latency.rounds import LatencyRow

NO_CUDA = "torch sees no CUDA device: nothing was measured on a GPU"
# of how times are taken: raised when they would come out otherwise
_METHOD = 2
_MACHINE = ("cpu", "cpu_features", "cores", "libraries")
_GPU = ("gpu", "gpu_driver", "cuda_visible_devices")


def settings(config: Evaluate) -> tuple[Setting, ...]:
    """Every (device, threads) that is measured here; `all` and its number are one."""
    counts = dict.fromkeys(min(all_threads(), all_threads() if count == "all" else count) for count in config.threads)
    on_cpu = tuple(Setting("cpu", count) for count in counts)
    return (*on_cpu, Setting("cuda", all_threads())) if config.devices == "auto" and has_cuda() else on_cpu


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
    config = store.config
    found = Times(dict.fromkeys(artifacts, ()), (), {}, dict.fromkeys(artifacts, ()))
    chosen = settings(config)
    if config.devices == "auto" and not any(setting.device == "cuda" for setting in chosen):
        found = replace(found, notes=(NO_CUDA,))
    made = length_texts(artifacts, teacher, texts, config.lengths, store.seed)
    by_length = ((None, tuple(texts)), *made.texts.items())
    workloads = [Workload(size, tokens, it) for tokens, it in by_length for size in config.batch_sizes]
    digests = {name: artifact.digest for name, artifact in artifacts.items()}
    timing = config.model_dump(mode="json", include={"batch_sizes", "rounds", "max_seconds", "lengths"})
    for setting in chosen:
        machine = {key: environment()[key] for key in (*_MACHINE, *(_GPU if setting.device == "cuda" else ()))}
        which = [list(digests.items()), digest, asdict(setting), teacher, sorted(pruned.items())]
        time = partial(time_setting, artifacts, workloads, setting, teacher, pruned, store, progress)
        found = _together(found, store.once("latency", [_METHOD, timing, *which, machine], time, Times))
    found = replace(found, notes=(*found.notes, *made.notes))
    return found if config.price_per_hour is None else _priced(found, config.price_per_hour)


def _together(found: Times, more: Times) -> Times:
    """The times of settings side by side; a pruned model against its parent as in the first setting."""

    def added(
        rows: Mapping[str, tuple[LatencyRow, ...]], others: Mapping[str, tuple[LatencyRow, ...]]
    ) -> dict[str, tuple[LatencyRow, ...]]:
        return {name: (*it, *others.get(name, ())) for name, it in rows.items()}

    return Times(
        rows=added(found.rows, more.rows),
        notes=(*found.notes, *more.notes),
        against_parent=more.against_parent | found.against_parent,
        length_rows=added(found.length_rows, more.length_rows),
        conditions=(*found.conditions, *more.conditions),
    )


def _priced(found: Times, price_per_hour: float) -> Times:
    """What a million texts cost at each row's throughput."""

    def priced(rows: Mapping[str, tuple[LatencyRow, ...]]) -> dict[str, tuple[LatencyRow, ...]]:
        return {
            name: tuple(replace(row, cost_per_million=price_per_hour / 3600 * 1e6 / row.texts_per_second) for row in it)
            for name, it in rows.items()
        }

    return replace(found, rows=priced(found.rows), length_rows=priced(found.length_rows))
