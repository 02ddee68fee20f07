"""What a run would do: which stages hold, which must run again, how big each result will be. No torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compress.artifact import Manifest, library_versions, open_artifact, seal, writing
from compress.errors import ArtifactError, EncoderError
from compress.inputs import DataFacts
from compress.keys import cache_key
from compress.plan import Plan, artifact_path, cached_artifact, make_plan
from compress.recipe.load import load_recipe
from compress.recipe.max_tokens import max_tokens_of
from compress.recipe.recipe import Recipe
from compress.recipe.reference import encoder_reference

RECIPE = """\
version: 1
name: planned
task: {type: multi_label, text: comment_text, labels: [toxic, threat]}
data: {builtin: comments}
baselines: [tfidf]
stages:
  - {id: teacher, type: finetune, encoder: "ENCODER"}
  - {id: student, type: distill, teacher: teacher, student: {layers: 1, width: 16, heads: 2, max_tokens: 32, tokenizer: {type: wordpiece, size: 200}}}
  - {id: pruned, type: prune, teacher: teacher}
  - {id: onnx, type: export, from: student}
  - {id: int8, type: quantize, scheme: int8_dynamic}
  - {id: fp16, type: quantize, from: onnx, scheme: fp16}
"""  # noqa: E501 - one stage a line
IDS = ("tfidf", "teacher", "student", "pruned", "onnx", "int8", "fp16")
FACTS = DataFacts({"train": "t", "validation": "v", "unlabeled": "u", "test:test": "e"}, 1000, ())


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def out(tmp_path: Path, encoder: Path) -> Path:
    """The folder of a run that is finished, so that its plan finds all cached."""
    folder = tmp_path / "out"
    finish(folder, recipe(tmp_path))
    return folder


def recipe(folder: Path, *overrides: str) -> Recipe:
    (folder / "recipe.yaml").write_text(RECIPE.replace("ENCODER", str(folder / "encoder")), encoding="utf-8")
    return load_recipe(folder / "recipe.yaml", overrides)


def finish(out: Path, recipe: Recipe) -> None:
    """Writes what each stage would leave, as the pipeline does: by the plan's key, from its parents' digests."""
    digests: dict[str, str] = {}
    for step in make_plan(recipe, out, FACTS).steps:
        stage = step.stage
        parents = {name: digests[name] for name in step.inputs}
        with writing(artifact_path(out, stage.id)) as folder:
            (folder / "model.bin").write_text(stage.id)
            manifest = Manifest(
                format="torch", task=recipe.task, max_tokens=None, stage_id=stage.id, stage_type=stage.type,
                cache_key=step.cache_key, parents=parents, file_sha256s={}, environment={},
            )  # fmt: skip
            seal(folder, manifest)
        digests[stage.id] = open_artifact(artifact_path(out, stage.id)).digest


def to_run(plan: Plan) -> list[str]:
    return [step.stage.id for step in plan.steps if step.artifact is None]


def test_stages_stand_in_order_with_what_they_read(tmp_path: Path, encoder: Path) -> None:
    plan = make_plan(recipe(tmp_path), tmp_path / "out", FACTS)
    assert {step.stage.id: step.inputs for step in plan.steps} == {
        "tfidf": (), "teacher": (), "student": ("teacher",), "pruned": ("student", "teacher"), "onnx": ("student",),
        "int8": ("onnx",), "fp16": ("onnx",),
    }  # fmt: skip
    assert tuple(step.stage.id for step in plan.steps) == IDS
    assert to_run(plan) == list(IDS)
    assert not (tmp_path / "out").exists()


def test_a_finished_run_is_cached_and_a_fresh_one_is_not(tmp_path: Path, out: Path) -> None:
    assert to_run(make_plan(recipe(tmp_path), out, FACTS)) == []
    assert to_run(make_plan(recipe(tmp_path), out, FACTS, fresh=True)) == list(IDS)


@pytest.mark.parametrize(
    ("override", "again"),
    [
        ("stages.fp16.scheme=int8_dynamic", ["fp16"]),
        ("stages.pruned.final_sparsity=0.7", ["pruned"]),
        ("stages.student.epochs=2", ["student", "pruned", "onnx", "int8", "fp16"]),
        ("stages.teacher.epochs=1", ["teacher", "student", "pruned", "onnx", "int8", "fp16"]),
        ("stages.onnx.from=pruned", ["onnx", "int8", "fp16"]),
        ("evaluate.rounds=9", []),
        ("thresholds=max_f1", []),
        ("thresholds.precision=0.9", list(IDS)),
        ("name=other", []),
        ("seed=14", list(IDS)),
        ("task.labels=[threat, toxic]", list(IDS)),
    ],
)
def test_a_change_runs_that_stage_and_those_after_it(
    tmp_path: Path, out: Path, override: str, again: list[str]
) -> None:
    assert to_run(make_plan(recipe(tmp_path, override), out, FACTS)) == again


@pytest.mark.parametrize(
    ("split", "again"),
    [
        ("train", list(IDS)),
        ("unlabeled", ["student", "pruned", "onnx", "int8", "fp16"]),
        ("validation", list(IDS)),
        ("test:test", []),
    ],
)
def test_changed_rows_run_the_stages_that_read_them(tmp_path: Path, out: Path, split: str, again: list[str]) -> None:
    facts = DataFacts(FACTS.digests | {split: "changed"}, FACTS.train_characters, ())
    assert to_run(make_plan(recipe(tmp_path), out, facts)) == again


def test_changed_weights_of_an_encoder_run_its_stage_again(tmp_path: Path, out: Path, encoder: Path) -> None:
    (encoder / "model.safetensors").write_bytes(bytes(999) + b"1")
    assert to_run(make_plan(recipe(tmp_path), out, FACTS))[0] == "teacher"


def test_another_version_of_a_library_runs_the_stages_that_use_it(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def versions(names: tuple[str, ...]) -> dict[str, str]:
        return library_versions(names) | ({"onnxruntime": "0.0.1"} if "onnxruntime" in names else {})

    monkeypatch.setattr("compress.keys.library_versions", versions)
    assert to_run(make_plan(recipe(tmp_path), out, FACTS)) == ["onnx", "int8", "fp16"]


def test_how_thresholds_are_fitted_is_in_the_keys_of_the_stages_that_fit_them(tmp_path: Path, encoder: Path) -> None:
    """What follows a model decides as it does, and runs again only because the model's own files change."""
    asked = ("thresholds=max_f1", "thresholds.f_beta=2", "thresholds.f_beta=3", "thresholds.precision=0.5")
    keys = [
        {step.stage.id: step.cache_key for step in make_plan(recipe(tmp_path, *one), tmp_path / "no", FACTS).steps}
        for one in ((), *((it,) for it in asked))
    ]
    different = {name: len({found[name] for found in keys}) for name in IDS}
    assert different == {
        "tfidf": 4, "teacher": 4, "student": 4, "pruned": 4, "onnx": 1, "int8": 1, "fp16": 1,
    }  # fmt: skip


