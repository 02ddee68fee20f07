"""Runs a Plan: each stage that is not cached, then the evaluation, then the report.

Each arm of the one `match` imports its stage inside the arm: a run in which all is cached imports no torch.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from compress.artifact import (
    Artifact,
    Manifest,
    library_versions,
    open_artifact,
    run_lock,
    seal,
    sha256_file,
    sha256_text,
    write_json,
    write_whole,
    writing,
)
from compress.context import Context, Progress
from compress.data import read_labelled
from compress.environment import LIBRARIES, environment, has_cuda
from compress.errors import ArtifactError
from compress.inputs import DataFacts, Inputs, Made, RecipeData
from compress.plan import Plan, Step, artifact_path, cached_artifact, encoder_reference, make_plan
from compress.pretrained import find_pretrained, weights_sha256
from compress.recipe.recipe import Evaluate, Recipe
from compress.recipe.stages import Distill, Export, Finetune, Follows, Load, Prune, Quantize, Stage, Tfidf
from eval.report.report import Report, dump_report, load_report

TEACHER = "teacher"


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ran: ids of the stages that were run this time; measured: whether anything was measured."""

    report: Report
    ran: tuple[str, ...]
    measured: bool


def run_recipe(recipe: Recipe, out: Path, fresh: bool, progress: Progress) -> Outcome:
    """Runs what is not already done and writes report and lock into `out`.

    fresh: runs every stage and measurement again; an old artifact goes only when its new one is whole.
    """
    with run_lock(out):
        if fresh:
            shutil.rmtree(out / "cache", ignore_errors=True)
            shutil.rmtree(out / "work", ignore_errors=True)
        data = RecipeData(recipe, out / "cache")
        plan = make_plan(recipe, out, data.facts, fresh)
        _fetch_encoders(plan)
        artifacts: dict[str, Artifact] = {}
        ran: list[str] = []
        for number, step in enumerate(plan.steps):
            progress(f"stage {step.stage.id}", number, len(plan.steps))
            found = _cached(step, out, artifacts, fresh)
            if found is None:
                ran.append(step.stage.id)
            artifacts[step.stage.id] = found or _run_step(step, recipe, data, artifacts, out, progress)
        progress("evaluation", len(plan.steps), len(plan.steps))
        return _report(recipe, artifacts, data, out, tuple(ran), progress)


def teacher_of(recipe: Recipe) -> str | None:
    """What speedups are relative to: the stage called teacher, else the first one that others learn from."""
    stages = recipe.all_stages
    named = next((stage.id for stage in stages if stage.id == TEACHER), None)
    return named or next((s.teacher for s in stages if isinstance(s, Distill | Prune) and s.teacher), None)


def _cached(step: Step, out: Path, artifacts: dict[str, Artifact], fresh: bool) -> Artifact | None:
    """Planned before its parents ran; when they came out as before, it still holds."""
    if step.artifact is not None or fresh:
        return step.artifact
    return cached_artifact(out, step.stage.id, step.cache_key, {name: artifacts[name] for name in step.inputs})


def _fetch_encoders(plan: Plan) -> None:
    """Finds every pretrained model before the first stage runs, so that none is missed after an hour's training."""
    for step in plan.steps:
        reference = encoder_reference(step.stage)
        if step.artifact is None and reference is not None:
            find_pretrained(*reference)


def _run_step(
    step: Step, recipe: Recipe, data: RecipeData, artifacts: dict[str, Artifact], out: Path, progress: Progress
) -> Artifact:
    stage = step.stage
    work = out / "work" / f"{stage.id}-{step.cache_key[:16]}"
    # checkpoints of an older config of this stage; those of this one are resumed from
    for old in (out / "work").glob(f"{stage.id}-????????????????"):
        if old != work:
            shutil.rmtree(old)
    work.mkdir(parents=True, exist_ok=True)
    context = Context(recipe.seed, "cuda" if has_cuda() else "cpu", work, out / "cache", progress)
    inputs = Inputs(
        recipe.task,
        parent=artifacts[stage.from_] if isinstance(stage, Follows) and stage.from_ else None,
        teacher=artifacts[stage.teacher] if isinstance(stage, Distill | Prune) and stage.teacher else None,
        splits=lambda: data.splits,
    )
    final = artifact_path(out, stage.id)
    with writing(final) as folder:
        made = _run_stage(stage, inputs, context, folder)
        seal(folder, _manifest(step, recipe, made, {name: artifacts[name].digest for name in step.inputs}))
    shutil.rmtree(work)
    return open_artifact(final)


def _run_stage(stage: Stage, inputs: Inputs, context: Context, folder: Path) -> Made:
    match stage:
        case Load():
            from compress.stages import load

            return load.run(stage, inputs, context, folder)
        case Finetune():
            from compress.stages import finetune

            return finetune.run(stage, inputs, context, folder)
        case Tfidf():
            from compress.stages import tfidf

            return tfidf.run(stage, inputs, context, folder)
        case Distill():
            from compress.stages import distill

            return distill.run(stage, inputs, context, folder)
        case Prune():
            from compress.stages import prune

            return prune.run(stage, inputs, context, folder)
        case Export():
            from compress.stages import export

            return export.run(stage, inputs, context, folder)
        case Quantize():
            from compress.stages import quantize

            return quantize.run(stage, inputs, context, folder)
        case _ as unknown:
            assert_never(unknown)


