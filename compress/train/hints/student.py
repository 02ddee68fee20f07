"""What is trained where there are hints: the student, and projections of its states that are dropped in the end."""

from typing import Any

import torch
from torch import Tensor, nn

from compress.classifier import hidden_width
from compress.recipe.learning import Hints
from compress.train.hints.states import answer_seen, vector_layer
from compress.train.loop import Hinted
from compress.train.losses import cosine_distance, hidden_error

States = tuple[Tensor, ...]


class HintedStudent(nn.Module):
    """A student that is trained with its projections; gives its logits with what the hints are computed of.

    teacher: frozen, reads the student's own batches; None where no token states are compared. pairs: (student layer,
    teacher layer), from 0. width: of the teacher's pooled vectors, None where they are no hint.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | None,
        hints: Hints,
        labels: int,
        pairs: tuple[tuple[int, int], ...] = (),
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.student, self.hints, self.labels, self.pairs = student, hints, labels, pairs
        # inside a tuple it is no part of this module: not trained, not in checkpoints, never in training mode
        self._teacher = (teacher,)
        self.projections = nn.ModuleList(_projection(student, teacher) for _ in pairs)
        self.vector_projection = None if width is None else nn.Linear(vector_layer(student, labels).in_features, width)

    def forward(self, **inputs: Tensor) -> Hinted:
        """Logits (P, L), the weighted terms over token states (P,), and the projected pooled vectors (P, W)."""
        teacher = self._teacher[0]
        logits, vectors, mine = answer_seen(self.student, inputs, self.labels, hidden=teacher is not None)
        projected = None if self.vector_projection is None else self.vector_projection(vectors)
        if teacher is None:
            return Hinted(logits, logits.new_zeros(len(logits), dtype=torch.float32), projected)
        with torch.no_grad():
            _, _, theirs = answer_seen(teacher, inputs, self.labels, hidden=True)
        return Hinted(logits, self._term(mine, theirs, inputs["attention_mask"]), projected)

    def _term(self, mine: States, theirs: States, mask: Tensor) -> Tensor:
        """The sum of terms over token states (P,), by weight. mine, theirs: the embeddings, then all layers' states."""
        terms = []
        if self.hints.hidden is not None:
            weight = self.hints.hidden.weight / len(self.pairs)
            for (student, teacher), project in zip(self.pairs, self.projections, strict=True):
                error = hidden_error(project(mine[student + 1]).float(), theirs[teacher + 1].float(), mask)
                terms.append(weight * error)
        if self.hints.cosine:
            distance = cosine_distance(mine[-1].float(), theirs[-1].float(), mask)
            terms.append(self.hints.cosine * distance)
        return torch.stack(terms).sum(dim=0)


def _projection(student: Any, teacher: Any) -> nn.Linear:
    return nn.Linear(hidden_width(student.config), hidden_width(teacher.config))