def test_the_order_and_the_weights_of_teachers_are_in_the_key(tmp_path: Path, encoder: Path) -> None:
    def key(teachers: str) -> str:
        asked = recipe(tmp_path, f"stages.student.teacher={teachers}")
        steps = {step.stage.id: step for step in make_plan(asked, tmp_path / "no", FACTS).steps}
        assert set(steps["student"].inputs) == {"teacher", "tfidf"}
        return steps["student"].cache_key

    one = key("{teacher: 0.7, tfidf: 0.3}")
    assert key("{tfidf: 0.3, teacher: 0.7}") != one  # hints and max_tokens are the first one's
    assert key("{teacher: 0.6, tfidf: 0.3}") != one
    assert key("{teacher: 0.7, tfidf: 0.3}") == one


def test_a_missing_result_runs_again_with_those_after_it(tmp_path: Path, out: Path) -> None:
    (artifact_path(out, "onnx") / "manifest.json").unlink()
    assert to_run(make_plan(recipe(tmp_path), out, FACTS)) == ["onnx", "int8", "fp16"]


def test_a_result_that_comes_out_as_before_saves_those_after_it(tmp_path: Path, out: Path) -> None:
    """Planned without its parent a stage must run; once the parent is there and the same, it holds."""
    steps = {step.stage.id: step for step in make_plan(recipe(tmp_path), out, FACTS).steps}
    onnx = steps["onnx"].artifact
    assert cached_artifact(out, "int8", steps["int8"].cache_key, {"onnx": None}) is None
    assert cached_artifact(out, "int8", steps["int8"].cache_key, {"onnx": onnx}) == steps["int8"].artifact


