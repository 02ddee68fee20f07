"""The `stages` section: a closed union of what a run can do. A new technique is a new class here."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from compress.recipe.data import Name
from compress.recipe.long_text import ReadsTexts
from compress.recipe.model import Section, one_of, plain_name

# no dot: `--set stages.ID.KEY` could not tell where the id ends
StageId = Annotated[str, AfterValidator(plain_name("_-"))]
Pooling = Literal["own", "cls", "mean", "max", "mean_max", "last4"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


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
    only. seeds: trains so many times, with the recipe's seed and the ones after it; what follows goes on with the
    first, and the report says how far they lie apart.
    """

    epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-5
    batch_size: Positive = 32
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.06
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    early_stopping: Positive | None = None
    seeds: Annotated[int, Field(ge=1, le=100)] = 1


class Load(StageSection, ReadsTexts):
    """A classifier that is already fine-tuned: hub id, folder, `package:NAME/PATH` or an artifact's folder.

    labels maps its label names to the task's; by default they are matched by name.
    """

    type: Literal["load"]
    model: Name
    labels: dict[Name, Name] | None = None
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    revision: Name | None = None
    sha256: Sha256 | None = None


class WordPiece(Section):
    """A WordPiece vocabulary of `size` pieces, trained on the texts of train and unlabeled."""

    type: Literal["wordpiece"]
    size: Annotated[int, Field(ge=200)] = 8000
    lowercase: bool = True


class TinyEncoder(ReadsTexts):
    """A BERT-shaped transformer from scratch. ffn: width of the feed-forward layer, by default 4 x width."""

    layers: Positive
    width: Positive
    heads: Positive
    ffn: Positive | None = None
    tokenizer: WordPiece = WordPiece(type="wordpiece")
    pooling: Literal["cls", "mean", "max", "mean_max", "last4"] = "mean_max"
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


def _encoder_kind(value: Any) -> str:
    return "shape" if isinstance(value, dict | TinyEncoder) else "name"


Encoder = Annotated[Annotated[Name, Tag("name")] | Annotated[TinyEncoder, Tag("shape")], Discriminator(_encoder_kind)]


class FromPretrained(Section):
    """How a pretrained encoder is taken.

    pooling: how token states (B, T, H) become one vector; own is the architecture's own classification head.
    sha256: of the encoder's weights file, checked before it is read. convert: writes a BERT as a DistilBERT first,
    which answers the same. attention_dropout: null is the model's own; 0 lets attention run fused (a third faster on
    CPUs).
    """

    revision: Name | None = None
    sha256: Sha256 | None = None
    convert: Literal["distilbert"] | None = None
    pooling: Pooling = "own"
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] | None = None


class Finetune(Training, FromPretrained, ReadsTexts):
    """Fine-tunes a pretrained encoder: hub id, folder or `package:NAME/PATH`.

    encoder may also be the shape of a small transformer, which is then trained from scratch. pos_weight: weight of a
    label's positives in the loss, the ratio of negatives to positives (balanced) or its root.
    """

    type: Literal["finetune"]
    encoder: Encoder
    max_tokens: Annotated[int, Field(ge=8)] = 256
    pos_weight: Literal["none", "balanced", "sqrt"] = "none"

    @model_validator(mode="after")
    def _of_a_pretrained_encoder(self) -> Self:
        if isinstance(self.encoder, TinyEncoder):
            keys = tuple(FromPretrained.model_fields)
            self.refuse_ignored(keys, "of a pretrained encoder; a shape has its own pooling and dropout inside encoder")
        return self


class Tfidf(StageSection):
    """TF-IDF and balanced logistic regression. features: words (1-2), or words_chars (words and characters 2-5)."""

    type: Literal["tfidf"]
    features: Literal["words", "words_chars"] = "words"


class PretrainedStudent(FromPretrained, ReadsTexts):
    """A pretrained encoder (hub id, folder or `package:NAME/PATH`) with its own tokenizer."""

    encoder: Name
    max_tokens: Annotated[int, Field(ge=8)] | None = None


def _student_kind(value: Any) -> str:
    pretrained = "encoder" in value if isinstance(value, dict) else isinstance(value, PretrainedStudent)
    return "pretrained" if pretrained else "tiny"


def _is_student(value: object) -> bool:
    """Keys of one kind alone beside those of both, so that none is called unknown which belongs to the other."""
    if not isinstance(value, dict):
        return isinstance(value, TinyEncoder | PretrainedStudent)
    tiny, pretrained = set(TinyEncoder.model_fields), set(PretrainedStudent.model_fields)
    return not (set(value) & (tiny - pretrained) and set(value) & (pretrained - tiny))


Student = Annotated[
    Annotated[TinyEncoder, Tag("tiny")] | Annotated[PretrainedStudent, Tag("pretrained")],
    Discriminator(_student_kind),
    one_of("a shape ({layers: N, width: N, heads: N, ...}) or {encoder: NAME, ...}, one of them", _is_student),
]


class Distill(Training):
    """Trains a student on a teacher's answers over train and unlabeled (Hinton et al. 2015).

    loss = (1 - hardness) x labels + hardness x temperature^2 x distillation on labelled rows; unlabeled rows have the
    second term only, with weight 1.
    """

    type: Literal["distill"]
    teacher: StageId
    student: Student
    temperature: Annotated[float, Field(gt=0)] = 1.0
    hardness: Share = 0.5
    epochs: Annotated[float, Field(gt=0, le=1000)] = 6.0
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3


class Prune(Training, Follows):
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
    teacher: StageId | None = None
    temperature: Annotated[float, Field(gt=0)] = 1.0
    hardness: Share = 0.5
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
    """Fewer bits: fp16 (weights and arithmetic), or int8_dynamic (MatMul per channel, embeddings included)."""

    type: Literal["quantize"]
    scheme: Literal["fp16", "int8_dynamic"]


Stage = Annotated[Load | Finetune | Tfidf | Distill | Prune | Export | Quantize, Discriminator("type")]

STAGE_TYPES: dict[str, type[StageSection]] = {
    get_args(cls.model_fields["type"].annotation)[0]: cls for cls in get_args(get_args(Stage)[0])
}
