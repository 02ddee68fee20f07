"""Architectures of artifacts, folders, packages, hub models and single config.json files."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

from torch import nn

from compress.architecture.build import build_artifact_model, build_model, read_config
from compress.architecture.count import count_parameters, inner_model, is_causal, run_once
from compress.architecture.facts import Facts, normalization, own_pooling, positions, stacks
from compress.architecture.types import TOKENS, Architecture, Parameters
from compress.artifact import MANIFEST, Artifact, Manifest, open_artifact, read_json
from compress.bag import BagConfig, EmbeddingBag, empty_bag, is_bag
from compress.pretrained import find_config


@dataclass(frozen=True)
class _Use:
    """What can be done with a model here, and what to know before."""

    uses: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def inspect_model(reference: str) -> Architecture:
    """The architecture of an artifact, a folder, a hub id, `package:NAME/PATH` or a config.json.

    The weights of a transformer are not parsed; an artifact's files are checked against their sha256.
    Raises EncoderError or ArtifactError where there is none.
    """
    folder = Path(reference).expanduser()
    if (folder / MANIFEST).is_file():
        return _of_artifact(reference, open_artifact(folder))
    return _of_config(reference, find_config(reference))


def _of_artifact(name: str, artifact: Artifact) -> Architecture:
    manifest = artifact.manifest
    if manifest.format == "tfidf":
        return _of_tfidf(name, artifact)
    path = artifact.path / "config.json"
    raw = read_json(path)
    if isinstance(raw, dict) and is_bag(raw):
        return _of_bag(name, artifact, BagConfig.model_validate(raw))
    config = read_config(path)
    model = build_artifact_model(config, path)
    own = config.compress["pooling"] == "own"
    return replace(
        _of_model(name, config, model, manifest.max_tokens),
        source=_source(manifest),
        pooling=own_pooling(inner_model(model)) if own else config.compress["pooling"],
        weights_bytes=_model_bytes(artifact),
        uses=_artifact_uses(manifest),
    )


def _source(manifest: Manifest) -> str:
    return f"artifact, {manifest.format} {manifest.precision}"


def _artifact_uses(manifest: Manifest) -> tuple[str, ...]:
    match manifest.format:
        case "torch" if manifest.precision == "fp32":
            return ("evaluate", "predict", "load", "distill (as teacher)", "prune", "trim_vocabulary", "export")
        case "onnx" | "onnx_text" if manifest.precision == "fp32":
            return ("evaluate", "predict", "quantize")
        case "torch" | "torch_export" | "onnx" | "onnx_text" | "openvino" | "tfidf":
            return ("evaluate", "predict")
        case _ as unknown:
            assert_never(unknown)


def _model_bytes(artifact: Artifact) -> int:
    files = (artifact.path / name for name in artifact.manifest.file_sha256s if name.startswith("model."))
    return sum(file.stat().st_size for file in files)


def _of_config(name: str, path: Path) -> Architecture:
    config = read_config(path)
    model = build_model(config, path)
    found = _of_model(name, config, model, None)
    beside = path.parent.glob("*.safetensors") if path.name == "config.json" else ()
    weights = sum(file.stat().st_size for file in beside)
    use = _use(config, model, found.parameters, bool(weights))
    return replace(
        found,
        source="pretrained" if weights else "configuration",
        weights_bytes=weights or None,
        uses=use.uses,
        remarks=use.remarks,
    )


def _use(config: Any, model: nn.Module, parameters: Parameters, weights: bool) -> _Use:
    """What the stages can do with a model of transformers."""
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as HEADS
    from transformers import MODEL_MAPPING as BASES

    if config.is_encoder_decoder:
        both = f"multiply-adds: {TOKENS} tokens through the encoder and {TOKENS} through the decoder"
        return _Use((), ("an encoder-decoder, and the stages take encoders", *((both,) if parameters.decoder else ())))
    if type(config) not in BASES:
        return _Use((), ("transformers has no base model of this family",))
    remarks = []
    fitted = type(model).__name__.endswith("ForSequenceClassification")
    if not fitted and not isinstance(model, BASES[type(config)]):
        remarks.append(f"finetune takes its base model; the head of {type(model).__name__} is dropped")
    if type(config) not in HEADS:
        remarks.append("no classification head of its own: choose another pooling than own")
    if is_causal(model):
        own = "" if getattr(config, "pad_token_id", None) is not None else ", nor own without a pad_token_id"
        remarks.append(f"a decoder, whose tokens see only those before them: no pooling cls{own}")
    if not weights:
        remarks.append("safetensors weights and a tokenizer.json are needed first")
    load = ("load",) if fitted else ()
    return _Use(
        (*load, "finetune", "distill (as teacher or student)", "prune", "trim_vocabulary", "export", "quantize"),
        tuple(remarks),
    )


def _of_model(name: str, config: Any, model: nn.Module, max_tokens: int | None) -> Architecture:
    """All that the configuration and a model on the meta device say; the model is of no further use."""
    facts, causal = Facts(config), is_causal(model)
    parameters = count_parameters(model)
    encoder, decoder = stacks(config, parameters, causal)
    tokens = min(limit for limit in (TOKENS, max_tokens, facts.max_positions) if limit is not None)
    where, pooling = positions(model, config), own_pooling(model)
    seen = run_once(model, tokens)
    return Architecture(
        name=name,
        source="",
        family=config.model_type,
        model_class=type(inner_model(model)).__name__,
        encoder=encoder,
        decoder=decoder,
        width=facts.width,
        activation=facts.activation,
        dropout=facts.dropout,
        attention_dropout=facts.attention_dropout,
        normalization=normalization(model, seen.norms),
        positions=where,
        max_positions=facts.max_positions,
        max_tokens=max_tokens,
        vocabulary=facts.number("vocab_size"),
        pooling=pooling,
        parameters=parameters,
        weights_bytes=None,
        multiply_adds=seen.multiply_adds,
        tokens=None if seen.multiply_adds is None else tokens,
        uses=(),
        remarks=(),
    )


def _of_tfidf(name: str, artifact: Artifact) -> Architecture:
    """Terms in place of tokens."""
    from compress.runtime.tfidf import load_tfidf

    model = load_tfidf(artifact.path)
    idf = sum(block.idf.size for block in model.blocks)
    return _of_terms(
        name,
        artifact,
        family="tfidf",
        model_class=None,
        vocabulary=sum(len(block.vocabulary) for block in model.blocks),
        pooling="weighted sum",
        parameters=Parameters(idf, 0, 0, model.weights.size + model.bias.size),
        uses=_artifact_uses(artifact.manifest),
    )


def _of_bag(name: str, artifact: Artifact, config: BagConfig) -> Architecture:
    """Terms or pieces, in whatever order."""
    model = empty_bag(config)
    whole = sum(weight.numel() for weight in model.parameters())
    embedded = model.embedding.weight.numel() + model.weight.weight.numel() if isinstance(model, EmbeddingBag) else 0
    uses = tuple(use for use in _artifact_uses(artifact.manifest) if use not in {"load", "prune", "trim_vocabulary"})
    return _of_terms(
        name,
        artifact,
        family=config.model_type,
        model_class=type(model).__name__,
        vocabulary=config.vocab_size,
        pooling="mean and maximum" if embedded else "weighted sum",
        parameters=Parameters(embedded, 0, 0, whole - embedded),
        uses=uses,
    )


def _of_terms(name: str, artifact: Artifact, **facts: Any) -> Architecture:
    """A model without layers or positions. A text costs a product for each of its terms and each number of its row."""
    return Architecture(
        name=name,
        source=_source(artifact.manifest),
        encoder=None,
        decoder=None,
        width=None,
        activation=None,
        dropout=None,
        attention_dropout=None,
        normalization=None,
        positions="none (a bag of terms)",
        max_positions=None,
        max_tokens=artifact.manifest.max_tokens,
        weights_bytes=_model_bytes(artifact),
        multiply_adds=None,
        tokens=None,
        remarks=(),
        **facts,
    )
