"""Recipe -> Plan: the order of the stages, their cache keys, what is cached, how big each result will be. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, assert_never

from compress.artifact import MANIFEST, Artifact, Manifest, library_versions, open_artifact, read_manifest, sha256_text
from compress.errors import EncoderError
from compress.inputs import DataFacts
from compress.pretrained import local_weights_bytes, pretrained_identity
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.recipe import Recipe, stage_inputs
from compress.recipe.stages import Distill, Export, Finetune, Load, Prune, Quantize, Stage, Tfidf, shape_key, shape_of
from compress.recipe.students import (
    EmbeddingBagShape,
    FromTeacher,
    Hashed,
    LinearShape,
    PretrainedStudent,
    Shape,
    TinyEncoder,
    Unigram,
    WordVectors,
)
from compress.vocabulary.vectors import vectors_identity

# raised when a stage's code changes so that its old results no longer stand for what it would make
_VERSIONS = {"load": 2, "finetune": 4, "tfidf": 1, "distill": 4, "prune": 4, "export": 3, "quantize": 2}
_TRAINING = ("torch", "transformers", "tokenizers", "accelerate")
_LIBRARIES = {
    "load": _TRAINING,
    "finetune": _TRAINING,
    "tfidf": ("numpy", "scikit-learn"),
    "distill": _TRAINING,
    "prune": _TRAINING,
    "export": ("torch", "transformers", "onnx", "onnxscript", "onnx-ir", "onnxruntime", "onnxruntime-gpu"),
    "quantize": ("onnx", "onnxruntime", "onnxruntime-gpu"),
}
# of TF-IDF artifacts, measured on 9,514 Jigsaw comments: bytes for each character of training text
_TFIDF_BYTES = {"words": 0.72, "words_chars": 1.29}
_TOKENIZER_BYTES_PER_PIECE = 23
# a term of a linear model, as text
_BYTES_PER_TERM = 12
_DEFAULT_TOKENS = 256


@dataclass(frozen=True)
class Step:
    """A stage with all it takes to know whether it must run. artifact: the cached result, if it still holds.

    seed: of its chance. forecast_bytes: expected size of the artifact (the real one if it is cached); None where it
    cannot be known yet.
    """

    stage: Stage
    seed: int
    inputs: tuple[str, ...]
    cache_key: str
    artifact: Artifact | None
    forecast_bytes: int | None


class Reference(NamedTuple):
    """A pretrained model as a recipe names it; sha256: what its weights must be."""

    name: str
    revision: str | None
    sha256: str | None


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run."""

    steps: tuple[Step, ...]


def artifact_path(out: Path, stage_id: str) -> Path:
    """Where a stage's artifact lies in a run's folder."""
    return out / "artifacts" / stage_id


def make_plan(recipe: Recipe, out: Path, facts: DataFacts, fresh: bool = False) -> Plan:
    """What a run would do. Reads and verifies artifacts, writes nothing. Raises ArtifactError for a damaged one.

    fresh: nothing counts as cached. Trainings with further seeds come last.
    """
    steps: list[Step] = []
    found: dict[str, Artifact | None] = {}
    forecasts: dict[str, int | None] = {}
    tokens: dict[str, int | None] = {}
    stages = {stage.id: stage for stage in recipe.all_stages}
    for stage in (*recipe.all_stages, *(repeat.stage for repeat in recipe.repeats)):
        seed = recipe.seed_of(stage)
        key = cache_key(stage, recipe, facts, seed)
        names = stage_inputs(stage)
        cached = None if fresh else cached_artifact(out, stage.id, key, {name: found[name] for name in names})
        found[stage.id] = cached
        tokens[stage.id] = cached.manifest.max_tokens if cached else max_tokens_of(stage, stages, tokens)
        forecasts[stage.id] = (
            size_of(cached) if cached else _forecast(stage, forecasts, recipe, facts, tokens[stage.id])
        )
        steps.append(Step(stage, seed, names, key, cached, forecasts[stage.id]))
    return Plan(tuple(steps))


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


def cached_artifact(out: Path, stage_id: str, key: str, parents: Mapping[str, Artifact | None]) -> Artifact | None:
    """The stage's artifact if it was made by this key from these parents, every file verified; else None.

    Raises ArtifactError if it was, but a file of it has changed since.
    """
    folder = artifact_path(out, stage_id)
    if not (folder / MANIFEST).is_file() or _of_another_schema(folder):
        return None
    manifest = read_manifest(folder)
    digests = {name: parent.digest for name, parent in parents.items() if parent is not None}
    if manifest.cache_key != key or manifest.parents != digests:
        return None
    return open_artifact(folder)


def _of_another_schema(folder: Path) -> bool:
    """Whether another version of this project wrote the manifest: then it is no damage, only no result of ours."""
    try:
        written = json.loads((folder / MANIFEST).read_bytes())
    except ValueError:
        return False  # damaged: read_manifest says so
    known = Manifest.model_fields["schema_version"].default
    return isinstance(written, dict) and written.get("schema_version", known) != known


def size_of(artifact: Artifact) -> int:
    """Bytes of the artifact's files."""
    return sum((artifact.path / name).stat().st_size for name in artifact.manifest.file_sha256s)


def _rows_read(stage: Stage) -> tuple[str, ...]:
    match stage:
        case Finetune(encoder=str() | LinearShape() | EmbeddingBagShape(tokenizer=Hashed())) | Tfidf():
            return ("train", "validation")
        case Finetune():
            return ("train", "unlabeled", "validation")  # its vocabulary is trained on unlabeled too
        case Distill():
            return ("train", "unlabeled", "validation")
        case Prune():
            return ("train", "unlabeled", "validation") if stage.teacher_ids else ("train", "validation")
        case Load() | Export() | Quantize():
            return ("validation",)
        case _ as unknown:
            assert_never(unknown)


def _libraries(stage: Stage) -> tuple[str, ...]:
    """The packages whose versions may change what a stage makes."""
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
        case Load() | Finetune() | Tfidf() | Distill() | Prune():
            return recipe.model_dump(mode="json", include={"thresholds"}, exclude_defaults=True)
        case Export() | Quantize():
            return {}  # as its parent decides
        case _ as unknown:
            assert_never(unknown)


def _teachers(stage: Stage) -> dict[str, object]:
    """The order of several teachers, which the key's sorted keys would hide: the first is the one that hints."""
    teachers = stage.teacher_ids if isinstance(stage, Distill | Prune) else ()
    return {"teachers": teachers} if len(teachers) > 1 else {}


def _encoder_identity(stage: Stage) -> str | None:
    reference = encoder_reference(stage)
    return pretrained_identity(reference.name, reference.revision) if reference else None


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


def encoder_reference(stage: Stage) -> Reference | None:
    """The pretrained model a stage begins with, if it does."""
    match stage:
        case Load():
            return Reference(stage.model, stage.revision, stage.sha256)
        case Finetune(encoder=str() as name):
            return Reference(name, stage.revision, stage.sha256)
        case Distill(student=PretrainedStudent(encoder=str() as name) as student):
            return Reference(name, student.revision, student.sha256)
        case _:
            return None


def _forecast(
    stage: Stage, known: Mapping[str, int | None], recipe: Recipe, facts: DataFacts, tokens: int | None
) -> int | None:
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
        case Prune() | Export():
            return known[stage.from_] if stage.from_ else None
        case Quantize():
            parent = known[stage.from_] if stage.from_ else None
            share = {"fp16": 0.5, "int8_dynamic": 0.26}[stage.scheme]
            return int(parent * share) if parent is not None else None
        case _ as unknown:
            assert_never(unknown)


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