def test_a_damaged_result_is_told_not_used(tmp_path: Path, out: Path) -> None:
    (artifact_path(out, "onnx") / "model.bin").write_text("damaged")
    with pytest.raises(ArtifactError, match=r"onnx/model\.bin is damaged: its sha256 is"):
        make_plan(recipe(tmp_path), out, FACTS)
    assert to_run(make_plan(recipe(tmp_path), out, FACTS, fresh=True)) == list(IDS)


def test_a_result_of_another_version_of_the_project_is_no_damage(tmp_path: Path, out: Path) -> None:
    manifest = artifact_path(out, "onnx") / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 0, "gone": 1}))
    assert to_run(make_plan(recipe(tmp_path), out, FACTS)) == ["onnx", "int8", "fp16"]
    manifest.write_text("{")
    with pytest.raises(ArtifactError, match="damaged"):
        make_plan(recipe(tmp_path), out, FACTS)


def test_max_tokens_come_down_from_the_teacher(tmp_path: Path, encoder: Path) -> None:
    changed = recipe(tmp_path, "stages.teacher.max_tokens=48", "stages.student.student.max_tokens=null")
    tokens: dict[str, int | None] = {}
    for stage in changed.all_stages:
        tokens[stage.id] = max_tokens_of(stage, {it.id: it for it in changed.all_stages}, tokens)
    assert tokens == {"tfidf": None} | dict.fromkeys(IDS[1:], 48)
    # each position more is 16 numbers of 4 bytes
    sizes = [
        {step.stage.id: step.forecast_bytes for step in make_plan(one, tmp_path / "no", FACTS).steps}["student"]
        for one in (recipe(tmp_path), changed)
    ]
    assert (sizes[1] or 0) - (sizes[0] or 0) == (48 - 32) * 16 * 4


def test_a_student_reads_as_its_first_teacher_that_counts_pieces(tmp_path: Path) -> None:
    """TF-IDF has no limit, and a bag's, exported or not, is one of words."""
    text = RECIPE.replace("max_tokens: 32, ", "").replace(
        "  - {id: student,",
        "  - {id: bag, type: finetune, encoder: {type: embedding_bag}}\n"
        "  - {id: bag-onnx, type: export}\n"
        "  - {id: student,",
    )
    text = text.replace("teacher: teacher, student", "teacher: {tfidf: 1, bag: 1, bag-onnx: 1, teacher: 1}, student")
    (tmp_path / "recipe.yaml").write_text(text.replace("ENCODER", "e/e"), encoding="utf-8")
    found = load_recipe(tmp_path / "recipe.yaml", ["stages.teacher.max_tokens=48"])
    stages = {stage.id: stage for stage in found.all_stages}
    assert max_tokens_of(stages["bag-onnx"], stages) == 512
    assert max_tokens_of(stages["int8"], stages) == max_tokens_of(stages["student"], stages) == 48


def test_stages_that_differ_by_chance_alone_name_their_seeds(tmp_path: Path, encoder: Path) -> None:
    """A seed that is the recipe's is no change; further trainings count on from the stage's own."""

    def steps(*overrides: str) -> dict[str, tuple[int, str]]:
        plan = make_plan(recipe(tmp_path, *overrides), tmp_path / "no", FACTS)
        return {step.stage.id: (step.seed, step.cache_key) for step in plan.steps}

    plain = steps()
    assert steps("stages.teacher.seed=13") == plain
    found = steps("stages.teacher.seed=40", "stages.teacher.seeds=2", "stages.student.seed=7")
    assert {name: seed for name, (seed, _) in found.items()} == dict.fromkeys(IDS, 13) | {
        "teacher": 40,
        "teacher.seed41": 41,
        "student": 7,
    }
    assert {name for name in IDS if found[name] != plain[name]} == {"teacher", "student"}


