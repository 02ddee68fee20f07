"""What a task rules out in the stages: keys that are a classifier's alone, or of labels that are independent."""

from collections.abc import Callable, Sequence

from compress.recipe.learning import Asymmetric
from compress.recipe.stages import Distill, Finetune, Stage, Taught

Report = Callable[[int, str, str], None]


def check_task(parsed: Sequence[Stage | None], task_type: object, report: Report) -> None:
    """Reports (index, key, text) for each key that such a task has no use for; stages with mistakes are None."""
    for index, stage in enumerate(parsed):
        match task_type:
            case "regression":
                _check_regression(index, stage, report)
            case "single_label" if isinstance(stage, Finetune | Distill) and isinstance(stage.label_loss, Asymmetric):
                text = "asymmetric is for labels that hold independently, and of single_label only one does; take focal"
                report(index, "label_loss", text)


def _check_regression(index: int, stage: Stage | None, report: Report) -> None:
    if isinstance(stage, Finetune) and stage.pos_weight != "none":
        report(index, "pos_weight", "weighs a label's positives, and a regression has none; remove it")
    if isinstance(stage, Finetune | Distill) and stage.label_loss != "cross_entropy":
        report(index, "label_loss", "is a classifier's; a regression learns by squared errors alone, so remove it")
    if isinstance(stage, Distill) and stage.distillation == "mse":
        text = "a regression learns its teachers' values by squared errors whatever is said here, so remove it"
        report(index, "distillation", text)
    if isinstance(stage, Taught) and stage.temperature != 1:
        text = "softens a classifier's answers; a regression's values are learnt as they are, so remove it"
        report(index, "temperature", text)
