"""Every shipped recipe opens, says how to run it, and the flagship runs whole on two tiny encoders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from families import save_family

from compress.recipe.load import load_recipe, shipped_recipes

Command = Callable[..., Any]
RECIPES = shipped_recipes()
SMALL = ("evaluate.rounds=5", "evaluate.max_seconds=1", "evaluate.resamples=100")


def test_the_promised_recipes_are_shipped() -> None:
    assert {"quickstart", "jigsaw-minilm", "jigsaw-roberta-distilbert"} <= set(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_opens_and_begins_with_its_command(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    opening = RECIPES[name].read_text(encoding="utf-8").split("version: 1")[0]
    assert f"#   compress run {name}" in opening
    assert "teacher" in {stage.id for stage in recipe.stages}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_named_in_the_recipes_readme(name: str) -> None:
    assert f"`{name}.yaml`" in (RECIPES[name].parent / "README.md").read_text(encoding="utf-8")


def test_the_mpnet_recipe_runs_whole_on_tiny_encoders(
    tmp_path: Path,
    comment_files: Path,
    sentences: tuple[str, ...],
    tiny_encoder: Callable[[str], Path],
    command: Command,
) -> None:
    """MPNet teaches a BERT that became a DistilBERT."""
    save_family("mpnet", sentences, tmp_path / "mpnet")
    sets = (
        f"data.dir={comment_files}",
        f"vars.mpnet={tmp_path / 'mpnet'}",
        f"stages.student.student.encoder={tiny_encoder('bert')}",
        "stages.teacher.sha256=null",
        "stages.student.student.sha256=null",
        *(f"stages.{stage}.epochs=1" for stage in ("teacher", "student")),
        "stages.teacher.max_tokens=32",
        *SMALL,
    )
    arguments = [part for item in sets for part in ("--set", item)]
    ended = command("run", "jigsaw-mpnet", "--out", tmp_path / "run", *arguments)
    assert ended.code == 0, ended.err
    kinds = {
        stage: json.loads((tmp_path / "run/artifacts" / stage / "config.json").read_text())["model_type"]
        for stage in ("teacher", "student", "student-int8")
    }
    assert kinds == {"teacher": "mpnet", "student": "distilbert", "student-int8": "distilbert"}


def test_the_flagship_runs_whole_on_tiny_encoders(
    tmp_path: Path, comment_files: Path, tiny_encoder: Callable[[str], Path], command: Command
) -> None:
    """RoBERTa's byte-level BPE teaches DistilBERT's WordPiece, then pruning, ONNX, fp16 and int8."""
    stages = [f"stages.{stage}.epochs=1" for stage in ("teacher", "student", "pruned")]
    sets = (
        f"data.dir={comment_files}",
        "vars.max_tokens=32",
        f"stages.teacher.encoder={tiny_encoder('roberta')}",
        f"stages.student.student.encoder={tiny_encoder('distilbert')}",
        *stages,
        *SMALL,
    )
    arguments = [part for item in sets for part in ("--set", item)]
    ended = command("run", "jigsaw-roberta-distilbert", "--out", tmp_path / "run", *arguments)
    assert ended.code == 0, ended.err
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    found = {item["id"]: item for item in report["candidates"]}
    assert list(found) == [stage.id for stage in load_recipe("jigsaw-roberta-distilbert").all_stages]
    config = json.loads((tmp_path / "run/artifacts/teacher/config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "roberta"
    assert json.loads((tmp_path / "run/artifacts/student-int8/config.json").read_text())["model_type"] == "distilbert"
    same = ("student", "student-onnx")
    scores = [found[name]["quality"]["macro_roc_auc"]["value"] for name in same]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    assert found["student-fp16"]["model_bytes"] < 0.7 * found["student-onnx"]["model_bytes"]
    assert found["pruned"]["zeros_share"] > found["student"]["zeros_share"] + 0.1


@pytest.mark.parametrize("name", ["jigsaw-tiny-bpe", "jigsaw-tiny-glove"])
def test_the_tiny_recipes_run_whole_on_a_tiny_teacher(
    name: str, tmp_path: Path, comment_files: Path, tiny_encoder: Callable[[str], Path], command: Command
) -> None:
    """Without and with distillation, each beginning with the pieces, the attention and the vectors of its recipe."""
    glove = tmp_path / "glove.txt"
    glove.write_text(f"the {' '.join('0.1' for _ in range(50))}\n")
    sets = [
        f"data.dir={comment_files}",
        f"stages.teacher.encoder={tiny_encoder('bert')}",
        "stages.teacher.sha256=null",
        "stages.teacher.max_tokens=32",
        *(f"stages.{stage}.epochs=1" for stage in ("teacher", "labels-only", "distilled")),
        *([f"vars.glove={glove}"] if name == "jigsaw-tiny-glove" else []),
        *SMALL,
    ]
    ended = command("run", name, "--out", tmp_path / "run", *(part for item in sets for part in ("--set", item)))
    assert ended.code == 0, ended.err
    kinds = {"jigsaw-tiny-bpe": ("bert", "dot"), "jigsaw-tiny-glove": ("albert", None)}
    for stage in ("labels-only", "distilled", "distilled-int8"):
        config = json.loads((tmp_path / "run/artifacts" / stage / "config.json").read_text())
        assert (config["model_type"], config["compress"].get("attention")) == kinds[name]
