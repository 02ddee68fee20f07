"""What passes between stages: a folder with a model, its tokenizer, its decision and a manifest.

A folder is written beside its final place, its manifest last, and then renamed: it is whole, or it is not there. Every
file's sha256 is checked before anything in it is parsed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compress.errors import ArtifactError, BusyError
from compress.recipe.data import Task
from compress.recipe.long_text import TRUNCATE, LongText
from compress.scaling import Scaling

Format = Literal["torch", "onnx", "onnx_text", "openvino", "torch_export", "tfidf"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Floats = NDArray[np.float32]
MANIFEST = "manifest.json"
DECISION, SCALING = "decision.json", "scaling.json"
_TOKEN_LIMIT = 512


class Decision(BaseModel):
    """How probabilities become decisions; fitted on validation rows only.

    calibration_temperature: logits are divided by it (Guo et al. 2017). thresholds: one a label, in the order of the
    manifest's labels; None for single-label, where the argmax decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    calibration_temperature: float = Field(gt=0)
    thresholds: tuple[float, ...] | None

    def probabilities(self, logits: Floats, task: Task) -> Floats:
        """Calibrated probabilities, float32 (N, L), of logits (N, L): sigmoid, or softmax for single-label."""
        scaled = np.asarray(logits, np.float32) / np.float32(self.calibration_temperature)
        if task.type == "single_label":
            powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        # beyond 80 the result no longer changes, and float32's exp would overflow
        return np.asarray(1 / (1 + np.exp(np.minimum(-scaled, 80))), np.float32)


class Manifest(BaseModel):
    """What an artifact is and what it was made of.

    max_tokens: the most a model reads at once; None where there are no tokens. long_text: how it reads longer texts.
    cache_key: of the step that made it. parents: stage id -> digest. file_sha256s: every file but this one.
    environment: versions of the libraries that made it. marks: what its stage was asked to keep to and did not, as
    max_drop; it is whole all the same. pretrained: the model it began with, as `reference` and
    `weights_sha256`; empty where there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1] = 1
    format: Format
    precision: Precision = "fp32"
    task: Task
    max_tokens: int | None
    long_text: LongText = TRUNCATE
    stage_id: str
    stage_type: str
    cache_key: str
    parents: dict[str, str]
    file_sha256s: dict[str, str]
    environment: dict[str, str]
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    pretrained: dict[str, Any] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names in the order of the logits' columns."""
        return self.task.labels

    @property
    def token_limit(self) -> int:
        """The most tokens that a model reads at once."""
        return self.max_tokens or _TOKEN_LIMIT


@dataclass(frozen=True)
class Artifact:
    """A whole artifact on disk."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """sha256 over the files' names and sha256s: two artifacts with it are the same, whenever they were made.

        How long texts are read stands in no file, and counts where it is not by truncation.
        """
        parts: dict[str, object] = dict(self.manifest.file_sha256s)
        reads = self.manifest.long_text.model_dump(exclude_defaults=True)
        return sha256_text(json.dumps(parts | ({"long_text": reads} if reads else {}), sort_keys=True))

    def decision(self) -> Decision:
        """The stored calibration temperature and thresholds. Raises ArtifactError for a regression."""
        if self.manifest.task.type == "regression":
            raise ArtifactError(f"{self.path} is a regression: it gives values, and decides nothing.")
        return Decision.model_validate_json((self.path / DECISION).read_text(encoding="utf-8"))

    def scaling(self) -> Scaling:
        """How a regression's outputs become values. Raises ArtifactError for a classifier."""
        if self.manifest.task.type != "regression":
            raise ArtifactError(f"{self.path} is a classifier: it gives probabilities, and no values.")
        return Scaling.model_validate_json((self.path / SCALING).read_text(encoding="utf-8"))


def save_readout(readout: Decision | Scaling, folder: Path) -> None:
    """Writes what makes a model's outputs decisions, or values, under the name of its kind."""
    name = DECISION if isinstance(readout, Decision) else SCALING
    (folder / name).write_text(readout.model_dump_json(indent=2) + "\n", encoding="utf-8")


def sha256_text(text: str) -> str:
    """Hex sha256 of UTF-8 text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions by package name, without importing any; packages that are not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone; files are not checked. Raises ArtifactError where there is none or it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "has no manifest.json, so it is no artifact of this project" if folder.is_dir() else "does not exist"
        raise ArtifactError(f"{folder} {what}. An artifact is a folder like runs/NAME/artifacts/STAGE_ID.")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(
            f"{path} is damaged or of another version: {where} {first['msg']}. Make it again."
        ) from error


def open_artifact(folder: Path) -> Artifact:
    """The artifact at `folder`, every file verified against its sha256 before any is parsed.

    Raises ArtifactError if a file is missing or its bytes have changed.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest.file_sha256s.items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{folder} is damaged: {name} is missing. Delete the folder, and run the recipe again.")
        found = sha256_file(file)
        if found != expected:
            raise ArtifactError(
                f"{file} is damaged: its sha256 is {found[:16]}..., the manifest says {expected[:16]}.... "
                "Nothing in it was read. Delete the artifact's folder, and run the recipe again."
            )
    return Artifact(folder, manifest)


@contextmanager
def writing(final: Path) -> Iterator[Path]:
    """A temporary folder beside `final` that takes its place when the block ends well, and vanishes when it does not.

    The old folder goes only when the new one is whole.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    recover(final)
    fresh, old = _beside(final)
    fresh.mkdir()
    try:
        yield fresh
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        fresh.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def recover(final: Path) -> None:
    """Clears what a killed process left beside `final`; where `final` itself is missing, a whole one takes its place.

    The newer one first: killed between two renames, it was done but for its name.
    """
    for left in _beside(final):
        if not final.exists() and _is_whole(left):
            left.rename(final)
        shutil.rmtree(left, ignore_errors=True)


def _beside(final: Path) -> tuple[Path, Path]:
    """Where a folder is written, and where the one it replaces waits until it is."""
    return final.with_name(f".{final.name}.writing"), final.with_name(f".{final.name}.old")


def _is_whole(folder: Path) -> bool:
    try:
        open_artifact(folder)
    except ArtifactError:
        return False
    return True


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Adds the sha256 of every file in `folder` to `manifest` and writes it there, last, once the files are on disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    for path in files:
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    for path in files:
        path.chmod(0o644)  # safetensors writes 0600, which a server under another user could not read
    sums = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    sealed = manifest.model_copy(update={"file_sha256s": sums})
    write_whole(folder / MANIFEST, sealed.model_dump_json(indent=2) + "\n")
    return sealed


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that it holds all of `content` or is not touched, also when the machine stops midway."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.writing")
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Writes JSON whole; NaN is an error."""
    write_whole(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """What a file of ours holds; None where it is missing or damaged: it is made anew then."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds a run's folder for this process; the system lets go of it when the process ends, however it ends.

    Raises BusyError at once if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            f"another run is working in {folder}. Wait for it, or give this one its own folder with --out."
        ) from error
    try:
        yield
    finally:
        lock.release()
