"""The `stages` section: a closed union of what a run can do. A new technique is a new class here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, model_validator

from compress.recipe.data import Name
from compress.recipe.learning import Augment, Hints, LabelLoss, Teachers
from compress.recipe.long_text import ReadsTexts
from compress.recipe.pruning import Prune, Pruning, Recovering, TrimVocabulary
from compress.recipe.quantizing import Quantize, Quantizing
from compress.recipe.students import (
    EmbeddingBagShape,
    Encoder,
    FromPretrained,
    LinearShape,
    MaxTokens,
    Sha256,
    Shape,
    Student,
    TinyEncoder,
)
from compress.recipe.training import Follows, StageSection, Taught, Training

__all__ = [
    "Distill",
    "Export",
    "Finetune",
    "Follows",
    "Load",
    "Prune",
    "Quantize",
    "Recovering",
    "Stage",
    "StageSection",
    "Taught",
    "Tfidf",
    "Training",
    "TrimVocabulary",
]


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


class Export(Follows):
    """Writes the model as ONNX with dynamic batch and sequence, kept only if it answers as the torch model does."""

    type: Literal["export"]


def _refuse_loop(stage: Training, shape: object, *losses: str) -> None:
    """A linear model is fitted to a loss with one optimum, on all rows at once: there are no batches and no chance.

    losses: keys of other losses, which such a fit cannot take.
    """
    if isinstance(shape, LinearShape):
        why = (
            "of a training in steps; a linear model is fitted at once, by a loss of its own, without chance: remove it"
        )
        stage.refuse_ignored((*_OF_A_LOOP, *losses), why)


Stage = Annotated[
    Load | Finetune | Tfidf | Distill | Pruning | TrimVocabulary | Export | Quantizing, Discriminator("type")
]


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


def _classes(annotation: Any) -> Iterator[type[StageSection]]:
    """The classes of a union, and of the unions inside it."""
    if isinstance(annotation, type):
        yield annotation
    for part in get_args(annotation) if not isinstance(annotation, type) else ():
        yield from _classes(part)


STAGE_TYPES: dict[str, tuple[type[StageSection], ...]] = {}
"""What a stage's `type` may be: one class, or one for each of its methods or schemes."""
for _class in _classes(Stage):
    _type = get_args(_class.model_fields["type"].annotation)[0]
    STAGE_TYPES[_type] = (*STAGE_TYPES.get(_type, ()), _class)


def variant_key(stage_type: str) -> str | None:
    """The key that tells the classes of a type apart: a pruning's method, a quantization's scheme."""
    return next((key for key in ("method", "scheme") if _tells_apart(key, STAGE_TYPES.get(stage_type, ()))), None)


def variants(stage_type: str) -> dict[str, type[StageSection]]:
    """Method or scheme -> class, of a type that has several."""
    key = variant_key(stage_type) or "type"
    return {get_args(cls.model_fields[key].annotation)[0]: cls for cls in STAGE_TYPES.get(stage_type, ())}


def stage_class(written: Mapping[str, Any]) -> type[StageSection] | None:
    """The class that a stage as written is of; of a type with several, the first where it does not say which."""
    classes = STAGE_TYPES.get(str(written.get("type")), ())
    key = variant_key(str(written.get("type")))
    named = variants(str(written.get("type"))).get(str(written.get(key))) if key else None
    return named or next(iter(classes), None)


def _tells_apart(key: str, classes: Sequence[type[StageSection]]) -> bool:
    return len(classes) > 1 and all(key in cls.model_fields for cls in classes)
