"""Every shipped recipe opens, says how to run it, and the flagship runs whole on two tiny encoders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from families import save_family

from compress.recipe.learning import Asymmetric, Augment, Focal, HiddenStates, Hints
from compress.recipe.load import load_recipe, shipped_recipes
from compress.recipe.model import Section
from compress.recipe.pruning import PruneLayers, PruneStructured, TrimVocabulary
from compress.recipe.stages import Distill, Finetune, variant_key, variants
from compress.recipe.training import Training

Command = Callable[..., Any]
RECIPES = shipped_recipes()
SMALL = ("evaluate.rounds=5", "evaluate.max_seconds=1", "evaluate.resamples=100")


def test_the_promised_recipes_are_shipped() -> None:
    assert {"quickstart", "jigsaw-minilm", "jigsaw-roberta-distilbert", "jigsaw-structured"} <= set(RECIPES)


def test_every_method_has_a_shipped_recipe() -> None:
    types = {"prune", "quantize", "trim_vocabulary"}
    stages = [stage for name in RECIPES for stage in load_recipe(name).stages if stage.type in types]
    shipped = {getattr(stage, variant_key(stage.type) or "type") for stage in stages}
    assert shipped == {name for stage_type in types for name in variants(stage_type)}


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


def test_a_recipe_shows_each_loss_hints_and_more_texts() -> None:
    stages = {stage.id: stage for stage in load_recipe("jigsaw-rare-labels").stages}
    losses = {type(stage.label_loss) for stage in stages.values() if isinstance(stage, Finetune | Distill)}
    assert losses == {str, Focal, Asymmetric}
    short, tiny = stages["short"], stages["tiny"]
    assert isinstance(short, Distill)
    assert short.hints == Hints(hidden=HiddenStates(weight=0.1), cosine=0.1)
    assert isinstance(tiny, Distill)
    assert (tiny.hints, tiny.augment) == (Hints(pooled=0.1), Augment())


def test_the_documentation_shows_losses_hints_and_their_defaults(tmp_path: Path) -> None:
    """What the snippet spells out is what a recipe that leaves it out would have, and so is the table."""
    text = (RECIPES["quickstart"].parent / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Rare labels")[2].partition("\n## ")[0]
    head = {"version": 1, "name": "r", "task": {"type": "multi_label", "text": "t", "labels": ["a"]}}
    shown = head | {"data": {"dir": "d"}} | yaml.safe_load(section.partition("```yaml")[2].partition("```")[0])
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(shown), encoding="utf-8")
    teacher, short, tiny = load_recipe(tmp_path / "r.yaml").stages
    assert isinstance(teacher, Finetune)
    assert isinstance(short, Distill)
    assert isinstance(tiny, Distill)
    assert teacher.label_loss == Asymmetric(type="asymmetric")
    assert tiny.label_loss == Focal(type="focal")
    assert tiny.augment == Augment()
    assert short.hints is not None
    assert short.hints.hidden is not None
    assert short.hints.hidden.pairs(3, 12) == HiddenStates().pairs(3, 12)
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in section.splitlines() if line.startswith("| `")]
    assert dict(rows) == {
        "`label_loss`": defaults(Finetune, "label_loss"),
        "`focal`: `gamma`": defaults(Focal, "gamma"),
        "`asymmetric`: `gamma_positive`, `gamma_negative`": defaults(Asymmetric, "gamma_positive", "gamma_negative"),
        "`asymmetric`: `clip`": defaults(Asymmetric, "clip"),
        "`hints`: `hidden`, `cosine`, `pooled`": defaults(Hints, "hidden", "cosine", "pooled"),
        "`hidden`: `weight`": defaults(HiddenStates, "weight"),
        "`hidden`: `layers`": defaults(HiddenStates, "layers"),
        "`augment`: `copies`": defaults(Augment, "copies"),
        "`augment`: `delete`, `mask`": defaults(Augment, "delete", "mask"),
        "`augment`: `ngrams`": defaults(Augment, "ngrams"),
    }


def defaults(section: type[Section], *keys: str) -> str:
    values = (section.model_fields[key].default for key in keys)
    return ", ".join("none" if value is None else str(value).removesuffix(".0") for value in values)


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


SCALED = {
    "jigsaw-structured": ("trimmed.keep_top=200", "shallow.drop=1", "structured.steps=2", "structured.seeds=1"),
    "jigsaw-int8": ("dynamic-fallback.fallback.minutes=0.05", "static-fallback.fallback.minutes=0.05"),
    "jigsaw-vocabulary": ("trimmed.keep_top=200", "factored.keep_top=200", "factored.embedding_rank=8"),
    "jigsaw-layers": ("by-loss.drop=1", "every-second.drop=[1]"),
    "jigsaw-backends": ("trimmed.keep_top=200", "shallow.drop=1", "structured.steps=2"),
}
# an export takes most of a run's time, and how a cut model is exported is tested with its stage
WITHOUT_ONNX = {"jigsaw-vocabulary", "jigsaw-layers"}


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of these run: they begin with the same teacher, which is trained and exported once."""
    return tmp_path_factory.mktemp("runs") / "run"


