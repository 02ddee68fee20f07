"""Takes a classifier that is already fine-tuned as it is; only its decision is fitted, on validation rows."""

from pathlib import Path
from typing import Any

from compress.artifact import MANIFEST, open_artifact
from compress.context import Context
from compress.encoder import (
    Classifier,
    build_classifier,
    check_length,
    describe,
    load_classifier,
    open_pretrained,
    reorder_outputs,
    stored_labels,
)
from compress.errors import ArtifactError, EncoderError, did_you_mean
from compress.inputs import Inputs, Made
from compress.pretrained import find_pretrained
from compress.recipe.stages import Load
from compress.tokenizer import save_pretrained_tokenizer
from compress.train.finish import save_decided

_DEFAULT_TOKENS = 256


def run(config: Load, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Opens the classifier, puts its labels into the task's order and fits the decision."""
    source = find_pretrained(config.model, config.revision, config.sha256)
    if (source / MANIFEST).is_file():
        model, max_tokens = _from_artifact(source, config, inputs)
    else:
        model, max_tokens = _from_transformers(source, config, inputs)
    tokenizer = save_pretrained_tokenizer(source, folder, max_tokens)
    save_decided(model, tokenizer, inputs.splits().validation, inputs.task, context.device, folder)
    return Made("torch", max_tokens)


def _from_artifact(source: Path, config: Load, inputs: Inputs) -> tuple[Classifier, int]:
    artifact = open_artifact(source)
    if artifact.manifest.format != "torch":
        raise ArtifactError(
            f"stages.{config.id}.model: {source} is a {artifact.manifest.format} artifact; load needs torch."
        )
    learnt = artifact.manifest.task.type
    if learnt != inputs.task.type:
        raise EncoderError(
            f"stages.{config.id}.model: {source} was trained for {learnt}, the task is {inputs.task.type}."
        )
    max_tokens = config.max_tokens or artifact.manifest.max_tokens or _DEFAULT_TOKENS
    check_length(open_pretrained(source), max_tokens)
    order = _order(artifact.manifest.labels, config, inputs)
    model = load_classifier(source)
    reorder_outputs(model, order, len(order))
    describe(model.config, inputs.task, model.pooling, max_tokens)
    return model, max_tokens


def _from_transformers(source: Path, config: Load, inputs: Inputs) -> tuple[Classifier, int]:
    pretrained = open_pretrained(source)
    order = _order(stored_labels(pretrained.config), config, inputs)
    max_tokens = config.max_tokens or min(_DEFAULT_TOKENS, pretrained.max_positions or _DEFAULT_TOKENS)
    model = build_classifier(pretrained, inputs.task, "own", max_tokens, trained=True).eval()
    reorder_outputs(model, order, len(order))
    return model, max_tokens


def _order(theirs: tuple[str, ...], config: Load, inputs: Inputs) -> list[int]:
    """For each label of the task, the index of the classifier's output that gives it."""
    if len(theirs) != len(inputs.task.labels):
        raise EncoderError(
            f"stages.{config.id}.model: {config.model} has {len(theirs)} labels ({', '.join(theirs)}), "
            f"the task has {len(inputs.task.labels)}."
        )
    renamed = [(config.labels or {}).get(name, name) for name in theirs]
    found: dict[str, Any] = {name: index for index, name in enumerate(renamed)}
    for label in inputs.task.labels:
        if label not in found:
            raise EncoderError(
                f"stages.{config.id}.labels: the classifier has no label {label}{did_you_mean(label, renamed)}; it has "
                f"{', '.join(theirs)}. Map its names to the task's, e.g. labels: {{{theirs[0]}: {label}}}."
            )
    return [found[label] for label in inputs.task.labels]
