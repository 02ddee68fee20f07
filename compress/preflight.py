"""Before the first stage runs: can every stage that will run begin? A mistake must not show after an hour's training.

transformers is imported only where a pretrained model is to be opened.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from compress.artifact import MANIFEST, Artifact, read_json
from compress.environment import Extra, check_extra, check_onnxruntime
from compress.errors import ArtifactError, EncoderError, MissingPackageError, RecipeError, UserError
from compress.inputs import DataFacts
from compress.keys import model_key
from compress.plan import Plan, Step
from compress.pretrained import find_pretrained
from compress.recipe.data import Task
from compress.recipe.fits_goals import check_test_sets
from compress.recipe.fits_hints import Size, misfits
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.quantizing import Bf16, IncInt8, OpenvinoBf16, OpenvinoInt8
from compress.recipe.recipe import Recipe
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import Distill, Export, Finetune, Load, Quantize, Stage
from compress.recipe.students import PretrainedStudent

_DEFAULT_TOKENS = 256


def check_plan(plan: Plan, task: Task) -> None:
    """Fetches and opens every pretrained model that a stage to run begins with; no weights are read.

    Raises EncoderError or ArtifactError with the stage's place, or MissingPackageError.
    """
    tokens: dict[str, int | None] = {}
    stages = {step.stage.id: step.stage for step in plan.steps}
    for step in plan.steps:
        if step.artifact is not None and any(other.artifact is None for other in plan.steps):
            _check_opens(step.artifact)  # beside what is to be trained it is measured anew
    for step in plan.steps:
        name = step.stage.id
        tokens[name] = step.artifact.manifest.max_tokens if step.artifact else max_tokens_of(step.stage, stages, tokens)
        if step.artifact is None:
            try:
                tokens[name] = _check(step, task, tokens[name])
                _check_hints(step, plan, tokens)
            except (ArtifactError, EncoderError) as error:
                if str(error).startswith("stages."):
                    raise
                raise type(error)(f"stages.{name}: {error}") from error


def check_goal_sets(recipe: Recipe, facts: DataFacts) -> None:
    """Raises RecipeError where a goal names a test set that the data do not have."""
    tests = [name.removeprefix("test:") for name in facts.digests if name.startswith("test:")]
    goals = [goal for goals in recipe.goals_by_candidate.values() for goal in goals]
    problems = check_test_sets(goals, tests, recipe.written.goals)
    if problems:
        raise RecipeError(problems, recipe.written.file or recipe.name)


def check_same_run(recipe: Recipe, facts: DataFacts, out: Path) -> None:
    """Raises UserError where `out` holds a run of another task or other training rows: its models would be lost."""
    lock = read_json(out / "recipe.lock")
    if not isinstance(lock, dict):
        return
    with suppress(KeyError, TypeError, ValidationError):  # of another version: then nothing of it would be used
        task = Task.model_validate(lock["recipe"]["task"])
        what = "of another task" if task != recipe.task else "of other training rows"
        if task != recipe.task or lock["data_sha256s"]["train"] != facts.digests["train"]:
            raise UserError(
                f"{out} holds a run {what}, as its recipe.lock says; its models and report would be replaced. Give "
                "--out another folder, or --fresh to run everything anew in this one."
            )


def seen_notes(recipe: Recipe) -> tuple[str, ...]:
    """A note for each stage that begins with a model of this project, where the test rows are drawn by seed.

    Its training may have drawn others: by another seed or share, or from files in another order.
    """
    if recipe.data.test_share is None:
        return ()
    begun = ((stage, encoder_reference(stage)) for stage in recipe.all_stages)
    return tuple(
        f"stages.{stage.id}.{model_key(stage)}: {reference.name} was made by this project, and data.test_share draws "
        "the test rows by seed: it may have seen some of them in training, and would then look better than it is. "
        "Name a file of rows that it has not seen in data.test"
        for stage, reference in begun
        if reference is not None and _is_ours(reference.name)
    )


def _is_ours(model: str) -> bool:
    """Whether a folder of that name is an artifact; a name that is no path is none."""
    try:
        return (Path(model).expanduser() / MANIFEST).is_file()
    except (OSError, RuntimeError):  # too long, not to be read, of a user who does not exist
        return False


def _check(step: Step, task: Task, tokens: int | None) -> int | None:
    """The stage's max_tokens, now that its model could be asked."""
    match step.stage:
        case Load() as stage:
            from compress.stages.load import check_load

            return check_load(stage, task)
        case Finetune(encoder=str() as name) as stage:
            from compress.train.build import check_pretrained

            check_pretrained(name, stage, tokens or stage.max_tokens)
        case Distill(student=PretrainedStudent(encoder=str() as name) as student):
            from compress.train.build import check_pretrained

            check_pretrained(name, student, tokens or _DEFAULT_TOKENS)
        case OpenvinoInt8() | OpenvinoBf16() | IncInt8() as stage:
            check_backend(stage)
        case Bf16():
            pass  # torch alone
        case Export() | Quantize():
            check_onnxruntime()
    return tokens


def check_backend(stage: Stage) -> None:
    """Raises MissingPackageError with the stage's id where it needs an extra that is not installed. Imports none."""
    match stage:
        case OpenvinoInt8() | OpenvinoBf16():
            extra: Extra = "openvino"
        case IncInt8():
            extra = "inc"
        case _:
            return
    try:
        check_extra(extra)
    except MissingPackageError as error:
        raise MissingPackageError(f"stages.{stage.id}.scheme: {error}") from error


def _check_opens(artifact: Artifact) -> None:
    """Raises MissingPackageError where an artifact that lies there cannot be run: it may be from another machine."""
    if artifact.manifest.format == "openvino":
        try:
            check_extra("openvino", needed=("openvino",))
        except MissingPackageError as error:
            raise MissingPackageError(f"{artifact.path}: {error}") from error


def _check_hints(step: Step, plan: Plan, tokens: Mapping[str, int | None]) -> None:
    """Raises EncoderError where the configurations show that token states cannot be compared as the recipe says."""
    stage = step.stage
    if not isinstance(stage, Distill) or stage.hints is None or not stage.hints.of_tokens:
        return
    steps = {other.stage.id: other for other in plan.steps}
    known = {name: other.stage for name, other in steps.items()}
    problems = misfits(stage, known, lambda named: _size(steps[named.id]), tokens)
    if problems:
        raise EncoderError("\n".join(f"stages.{stage.id}.hints: {problem}." for problem in problems))


def _size(step: Step) -> Size:
    from compress.classifier import hidden_width
    from compress.encoder.source import open_pretrained

    reference = encoder_reference(step.stage)
    if reference is None:
        return Size()
    folder = step.artifact.path if step.artifact else find_pretrained(reference.name, reference.revision)
    config = open_pretrained(folder).config
    return Size(config.num_hidden_layers, hidden_width(config))