def shortened(name: str, folder: Path) -> Path:
    """The recipe as a file of its own; of some without what becomes ONNX."""
    text = RECIPES[name].read_text(encoding="utf-8")
    if name in WITHOUT_ONNX:
        data = yaml.safe_load(text)
        data["stages"] = [stage for stage in data["stages"] if stage["type"] not in {"export", "quantize"}]
        text = yaml.safe_dump(data, sort_keys=False)
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", SCALED)
def test_what_cuts_a_model_for_good_runs_whole_on_a_tiny_teacher(
    name: str,
    tmp_path: Path,
    one_folder: Path,
    comment_files: Path,
    tiny_encoder: Callable[[str], Path],
    command: Command,
) -> None:
    """Whether the goals are met or a result falls too far (exit code 3) is of no matter on forty rows."""
    if name == "jigsaw-backends":
        for package in ("openvino", "nncf", "neural_compressor"):
            pytest.importorskip(package, reason=f"{package} is not installed: pip install 'compress[openvino,inc]'")
    recipe = load_recipe(file := shortened(name, tmp_path))
    trained = {stage.id for stage in recipe.stages if isinstance(stage, Training) and stage.epochs}
    sets = (
        f"data.dir={comment_files}",
        f"stages.teacher.encoder={tiny_encoder('bert')}",
        "stages.teacher.sha256=null",
        "stages.teacher.max_tokens=32",
        *(f"stages.{stage}.epochs=1" for stage in sorted(trained)),
        *(f"stages.{it}" for it in SCALED[name]),
        "evaluate.batch_sizes=[1]",
        *SMALL,
    )
    ended = command("run", file, "--out", one_folder, *(part for item in sets for part in ("--set", item)))
    assert ended.code in (0, 3), ended.err
    report = json.loads((one_folder / "report.json").read_text(encoding="utf-8"))
    found = {item["id"]: item for item in report["candidates"]}
    assert list(found) == [stage.id for stage in recipe.all_stages]
    cut = [it for it in recipe.stages if isinstance(it, PruneStructured | PruneLayers | TrimVocabulary)]
    assert all(found[stage.id]["parameters"] < found[stage.from_]["parameters"] for stage in cut)


def test_the_rare_labels_recipe_runs_whole_on_a_tiny_teacher(
    tmp_path: Path, comment_files: Path, tiny_encoder: Callable[[str], Path], command: Command
) -> None:
    """Three losses, hints of states and of pooled vectors, and texts made of the transfer set's."""
    trained = ("teacher", "labels-only", "focal", "asymmetric", "short", "tiny")
    sets = (
        f"data.dir={comment_files}",
        f"stages.teacher.encoder={tiny_encoder('bert')}",
        "stages.teacher.sha256=null",
        "stages.teacher.max_tokens=32",
        "stages.short.student.init.layers=[1]",
        "vars.tiny={layers: 1, width: 16, heads: 2, tokenizer: {type: wordpiece, size: 300}, max_tokens: 32}",
        *(f"stages.{stage}.epochs=0.5" for stage in trained),
        *SMALL,
    )
    arguments = [part for item in sets for part in ("--set", item)]
    ended = command("run", "jigsaw-rare-labels", "--out", tmp_path / "run", *arguments)
    assert ended.code == 0, ended.err
    found = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["candidates"]
    assert [item["id"] for item in found] == ["tfidf_chars", *trained, "tiny-onnx", "tiny-int8"]
