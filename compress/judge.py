"""Artifacts -> report: of a run, with its lock, or of any artifacts over one labelled file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import Artifact, open_artifact, read_json, sha256_file, sha256_text, write_json, write_whole
from compress.card import cards_there, write_cards
from compress.context import Progress
from compress.data import labelled_digest, read_labelled_with_notes, threshold_positives, undefined_averages
from compress.environment import environment
from compress.errors import ArtifactError, UserError
from compress.inputs import DataFacts, RecipeData
from compress.measure import VERSION, checks, measure, measure_seeds
from compress.measure.latency import METHOD
from compress.measure.quality import JUDGED
from compress.preflight import seen_notes
from compress.recipe.data import Task
from compress.recipe.recipe import Evaluate, Recipe, parents_of, teacher_of
from compress.threads import all_threads
from compress.version import __version__
from eval.goals.evidence import Evidence
from eval.goals.goal import TEACHER
from eval.goals.verdicts import Verdict, judge_goal
from eval.measurement import Measurement
from eval.report.report import SCHEMA_VERSION, Report, dump_report, load_report


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ran: ids of the stages that were run this time; measured: whether anything was measured.

    marked: ids of the stages whose result is not what they were asked to keep to.
    """

    report: Report
    ran: tuple[str, ...]
    measured: bool
    marked: tuple[str, ...] = ()


def report_run(
    recipe: Recipe,
    artifacts: dict[str, Artifact],
    data: RecipeData,
    out: Path,
    ran: tuple[str, ...],
    progress: Progress,
    command: str | None,
) -> Outcome:
    """Measures what is not already measured and writes report and lock, unless those that lie there still hold."""
    key = _report_key(recipe, artifacts, data.facts)
    kept = out / "cache" / "report-key.json"
    if _report_files_there(out) and read_json(kept) == _stamp(key, out):
        report = load_report(out / "report.json")
        if not cards_there(artifacts):
            write_cards(artifacts, report, data.facts.digests, recipe.repeats)
        return Outcome(report, ran, measured=False, marked=_marked(artifacts))
    tests = data.splits.tests
    digests = {name: data.facts.digests[f"test:{name}"] for name in tests}
    candidates = {stage.id: artifacts[stage.id] for stage in recipe.all_stages}
    teacher, first = teacher_of(recipe.all_stages), next(iter(tests))
    parents, compared, cache = parents_of(recipe.all_stages), _compared(recipe), out / "cache"
    measured = measure(
        candidates, tests, digests, recipe.evaluate, teacher, recipe.seed, cache, progress, parents, compared
    )
    trained = _by_seed(recipe, artifacts)
    seeds = measure_seeds(trained, tests, digests, recipe.evaluate, recipe.seed, cache, progress)
    report = Report(
        name=recipe.name,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        environment=environment(),
        candidates=measured.measurements,
        teacher_id=teacher,
        first_set=first,
        notes=(
            *data.facts.notes,
            *seen_notes(recipe),
            *measured.notes,
            *measured.timing_notes,
            *_stage_notes(artifacts),
        ),
        command=command,
        timing=measured.timing,
        test_sha256s=digests,
        validation_positives=threshold_positives(data.splits.validation, recipe.task),
        seeds=seeds,
        verdicts=_verdicts(recipe, measured.measurements, teacher, first),
    )
    write_report(report, out)
    write_cards(artifacts, report, data.facts.digests, recipe.repeats)
    write_json(out / "recipe.lock", _lock(recipe, artifacts, data.facts))
    write_json(kept, _stamp(key, out))
    return Outcome(report, ran, measured.anew or bool(ran), _marked(artifacts))


