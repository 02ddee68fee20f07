"""Processes that torchrun starts together: they train what one process would, and the first alone writes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from together import training

from compress import processes
from compress.artifact import open_artifact

_SECONDS = 240
_TESTS = Path(__file__).parent


def start(count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in one process, or as torchrun starts several."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(_TESTS.parent)}
    command = [sys.executable, *launcher, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, timeout=_SECONDS, cwd=_TESTS.parent, check=False
    )


def trained_by_two(*trainings: tuple[Path, dict[str, Any]], ends: int = 0) -> list[Any]:
    """What came of each training in its folder, or None for all if the processes were to end before."""
    for folder, _ in trainings:
        folder.mkdir(exist_ok=True)
    asked = json.dumps([(str(folder), changes) for folder, changes in trainings])
    ended = start(2, _TESTS / "together.py", asked)
    assert (ended.returncode == 0) == (ends == 0), ended.stderr
    return [json.loads((folder / "result.json").read_text()) for folder, _ in trainings] if not ends else []


def same(left: dict[str, Any], right: dict[str, Any], within: float = 1e-6) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_allclose(value, right[name], rtol=1e-4, atol=within, err_msg=name)


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path) -> None:
    """In batches of odd sizes, with fewer rows in a batch than there are processes, and by tokens."""
    settings: list[dict[str, Any]] = [{"batch_size": 5}, {"batch_size": 23}, {"batch_tokens": 64, "epochs": 8}]
    shared = trained_by_two(*((tmp_path / f"two-{place}", changes) for place, changes in enumerate(settings)))
    for place, (changes, (shared_curve, shared_weights)) in enumerate(zip(settings, shared, strict=True)):
        alone = training(tmp_path / f"one-{place}", **changes)
        assert alone is not None
        curve, weights = alone
        assert len(set(curve)) == len(curve) > 5
        np.testing.assert_allclose(shared_curve, curve, rtol=1e-5)
        same(shared_weights, weights)


def test_two_processes_stop_early_and_go_on_as_one_does(tmp_path: Path) -> None:
    """The second epoch is the best and the fourth the last; ended in the second, they go on from its checkpoint."""
    changes = {"batch_size": 5, "epochs": 6, "early_stopping": 2}
    alone = training(tmp_path / "one", **changes)
    assert alone is not None
    curve, weights = alone
    assert len(curve) == 4 * 5
    trained_by_two((tmp_path / "two", {"dies_at": 4, **changes}), ends=9)
    [(rest, shared)] = trained_by_two((tmp_path / "two", changes))
    assert 16 <= len(rest) <= 17
    np.testing.assert_allclose(rest, curve[-len(rest) :], rtol=1e-5)
    same(shared, weights)


# ------------------------------------------------------------------------------------------------- alone


def test_alone_everything_is_done_here() -> None:
    assert (processes.how_many(), processes.number()) == (1, 0)
    assert processes.from_first(lambda: "mine") == "mine"
    with processes.first_alone():
        pass
    processes.meet()


def test_a_launcher_sets_more_than_a_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # as schedulers of clusters do
    assert processes.how_many() == 1
    for name, value in {"RANK": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (processes.how_many(), processes.number()) == (8, 3)


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch import distributed

    done: list[object] = []
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(distributed, "is_initialized", lambda: False)
    monkeypatch.setattr(distributed, "init_process_group", lambda backend, **words: done.append(backend))
    processes._group()
    assert done == [3, "cpu:gloo,cuda:nccl"]


@pytest.mark.parametrize(
    ("others", "connected", "ends"), [(0, False, []), (0, True, []), (1, False, []), (1, True, [2])]
)
def test_a_process_that_fails_does_not_wait_for_those_that_wait_for_it(
    others: int, connected: bool, ends: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch import distributed

    from compress import cli

    done: list[int] = []
    monkeypatch.setattr(processes, "how_many", lambda: 1 + others)
    monkeypatch.setattr(distributed, "is_initialized", lambda: connected)
    monkeypatch.setattr(os, "_exit", done.append)
    monkeypatch.setattr(sys, "argv", ["compress", "check", str(tmp_path / "none.yaml")])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert done == ends


# ------------------------------------------------------------------------------------------------- a whole run


def test_a_run_of_two_processes_makes_what_one_makes(
    tiny_recipe: dict[str, Any], tmp_path: Path, command: Callable[..., Any]
) -> None:
    shape = {"layers": 1, "width": 16, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 200}, "max_tokens": 32}
    settings = {"epochs": 2, "batch_size": 7, "precision": "fp32", "learning_rate": 0.001}
    teacher = {"id": "teacher", "type": "finetune", "encoder": shape, "early_stopping": 1, **settings}
    student = {"id": "student", "type": "distill", "teacher": "teacher", "student": shape, **settings}
    pruned = {"id": "pruned", "type": "prune", "teacher": "teacher", **settings}
    linear = {"id": "linear", "type": "distill", "teacher": {"teacher": 2, "student": 1}, "student": {"type": "linear"}}
    tiny_recipe["stages"], tiny_recipe["baselines"] = [teacher, student, pruned, linear], []
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny_recipe), encoding="utf-8")

    assert command("run", recipe, "--out", tmp_path / "one").code == 0
    ended = start(2, "-m", "compress", "run", recipe, "--out", tmp_path / "two")
    assert ended.returncode == 0, ended.stderr
    for name in ("teacher", "student", "pruned", "linear"):
        one, two = (open_artifact(tmp_path / out / "artifacts" / name) for out in ("one", "two"))
        assert one.manifest.file_sha256s.keys() == two.manifest.file_sha256s.keys()
        # a fit ends where it gains little more, and of teachers that differ in the last digits not at the same step
        within = 0.05 if name == "linear" else 1e-6
        same(load_file(two.path / "model.safetensors"), load_file(one.path / "model.safetensors"), within)
    assert ended.stdout.count("Report:") == 1
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
