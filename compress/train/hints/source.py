"""The teacher whose states a student is hinted at: opened, checked against the student, and asked for its vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.artifact import Artifact
from compress.bag import Bag
from compress.batches import text_logits
from compress.classifier import hidden_width
from compress.context import Context
from compress.encoder.files import load_model
from compress.errors import EncoderError
from compress.inputs import Inputs
from compress.pieces import Reader
from compress.recipe.learning import Hints
from compress.tokenizer import Batch, open_tokenizer
from compress.train.hints.states import answer_seen, vector_layer
from compress.train.hints.student import HintedStudent
from compress.train.teacher_outputs import teacher_vectors
from compress.train.transfer import transfer_texts

_SAMPLE = 200  # texts by which two tokenizers are told apart


@dataclass(frozen=True)
class Source:
    """A teacher that hints can come from. pairs: (student layer, teacher layer), from 0, where states are compared."""

    artifact: Artifact
    model: nn.Module
    hints: Hints
    pairs: tuple[tuple[int, int], ...]

    @property
    def labels(self) -> int:
        """Number of the teacher's outputs."""
        return len(self.artifact.manifest.labels)

    def around(self, student: nn.Module) -> HintedStudent:
        """What is trained in the student's place."""
        width = vector_layer(self.model, self.labels).in_features if self.hints.pooled else None
        teacher = self.model if self.hints.of_tokens else None
        return HintedStudent(student, teacher, self.hints, self.labels, self.pairs, width)

    def vectors(self, texts: Sequence[str], context: Context, stage: str) -> NDArray[np.float16] | None:
        """The teacher's pooled vectors (N, W) of N texts, kept in context.cache_dir; None where they are no hint."""
        if not self.hints.pooled:
            return None
        return teacher_vectors(
            self.artifact.digest,
            lambda: lambda part: self._pooled(part, context.device),
            texts,
            vector_layer(self.model, self.labels).in_features,
            context.cache_dir,
            lambda done, total: context.progress(f"{stage}: teacher's vectors", done, total),
        )

    def _pooled(self, texts: Sequence[str], device: str) -> NDArray[np.float32]:
        """Pooled vectors (N, W); of a long text as its windows' logits are pooled."""
        manifest = self.artifact.manifest
        reader = open_tokenizer(self.artifact.path, manifest.token_limit, manifest.long_text)

        def run(batch: Batch) -> NDArray[np.float32]:
            with torch.inference_mode():
                inputs = {name: torch.from_numpy(value).to(device) for name, value in batch.items()}
                return answer_seen(self.model, inputs, self.labels, hidden=False)[1].float().cpu().numpy()

        return text_logits(run, texts, reader, vector_layer(self.model, self.labels).in_features)


def open_source(
    inputs: Inputs, student: nn.Module, reader: Reader, hints: Hints, context: Context, stage: str
) -> Source:
    """The first teacher, opened. Raises EncoderError where its states are no hint for the student, and why.

    reader: the student's tokenizer.
    """
    artifact = inputs.teachers[0].artifact
    where, name = f"stages.{stage}.hints", artifact.manifest.stage_id
    if artifact.manifest.format != "torch":
        raise EncoderError(f"{where}: {name} ({artifact.manifest.format}) has no states; name a transformer first.")
    model: Any = load_model(artifact.path).to(context.device)
    if isinstance(model, Bag):
        raise EncoderError(f"{where}: {name} ({type(model).__name__}) has no states; name a transformer first.")
    if not hints.of_tokens:
        return Source(artifact, model, hints, ())
    if not (hasattr(student, "encoder") and hasattr(model, "encoder")):
        raise EncoderError(f"{where}: hidden and cosine compare token states, and one of the two has none; use pooled.")
    _check_reading(artifact, reader, transfer_texts(inputs)[:_SAMPLE], where)
    return Source(artifact, model, hints, _compared(student, model, hints, where))


def _compared(student: Any, teacher: Any, hints: Hints, where: str) -> tuple[tuple[int, int], ...]:
    """The pairs of layers. Raises EncoderError where the models' sizes do not allow the comparison."""
    widths = hidden_width(student.config), hidden_width(teacher.config)
    if hints.cosine and widths[0] != widths[1]:
        raise EncoderError(
            f"{where}: cosine compares states of one width; the student's is {widths[0]}, the teacher's {widths[1]}. "
            "Use hidden, which projects them."
        )
    if hints.hidden is None:
        return ()
    try:
        return hints.hidden.pairs(student.config.num_hidden_layers, teacher.config.num_hidden_layers)
    except ValueError as error:
        raise EncoderError(f"{where}.hidden.layers: {error}.") from error


def _check_reading(artifact: Artifact, reader: Reader, texts: Sequence[str], where: str) -> None:
    """Raises EncoderError where the teacher could not read the student's batches, or would read other tokens there."""
    limit = artifact.manifest.token_limit
    if reader.max_tokens > limit:
        raise EncoderError(
            f"{where}: the student reads {reader.max_tokens} tokens and its teacher {limit}, which reads the same "
            f"batches; set student.max_tokens to at most {limit}."
        )
    theirs = open_tokenizer(artifact.path, reader.max_tokens, reader.long_text)
    same = theirs.vocabulary_size == reader.vocabulary_size and all(
        np.array_equal(mine.ids, its.ids) for mine, its in zip(reader.encode(texts), theirs.encode(texts), strict=True)
    )
    if not same:
        raise EncoderError(
            f"{where}: hidden and cosine compare token by token, and the student cuts texts otherwise than its teacher "
            f"{artifact.manifest.stage_id}. Give it the teacher's tokenizer, or use pooled."
        )
