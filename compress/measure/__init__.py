"""Artifacts -> measurements: quality on every test set, size and latency, each kept by all that it depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from compress.artifact import Artifact
from compress.context import Progress
from compress.environment import environment
from compress.measure.candidates import format_of
from compress.measure.checks import checked
from compress.measure.cold import METHOD as COLD_METHOD
from compress.measure.cold import ColdStart, ColdStarts, cold_starts
from compress.measure.latency import pruning_notes, time_candidates
from compress.measure.quality import judge_set
from compress.measure.store import VERSION, Store
from compress.recipe.recipe import Evaluate
from eval.contract import Footprint, LabelledTexts
from eval.latency.conditions import Conditions, fallback_note
from eval.measurement import Measurement
from eval.seeds import SeedSpread, Spread, quality_spreads

_SOME_ZEROS = 0.01
__all__ = ["VERSION", "Measured", "measure", "measure_cost", "measure_seeds"]


@dataclass(frozen=True)
class Measured:
    """Every candidate's measurement, and what a reader must know of how they were taken.

    timing: what else the machine did meanwhile, by setting. It is another in each run, and so in none of the notes.
    anew: whether any of them had still to be taken.
    """

    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]
    timing: tuple[Conditions, ...] = ()
    anew: bool = field(default=True, compare=False)

    @property
    def timing_notes(self) -> tuple[str, ...]:
        """What to say where the machine was busy meanwhile."""
        return tuple(it.note() for it in self.timing if it.busy)


def measure(
    artifacts: dict[str, Artifact],
    tests: dict[str, LabelledTexts],
    test_digests: dict[str, str],
    config: Evaluate,
    teacher: str | None,
    seed: int,
    cache_dir: Path,
    progress: Progress,
    parents: Mapping[str, str] | None = None,
    compared: Mapping[str, Sequence[str]] | None = None,
) -> Measured:
    """Quality on every test set, size, latency in one interleaved run of all candidates, and checks of fewer bits.

    artifacts: by candidate id. tests: by name, the first one lends its texts to the latency measurement and the checks.
    parents: id -> id of the candidate that its stage began with, which it is compared with in quality and speed. Each
    is compared with the teacher and with every TF-IDF model among them too; compared: id -> ids of others that it is
    compared with.
    """
    store = Store(cache_dir / "measurements", config, seed)
    parents = parents or {}
    also = {name: (*filter(None, (parents.get(name),)), *(compared or {}).get(name, ())) for name in artifacts}
    references = [
        name for name, artifact in artifacts.items() if name == teacher or artifact.manifest.format == "tfidf"
    ]
    judged = {
        test: judge_set(artifacts, references, test, rows, test_digests[test], store, progress, teacher, also)
        for test, rows in tests.items()
    }
    first = next(iter(tests))
    texts, digest = tests[first].texts, test_digests[first]
    cost = measure_cost(artifacts, texts, digest, teacher, store, progress, parents)
    measurements = tuple(
        replace(
            measured,
            quality_by_set={test: found[measured.id].quality for test, found in judged.items()},
            details_by_set={test: it.details for test, found in judged.items() if (it := found[measured.id]).details},
        )
        for measured in checked(cost.measurements, artifacts, texts, digest, store, progress)
    )
    return replace(cost, measurements=measurements, anew=bool(store.taken))


def measure_cost(
    artifacts: dict[str, Artifact],
    texts: Sequence[str],
    digest: str,
    teacher: str | None,
    store: Store,
    progress: Progress,
    parents: Mapping[str, str] | None = None,
) -> Measured:
    """Size, latency and, where asked for, cold start: all that needs no labels. digest: of the texts."""
    prints = {name: _footprint(artifact, store) for name, artifact in artifacts.items()}
    times = time_candidates(artifacts, texts, digest, teacher, parents or {}, store, progress)
    colds = _cold_starts(artifacts, texts, digest, store, progress) if store.config.cold_start else {}
    measurements = tuple(
        Measurement(
            id=name,
            stage=artifact.manifest.stage_type,
            format=format_of(artifact),
            footprint=prints[name],
            quality_by_set={},
            latency=times.rows[name],
            length_latency=times.length_rows[name],
            cold_start_ms=colds[name].start_ms if colds else None,
            peak_memory_mb=colds[name].peak_memory_mb if colds else None,
            peak_memory_batch_mb=colds[name].peak_memory_batch_mb if colds else None,
            fell_back=times.fell_back.get(name, ()),
        )
        for name, artifact in artifacts.items()
    )
    zeros = {name: prints[name].zeros_share for name in artifacts if _set_zeros(name, artifacts, prints, parents or {})}
    fallen = (fallback_note(name, device) for name, devices in times.fell_back.items() for device in devices)
    notes = (*times.notes, *fallen, *pruning_notes(zeros, parents or {}, times.rows))
    return Measured(measurements, notes, times.conditions)


def _set_zeros(
    name: str, artifacts: Mapping[str, Artifact], prints: Mapping[str, Footprint], parents: Mapping[str, str]
) -> bool:
    """Whether a stage pruned by zeros; heads, neurons and layers that are taken out leave none behind."""
    before = prints[parents[name]].zeros_share if parents.get(name) in prints else 0.0
    return artifacts[name].manifest.stage_type == "prune" and prints[name].zeros_share > before + _SOME_ZEROS


def _cold_starts(
    artifacts: Mapping[str, Artifact], texts: Sequence[str], digest: str, store: Store, progress: Progress
) -> dict[str, ColdStart]:
    """All again whenever one of them is new, as with times."""
    machine = environment()
    digests = [[name, artifact.digest] for name, artifact in artifacts.items()]
    parts = [COLD_METHOD, digests, digest, machine["cpu"], machine["cores"], machine["libraries"]]
    return store.once("cold", parts, partial(cold_starts, artifacts, texts, progress), ColdStarts).by_id


def measure_seeds(
    trained: Mapping[str, Mapping[int, Artifact]],
    tests: dict[str, LabelledTexts],
    test_digests: dict[str, str],
    config: Evaluate,
    seed: int,
    cache_dir: Path,
    progress: Progress,
) -> tuple[SeedSpread, ...]:
    """How far each stage's trainings lie apart in quality. trained: stage id -> seed -> artifact."""
    store = Store(cache_dir / "measurements", config, seed)

    def spreads(name: str, test: str) -> dict[str, Spread]:
        artifacts = {f"{name}, seed {number}": artifact for number, artifact in trained[name].items()}
        found = judge_set(artifacts, (), test, tests[test], test_digests[test], store, progress)
        return quality_spreads([result.quality for result in found.values()])

    return tuple(
        SeedSpread(name, tuple(by_seed), {test: spreads(name, test) for test in tests})
        for name, by_seed in trained.items()
    )


def _footprint(artifact: Artifact, store: Store) -> Footprint:
    def compute() -> Footprint:
        from compress.runtime.footprint import footprint

        return footprint(artifact)

    return store.once("footprint", [artifact.digest], compute, Footprint)
