"""What a student may be: a closed union of shapes trained from scratch, and of pretrained encoders."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from compress.recipe.data import Name
from compress.recipe.long_text import ReadsTexts
from compress.recipe.model import Section, distinct, one_of, plain_name

# no dot: `--set stages.ID.KEY` could not tell where the id ends
StageId = Annotated[str, AfterValidator(plain_name("_-"))]
Pooling = Literal["own", "cls", "mean", "max", "mean_max", "last4"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, Field(ge=1)]
MaxTokens = Annotated[int, Field(ge=8)]

SPECIAL_TOKENS = 5  # [PAD], [UNK], [CLS], [SEP], [MASK]
_BYTES = 256


class Cleaned(Section):
    """What becomes of a text before it is cut. letters_only: all but letters becomes a blank."""

    lowercase: bool = True
    letters_only: bool = False


class WordPiece(Cleaned):
    """A WordPiece vocabulary of `size` pieces, trained on the texts of train and unlabeled.

    rules: bert takes accents off and makes every mark a word (Devlin et al. 2019); simple has runs of letters, digits
    and _, and runs of marks, as words, which takes less than half the time: more than a tiny model feels.
    """

    type: Literal["wordpiece"]
    rules: Literal["bert", "simple"] = "bert"
    size: Annotated[int, Field(ge=200)] = 8000


class Bpe(Cleaned):
    """Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019), trained as WordPiece is."""

    type: Literal["bpe"]
    size: int = 8000

    @model_validator(mode="after")
    def _holds_the_alphabet(self) -> Self:
        least = _BYTES + SPECIAL_TOKENS
        if self.size < least:
            raise ValueError(
                f"size {self.size} is smaller than the alphabet: {_BYTES} bytes and {SPECIAL_TOKENS} special tokens "
                f"take {least}, and pieces of several letters come on top, e.g. 8000"
            )
        return self


class Unigram(Cleaned):
    """A unigram language model's vocabulary (Kudo 2018), trained as WordPiece is."""

    type: Literal["unigram"]
    size: Annotated[int, Field(ge=200)] = 8000


class TeachersPieces(Section):
    """The teacher's own tokenizer, cut to the `size` pieces that train and unlabeled use most; null keeps them all."""

    type: Literal["teacher"]
    size: Annotated[int, Field(ge=200)] | None = None


TrainedVocabulary = WordPiece | Bpe | Unigram
Vocabulary = Annotated[WordPiece | Bpe | Unigram | TeachersPieces, Discriminator("type")]


class WordVectors(Section):
    """Embeddings of words from a text file, a word and its numbers a line (Pennington et al. 2014).

    vectors: a file, plain or gzipped, or `package:NAME/PATH`. Pieces that are no word of it begin at random.
    """

    vectors: Name
    sha256: Sha256 | None = None


def _embeddings_kind(value: Any) -> str:
    return "vectors" if isinstance(value, dict | WordVectors) else "named"


Embeddings = Annotated[
    Annotated[Literal["random", "teacher"], Tag("named")] | Annotated[WordVectors, Tag("vectors")],
    Discriminator(_embeddings_kind),
]


class TinyEncoder(ReadsTexts):
    """A BERT-shaped transformer from scratch. ffn: width of the feed-forward layer, by default 4 x width.

    activation: with relu a 2 x 128 model as int8 took a tenth less time on a CPU than with gelu.

    share_layers: one layer's weights, used `layers` times, and embedding_rank: embeddings of so many numbers, projected
    to the width (both Lan et al. 2020). attention: dot has no query and key projections (Luong et al. 2015).
    embeddings: where they begin: at random, at the teacher's (projected to the width by SVD), or at word vectors of
    exactly their width (embedding_rank, else width).
    """

    type: Literal["tiny"] = "tiny"
    layers: Positive
    width: Positive
    heads: Positive
    ffn: Positive | None = None
    activation: Literal["gelu", "relu"] = "gelu"
    share_layers: bool = False
    embedding_rank: Positive | None = None
    attention: Literal["scaled_dot", "dot"] = "scaled_dot"
    embeddings: Embeddings = "random"
    tokenizer: Vocabulary = WordPiece(type="wordpiece")
    pooling: Literal["cls", "mean", "max", "mean_max", "last4"] = "mean_max"
    max_tokens: MaxTokens | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def needs_teacher(self) -> bool:
        """Whether it takes anything from a teacher before training."""
        return self.embeddings == "teacher" or isinstance(self.tokenizer, TeachersPieces)

    @model_validator(mode="after")
    def _rank_is_a_saving(self) -> Self:
        if self.embedding_rank is not None and self.embedding_rank >= self.width:
            raise ValueError(
                f"embedding_rank {self.embedding_rank} saves nothing at width {self.width}; choose a smaller one, or "
                "leave the key out"
            )
        return self


