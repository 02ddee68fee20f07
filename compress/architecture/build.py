"""From a config.json to the model it describes, on torch's meta device: every shape, no numbers, no weights file."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compress.encoder.build import empty_classifier
from compress.errors import EncoderError, did_you_mean

_LONGEST = 300  # characters of what a library says; some list every class that they know


def read_config(path: Path) -> Any:
    """The transformers configuration in a JSON file. Raises EncoderError where it is none, or of no known family."""
    from transformers import CONFIG_MAPPING

    data = _read_object(path)
    kind = data.get("model_type")
    if not isinstance(kind, str):
        other = data.get("_class_name")
        what = f"it is of a {other}, as diffusers writes them" if other else "it has no model_type"
        raise EncoderError(f"{path} is no configuration of a transformers model: {what}.")
    if kind not in CONFIG_MAPPING:
        raise EncoderError(
            f"{path}: model_type {kind} is not known to the installed transformers"
            f"{did_you_mean(kind, CONFIG_MAPPING.keys())}."
        )
    try:
        # attention written out as matrix products: the form that every architecture has, and that can be counted
        return CONFIG_MAPPING[kind].from_dict(data, attn_implementation="eager")
    except Exception as error:  # each family checks its numbers in its own way
        raise _cannot(path, kind, error) from error


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path} is no JSON: {error}. Fetch the file again.") from error
    if not isinstance(data, dict):
        raise EncoderError(f"{path} is no configuration of a transformers model: it holds no JSON object.")
    return data


def build_model(config: Any, path: Path) -> nn.Module:
    """The model that a configuration describes: the class that it names, or else the family's base model.

    Raises EncoderError where the numbers do not fit together, or the model reads something other than text.
    """
    _check_reads_text(config, path)
    try:
        with torch.device("meta"):
            model: nn.Module = _make(config)
    except Exception as error:  # whatever numbers that do not fit make torch or transformers say
        raise _cannot(path, config.model_type, error) from error
    if model.main_input_name != "input_ids":
        raise EncoderError(f"{path} ({config.model_type}) reads {model.main_input_name}, not text.")
    return model.eval()


def build_artifact_model(config: Any, path: Path) -> nn.Module:
    """The classifier of one of our artifacts. Raises EncoderError where the installed transformers cannot build it."""
    try:
        with torch.device("meta"):
            return empty_classifier(config, "eager").eval()
    except Exception as error:  # as above
        raise _cannot(path, config.model_type, error) from error


def _make(config: Any) -> Any:
    from transformers import MODEL_MAPPING, AutoModel

    named = _named_class(config)
    own = deepcopy(config)  # T5's encoder writes into it that it has no decoder
    if named is not None:
        return named(own)
    if type(config) not in MODEL_MAPPING:
        raise ValueError("it names no class of transformers, which has no base model of this family")
    return AutoModel.from_config(own, trust_remote_code=False)


def _named_class(config: Any) -> Any:
    """The class of transformers that the configuration says it is of; None where there is none of that name."""
    import transformers

    names = config.architectures if isinstance(config.architectures, list) else []
    for name in names:
        found: Any = getattr(transformers, name, None) if isinstance(name, str) else None
        is_model = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
        if is_model and found.config_class is type(config):
            return found
    return None


def _check_reads_text(config: Any, path: Path) -> None:
    for sense in ("vision", "image", "audio"):
        if getattr(config, f"{sense}_config", None) is not None:
            raise EncoderError(f"{path} ({config.model_type}) has a part for {sense}; a model of text alone is needed.")


def _cannot(path: Path, kind: str, error: Exception) -> EncoderError:
    said = " ".join(str(error).split())[:_LONGEST]
    return EncoderError(f"{path} ({kind}) describes no model that can be built: {type(error).__name__}: {said}")
