"""How a smaller form of a model answers beside the form it was made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from compress.artifact import Artifact, Floats
from compress.errors import ParityError
from compress.inputs import Inputs, Made
from compress.runtime import open_predictor
from eval.metrics import decide

TEXTS = 200
# also where validation is empty
_ALWAYS = ("a first text", "and a second one that is a little longer")


def asked_texts(inputs: Inputs) -> tuple[str, ...]:
    """What a smaller form is asked before it is kept."""
    return (*_ALWAYS, *inputs.splits().validation.texts[:TEXTS])


def beside_parent(inputs: Inputs, made: Made, folder: Path) -> Made:
    """`made` with a note of how far its answers lie from the parent's on 200 validation texts at most.

    folder: where its files are. Raises ParityError where it does not run, or an answer is not finite.
    """
    parent = inputs.followed()
    texts = asked_texts(inputs)
    logits = _answers(as_artifact(parent, made, folder), texts)
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise ParityError(
            f"in {made.format}, {made.precision}, the model gives infinite or undefined logits for {bad} of "
            f"{len(logits)} texts. Nothing was kept; take another scheme."
        )
    before = open_predictor(parent).predict_logits(texts)
    return replace(made, notes=(*made.notes, _difference(parent, before, logits)))


def as_artifact(parent: Artifact, made: Made, folder: Path) -> Artifact:
    """What has been written so far, to be opened before its manifest is."""
    update = {"format": made.format, "precision": made.precision, "max_tokens": made.max_tokens}
    return Artifact(folder, parent.manifest.model_copy(update=update | {"long_text": made.long_text}))


def _answers(artifact: Artifact, texts: tuple[str, ...]) -> Floats:
    try:
        return open_predictor(artifact).predict_logits(texts)
    except Exception as error:  # each runtime raises in its own way
        raise ParityError(f"the converted model does not run: {error}. Nothing was kept.") from error


def _difference(parent: Artifact, before: Floats, after: Floats) -> str:
    """before, after: logits (N, L)."""
    task, where = parent.manifest.task, f"{parent.manifest.stage_id}'s on {len(before)} texts"
    if task.type == "regression":
        return f"outputs within {np.abs(before - after).max():.1g} of {where}"
    decision = parent.decision()
    old, new = (decision.probabilities(logits, task) for logits in (before, after))
    thresholds = None if decision.thresholds is None else np.asarray(decision.thresholds, np.float32)
    changed = int((decide(old, thresholds) != decide(new, thresholds)).any(axis=1).sum())
    return f"probabilities within {np.abs(old - new).max():.1g} of {where}, of which {changed} are decided otherwise"
