"""Runs a Plan: each stage that is not cached, then the evaluation, then the report.

Each arm of the one `match` imports its stage inside the arm: a run in which all is cached imports no torch.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_never

from compress import processes
from compress.artifact import Artifact, Manifest, library_versions, open_artifact, seal, writing
from compress.beginnings import check_beginnings
from compress.card import keep_edited
from compress.context import Context, Progress
from compress.environment import LIBRARIES, has_cuda
from compress.inputs import Inputs, Made, RecipeData, Teacher
from compress.judge import Outcome, report_run
from compress.plan import Plan, Step, artifact_path, cached_artifact, make_plan
from compress.preflight import check_goal_sets, check_plan, check_same_run, seen_notes
from compress.pretrained import weights_sha256
from compress.recipe.recipe import Recipe, layers_of
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import (
    Distill,
    Export,
    Finetune,
    Follows,
    Load,
    Prune,
    Quantize,
    Stage,
    Taught,
    Tfidf,
    Training,
    TrimVocabulary,
)
from compress.run_folder import Pending, run_folder


def run_recipe(
    recipe: Recipe,
    out: Path,
    fresh: bool,
    progress: Progress,
    notify: Callable[[str], None] = lambda note: None,
    command: str | None = None,
) -> Outcome:
    """Runs what is not already done and writes report and lock into `out`.

    fresh: runs every stage and measurement again; an old artifact goes only when its new one is whole. notify: told
    each note on the data as soon as they are read, hours before the report. command: as typed, for the report.

    Of several processes that were started together the first calls this, the others `take_part`.
    """
    with run_folder(out, "run"):
        pending = Pending(out)
        if fresh:
            pending.begin(recipe.all_ids)
        data = RecipeData(recipe, out / "cache")
        if not pending.stages:  # else a fresh run was asked for, now or before it was killed
            check_same_run(recipe, data.facts, out)
        check_goal_sets(recipe, data.facts)
        for note in (*data.facts.notes, *seen_notes(recipe)):
            notify(note)
        artifacts, ran = _run_steps(recipe, data, pending, out, progress)
        processes.from_first(_no_call)  # the others may go: what is measured now has the machine to itself
        processes.leave()
        shutil.rmtree(out / "work", ignore_errors=True)
        outcome = report_run(recipe, artifacts, data, out, ran, progress, command)
        pending.end()
        return outcome


def _run_steps(
    recipe: Recipe, data: RecipeData, pending: Pending, out: Path, progress: Progress
) -> tuple[dict[str, Artifact], tuple[str, ...]]:
    """Every stage's artifact by id, and the ids of those that were run."""
    plan = _plan(recipe, out, data, pending)
    check_plan(plan, recipe.task)
    check_beginnings(plan, lambda: data.splits)
    artifacts: dict[str, Artifact] = {}
    ran: list[str] = []
    for number, step in enumerate(plan.steps):
        stage_id = step.stage.id
        progress(f"stage {stage_id}", number, len(plan.steps))
        found = None if stage_id in pending.stages else step.artifact or _planned_too_early(step, out, artifacts)
        if found is None:
            ran.append(stage_id)
        artifacts[stage_id] = found or _run_step(step, recipe, data, artifacts, out, progress)
        pending.done(stage_id)
    progress("evaluation", len(plan.steps), len(plan.steps))
    return artifacts, tuple(ran)


def _plan(recipe: Recipe, out: Path, data: RecipeData, pending: Pending) -> Plan:
    """What is to run; neither a stage that is pending nor what follows it counts as cached."""
    fresh = set(recipe.all_ids) <= set(pending.stages)  # then no old artifact is even opened
    plan = make_plan(recipe, out, data.facts, fresh)
    again = set(pending.stages)
    steps = []
    for step in plan.steps:
        if step.stage.id in again or again.intersection(step.inputs):
            again.add(step.stage.id)
            step = replace(step, artifact=None)
        steps.append(step)
    return Plan(tuple(steps))


def _planned_too_early(step: Step, out: Path, artifacts: dict[str, Artifact]) -> Artifact | None:
    """The plan was made before the stage's parents ran; when they came out as before, its artifact still holds."""
    return cached_artifact(out, step.stage.id, step.cache_key, {name: artifacts[name] for name in step.inputs})


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
    context = Context(step.seed, _device(), work, out / "cache", progress)
    final = artifact_path(out, stage.id)
    if isinstance(stage, Training):
        processes.from_first(lambda: _Call(stage, step.seed, work, step.inputs))
    with writing(final) as folder:
        made = _run_stage(stage, _inputs(stage, recipe, data, artifacts), context, folder)
        seal(folder, _manifest(step, recipe, made, {name: artifacts[name].digest for name in step.inputs}))
        keep_edited(final, folder)
    shutil.rmtree(work)
    return open_artifact(final)


@dataclass(frozen=True)
class _Call:
    """What the first process tells the others before a stage that trains. inputs: ids of the stages it reads."""

    stage: Stage
    seed: int
    work_dir: Path
    inputs: tuple[str, ...]


def take_part(recipe: Recipe, out: Path) -> None:
    """What all processes but the first do: their share of every training of a run, until it has no more of them.

    They read the run's folder and write nothing there but the states of their random numbers, into checkpoints.
    """
    data = RecipeData(recipe, out / "cache", keep=False)
    while (call := processes.from_first(_no_call)) is not None:
        artifacts = {name: open_artifact(artifact_path(out, name)) for name in call.inputs}
        context = Context(call.seed, _device(), call.work_dir, out / "cache")
        with TemporaryDirectory() as scratch, suppress(processes.TookPart):
            _run_stage(call.stage, _inputs(call.stage, recipe, data, artifacts), context, Path(scratch))
    processes.leave()


def _no_call() -> _Call | None:
    return None


def _inputs(stage: Stage, recipe: Recipe, data: RecipeData, artifacts: Mapping[str, Artifact]) -> Inputs:
    return Inputs(
        recipe.task,
        parent=artifacts[stage.from_] if isinstance(stage, Follows) and stage.from_ else None,
        teachers=_teachers(stage, artifacts),
        splits=lambda: data.splits,
        thresholds=recipe.thresholds,
        layers=artifacts[name] if (name := layers_of(stage)) else None,
    )


def _device() -> str:
    return "cuda" if has_cuda() else "cpu"


def _teachers(stage: Stage, artifacts: Mapping[str, Artifact]) -> tuple[Teacher, ...]:
    weights = stage.teachers if isinstance(stage, Taught) else {}
    return tuple(Teacher(artifacts[name], weight) for name, weight in weights.items())


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
        case TrimVocabulary():
            from compress.stages import trim_vocabulary

            return trim_vocabulary.run(stage, inputs, context, folder)
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
        long_text=made.long_text,
        stage_id=step.stage.id,
        stage_type=step.stage.type,
        cache_key=step.cache_key,
        parents=parents,
        file_sha256s={},
        environment=library_versions(LIBRARIES),
        notes=made.notes,
        marks=made.marks,
        pretrained=_pretrained(step.stage),
    )


def _pretrained(stage: Stage) -> dict[str, Any]:
    """Written down when the stage runs: the model may be gone when the report is written."""
    reference = encoder_reference(stage)
    if reference is None:
        return {}
    return {"reference": reference.name, "weights_sha256": weights_sha256(reference.name, reference.revision)}
