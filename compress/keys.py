"""What decides a stage's result, as one key: an artifact with the same key, made from the same parents, is cached."""

import json
from typing import assert_never

from compress.artifact import library_versions, sha256_text
from compress.errors import EncoderError
from compress.inputs import DataFacts
from compress.pretrained import pretrained_identity
from compress.recipe.quantizing import Bf16, IncInt8, OpenvinoBf16, OpenvinoInt8, reads_texts
from compress.recipe.recipe import Recipe
from compress.recipe.reference import encoder_reference
from compress.recipe.stages import (
    Distill,
    Export,
    Finetune,
    Load,
    Quantize,
    Recovering,
    Stage,
    Taught,
    Tfidf,
    TrimVocabulary,
    shape_key,
    shape_of,
)
from compress.recipe.students import EmbeddingBagShape, Hashed, LinearShape, TinyEncoder, Unigram, WordVectors
from compress.vocabulary.vectors import vectors_identity

# raised when a stage's code changes so that its old results no longer stand for what it would make
_VERSIONS = {
    "load": 2,
    "finetune": 4,
    "tfidf": 1,
    "distill": 4,
    "prune": 4,
    "trim_vocabulary": 1,
    "export": 4,
    "quantize": 5,
}
_TRAINING = ("torch", "transformers", "tokenizers", "accelerate")
_LIBRARIES = {
    "load": _TRAINING,
    "finetune": _TRAINING,
    "tfidf": ("numpy", "scikit-learn"),
    "distill": _TRAINING,
    "prune": _TRAINING,
    "trim_vocabulary": (*_TRAINING, "numpy"),
    "export": ("torch", "transformers", "onnx", "onnxscript", "onnx-ir", "onnxruntime", "onnxruntime-gpu"),
    "quantize": ("onnx", "onnxruntime", "onnxruntime-gpu"),
}


def cache_key(stage: Stage, recipe: Recipe, facts: DataFacts, seed: int) -> str:
    """sha256 of all that decides a stage's result, its parents' contents apart: those are compared by digest.

    seed: of its chance; how many further trainings there are is no matter to this one.

    Keys at their default do not count, so that a new one with a default leaves older results as they are; a default
    that changes its meaning raises the stage's version.
    """
    parts = {
        "stage": stage.model_dump(mode="json", exclude_defaults=True, exclude={"seeds", "seed"}),
        "version": _VERSIONS[stage.type],
        "seed": seed,
        "task": recipe.task.model_dump(mode="json", exclude_defaults=True),
        "data": {name: facts.digests[name] for name in _rows_read(stage)},
        "encoder": _encoder_identity(stage),
        **_vectors(stage),
        **_teachers(stage),
        **_thresholds(stage, recipe),
        "libraries": library_versions(_libraries(stage)),
    }
    return sha256_text(json.dumps(parts, sort_keys=True))


def _rows_read(stage: Stage) -> tuple[str, ...]:
    match stage:
        case Finetune(encoder=str() | LinearShape() | EmbeddingBagShape(tokenizer=Hashed())) | Tfidf():
            return ("train", "validation")
        case Finetune():
            return ("train", "unlabeled", "validation")  # its vocabulary is trained on unlabeled too
        case Distill():
            return ("train", "unlabeled", "validation")
        case TrimVocabulary():
            return ("train", "unlabeled", "validation")
        case Recovering():
            return ("train", "unlabeled", "validation") if stage.teacher_ids else ("train", "validation")
        case Quantize():
            return ("train", "unlabeled", "validation") if reads_texts(stage) else ("validation",)
        case Load() | Export():
            return ("validation",)
        case _ as unknown:
            assert_never(unknown)


def _libraries(stage: Stage) -> tuple[str, ...]:
    """The packages whose versions may change what a stage makes."""
    match stage:
        case Bf16():
            return ("torch", "transformers")
        case OpenvinoInt8() | OpenvinoBf16():
            return (*_LIBRARIES[stage.type], "openvino", "nncf")
        case IncInt8():
            return ("torch", "transformers", "torchao", "neural-compressor", "neural-compressor-pt")
    match shape_of(stage):
        case LinearShape():
            return (*_LIBRARIES[stage.type], "numpy", "scipy")
        case TinyEncoder(embeddings="teacher") | TinyEncoder(tokenizer=Unigram()):
            return (*_LIBRARIES[stage.type], "numpy")
        case EmbeddingBagShape(tokenizer=Unigram()):
            return (*_LIBRARIES[stage.type], "numpy")
        case _:
            return _LIBRARIES[stage.type]


def _thresholds(stage: Stage, recipe: Recipe) -> dict[str, object]:
    """How the decision is fitted, of a stage that fits one; a key at its default does not count."""
    match stage:
        case Load() | Finetune() | Tfidf() | Distill() | Recovering():
            return recipe.model_dump(mode="json", include={"thresholds"}, exclude_defaults=True)
        case Export() | Quantize():
            return {}  # as its parent decides
        case _ as unknown:
            assert_never(unknown)


def _teachers(stage: Stage) -> dict[str, object]:
    """The order of several teachers, which the key's sorted keys would hide: the first is the one that hints."""
    teachers = stage.teacher_ids if isinstance(stage, Taught) else ()
    return {"teachers": teachers} if len(teachers) > 1 else {}


def _encoder_identity(stage: Stage) -> str | None:
    """Raises EncoderError with the stage's place where the model is not there."""
    reference = encoder_reference(stage)
    if reference is None:
        return None
    try:
        return pretrained_identity(reference.name, reference.revision)
    except EncoderError as error:
        raise EncoderError(f"stages.{stage.id}.{model_key(stage)}: {error}") from error


def model_key(stage: Stage) -> str:
    """The key under which a stage names the pretrained model that it begins with."""
    match stage:
        case Load():
            return "model"
        case Distill():
            return "student.encoder"
        case _:
            return "encoder"


def _vectors(stage: Stage) -> dict[str, str]:
    """The word vectors that a student begins with, by their contents; a stage without has no such key.

    Raises EncoderError with the stage's place where they cannot be read.
    """
    match shape_of(stage):
        case TinyEncoder(embeddings=WordVectors() as vectors):
            try:
                return {"vectors": vectors_identity(vectors)}
            except EncoderError as error:
                raise EncoderError(f"stages.{stage.id}.{shape_key(stage)}.{error}") from error
        case _:
            return {}