class Hashed(Section):
    """Words and runs of up to `ngrams` of them, hashed into `buckets` rows; needs no vocabulary file."""

    type: Literal["hashed"]
    ngrams: Annotated[int, Field(ge=1, le=3)] = 2
    buckets: Annotated[int, Field(ge=256, le=2**24)] = 2**15


class EmbeddingBagShape(Section):
    """Embeddings of hashed words or of pieces, each with a learned weight; their mean and maximum; one hidden layer.

    Joulin et al. 2017, with a maximum and a layer more. width: of an embedding. hidden: of the layer.
    """

    type: Literal["embedding_bag"]
    width: Positive = 64
    hidden: Positive = 64
    tokenizer: Annotated[Hashed | WordPiece | Bpe | Unigram, Discriminator("type")] = Hashed(type="hashed")
    max_tokens: MaxTokens = 512


class LinearShape(Section):
    """One weight a label for each word and each run of up to `ngrams` words: a linear model that takes texts.

    The max_features terms with the largest weights are kept, of those that min_count texts hold. max_tokens: words of
    a text that are read. asked: a teacher answers every single word of the texts too, however rare, as a text of its
    own with this weight; 0 asks for none.
    """

    type: Literal["linear"]
    ngrams: Annotated[int, Field(ge=1, le=3)] = 2
    min_count: Positive = 2
    max_features: Annotated[int, Field(ge=1)] = 50_000
    max_tokens: MaxTokens = 4096
    asked: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3


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


class FromTeacher(Section):
    """A student that begins as some of the layers of a model of this run, as DistilBERT did (Sanh et al. 2019).

    layers: numbers from 0, in the order they are to stand. Embeddings, pooling and head are that model's too.
    """

    from_: Annotated[StageId, Field(alias="from")]
    layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(distinct)]


class PretrainedStudent(FromPretrained, ReadsTexts):
    """A pretrained encoder (hub id, folder or `package:NAME/PATH`) with its own tokenizer, or layers of a teacher."""

    type: Literal["pretrained"] = "pretrained"
    encoder: Name | None = None
    init: FromTeacher | None = None
    max_tokens: MaxTokens | None = None

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if (self.encoder is None) == (self.init is None):
            raise ValueError("needs encoder: NAME, or init: {from: STAGE, layers: [...]}, one of them")
        if self.init is not None:
            keys = ("revision", "sha256", "convert", "pooling")
            self.refuse_ignored(keys, "of an encoder that is named; with init they are those of its stage")
        return self


_TYPES = ("tiny", "pretrained", "embedding_bag", "linear")
_SHAPES = (
    "a shape ({layers: N, width: N, heads: N, ...}), {encoder: NAME, ...}, {init: {from: STAGE, layers: [...]}}, "
    "{type: embedding_bag, ...} or {type: linear, ...}, one of them"
)


def student_kind(value: Any) -> str:
    """Which kind of student a value is: by its `type`, else by the keys that one kind alone has."""
    if not isinstance(value, dict):
        return str(getattr(value, "type", "tiny"))
    return str(value.get("type", "pretrained" if {"encoder", "init"} & set(value) else "tiny"))


def _is_student(value: object) -> bool:
    """Keys of one kind alone beside those of both, so that none is called unknown which belongs to the other."""
    if not isinstance(value, dict):
        return isinstance(value, TinyEncoder | PretrainedStudent | EmbeddingBagShape | LinearShape)
    tiny, pretrained = set(TinyEncoder.model_fields), set(PretrainedStudent.model_fields)
    mixed = "type" not in value and set(value) & (tiny - pretrained) and set(value) & (pretrained - tiny)
    return value.get("type", "tiny") in _TYPES and not mixed


Student = Annotated[
    Annotated[TinyEncoder, Tag("tiny")]
    | Annotated[PretrainedStudent, Tag("pretrained")]
    | Annotated[EmbeddingBagShape, Tag("embedding_bag")]
    | Annotated[LinearShape, Tag("linear")],
    Discriminator(student_kind),
    one_of(_SHAPES, _is_student),
]

Shape = TinyEncoder | EmbeddingBagShape | LinearShape


def _encoder_kind(value: Any) -> str:
    return "name" if isinstance(value, str) else student_kind(value)


Encoder = Annotated[
    Annotated[Name, Tag("name")]
    | Annotated[TinyEncoder, Tag("tiny")]
    | Annotated[EmbeddingBagShape, Tag("embedding_bag")]
    | Annotated[LinearShape, Tag("linear")],
    Discriminator(_encoder_kind),
]
