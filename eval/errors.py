"""Errors of the evaluator. It stands alone, so it has its own; the command line turns them into exit codes."""


class EvalError(Exception):
    """Base of every error the evaluator raises on purpose."""


class InvalidInputError(EvalError):
    """What was given to judge does not fit: shapes, label names, values outside [0, 1] or NaN."""


class GoalError(EvalError):
    """A goal's text does not say one: the message names the place in it and the next step."""


class UnknownMetricError(GoalError):
    """A goal begins with a word that is no metric. word: it."""

    def __init__(self, message: str, word: str) -> None:
        super().__init__(message)
        self.word = word
