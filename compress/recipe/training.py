"""What stages share: an id, the stage they follow, the settings of a training, teachers."""

from typing import Annotated, Literal

from pydantic import Field

from compress.recipe.learning import Share, Teachers
from compress.recipe.model import Section
from compress.recipe.students import Positive, StageId

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class StageSection(Section):
    """What every stage has: an id, by which others name it."""

    id: StageId


class Follows(StageSection):
    """A stage that works on the result of another; by default of the one before it."""

    from_: Annotated[StageId | None, Field(alias="from")] = None


class Training(StageSection):
    """Settings of every training. AdamW, linear decay after a warm-up over the share `warmup` of the steps.

    precision: auto is bf16 where a short trial finds it faster, else fp32. early_stopping: stop after so many epochs
    without a better validation macro ROC-AUC (of a regression, R²) and keep the best epoch's weights; null trains every
    epoch and keeps the last. batch_size is in texts; batches hold texts of like length and are padded to their longest
    only. batch_tokens: a batch holds about so many tokens instead, padding included, and batch_size does not count.
    seeds: trains so many times, with the stage's seed and the ones after it; each is exported and quantized as the
    first, all other stages go on with the first, and the report says how far they lie apart. seed: of this stage's
    chance; null is the recipe's, so that two stages that are to differ by chance alone each name one.
    """

    epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-5
    batch_size: Positive = 32
    batch_tokens: Annotated[int, Field(ge=64)] | None = None
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.06
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    early_stopping: Positive | None = None
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    seed: Seed | None = None


class Taught(Section):
    """What is said of learning from teachers. teacher: a stage, or several with the weights of their logits."""

    teacher: Teachers | None = None
    temperature: Annotated[float, Field(gt=0)] = 1.0
    hardness: Share = 0.5

    @property
    def teacher_ids(self) -> tuple[StageId, ...]:
        """The stages it learns from, the first of them the one it is compared with."""
        return (self.teacher,) if isinstance(self.teacher, str) else tuple(self.teacher or ())

    @property
    def teachers(self) -> dict[StageId, float]:
        """Stage id -> weight, which sum to 1; empty without a teacher."""
        if self.teacher is None:
            return {}
        if isinstance(self.teacher, str):
            return {self.teacher: 1.0}
        whole = sum(self.teacher.values())
        return {name: weight / whole for name, weight in self.teacher.items()}
