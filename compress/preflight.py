"""Before the first stage runs: can every stage that will run begin? A mistake must not show after an hour's training.

transformers is imported only where a pretrained model is to be opened.
"""

from compress.environment import check_onnxruntime
from compress.errors import ArtifactError, EncoderError
from compress.plan import Plan, Step, max_tokens_of
from compress.recipe.data import Task
from compress.recipe.stages import Distill, Export, Finetune, Load, PretrainedStudent, Quantize

_DEFAULT_TOKENS = 256


def check_plan(plan: Plan, task: Task) -> None:
    """Fetches and opens every pretrained model that a stage to run begins with; no weights are read.

    Raises EncoderError or ArtifactError with the stage's place, or MissingPackageError.
    """
    tokens: dict[str, int | None] = {}
    for step in plan.steps:
        name = step.stage.id
        tokens[name] = step.artifact.manifest.max_tokens if step.artifact else max_tokens_of(step.stage, tokens)
        if step.artifact is None:
            try:
                tokens[name] = _check(step, task, tokens[name])
            except (ArtifactError, EncoderError) as error:
                if str(error).startswith("stages."):
                    raise
                raise type(error)(f"stages.{name}: {error}") from error


def _check(step: Step, task: Task, tokens: int | None) -> int | None:
    """The stage's max_tokens, now that its model could be asked."""
    match step.stage:
        case Load() as stage:
            from compress.stages.load import check_load

            return check_load(stage, task)
        case Finetune(encoder=str() as name) as stage:
            from compress.train.build import check_pretrained

            check_pretrained(name, stage, tokens or stage.max_tokens)
        case Distill(student=PretrainedStudent() as student):
            from compress.train.build import check_pretrained

            check_pretrained(student.encoder, student, tokens or _DEFAULT_TOKENS)
        case Export() | Quantize():
            check_onnxruntime()
    return tokens
