"""Artifacts are whole or not there, verified before they are read; a folder belongs to one run at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.artifact import (
    Artifact,
    Decision,
    Manifest,
    open_artifact,
    read_json,
    read_manifest,
    recover,
    run_lock,
    seal,
    sha256_file,
    write_json,
    write_whole,
    writing,
)
from compress.errors import ArtifactError, BusyError
from compress.recipe.data import Task

TASK = Task(type="multi_label", text=("text",), labels=("rude", "threat"))
CLASSES = Task(type="single_label", text=("text",), labels=("a", "b", "c"), label_column="class")
FILES = {
    "model.bin": b"\x00\x01weights",
    "decision.json": b'{"calibration_temperature": 2.0, "thresholds": [0.5, 0.25]}',
}
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.(json|bin)", fullmatch=True).filter(
    lambda name: name != "manifest.json"
)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=4)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def manifest() -> Manifest:
    return Manifest(
        format="torch",
        task=TASK,
        max_tokens=8,
        stage_id="teacher",
        stage_type="finetune",
        cache_key="key",
        parents={},
        file_sha256s={},
        environment={},
    )


def write_artifact(final: Path, files: dict[str, bytes]) -> Artifact:
    with writing(final) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        seal(folder, manifest())
    return open_artifact(final)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones among them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def whole(tmp_path: Path) -> Artifact:
    return write_artifact(tmp_path / "teacher", FILES)


# -------------------------------------------------------------------------------------------- whole or not there


@given(CONTENTS)
@QUICK
def test_what_is_written_is_read_back_and_every_file_is_in_the_manifest(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    final = tmp_path_factory.mktemp("a") / "artifact"
    artifact = write_artifact(final, files)
    found = contents(final)
    assert json.loads(found.pop("manifest.json"))["file_sha256s"] == {
        name: sha256_file(final / name) for name in sorted(files)
    }
    assert found == files
    assert artifact.manifest == read_manifest(final)


@given(CONTENTS, CONTENTS, st.integers(0, 3), st.sampled_from([RuntimeError, KeyboardInterrupt, SystemExit]))
@QUICK
def test_a_failure_while_writing_leaves_the_old_artifact_whole(
    tmp_path_factory: pytest.TempPathFactory,
    old: dict[str, bytes],
    new: dict[str, bytes],
    written: int,
    error: type[BaseException],
) -> None:
    final = tmp_path_factory.mktemp("a") / "artifact"
    digest = write_artifact(final, old).digest

    def write(folder: Path) -> None:
        for number, content in list(enumerate(new.values()))[:written]:
            (folder / f"{number}.bin").write_bytes(content)
        raise error

    with pytest.raises(error), writing(final) as folder:
        write(folder)
    assert open_artifact(final).digest == digest
    assert [path.name for path in final.parent.iterdir()] == ["artifact"]


def test_leftovers_of_a_killed_run_are_cleared_by_the_next_one(tmp_path: Path) -> None:
    for name in (".teacher.writing", ".teacher.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.bin").write_bytes(b"half")
    write_artifact(tmp_path / "teacher", FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
    assert set(contents(tmp_path / "teacher")) == {*FILES, "manifest.json"}


def test_a_whole_artifact_that_only_lacks_its_name_is_taken_and_the_newer_first(tmp_path: Path) -> None:
    final, newer, older = (tmp_path / name for name in ("teacher", ".teacher.writing", ".teacher.old"))
    new, old = (write_artifact(path, {"model.bin": content}).digest for path, content in ((newer, b"n"), (older, b"o")))
    recover(final)
    assert open_artifact(final).digest == new
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
    final.rename(older)
    newer.mkdir()
    (newer / "half.bin").write_bytes(b"half")
    with pytest.raises(ZeroDivisionError), writing(final):
        raise ZeroDivisionError  # the new one fails: the old one is there again
    assert open_artifact(final).digest == new != old


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("compress.artifact.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "report.json", "{}")
    assert not list(tmp_path.iterdir())


def test_every_file_is_on_disk_before_the_artifact_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("compress.artifact.os.fsync", lambda file: synced.append(os.fstat(file).st_ino))
    final = write_artifact(tmp_path / "teacher", FILES).path
    assert {path.stat().st_ino for path in final.iterdir()} <= set(synced)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_json_that_is_missing_or_damaged_reads_as_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a" / "report.json"
    write_json(file, {"name": "ü", "value": 1.5})
    assert json.loads(file.read_bytes()) == {"name": "ü", "value": 1.5}
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(file, {"value": float("nan")})
    write_whole(file, b"\x00")
    assert contents(tmp_path) == {"a/report.json": b"\x00"}


# ---------------------------------------------------------------------------------------------------- verified


def test_digests_depend_on_the_files_alone(tmp_path: Path) -> None:
    one, two, other = (
        write_artifact(tmp_path / name, files)
        for name, files in (("one", FILES), ("two", FILES), ("other", FILES | {"model.bin": b"else"}))
    )
    assert one.digest == two.digest != other.digest


@given(st.integers(0, len(FILES["model.bin"]) - 1), st.integers(1, 255))
@QUICK
def test_any_changed_byte_is_found_before_anything_is_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    artifact = write_artifact(tmp_path_factory.mktemp("a") / "artifact", FILES)
    damaged = bytearray(FILES["model.bin"])
    damaged[place] ^= change
    (artifact.path / "model.bin").write_bytes(damaged)
    with pytest.raises(ArtifactError, match=r"model\.bin is damaged: its sha256 is .* Nothing in it was read"):
        open_artifact(artifact.path)


def test_a_missing_file_is_named(whole: Artifact) -> None:
    (whole.path / "decision.json").unlink()
    with pytest.raises(ArtifactError, match=r"is damaged: decision\.json is missing"):
        open_artifact(whole.path)


def test_a_folder_that_is_no_artifact_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has no manifest\.json, so it is no artifact of this project"):
        open_artifact(tmp_path)
    with pytest.raises(ArtifactError, match=r"nowhere does not exist\. An artifact is a folder like"):
        open_artifact(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"format": "pickle"}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"parents": None}, "parents"),
    ],
)
def test_a_manifest_of_another_kind_is_told(whole: Artifact, change: dict[str, object], said: str) -> None:
    file = whole.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ArtifactError, match=rf"is damaged or of another version: {said} "):
        read_manifest(whole.path)


def test_a_manifest_that_is_no_json_is_told(whole: Artifact) -> None:
    (whole.path / "manifest.json").write_bytes(b"{\xff")
    with pytest.raises(ArtifactError, match="is damaged or of another version"):
        read_manifest(whole.path)


# ---------------------------------------------------------------------------------------------------- decision


def test_logits_are_divided_by_the_calibration_temperature() -> None:
    decision = Decision(calibration_temperature=2.0, thresholds=(0.5, 0.5))
    logits = np.array([[0.0, 2 * np.log(3)]], np.float32)
    np.testing.assert_allclose(decision.probabilities(logits, TASK), [[0.5, 0.75]], atol=1e-6)


def test_classes_go_through_the_softmax() -> None:
    decision = Decision(calibration_temperature=1.0, thresholds=None)
    logits = np.log(np.array([[1.0, 2.0, 5.0]], np.float32))
    np.testing.assert_allclose(decision.probabilities(logits, CLASSES), [[1 / 8, 2 / 8, 5 / 8]], atol=1e-6)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), st.floats(0.0625, 16, width=32))
def test_probabilities_are_float32_between_0_and_1(row: list[float], temperature: float) -> None:
    decision = Decision(calibration_temperature=temperature, thresholds=None)
    for task in (CLASSES, TASK.model_copy(update={"labels": ("a", "b", "c")})):
        found = decision.probabilities(np.array([row], np.float32), task)
        assert found.dtype == np.float32
        assert ((found >= 0) & (found <= 1)).all()
    assert abs(decision.probabilities(np.array([row], np.float32), CLASSES).sum() - 1) < 1e-5


# ---------------------------------------------------------------------------------------------------- one run a folder

HOLDER = """
import sys, time
from pathlib import Path
from compress.artifact import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_held_by_another_process_is_busy_until_that_one_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=r"another run is working in .* with --out"), run_lock(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with run_lock(tmp_path):
        pass