def _compared(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """By candidate, the models that its goals name; the teacher apart, with which all are compared."""
    return {
        name: tuple(goal.reference for goal in goals if goal.reference not in (None, TEACHER))
        for name, goals in recipe.goals_by_candidate.items()
    }


def _verdicts(
    recipe: Recipe, measurements: Sequence[Measurement], teacher: str | None, first: str
) -> tuple[Verdict, ...]:
    """On every goal, in the recipe's order."""
    evidence = {it.id: Evidence(it, teacher, first, all_threads()) for it in measurements}
    return tuple(
        verdict
        for name, goals in recipe.goals_by_candidate.items()
        for goal in goals
        for verdict in judge_goal(goal, evidence[name])
    )


def _by_seed(recipe: Recipe, artifacts: dict[str, Artifact]) -> dict[str, dict[int, Artifact]]:
    """The stages that were trained with several seeds, and what was made of them: id -> seed -> artifact."""
    found: dict[str, dict[int, Artifact]] = {}
    for repeat in recipe.repeats:
        found.setdefault(repeat.of, {repeat.first: artifacts[repeat.of]})[repeat.seed] = artifacts[repeat.stage.id]
    return found


def write_report(report: Report, out: Path) -> None:
    """report.json, report.html, report.md and its picture, each written whole."""
    from eval.report.html import render_html
    from eval.report.markdown import render_markdown
    from eval.report.picture import draw_picture

    picture = draw_picture(report)
    write_whole(out / "report.svg", picture)
    write_whole(out / "report.html", render_html(report, picture))
    write_whole(out / "report.md", render_markdown(report, "report.svg"))
    write_whole(out / "report.json", dump_report(report))


@dataclass(frozen=True)
class Judged:
    """Labelled rows to judge on. name: of the test set, by default the file's. text_column: by default the models'."""

    path: Path
    name: str | None = None
    text_column: str | None = None


def evaluate_artifacts(
    folders: Sequence[Path],
    teacher: Path | None,
    data: Judged,
    config: Evaluate,
    cache_dir: Path,
    progress: Progress,
    command: str | None = None,
) -> Report:
    """The judge alone, on any artifacts that predict the same labels, over the labelled rows of one file.

    ArtifactError where they do not; DataError for rows that cannot be read.
    """
    artifacts = open_artifacts(folders, teacher)
    opened = list(artifacts.values())
    _check_comparable(opened)
    task = _read_as(opened[0].manifest.task, data, config)
    read = read_labelled_with_notes(data.path, task, config.slices)
    # of the rows and not of the file: the labels may lie in another one, and the columns are the artifact's
    name = data.name or data.path.stem
    tests, digests = {name: read.rows}, {name: labelled_digest(read.rows)}
    teacher_id = next(iter(artifacts)) if teacher else None
    measured = measure(artifacts, tests, digests, config, teacher_id, 13, cache_dir, progress)
    return Report(
        name=name,
        recipe={"task": task.model_dump(mode="json"), "data": str(data.path)},
        environment=environment(),
        candidates=measured.measurements,
        teacher_id=teacher_id,
        first_set=name,
        notes=(
            *read.notes,
            *undefined_averages(tests),
            *measured.notes,
            *measured.timing_notes,
            *_mark_notes(artifacts),
        ),
        command=command,
        timing=measured.timing,
        test_sha256s=digests,
    )


def _read_as(task: Task, data: Judged, config: Evaluate) -> Task:
    """How the file is read. UserError where what was asked for makes no sense of these models."""
    if config.slices and task.type == "regression":
        raise UserError("--slices: slices are told of classifiers, and these models predict numbers; leave it out")
    if data.text_column is None:
        return task
    if data.text_column in task.label_columns:
        raise UserError(f"--text-column {data.text_column}: the labels are read from it; name the column of the texts")
    return task.model_copy(update={"text": (data.text_column,)})


def open_artifacts(folders: Sequence[Path], teacher: Path | None) -> dict[str, Artifact]:
    """By id, the teacher first; one that is named twice is opened once."""
    wanted = dict.fromkeys(folder.resolve() for folder in (*((teacher,) if teacher else ()), *folders))
    opened = [open_artifact(folder) for folder in wanted]
    return dict(zip(_names(opened), opened, strict=True))


def _check_comparable(opened: Sequence[Artifact]) -> None:
    first = opened[0].manifest.task
    for artifact in opened:
        other = artifact.manifest.task
        if (other.type, other.labels) != (first.type, first.labels):
            raise ArtifactError(
                f"{artifact.path} predicts {', '.join(other.labels)} ({other.type}); {opened[0].path} predicts "
                f"{', '.join(first.labels)} ({first.type}). Only models with the same labels, in the same order, can "
                "be compared."
            )


def _names(artifacts: Sequence[Artifact]) -> list[str]:
    """Stage ids, or whole paths where two artifacts share one."""
    ids = [artifact.manifest.stage_id for artifact in artifacts]
    return [name if ids.count(name) == 1 else str(artifact.path) for name, artifact in zip(ids, artifacts, strict=True)]


def _report_files_there(out: Path) -> bool:
    names = ("report.json", "report.html", "report.md", "report.svg", "recipe.lock")
    return all((out / name).is_file() for name in names)


def _stamp(key: str, out: Path) -> dict[str, object]:
    """What the report was made of, and its own sha256: one that was changed since is written again."""
    return {"key": key, "report_sha256": sha256_file(out / "report.json")}


def _stage_notes(artifacts: dict[str, Artifact]) -> tuple[str, ...]:
    """Of every stage, what it says of its result; marks come first of all."""
    notes = (f"{name}: {note}" for name, artifact in artifacts.items() for note in artifact.manifest.notes)
    return (*_mark_notes(artifacts), *notes)


def _mark_notes(artifacts: dict[str, Artifact]) -> Iterator[str]:
    return (f"{name}: marked: {mark}" for name, artifact in artifacts.items() for mark in artifact.manifest.marks)


def _marked(artifacts: dict[str, Artifact]) -> tuple[str, ...]:
    return tuple(name for name, artifact in artifacts.items() if artifact.manifest.marks)


def _report_key(recipe: Recipe, artifacts: dict[str, Artifact], facts: DataFacts) -> str:
    parts = {
        "recipe": recipe.model_dump(mode="json"),
        "artifacts": {name: artifact.digest for name, artifact in artifacts.items()},
        "data": facts.digests,
        "environment": environment(),
        "threads": all_threads(),
        "versions": [__version__, VERSION, METHOD, SCHEMA_VERSION, JUDGED, checks.METHOD],
    }
    return sha256_text(json.dumps(parts, sort_keys=True))


def _lock(recipe: Recipe, artifacts: dict[str, Artifact], facts: DataFacts) -> dict[str, object]:
    """What it takes to know whether two runs were of the same thing."""
    models = {name: artifact.manifest.pretrained for name, artifact in artifacts.items()}
    return {
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "data_sha256s": facts.digests,
        "pretrained": {name: model for name, model in models.items() if model},
        "artifact_digests": {name: artifact.digest for name, artifact in artifacts.items()},
        "environment": environment(),
    }
