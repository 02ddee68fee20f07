"""The `stages` section: a closed union of what a run can do. A new technique is a new class here."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Discriminator, Field, model_validator

from compress.recipe.data import Name
from compress.recipe.learning import Augment, Hints, LabelLoss, Share, Teachers
from compress.recipe.long_text import ReadsTexts
from compress.recipe.model import Section
from compress.recipe.students import (
    EmbeddingBagShape,
    Encoder,
    FromPretrained,
    LinearShape,
    MaxTokens,
    Positive,
    Sha256,
    Shape,
    StageId,
    Student,
    TinyEncoder,
)

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
    seeds: trains so many times, with the stage's seed and the ones after it; what follows goes on with the first, and
    the report says how far they lie apart. seed: of this stage's chance; null is the recipe's, so that two stages that
    are to differ by chance alone each name one.
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


class Load(StageSection, ReadsTexts):
    """A classifier that is already fine-tuned: hub id, folder, `package:NAME/PATH` or an artifact's folder.

    labels maps its label names to the task's; by default they are matched by name.
    """

    type: Literal["load"]
    model: Name
    labels: dict[Name, Name] | None = None
    max_tokens: MaxTokens | None = None
    revision: Name | None = None
    sha256: Sha256 | None = None


_OF_A_LOOP = (
    "epochs",
    "learning_rate",
    "batch_size",
    "batch_tokens",
    "warmup",
    "weight_decay",
    "precision",
    "early_stopping",
    "seeds",
    "seed",
)


class Finetune(Training, FromPretrained, ReadsTexts):
    """Fine-tunes a pretrained encoder: hub id, folder or `package:NAME/PATH`.

    encoder may also be a shape, which is then trained from scratch: of a small transformer, an embedding_bag or a
    linear model. pos_weight: weight of a label's positives in the loss, the ratio of negatives to positives (balanced)
    or its root. label_loss: cross_entropy, {type: focal} or {type: asymmetric}.
    """

    type: Literal["finetune"]
    encoder: Encoder
    max_tokens: MaxTokens = 256
    pos_weight: Literal["none", "balanced", "sqrt"] = "none"
    label_loss: LabelLoss = "cross_entropy"

    @model_validator(mode="after")
    def _of_a_pretrained_encoder(self) -> Self:
        if not isinstance(self.encoder, str):
            keys = tuple(FromPretrained.model_fields)
            self.refuse_ignored(keys, "of a pretrained encoder; a shape has its own pooling and dropout inside encoder")
        return self

    @model_validator(mode="after")
    def _read_by_the_shape(self) -> Self:
        reading = ("long_text", "window_pooling")
        match self.encoder:
            case EmbeddingBagShape() | LinearShape():
                why = f"of a transformer; {self.encoder.type} has a max_tokens of its own inside encoder"
                self.refuse_ignored(("max_tokens", *reading), why)
            case TinyEncoder() as shape:
                own = (*(("max_tokens",) if shape.max_tokens else ()), *(reading if shape.long_text else ()))
                self.refuse_ignored(own, "of a shape that does not say so itself; remove it here or inside encoder")
        return self

    @model_validator(mode="after")
    def _without_a_teacher(self) -> Self:
        if isinstance(self.encoder, TinyEncoder) and self.encoder.needs_teacher:
            raise ValueError(
                "encoder takes its embeddings or its pieces from a teacher, and fine-tuning has none; use a distill "
                "stage, or embeddings: random with a tokenizer of its own"
            )
        return self

    @model_validator(mode="after")
    def _of_a_loop(self) -> Self:
        _refuse_loop(self, self.encoder, "label_loss")
        if isinstance(self.encoder, LinearShape):
            self.encoder.refuse_ignored(("asked",), "with a teacher to answer; fine-tuning has none")
        return self


class Tfidf(StageSection):
    """TF-IDF and balanced logistic regression. features: words (1-2), or words_chars (words and characters 2-5)."""

    type: Literal["tfidf"]
    features: Literal["words", "words_chars"] = "words"


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


class Distill(Training, Taught):
    """Trains a student on a teacher's answers over train and unlabeled (Hinton et al. 2015).

    loss = (1 - hardness) x labels + hardness x temperature^2 x distillation on labelled rows; unlabeled rows have the
    second term only, with weight 1. distillation: kd is the cross-entropy to the teacher's probabilities, mse the
    squared error of logits (Ba and Caruana 2014). label_loss as for finetune; hints and augment add to both.
    """

    type: Literal["distill"]
    teacher: Teachers
    student: Student
    distillation: Literal["kd", "mse"] = "kd"
    label_loss: LabelLoss = "cross_entropy"
    hints: Hints | None = None
    augment: Augment | None = None
    epochs: Annotated[float, Field(gt=0, le=1000)] = 6.0
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3

    @model_validator(mode="after")
    def _of_logits(self) -> Self:
        if isinstance(self.student, LinearShape):  # _of_a_loop says what such a one has no use for
            return self
        if self.distillation == "mse":
            self.refuse_ignored(("temperature",), "of distillation: kd")
        if self.hardness == 1:
            self.refuse_ignored(("label_loss",), "where labels count: set hardness below 1")
        return self

    @model_validator(mode="after")
    def _of_a_loop(self) -> Self:
        _refuse_loop(self, self.student, "distillation", "label_loss", "hints")
        if isinstance(self.student, EmbeddingBagShape) and self.hints is not None and self.hints.of_tokens:
            raise ValueError(
                "hints.hidden and hints.cosine compare token states, and an embedding_bag has none; use pooled"
            )
        return self


class Prune(Training, Follows, Taught):
    """Sets the smallest weights to zero, little by little while training on (Zhu and Gupta 2017).

    scope: one threshold over all layers (global) or the same sparsity in each (layer). Embeddings, normalization,
    biases and the classification head are left alone unless `embeddings` says otherwise. With a teacher the recovery
    training distils, else it uses the labels.
    """

    type: Literal["prune"]
    method: Literal["magnitude"] = "magnitude"
    final_sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    schedule: Literal["cubic"] = "cubic"
    scope: Literal["global", "layer"] = "global"
    embeddings: bool = False
    epochs: Annotated[float, Field(gt=0, le=1000)] = 1.0

    @model_validator(mode="after")
    def _of_a_teacher(self) -> Self:
        if self.teacher is None:
            self.refuse_ignored(("temperature", "hardness"), "of a teacher; name one, or remove this")
        return self


class Export(Follows):
    """Writes the model as ONNX with dynamic batch and sequence, kept only if it answers as the torch model does."""

    type: Literal["export"]


class Quantize(Follows):
    """Fewer bits: fp16 (weights and arithmetic), or int8_dynamic (MatMul per channel, embeddings included).

    Of a graph that takes texts (onnx_text) both are how tables of weights are stored, int8 with a scale for each
    column; what is computed stays fp32.
    """

    type: Literal["quantize"]
    scheme: Literal["fp16", "int8_dynamic"]


def _refuse_loop(stage: Training, shape: object, *losses: str) -> None:
    """A linear model is fitted to a loss with one optimum, on all rows at once: there are no batches and no chance.

    losses: keys of other losses, which such a fit cannot take.
    """
    if isinstance(shape, LinearShape):
        why = (
            "of a training in steps; a linear model is fitted at once, by a loss of its own, without chance: remove it"
        )
        stage.refuse_ignored((*_OF_A_LOOP, *losses), why)


Stage = Annotated[Load | Finetune | Tfidf | Distill | Prune | Export | Quantize, Discriminator("type")]


def shape_of(stage: Stage) -> Shape | None:
    """The shape that a stage trains from scratch; None where it trains none."""
    match stage:
        case Finetune(encoder=trained) | Distill(student=trained):
            return trained if isinstance(trained, Shape) else None
        case _:
            return None


def shape_key(stage: Stage) -> str:
    """The key under which a stage names what it trains."""
    return "encoder" if isinstance(stage, Finetune) else "student"


STAGE_TYPES: dict[str, type[StageSection]] = {
    get_args(cls.model_fields["type"].annotation)[0]: cls for cls in get_args(get_args(Stage)[0])
}
