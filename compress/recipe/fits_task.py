"""What a task rules out in the stages: keys that are a classifier's alone."""

from collections.abc import Callable, Sequence

from compress.recipe.stages import Distill, Finetune, Prune, Stage

Report = Callable[[int, str, str], None]


def check_regression(parsed: Sequence[Stage | None], report: Report) -> None:
    """Reports (index, key, text) for each key that a regression has no use for; stages with mistakes are None."""
    for index, stage in enumerate(parsed):
        if isinstance(stage, Finetune) and stage.pos_weight != "none":
            report(index, "pos_weight", "weighs a label's positives, and a regression has none; remove it")
        if isinstance(stage, Distill | Prune) and stage.temperature != 1:
            text = "softens a classifier's answers; a regression's values are learnt as they are, so remove it"
            report(index, "temperature", text)
