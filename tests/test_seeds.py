"""`seeds` on a stage, from outside: what is trained, what goes on, what is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import open_artifact


@pytest.fixture(scope="module")
def twice(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]) -> tuple[Path, Any]:
    """A finished run, run again with a second seed of its student."""
    out = tmp_path_factory.mktemp("twice") / "out"
    shutil.copytree(tiny_run, out)
    return out, command("run", tiny_run.parent / "recipe.yaml", "--out", out, "--set", "stages.student.seeds=2")


MADE = ("student", "student-onnx", "student-fp16", "student-int8")


def test_only_the_further_seed_is_trained_and_made_into_files(twice: tuple[Path, Any], tiny_run: Path) -> None:
    out, ended = twice
    assert ended.code == 0, ended.err
    again = [f"{name}.seed14" for name in MADE]
    assert f"ran {', '.join(again)};" in " ".join(ended.out.split())
    made = {it.name: open_artifact(it) for it in (out / "artifacts").iterdir()}
    assert made.keys() - {*again} == {it.name for it in (tiny_run / "artifacts").iterdir()}
    for name in MADE:
        assert made[name].digest == open_artifact(tiny_run / "artifacts" / name).digest
        assert made[f"{name}.seed14"].digest != made[name].digest
    assert made["student-int8.seed14"].manifest.parents == {"student-onnx.seed14": made["student-onnx.seed14"].digest}


def test_the_report_says_how_far_seeds_lie_apart(twice: tuple[Path, Any]) -> None:
    out, ended = twice
    document = json.loads((out / "report.json").read_text())
    assert [(it["stage"], it["seeds"]) for it in document["seeds"]] == [(name, [13, 14]) for name in MADE]
    by_id = {it["id"]: it["quality"]["macro_f1"]["value"] for it in document["candidates"]}
    for found in document["seeds"]:
        spread = found["by_set"]["held_out"]["macro_f1"]
        assert spread["values"][0] == by_id[found["stage"]]
        assert spread["mean"] == pytest.approx(sum(spread["values"]) / 2)
    spread = document["seeds"][0]["by_set"]["held_out"]["macro_f1"]
    assert "student.seed14" not in by_id
    card = (out / "artifacts" / "student.seed14" / "README.md").read_text()
    assert f"| macro F1 | {spread['values'][1]:.3f} | {spread['mean']:.3f} ± " in card
    assert f"student, with seeds 13, 14: macro F1 {spread['mean']:.3f} ± " in ended.out
    assert "## Seeds" in (out / "report.md").read_text()


def test_it_is_cached_and_shown_in_the_plan(twice: tuple[Path, Any], tiny_run: Path, command: Any) -> None:
    out, _ = twice
    asked = (tiny_run.parent / "recipe.yaml", "--out", out, "--set", "stages.student.seeds=2")
    assert "all stages are cached" in command("run", *asked).out
    assert "student.seed14" in command("plan", *asked).out


def test_seeds_belong_to_trainings(tiny_run: Path, command: Any) -> None:
    ended = command("check", tiny_run.parent / "recipe.yaml", "--set", "stages.student-onnx.seeds=2")
    assert ended.code == 2
    assert "stages.student-onnx.seeds" in ended.err