def _manifest(step: Step, recipe: Recipe, made: Made, parents: dict[str, str]) -> Manifest:
    return Manifest(
        format=made.format,
        precision=made.precision,
        task=recipe.task,
        max_tokens=made.max_tokens,
        stage_id=step.stage.id,
        stage_type=step.stage.type,
        cache_key=step.cache_key,
        parents=parents,
        file_sha256s={},
        environment=library_versions(LIBRARIES),
        notes=made.notes,
    )


def _report(
    recipe: Recipe,
    artifacts: dict[str, Artifact],
    data: RecipeData,
    out: Path,
    ran: tuple[str, ...],
    progress: Progress,
) -> Outcome:
    key = _report_key(recipe, artifacts, data.facts)
    marker = out / "cache" / "report.key"
    if _report_files_there(out) and marker.exists() and marker.read_text(encoding="utf-8") == _stamp(key, out):
        return Outcome(load_report(out / "report.json"), ran, measured=False)
    from compress.measure import measure

    tests = data.splits.tests
    digests = {name: data.facts.digests[f"test:{name}"] for name in tests}
    measured = measure(
        artifacts, tests, digests, recipe.evaluate, teacher_of(recipe), recipe.seed, out / "cache", progress
    )
    report = Report(
        name=recipe.name,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        environment=environment(),
        candidates=measured.measurements,
        teacher_id=teacher_of(recipe),
        first_set=next(iter(tests)),
        notes=(*data.facts.notes, *measured.notes, *_stage_notes(artifacts)),
    )
    write_report(report, out)
    write_json(out / "recipe.lock", _lock(recipe, artifacts, data.facts))
    write_whole(marker, _stamp(key, out))
    return Outcome(report, ran, measured=True)


def write_report(report: Report, out: Path) -> None:
    """report.json, report.md and its picture, each written whole."""
    from eval.report.markdown import render_markdown
    from eval.report.picture import draw_picture

    write_whole(out / "report.svg", draw_picture(report))
    write_whole(out / "report.md", render_markdown(report, "report.svg"))
    write_whole(out / "report.json", dump_report(report))


def evaluate_artifacts(
    folders: Sequence[Path], teacher: Path | None, data: Path, cache_dir: Path, progress: Progress
) -> Report:
    """The judge alone, on any artifacts that predict the same labels, over the labelled rows of one file."""
    from compress.measure import measure

    wanted = dict.fromkeys(folder.resolve() for folder in (*((teacher,) if teacher else ()), *folders))
    opened = [open_artifact(folder) for folder in wanted]
    artifacts = dict(zip(_names(opened), opened, strict=True))
    task = opened[0].manifest.task
    for artifact in opened:
        other = artifact.manifest.task
        if (other.type, other.labels) != (task.type, task.labels):
            raise ArtifactError(
                f"{artifact.path} predicts {', '.join(other.labels)} ({other.type}); {opened[0].path} predicts "
                f"{', '.join(task.labels)} ({task.type}). Only models with the same labels, in the same order, can be "
                "compared."
            )
    tests = {data.stem: read_labelled(data, task)}
    teacher_id = next(iter(artifacts)) if teacher else None
    measured = measure(
        artifacts, tests, {data.stem: sha256_file(data)}, Evaluate(), teacher_id, 13, cache_dir, progress
    )
    facts = {"task": task.model_dump(mode="json"), "data": str(data)}
    return Report(data.stem, facts, environment(), measured.measurements, teacher_id, data.stem, measured.notes)


def _names(artifacts: Sequence[Artifact]) -> list[str]:
    """Stage ids, or whole paths where two artifacts share one."""
    ids = [artifact.manifest.stage_id for artifact in artifacts]
    return [name if ids.count(name) == 1 else str(artifact.path) for name, artifact in zip(ids, artifacts, strict=True)]


def _report_files_there(out: Path) -> bool:
    return all((out / name).is_file() for name in ("report.json", "report.md", "report.svg", "recipe.lock"))


def _stamp(key: str, out: Path) -> str:
    """What the report was made of, and its own sha256: one that was changed since is written again."""
    return f"{key} {sha256_file(out / 'report.json')}"


def _stage_notes(artifacts: dict[str, Artifact]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for name, artifact in artifacts.items() for note in artifact.manifest.notes)


def _report_key(recipe: Recipe, artifacts: dict[str, Artifact], facts: DataFacts) -> str:
    parts = {
        "recipe": recipe.model_dump(mode="json"),
        "artifacts": {name: artifact.digest for name, artifact in artifacts.items()},
        "data": facts.digests,
        "environment": environment(),
    }
    return sha256_text(json.dumps(parts, sort_keys=True))


def _lock(recipe: Recipe, artifacts: dict[str, Artifact], facts: DataFacts) -> dict[str, object]:
    """What it takes to know whether two runs were of the same thing."""
    models = {
        stage.id: {"reference": reference.name, "weights_sha256": weights_sha256(reference.name, reference.revision)}
        for stage in recipe.all_stages
        if (reference := encoder_reference(stage)) is not None
    }
    return {
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "data_sha256s": facts.digests,
        "pretrained": models,
        "artifact_digests": {name: artifact.digest for name, artifact in artifacts.items()},
        "environment": environment(),
    }
