"""How a regression's outputs become values: its counterpart of a classifier's decision."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Floats = NDArray[np.float32]


class Scaling(BaseModel):
    """value = output x deviation + mean, target by target, in the order of the manifest's labels.

    means and deviations are the targets' on the training rows, so that a model learns numbers around 0 and of size 1
    whatever the unit. A model whose outputs are values already has means 0 and deviations 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    means: tuple[FiniteFloat, ...]
    deviations: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.means) != len(self.deviations):
            raise ValueError(f"{len(self.means)} means and {len(self.deviations)} deviations: one of each a target")
        return self

    @classmethod
    def of(cls, targets: NDArray[Any]) -> Self:
        """Of training targets (N, L). Raises ValueError where one does not vary."""
        exact = targets.astype(np.float64)
        return cls(means=tuple(exact.mean(axis=0).tolist()), deviations=tuple(exact.std(axis=0).tolist()))

    @classmethod
    def none(cls, targets: int) -> Self:
        """Of a model whose outputs are values already."""
        return cls(means=(0.0,) * targets, deviations=(1.0,) * targets)

    def ordered(self, order: Sequence[int]) -> Self:
        """The same for a model whose outputs were put into this order."""
        means, deviations = (tuple(of[place] for place in order) for of in (self.means, self.deviations))
        return self.model_copy(update={"means": means, "deviations": deviations})

    def values(self, outputs: NDArray[Any]) -> Floats:
        """Values in the targets' units, float32 (N, L), of outputs (N, L)."""
        return np.asarray(outputs * np.array(self.deviations) + np.array(self.means), np.float32)

    def outputs(self, values: NDArray[Any]) -> Floats:
        """What a model must give for these values: the way back."""
        return np.asarray((values - np.array(self.means)) / np.array(self.deviations), np.float32)
