"""The transfer set: what a student learns from its teachers, whatever it reads texts with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compress.artifact import Artifact, read_json
from compress.context import Context
from compress.errors import DataError, EncoderError
from compress.inputs import Inputs, Teacher
from compress.train.teacher_outputs import teacher_logits
from eval.contract import LabelledTexts

Floats = NDArray[np.float32]


class Answers(Protocol):
    """What is asked of a teacher once it is opened."""

    def predict_logits(self, texts: Sequence[str]) -> Floats:
        """Raw logits, float32 (N, L); of a regression, outputs."""


OpenTeacher = Callable[..., Answers]
"""open_teacher(artifact, device=...), e.g. open_predictor; called only where answers are not kept already."""


@dataclass(frozen=True)
class TransferSet:
    """N texts and what is to be learnt of each. targets, answers: float32 (N, L); labelled: float32 (N,).

    targets are zeros where labelled is 0. answers: the teachers' mean logits, of a regression on the student's scale.
    """

    texts: tuple[str, ...]
    targets: Floats
    labelled: Floats
    answers: Floats


def transfer_set(
    inputs: Inputs, open_teacher: OpenTeacher, context: Context, stage: str, more: Sequence[str] = ()
) -> TransferSet:
    """train, unlabeled and `more` texts, in this order, with the teachers' answers; labels where there are any.

    Raises DataError where there are no texts, EncoderError where a teacher knows other labels than the task.
    """
    if not inputs.teachers:
        raise ValueError(f"stage {stage} distils and was given no teacher")
    splits = inputs.splits()
    texts = transfer_texts(inputs)
    if not texts:
        raise DataError(f"stages.{stage}: the transfer set is empty: neither train nor unlabeled holds a row.")
    whole, rows = (*texts, *more), len(splits.train)
    targets = np.zeros((len(whole), len(inputs.task.labels)), np.float32)
    targets[:rows] = learnt(splits.train, inputs)
    labelled = (np.arange(len(whole)) < rows).astype(np.float32)
    # asked apart, so that another student of these teachers, without `more` or with other ones, finds them answered
    answers = [mean_answers(part, inputs, open_teacher, context, stage) for part in (texts, tuple(more)) if part]
    return TransferSet(whole, targets, labelled, answers[0] if len(answers) == 1 else np.concatenate(answers))


def transfer_texts(inputs: Inputs) -> tuple[str, ...]:
    """The texts of train, then those of unlabeled."""
    splits = inputs.splits()
    return (*splits.train.texts, *splits.unlabeled)


def mean_answers(
    texts: Sequence[str], inputs: Inputs, open_teacher: OpenTeacher, context: Context, stage: str
) -> Floats:
    """The teachers' logits (N, L), averaged by their weights; each teacher's own are kept in context.cache_dir."""
    if len(inputs.teachers) == 1:  # as they are, mapped from the disk
        return _answers(inputs.teachers[0], texts, inputs, open_teacher, context, stage)
    mean = np.zeros((len(texts), len(inputs.task.labels)), np.float64)
    for teacher in inputs.teachers:
        mean += teacher.weight * _answers(teacher, texts, inputs, open_teacher, context, stage)
    return mean.astype(np.float32)


def _answers(
    teacher: Teacher, texts: Sequence[str], inputs: Inputs, open_teacher: OpenTeacher, context: Context, stage: str
) -> Floats:
    """One teacher's logits (N, L), its labels in the task's order; of a regression on the student's scale."""
    artifact = teacher.artifact
    order = output_order(artifact, inputs.task.labels, stage)
    what = "teacher's answers" if len(inputs.teachers) == 1 else f"answers of {artifact.manifest.stage_id}"
    device = "cuda" if context.device == "cuda" else "cpu"
    answers = teacher_logits(
        artifact.digest,
        lambda: open_teacher(artifact, device=device).predict_logits,
        texts,
        len(inputs.task.labels),
        context.cache_dir,
        lambda done, total: context.progress(f"{stage}: {what}", done, total),
    )
    scaling = inputs.scaling()
    if scaling is not None:
        answers = artifact.scaling().values(answers)
    if order != tuple(range(len(order))):
        answers = answers[:, order]
    return answers if scaling is None else scaling.outputs(answers)


def output_order(teacher: Artifact, labels: Sequence[str], stage: str) -> tuple[int, ...]:
    """For each label of the task, which of the teacher's outputs is its. Raises EncoderError where they differ."""
    theirs = teacher.manifest.labels
    if sorted(theirs) != sorted(labels):
        lacking = [label for label in labels if label not in theirs] or [it for it in theirs if it not in labels]
        raise EncoderError(
            f"stages.{stage}.teacher: {teacher.manifest.stage_id} answers for the labels {', '.join(theirs)}, the task "
            f"has {', '.join(labels)}: {lacking[0]} is in one of them alone. Teacher and student need the same labels."
        )
    return tuple(theirs.index(label) for label in labels)


def learnt(rows: LabelledTexts, inputs: Inputs) -> Floats:
    """What the model's outputs are compared with, float32 (N, L): of a regression on its own scale."""
    scaling = inputs.scaling()
    return rows.targets.astype(np.float32) if scaling is None else scaling.outputs(rows.targets)


def common_mask(folders: Sequence[Path]) -> str | None:
    """The mask token that the tokenizers in all these folders have; None where one has none, or another.

    Who has no such token would read it as a word of the text.
    """
    found = {_mask(folder) for folder in folders}
    return found.pop() if len(found) == 1 else None


def _mask(folder: Path) -> str | None:
    config = read_json(folder / "tokenizer_config.json")
    token = config.get("mask_token") if isinstance(config, dict) else None
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None
