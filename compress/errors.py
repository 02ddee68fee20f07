"""The exception tree of the project.

    CompressError
    |- UserError              the recipe, the input or the machine is wrong: exit code 2
    |  |- RecipeError         mistakes in the YAML, all of them at once, each with its place
    |  |- DataError           a file, a column or a label is not what the recipe says
    |  |- ArtifactError       an artifact is missing, damaged or of the wrong kind
    |  |- EncoderError        a pretrained model cannot be found or is not what the recipe says
    |  |- TrainingError       a training came to nothing with the recipe's settings
    |  |- BusyError           another run holds the folder
    |  `- MissingPackageError a package or a device is missing
    |- ParityError            an exported model does not answer as its parent does: nothing is kept
    `- (anything else)        a fault of ours: exit code 1

Every message says what is wrong, where, and the next step.
"""

import difflib
from collections.abc import Iterable


class CompressError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1


class UserError(CompressError):
    """The recipe, the input or the machine is wrong; the user can mend it."""

    exit_code = 2


class RecipeError(UserError):
    """One or more mistakes in a recipe.

    problems: one clear line each, "place: what is wrong; next step".
    """

    def __init__(self, problems: list[str], source: str = "recipe") -> None:
        self.problems = tuple(problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {problem}" for problem in problems))


class DataError(UserError):
    """A data file, a column or a label is not what the recipe says."""


class ArtifactError(UserError):
    """An artifact is missing, damaged or of the wrong kind."""


class EncoderError(UserError):
    """A pretrained model cannot be found, reached or used."""


class TrainingError(UserError):
    """A training came to nothing with the recipe's settings; nothing was kept."""


class BusyError(UserError):
    """Another run holds the folder."""


class MissingPackageError(UserError):
    """A package or a device that the recipe needs is not there."""


class ParityError(CompressError):
    """An exported model does not answer as the model it came from; the artifact was not kept."""


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """`; did you mean X?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, [str(item) for item in known], n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