def test_each_seed_is_exported_and_quantized_and_nothing_else_goes_on_with_it(tmp_path: Path, encoder: Path) -> None:
    made = recipe(tmp_path, "stages.student.seed=40", "stages.student.seeds=2")
    steps = {step.stage.id: step for step in make_plan(made, tmp_path / "no", FACTS).steps}
    again = {name: step.inputs for name, step in steps.items() if name.endswith(".seed41")}
    assert again == {
        "student.seed41": ("teacher",),
        "onnx.seed41": ("student.seed41",),
        "fp16.seed41": ("onnx.seed41",),
        "int8.seed41": ("onnx.seed41",),
    }
    assert steps["int8.seed41"].seed == steps["int8"].seed == 13  # of its own chance: the same rows to calibrate on
    assert steps["int8.seed41"].forecast_bytes == steps["int8"].forecast_bytes


def test_forecasts_before_and_sizes_after(tmp_path: Path, out: Path) -> None:
    forecast = {
        step.stage.id: step.forecast_bytes for step in make_plan(recipe(tmp_path), tmp_path / "no", FACTS).steps
    }
    # (200 pieces + 32 positions + 1 type + 2 of a norm) x 16; 4 x 16^2 + 2 x 16 x 64 + 9 x 16 + 64 a layer; 23 a piece
    student = 4 * (235 * 16 + 1024 + 2048 + 144 + 64) + 23 * 200
    assert forecast["teacher"] == 1000
    assert forecast["student"] == forecast["pruned"] == forecast["onnx"] == student
    assert (forecast["fp16"], forecast["int8"]) == (student // 2, int(student * 0.26))
    sizes = {step.stage.id: step.forecast_bytes for step in make_plan(recipe(tmp_path), out, FACTS).steps}
    assert sizes == {name: len(name) for name in IDS}


def test_a_hub_model_is_planned_without_asking_the_hub(tmp_path: Path) -> None:
    planned = make_plan(recipe(tmp_path, "stages.teacher.encoder=someone/model"), tmp_path / "no", FACTS)
    assert planned.steps[1].forecast_bytes is None
    assert encoder_reference(planned.steps[1].stage) == ("someone/model", None, None)


def test_a_missing_encoder_is_told_by_the_plan(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="the package no_such_weights is not installed"):
        make_plan(recipe(tmp_path, "stages.teacher.encoder=package:no_such_weights/model"), tmp_path / "no", FACTS)


def test_planning_imports_no_torch(tmp_path: Path, out: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path; from compress.recipe.load import load_recipe\n"
        "from compress.inputs import DataFacts; from compress.plan import make_plan\n"
        "make_plan(load_recipe(sys.argv[1]), Path(sys.argv[2]), DataFacts(json.loads(sys.argv[3]), 1000, ()))\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'onnxruntime') if m in sys.modules])"
    )
    arguments = (str(tmp_path / "recipe.yaml"), str(out), json.dumps(FACTS.digests))
    assert subprocess.check_output([sys.executable, "-c", code, *arguments], text=True) == "[]\n"


# ---------------------------------------------------------------------------------------------------- seeds


def test_further_seeds_are_trainings_of_their_own_that_come_last(tmp_path: Path, encoder: Path) -> None:
    planned = recipe(tmp_path, "seed=7", "stages.student.seeds=3", "stages.pruned.seeds=2")
    steps = make_plan(planned, tmp_path / "out", FACTS).steps
    assert [step.stage.id for step in steps[: len(IDS)]] == [*IDS]
    trained = {step.stage.id: step.seed for step in steps[len(IDS) :] if step.stage.type in {"distill", "prune"}}
    assert trained == {"student.seed8": 8, "student.seed9": 9, "pruned.seed8": 8}
    inputs = {step.stage.id: step.inputs for step in steps}
    assert [inputs[name] for name in trained] == [("teacher",), ("teacher",), ("student", "teacher")]
    assert len({step.cache_key for step in steps}) == len(steps)


def test_further_seeds_leave_what_was_trained_as_it_is(tmp_path: Path, out: Path) -> None:
    made = ("student", "onnx", "int8", "fp16")
    again = [f"{name}.seed14" for name in made]
    assert to_run(make_plan(recipe(tmp_path, "stages.student.seeds=2"), out, FACTS)) == again
    finish(out, recipe(tmp_path, "stages.student.seeds=2"))
    again = [f"{name}.seed15" for name in made]
    assert to_run(make_plan(recipe(tmp_path, "stages.student.seeds=3"), out, FACTS)) == again
    assert to_run(make_plan(recipe(tmp_path), out, FACTS)) == []


SHAPES = {
    "linear": {"type": "linear", "max_features": 1000},
    "hashed": {"type": "embedding_bag"},
    "pieces": {"type": "embedding_bag", "tokenizer": {"type": "unigram"}},
    "tiny": {"layers": 1, "width": 16, "heads": 2},
}


def of_a_shape(name: str, labels: int = 2, *after: dict[str, str]) -> Recipe:
    """A fine-tuned and a distilled model of one of the shapes, and what is to be made of it."""
    task = {"type": "multi_label", "text": "t", "labels": [f"label {place}" for place in range(labels)]}
    stages = [
        {"id": "teacher", "type": "finetune", "encoder": SHAPES[name]},
        {"id": "student", "type": "distill", "teacher": "teacher", "student": SHAPES[name]},
        *after,
    ]
    given = {"version": 1, "name": "n", "task": task, "data": {"builtin": "comments"}, "stages": stages}
    return Recipe.model_validate(given)


def keys(recipe: Recipe, facts: DataFacts = FACTS) -> list[str]:
    return [cache_key(stage, recipe, facts, 13) for stage in recipe.all_stages if stage.type != "tfidf"]


@pytest.mark.parametrize(
    ("shape", "libraries"), [("linear", {"numpy", "scipy"}), ("pieces", {"numpy"}), ("hashed", set()), ("tiny", set())]
)
def test_the_libraries_that_fit_a_shape_are_in_its_key(
    monkeypatch: pytest.MonkeyPatch, shape: str, libraries: set[str]
) -> None:
    before = keys(of_a_shape(shape))
    for name in ("numpy", "scipy"):

        def other(names: tuple[str, ...], changed: str = name) -> dict[str, str]:
            return library_versions(names) | ({changed: "0.0.1"} if changed in names else {})

        with monkeypatch.context() as patch:
            patch.setattr("compress.keys.library_versions", other)
            differ = [one != two for one, two in zip(before, keys(of_a_shape(shape)), strict=True)]
        assert differ == [name in libraries] * 2


@pytest.mark.parametrize(("shape", "reads"), [("linear", False), ("hashed", False), ("pieces", True), ("tiny", True)])
def test_only_a_vocabulary_is_learnt_from_unlabeled_without_a_teacher(shape: str, reads: bool) -> None:
    facts = DataFacts(FACTS.digests | {"unlabeled": "changed"}, 1000, ())
    before, after = keys(of_a_shape(shape)), keys(of_a_shape(shape), facts)
    assert [one != two for one, two in zip(before, after, strict=True)] == [reads, True]


@pytest.mark.parametrize("labels", [2, 6])
def test_a_linear_model_is_as_large_as_its_labels_are_many(tmp_path: Path, labels: int) -> None:
    """A feature has a weight for each label, one number more and a word of some 12 letters."""
    after = [
        {"id": "text", "type": "export", "from": "student"},
        {"id": "int8", "type": "quantize", "from": "text", "scheme": "int8_dynamic"},
    ]
    steps = make_plan(of_a_shape("linear", labels, *after), tmp_path, FACTS).steps
    found = {step.stage.id: step.forecast_bytes for step in steps}
    whole = 1000 * (4 * (labels + 1) + 12)
    assert found["teacher"] == found["student"] == found["text"] == whole
    # a byte for each label, two for the feature's part of a length, and the word as it is
    assert found["int8"] == pytest.approx(1000 * (labels + 2 + 12), abs=1)
