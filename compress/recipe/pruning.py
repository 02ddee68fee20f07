"""What makes a trained model smaller: weights set to zero, heads and neurons or layers taken out, pieces left out."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from compress.recipe.students import Positive
from compress.recipe.training import Follows, Taught, Training

Epochs = Annotated[float, Field(ge=0, le=1000)]
PartShare = Annotated[float, Field(ge=0, lt=1)]
Layer = Annotated[int, Field(ge=0)]


class Recovering(Training, Follows, Taught):
    """A stage that takes something out of a trained model and trains on.

    With a teacher the recovery training distils (hardness, temperature as for distill), else it uses the labels.
    """

    epochs: Epochs = 1.0

    @model_validator(mode="after")
    def _of_a_teacher(self) -> Self:
        if self.teacher is None:
            self.refuse_ignored(("temperature", "hardness"), "of a teacher; name one, or remove this")
        return self

    @model_validator(mode="after")
    def _of_recovery(self) -> Self:
        if self.epochs == 0:
            batches = ("batch_size", "batch_tokens")
            keys = ("learning_rate", *batches, "warmup", "weight_decay", "precision", "early_stopping", "teacher")
            chance = () if isinstance(self, PruneStructured) else ("seeds",)  # which draws rows to judge importance on
            self.refuse_ignored((*keys, *chance), "of a recovery training; set epochs above 0")
        return self


class Prune(Recovering):
    """What every method has."""

    type: Literal["prune"]


class PruneMagnitude(Prune):
    """Sets the smallest weights to zero, little by little while training on (Zhu and Gupta 2017).

    scope: one threshold over all layers (global) or the same sparsity in each (layer). Embeddings, normalization,
    biases and the classification head are left alone unless `embeddings` says otherwise.
    """

    method: Literal["magnitude"] = "magnitude"
    final_sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    schedule: Literal["cubic"] = "cubic"
    scope: Literal["global", "layer"] = "global"
    embeddings: bool = False
    epochs: Annotated[float, Field(gt=0, le=1000)] = 1.0


class PruneStructured(Prune):
    """Takes attention heads and feed-forward neurons out for good, so that the matrices become smaller.

    heads, ffn: the share of them, over all layers together; each layer keeps one head at least, and as neurons go in
    eights, eight of those. Which go is told by first-order importance, |gradient x activation| summed over
    `importance_rows` training rows (Michel et al. 2019; Molchanov et al. 2019). steps: they go in so many equal parts,
    with a part of the recovery training after each.
    """

    method: Literal["structured"]
    heads: PartShare = 0.0
    ffn: PartShare = 0.0
    steps: Positive = 1
    importance_rows: Positive = 1024

    @model_validator(mode="after")
    def _takes_something(self) -> Self:
        if not self.heads and not self.ffn:
            raise ValueError("heads or ffn must be above 0: the share of them that is taken out, e.g. ffn: 0.5")
        if self.steps > 1 and self.epochs == 0:
            raise ValueError("steps are for the training between them; set epochs above 0, or steps: 1")
        return self


class PruneLayers(Prune):
    """Takes whole layers out. drop: their numbers, from 0, or how many.

    How many: one after another, each time the one without which the validation loss is least (Peer et al. 2022). Where
    all layers share their weights none is chosen: the model goes through them less often.
    """

    method: Literal["layers"]
    drop: Positive | Annotated[tuple[Layer, ...], Field(min_length=1)]

    @property
    def how_many(self) -> int:
        """Layers that go."""
        return self.drop if isinstance(self.drop, int) else len(self.drop)

    @model_validator(mode="after")
    def _once(self) -> Self:
        if isinstance(self.drop, tuple) and len(set(self.drop)) < len(self.drop):
            raise ValueError(f"drop names a layer twice: {list(self.drop)}")
        return self


def _method(value: object) -> str:
    found = value.get("method", "magnitude") if isinstance(value, dict) else getattr(value, "method", None)
    return str(found)


Pruning = Annotated[
    Annotated[PruneMagnitude, Tag("magnitude")]
    | Annotated[PruneStructured, Tag("structured")]
    | Annotated[PruneLayers, Tag("layers")],
    Discriminator(_method),
]


class TrimVocabulary(Recovering):
    """Keeps the pieces of the vocabulary that train and unlabeled use, and the rows of the embeddings with them.

    min_count: pieces used at least so often. keep_top: at most so many, the most used. What a text of kept pieces needs
    stays (alphabet, special tokens, the pieces that merges go through), and it is read exactly as before.
    embedding_rank: the table becomes a product of two matrices through so many numbers (SVD; Lan et al. 2020). Without
    it and without recovery no weight changes, and the model decides by its parent's thresholds.
    """

    type: Literal["trim_vocabulary"]
    min_count: Positive = 1
    keep_top: Positive | None = None
    embedding_rank: Positive | None = None
    epochs: Epochs = 0.0
