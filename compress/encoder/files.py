"""A classifier written into an artifact's folder, and read again, under the names the wider ecosystem knows."""

import json
from pathlib import Path
from typing import Any, Literal

from compress.bag import Bag, BagConfig, empty_bag, is_bag
from compress.classifier import Classifier
from compress.encoder.build import empty_classifier
from compress.pretrained import WEIGHTS

Model = Classifier | Bag
"""Whatever torch module a stage trains and an artifact of format torch holds."""


def save_classifier(model: Model, folder: Path) -> None:
    """Writes config.json and model.safetensors under the names transformers itself would use for the encoder."""
    from safetensors.torch import save_file

    if isinstance(model, Bag):
        (folder / "config.json").write_text(model.description.model_dump_json(indent=2) + "\n", encoding="utf-8")
        save_file({name: value.detach().cpu() for name, value in model.state_dict().items()}, str(folder / WEIGHTS))
        return
    model.config.architectures = [type(model.encoder).__name__]
    # a path on this machine would make equal artifacts differ
    model.config.name_or_path = ""
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    tensors = {
        _outer_name(model, name): value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt"})


def load_model(folder: Path, attention: Literal["sdpa", "eager"] | None = None) -> Model:
    """The classifier an artifact's folder holds, of whatever kind, in evaluation mode."""
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not is_bag(config):
        return load_classifier(folder, attention)
    model = empty_bag(BagConfig.model_validate(config))
    model.load_state_dict(load_file(str(folder / WEIGHTS)))
    return model.eval()


def load_classifier(folder: Path, attention: Literal["sdpa", "eager"] | None = None) -> Classifier:
    """The same of an encoder, where the artifact can be nothing else."""
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    model = empty_classifier(config, attention)
    names = {_outer_name(model, name): name for name in model.state_dict()}
    state = {names.get(name, name): value for name, value in load_file(str(folder / WEIGHTS)).items()}
    model.load_state_dict(state)
    return model.eval()


def stored_labels(config: Any) -> tuple[str, ...]:
    """Label names of a classifier's configuration, in the order of its logits."""
    return tuple(str(config.id2label[index]) for index in sorted(config.id2label))


def _outer_name(model: Classifier, name: str) -> str:
    """`encoder.x` as transformers names it: `bert.x`, so that AutoModel opens the file; `x` for its own classifiers."""
    if not name.startswith("encoder."):
        return name
    inner = name.removeprefix("encoder.")
    return inner if model.pooling == "own" else f"{model.encoder.base_model_prefix}.{inner}"
