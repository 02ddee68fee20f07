"""`kill -9`, then the same command: it goes on, ends with the same weights, and leaves nothing to clean by hand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compress.artifact import open_artifact

# what a user would type, with checkpoints at every step and no dawdling
_COMMAND = """
import sys
from compress.cli import _quiet_libraries, main
_quiet_libraries()  # before transformers is imported, as main does
from compress.train import checkpoints
checkpoints.SAVE_SECONDS = 0.0
sys.argv = ["compress", *sys.argv[1:]]
main()
"""
_SECONDS = 120


def start(recipe: Path, out: Path, **pipes: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", _COMMAND, "run", str(recipe), "--out", str(out)]
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


def kill_when(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Ends the process as `kill -9` does, as soon as `ready` says so."""
    end = time.monotonic() + _SECONDS
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end, "it never came to where it was to be killed"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def finish(recipe: Path, out: Path) -> tuple[str, str]:
    """Runs to the end; gives what it printed."""
    process = start(recipe, out, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, complained = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, complained
    return printed, complained


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any], tmp_path: Path) -> Path:
    """A teacher, a student and its pruned self, in fp32 with a few dozen steps each; no ONNX."""
    teacher, student, pruned = tiny_recipe["stages"][:3]
    for stage in (teacher, student, pruned):
        stage |= {"precision": "fp32", "batch_size": 8, "epochs": 2}
    teacher["early_stopping"] = 2
    del student["batch_size"]
    student["batch_tokens"] = 100
    tiny_recipe["stages"], tiny_recipe["baselines"] = [teacher, student, pruned], []
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(tiny_recipe), encoding="utf-8")
    return file


def digests(out: Path) -> dict[str, dict[str, str]]:
    return {
        name: open_artifact(out / "artifacts" / name).manifest.file_sha256s for name in ("teacher", "student", "pruned")
    }


def test_killed_in_two_trainings_it_ends_bit_equal(recipe: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    printed, complained = finish(recipe, whole)

    for stage, steps in (("student", 33), ("pruned", 40)):

        def reached(stage: str = stage, steps: int = steps) -> bool:
            marks = (killed / "work").glob(f"{stage}-*/checkpoints/checkpoint-*/complete")
            return any(int(mark.parent.name.rpartition("-")[2]) >= steps for mark in marks)

        kill_when(start(recipe, killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), reached)
        assert not (killed / "artifacts" / stage).exists()
    finish(recipe, killed)
    assert digests(killed) == digests(whole)
    # nothing of the broken runs is left
    assert not (killed / "work").exists()
    assert sorted(path.name for path in (killed / "artifacts").iterdir()) == ["pruned", "student", "teacher"]
    # and no library talks to the user
    for text in (printed, complained):
        for chatter in ("it/s", "transformers", "train_runtime", "LOAD REPORT", "Warning", "{'", "checkpoint"):
            assert chatter not in text
