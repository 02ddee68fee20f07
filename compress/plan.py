"""Recipe -> Plan: the order of the stages, what of them is cached, how big each result will be. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import MANIFEST, Artifact, Manifest, open_artifact, read_manifest
from compress.forecast import forecast_bytes
from compress.inputs import DataFacts
from compress.keys import cache_key
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.recipe import Recipe, stage_inputs
from compress.recipe.stages import Stage


@dataclass(frozen=True)
class Step:
    """A stage with all it takes to know whether it must run. artifact: the cached result, if it still holds.

    seed: of its chance. forecast_bytes: expected size of the artifact (the real one if it is cached); None where it
    cannot be known yet.
    """

    stage: Stage
    seed: int
    inputs: tuple[str, ...]
    cache_key: str
    artifact: Artifact | None
    forecast_bytes: int | None


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run."""

    steps: tuple[Step, ...]


def artifact_path(out: Path, stage_id: str) -> Path:
    """Where a stage's artifact lies in a run's folder."""
    return out / "artifacts" / stage_id


def make_plan(recipe: Recipe, out: Path, facts: DataFacts, fresh: bool = False) -> Plan:
    """What a run would do. Reads and verifies artifacts, writes nothing. Raises ArtifactError for a damaged one.

    fresh: nothing counts as cached. Further seeds come last.
    """
    steps: list[Step] = []
    found: dict[str, Artifact | None] = {}
    forecasts: dict[str, int | None] = {}
    tokens: dict[str, int | None] = {}
    stages = {stage.id: stage for stage in recipe.every_stage}
    for stage in stages.values():
        seed = recipe.seed_of(stage)
        key = cache_key(stage, recipe, facts, seed)
        names = stage_inputs(stage)
        cached = None if fresh else cached_artifact(out, stage.id, key, {name: found[name] for name in names})
        found[stage.id] = cached
        tokens[stage.id] = cached.manifest.max_tokens if cached else max_tokens_of(stage, stages, tokens)
        forecasts[stage.id] = (
            size_of(cached) if cached else forecast_bytes(stage, forecasts, recipe, facts, tokens[stage.id])
        )
        steps.append(Step(stage, seed, names, key, cached, forecasts[stage.id]))
    return Plan(tuple(steps))


def cached_artifact(out: Path, stage_id: str, key: str, parents: Mapping[str, Artifact | None]) -> Artifact | None:
    """The stage's artifact if it was made by this key from these parents, every file verified; else None.

    Raises ArtifactError if it was, but a file of it has changed since.
    """
    folder = artifact_path(out, stage_id)
    if not (folder / MANIFEST).is_file() or _of_another_schema(folder):
        return None
    manifest = read_manifest(folder)
    digests = {name: parent.digest for name, parent in parents.items() if parent is not None}
    if manifest.cache_key != key or manifest.parents != digests:
        return None
    return open_artifact(folder)


def _of_another_schema(folder: Path) -> bool:
    """Whether another version of this project wrote the manifest: then it is no damage, only no result of ours."""
    try:
        written = json.loads((folder / MANIFEST).read_bytes())
    except ValueError:
        return False  # damaged: read_manifest says so
    known = Manifest.model_fields["schema_version"].default
    return isinstance(written, dict) and written.get("schema_version", known) != known


def size_of(artifact: Artifact) -> int:
    """Bytes of the artifact's files."""
    return sum((artifact.path / name).stat().st_size for name in artifact.manifest.file_sha256s)
