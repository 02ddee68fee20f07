"""The pretrained model that a stage begins with, as its recipe names it."""

from typing import NamedTuple

from compress.recipe.stages import Distill, Finetune, Load, Stage
from compress.recipe.students import PretrainedStudent


class Reference(NamedTuple):
    """A pretrained model as a recipe names it; sha256: what its weights must be."""

    name: str
    revision: str | None
    sha256: str | None


def encoder_reference(stage: Stage) -> Reference | None:
    """The pretrained model a stage begins with, if it does."""
    match stage:
        case Load():
            return Reference(stage.model, stage.revision, stage.sha256)
        case Finetune(encoder=str() as name):
            return Reference(name, stage.revision, stage.sha256)
        case Distill(student=PretrainedStudent(encoder=str() as name) as student):
            return Reference(name, student.revision, student.sha256)
        case _:
            return None
