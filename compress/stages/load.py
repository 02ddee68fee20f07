"""Takes a classifier that is already fine-tuned as it is; only its decision is fitted, on validation rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import MANIFEST, open_artifact, read_manifest
from compress.classifier import Classifier
from compress.context import Context
from compress.encoder.build import build_classifier, describe, reorder_outputs
from compress.encoder.files import load_classifier, stored_labels
from compress.encoder.source import Pretrained, check_length, check_usable, open_pretrained
from compress.errors import ArtifactError, EncoderError, did_you_mean
from compress.inputs import Inputs, Made
from compress.pretrained import find_pretrained, pin_notes
from compress.recipe.data import Task
from compress.recipe.long_text import TRUNCATE, LongText
from compress.recipe.stages import Load
from compress.scaling import Scaling
from compress.tokenizer import read_pretrained_tokenizer, save_pretrained_tokenizer
from compress.train.finish import save_decided

_DEFAULT_TOKENS = 256


def run(config: Load, inputs: Inputs, context: Context, folder: Path) -> Made:
    """Opens the classifier, puts its labels into the task's order and fits the decision."""
    source = _look(config, inputs.task)
    model = _from_artifact(source, inputs.task) if source.ours else _from_transformers(source, inputs.task)
    tokenizer = save_pretrained_tokenizer(source.folder, folder, source.max_tokens, source.long_text)
    decided = save_decided(model, tokenizer, inputs, context.device, folder, config, source.scaling)
    notes = (*pin_notes(config.model, config.revision), *decided)
    return Made("torch", source.max_tokens, notes=notes, long_text=source.long_text)


def check_load(config: Load, task: Task) -> int:
    """The max_tokens of what the stage would make. Raises EncoderError or ArtifactError where it could not.

    Reads configuration and tokenizer, not the weights.
    """
    source = _look(config, task)
    if source.ours:
        check_length(source.pretrained, source.max_tokens)
    else:
        check_usable(source.pretrained, "own", source.max_tokens)
    read_pretrained_tokenizer(source.folder)
    return source.max_tokens


@dataclass(frozen=True)
class _Source:
    """A classifier that fits the task. ours: an artifact of this project. order: its output for each of our labels.

    scaling: of a regression, in our order; None of a classifier.
    """

    pretrained: Pretrained
    ours: bool
    order: tuple[int, ...]
    max_tokens: int
    long_text: LongText
    scaling: Scaling | None

    @property
    def folder(self) -> Path:
        return self.pretrained.folder


def _look(config: Load, task: Task) -> _Source:
    _refuse_other_formats(Path(config.model).expanduser(), config)
    try:
        folder = find_pretrained(config.model, config.revision, config.sha256)
    except EncoderError as error:
        raise EncoderError(f"stages.{config.id}.model: {error}") from error
    if (folder / MANIFEST).is_file():
        return _look_at_artifact(folder, config, task)
    pretrained = open_pretrained(folder)
    _check_kind(pretrained, config, task)
    order = _order(stored_labels(pretrained.config), config, task)
    max_tokens = config.max_tokens or min(_DEFAULT_TOKENS, pretrained.max_positions or _DEFAULT_TOKENS)
    # what transformers calls a regression was trained on the values themselves
    scaling = Scaling.none(len(task.labels)) if task.type == "regression" else None
    return _Source(pretrained, False, order, max_tokens, config.long_texts(TRUNCATE), scaling)


def _check_kind(pretrained: Pretrained, config: Load, task: Task) -> None:
    """Outputs that are values would pass for logits, and the other way round, without a word."""
    says = getattr(pretrained.config, "problem_type", None)
    if says is not None and (says == "regression") != (task.type == "regression"):
        raise EncoderError(
            f"stages.{config.id}.model: {config.model} was trained for {says}, as its config.json says; the task is "
            f"{task.type}. Name another model, or set task.type."
        )


def _refuse_other_formats(folder: Path, config: Load) -> None:
    """First of all: what an artifact of another format lacks beside would be a riddle."""
    if not (folder / MANIFEST).is_file():
        return
    found = read_manifest(folder).format
    if found != "torch":
        raise ArtifactError(
            f"stages.{config.id}.model: {folder} is of format {found}; load needs a torch artifact "
            "(finetune, distill, prune or load)."
        )


def _look_at_artifact(folder: Path, config: Load, task: Task) -> _Source:
    artifact = open_artifact(folder)
    manifest = artifact.manifest
    if manifest.task.type != task.type:
        raise EncoderError(
            f"stages.{config.id}.model: {folder} was trained for {manifest.task.type}, the task is {task.type}. "
            "Name another model, or set task.type."
        )
    order = _order(manifest.labels, config, task)
    max_tokens = config.max_tokens or manifest.max_tokens or _DEFAULT_TOKENS
    scaling = artifact.scaling().ordered(order) if task.type == "regression" else None
    return _Source(open_pretrained(folder), True, order, max_tokens, config.long_texts(manifest.long_text), scaling)


def _from_artifact(source: _Source, task: Task) -> Classifier:
    check_length(source.pretrained, source.max_tokens)
    model = load_classifier(source.folder)
    reorder_outputs(model, source.order, len(source.order))
    describe(model.config, task, model.pooling, source.max_tokens)
    return model


def _from_transformers(source: _Source, task: Task) -> Classifier:
    model = build_classifier(source.pretrained, task, "own", source.max_tokens, trained=True).eval()
    reorder_outputs(model, source.order, len(source.order))
    return model


def _order(theirs: tuple[str, ...], config: Load, task: Task) -> tuple[int, ...]:
    """For each label of the task, the index of the classifier's output that gives it."""
    if len(theirs) != len(task.labels):
        raise EncoderError(
            f"stages.{config.id}.model: {config.model} has {len(theirs)} labels ({', '.join(theirs)}), "
            f"the task has {len(task.labels)} ({', '.join(task.labels)}). Let task.labels name as many as it has, or "
            "fine-tune it: type: finetune with this model as encoder learns the task's labels anew."
        )
    renamed = [(config.labels or {}).get(name, name) for name in theirs]
    found: dict[str, Any] = {name: index for index, name in enumerate(renamed)}
    for label in task.labels:
        if label not in found:
            raise EncoderError(
                f"stages.{config.id}.labels: the classifier has no label {label}{did_you_mean(label, renamed)}; it has "
                f"{', '.join(theirs)}. Map its names to the task's, e.g. labels: {{{theirs[0]}: {label}}}."
            )
    return tuple(found[label] for label in task.labels)
