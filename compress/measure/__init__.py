"""Artifacts -> measurements: quality on every test set, size and latency, each kept by all that it depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import Artifact
from compress.context import Progress
from compress.measure.candidates import format_of
from compress.measure.latency import pruning_notes, time_candidates
from compress.measure.quality import judge_set
from compress.measure.store import VERSION, Store
from compress.recipe.recipe import Evaluate
from eval.contract import Footprint, LabelledTexts
from eval.measurement import Measurement
from eval.seeds import SeedSpread, Spread, quality_spreads

__all__ = ["VERSION", "Measured", "measure", "measure_seeds"]


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
    id of the candidate it was pruned from; the notes say what pruning did to the speed. Each candidate is compared
    with the teacher and with every TF-IDF model among them.
    """
    store = Store(cache_dir / "measurements", config, seed)
    references = [
        name for name, artifact in artifacts.items() if name == teacher or artifact.manifest.format == "tfidf"
    ]
    judged = {
        test: judge_set(artifacts, references, test, rows, test_digests[test], store, progress)
        for test, rows in tests.items()
    }
    prints = {name: _footprint(artifact, store) for name, artifact in artifacts.items()}
    first = next(iter(tests))
    times = time_candidates(artifacts, tests[first].texts, test_digests[first], teacher, pruned or {}, store, progress)
    measurements = tuple(
        Measurement(
            id=name,
            stage=artifact.manifest.stage_type,
            format=format_of(artifact),
            footprint=prints[name],
            quality_by_set={test: found[name].quality for test, found in judged.items()},
            latency=tuple(times.rows[name]),
            details_by_set={test: it.details for test, found in judged.items() if (it := found[name]).details},
        )
        for name, artifact in artifacts.items()
    )
    shares = {name: prints[name].zeros_share for name in pruned or {}}
    return Measured(measurements, (*times.notes, *pruning_notes(shares, times.against_parent)))


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
