"""How big a stage's artifact will be, as far as its recipe and the size of its data tell. No torch."""

from collections.abc import Mapping
from typing import assert_never

from compress.inputs import DataFacts
from compress.pretrained import local_weights_bytes
from compress.recipe.quantizing import IncInt8, stage_bits
from compress.recipe.recipe import Recipe
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import (
    Distill,
    Export,
    Finetune,
    Follows,
    Load,
    Quantize,
    Recovering,
    Stage,
    Tfidf,
    shape_of,
)
from compress.recipe.students import (
    EmbeddingBagShape,
    FromTeacher,
    Hashed,
    LinearShape,
    PretrainedStudent,
    Shape,
    TinyEncoder,
)

# of TF-IDF artifacts, measured on 9,514 Jigsaw comments: bytes for each character of training text
_TFIDF_BYTES = {"words": 0.72, "words_chars": 1.29}
_TOKENIZER_BYTES_PER_PIECE = 23
# a term of a linear model, as text
_BYTES_PER_TERM = 12
_DEFAULT_TOKENS = 256
# of the bytes before quantizing, by the bits of a weight
_SHARES = {16: 0.5, 8: 0.26}


def forecast_bytes(
    stage: Stage, known: Mapping[str, int | None], recipe: Recipe, facts: DataFacts, tokens: int | None
) -> int | None:
    """Expected size of a stage's artifact; None where it cannot be known yet.

    known: sizes of the stages before it, by id. tokens: where it cuts texts.
    """
    shape = shape_of(stage)
    if shape is not None:
        return _shape_bytes(shape, len(recipe.task.labels), tokens or _DEFAULT_TOKENS)
    match stage:
        case Tfidf():
            return int(_TFIDF_BYTES[stage.features] * facts.train_characters)
        case Distill(student=PretrainedStudent(init=FromTeacher() as init)):
            return known.get(init.from_)  # less, where it takes fewer layers
        case Load() | Finetune() | Distill():
            reference = encoder_reference(stage)
            return local_weights_bytes(reference.name, reference.revision) if reference else None
        case Recovering() | Export():
            return known[stage.from_] if stage.from_ else None
        case IncInt8():
            return None  # embeddings stay fp32, and how much they are is not known here
        case Quantize():
            parent = known[stage.from_] if stage.from_ else None
            linear = isinstance(_trained(stage, recipe), LinearShape)
            bits = stage_bits(stage)
            share = _linear_share(bits, len(recipe.task.labels)) if linear else _SHARES[bits]
            return int(parent * share) if parent is not None else None
        case _ as unknown:
            assert_never(unknown)


def _trained(stage: Stage, recipe: Recipe) -> Shape | None:
    """The shape that was trained from scratch, of the stage or of the one it goes back to."""
    stages = {each.id: each for each in recipe.all_stages}
    while isinstance(stage, Follows) and stage.from_ in stages:
        stage = stages[stage.from_]
    return shape_of(stage)


def _linear_share(bits: int, labels: int) -> float:
    """Of a linear model's bytes: its terms stay text, and the feature's part of a length stays 16 bits."""
    small = bits // 8 * labels + 2
    return (small + _BYTES_PER_TERM) / (4 * (labels + 1) + _BYTES_PER_TERM)


def _shape_bytes(shape: Shape, labels: int, positions: int) -> int | None:
    match shape:
        case TinyEncoder():
            return _tiny_bytes(shape, positions)
        case EmbeddingBagShape():
            return _bag_bytes(shape)
        case LinearShape():
            # fp32: a weight for each label, and the feature's part of a text's length
            return (4 * (labels + 1) + _BYTES_PER_TERM) * shape.max_features
        case _ as unknown:
            assert_never(unknown)


def _tiny_bytes(shape: TinyEncoder, positions: int) -> int | None:
    """fp32 bytes of a student from scratch: embeddings, layers (4 H^2 attention, 2 H F feed-forward), tokenizer.

    None where its vocabulary is the teacher's, whole.
    """
    pieces = shape.tokenizer.size
    if pieces is None:
        return None
    width, ffn, rank = shape.width, shape.ffn or 4 * shape.width, shape.embedding_rank
    embeddings = (pieces + positions + 1 + 2) * (rank or width)
    if rank or shape.share_layers:  # ALBERT's shape, which projects embeddings of any width
        embeddings += ((rank or width) + 1) * width
    projections = 4 if shape.attention == "scaled_dot" else 2
    layer = projections * width * width + 2 * width * ffn + 9 * width + ffn
    layers = 1 if shape.share_layers else shape.layers
    return 4 * (embeddings + layers * layer) + _TOKENIZER_BYTES_PER_PIECE * pieces


def _bag_bytes(shape: EmbeddingBagShape) -> int:
    """fp32 bytes of an embedding_bag: a row and a weight for each bucket or piece, and the layer above."""
    rows = shape.tokenizer.buckets if isinstance(shape.tokenizer, Hashed) else shape.tokenizer.size
    tokenizer = 0 if isinstance(shape.tokenizer, Hashed) else _TOKENIZER_BYTES_PER_PIECE * rows
    return 4 * (rows * (shape.width + 1) + 2 * shape.width * shape.hidden) + tokenizer
