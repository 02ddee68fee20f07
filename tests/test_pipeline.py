"""A run's folder: whose it is, how a fresh run goes on, what a killed one leaves; the data it was made of."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from compress import judge, pipeline
from compress.artifact import Manifest, open_artifact, read_manifest
from compress.context import silent
from compress.data import load_splits
from compress.errors import DataError, UserError
from compress.inputs import Inputs, Made, RecipeData
from compress.pipeline import run_recipe
from compress.recipe.load import load_recipe
from compress.recipe.recipe import Recipe
from compress.recipe.stages import Tfidf
from compress.run_folder import Pending, run_folder

NAMES = ("tfidf", "one", "two")


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any], tmp_path: Path, comment_files: Path) -> Recipe:
    """Three TF-IDF stages on the test's own copy of the comments: seconds, and no torch."""
    comments = shutil.copytree(comment_files, tmp_path / "comments")
    tiny_recipe["vars"]["comments"] = str(comments)
    tiny_recipe["stages"] = [{"id": name, "type": "tfidf", "features": "words"} for name in NAMES[1:]]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny_recipe), encoding="utf-8")
    return load_recipe(tmp_path / "recipe.yaml", ())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail_at(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """The stage called so is a crash; the others run."""
    from compress.stages import tfidf

    real = tfidf.run

    def run(config: Tfidf, inputs: Inputs, *rest: Any) -> Made:
        if config.id == stage:
            raise ZeroDivisionError("crash")
        return real(config, inputs, *rest)

    monkeypatch.setattr(tfidf, "run", run)


# ---------------------------------------------------------------------------------------------------- whose folder


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", ["cache/mine", "work/mine", "report.md", "artifacts/mine"])
def test_a_folder_with_files_of_somebody_else_is_left_alone(recipe: Recipe, out: Path, name: str, fresh: bool) -> None:
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(UserError, match=r"out holds files that compress did not write.*Give --out a new or an empty"):
        run_recipe(recipe, out, fresh, silent)
    assert files(out) == {name: b"mine"}


def test_a_file_is_no_folder(recipe: Recipe, out: Path) -> None:
    out.write_text("mine")
    with pytest.raises(UserError, match="out is a file; --out names a folder"):
        run_recipe(recipe, out, False, silent)


@pytest.mark.parametrize("sign", [".compress-run", "recipe.lock", ".lock"])
def test_folders_of_ours_are_taken(out: Path, sign: str) -> None:
    out.mkdir()
    (out / sign).write_text("run\n" if sign == ".compress-run" else "")
    (out / "cache").mkdir()
    with run_folder(out, "run"):
        pass
    assert (out / ".compress-run").read_text() == "run\n"


def test_a_run_and_an_evaluation_do_not_share_a_folder(out: Path) -> None:
    with run_folder(out, "evaluate"):
        pass
    with pytest.raises(UserError, match="is the folder of compress evaluate"), run_folder(out, "run"):
        pass
    with run_folder(out, "evaluate"):
        pass


# ---------------------------------------------------------------------------------------------------- fresh


def test_a_fresh_run_cut_short_goes_on_with_or_without_the_flag(
    recipe: Recipe, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_recipe(recipe, out, False, silent)
    (out / "cache" / "old").write_text("of before")
    with monkeypatch.context() as crashing:
        fail_at(crashing, "one")
        with pytest.raises(ZeroDivisionError):
            run_recipe(recipe, out, True, silent)
    assert not (out / "cache" / "old").exists()
    assert Pending(out).stages == ("one", "two")
    (out / "cache" / "new").write_text("of this fresh run")
    with monkeypatch.context() as crashing:
        fail_at(crashing, "two")
        with pytest.raises(ZeroDivisionError):
            run_recipe(recipe, out, False, silent)
    assert Pending(out).stages == ("two",)
    outcome = run_recipe(recipe, out, True, silent)
    assert (outcome.ran, outcome.measured) == (("two",), True)
    assert (out / "cache" / "new").exists()
    assert not (out / ".fresh.json").exists()
    assert run_recipe(recipe, out, False, silent).ran == ()


def test_a_fresh_run_that_crashed_while_measuring_only_measures(
    recipe: Recipe, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crashing:
        crashing.setattr(pipeline, "report_run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_recipe(recipe, out, True, silent)
    assert run_recipe(recipe, out, True, silent).ran == ()
    assert run_recipe(recipe, out, True, silent).ran == NAMES


def test_fresh_replaces_a_damaged_artifact(recipe: Recipe, out: Path) -> None:
    run_recipe(recipe, out, False, silent)
    (out / "artifacts" / "one" / "model.safetensors").write_bytes(b"damaged")
    assert run_recipe(recipe, out, True, silent).ran == NAMES
    open_artifact(out / "artifacts" / "one")


# ---------------------------------------------------------------------------------------------------- leftovers


def test_what_a_killed_run_left_is_swept_and_what_was_whole_is_taken(recipe: Recipe, out: Path) -> None:
    run_recipe(recipe, out, False, silent)
    artifacts, before = out / "artifacts", files(out)
    (artifacts / "one").rename(artifacts / ".one.writing")  # killed before the last rename
    (artifacts / "two").rename(artifacts / ".two.old")  # killed between the two
    (artifacts / ".two.writing").mkdir()
    (artifacts / ".tfidf.writing").mkdir()
    for stale in (out / ".report.md.1.writing", out / "cache" / "measurements" / ".x.json.1.writing"):
        stale.write_text("half")
    assert run_recipe(recipe, out, False, silent).ran == ()
    assert files(out) == before
    assert not list(artifacts.glob(".*"))


# ---------------------------------------------------------------------------------------------------- data


def test_notes_on_the_data_come_before_the_first_stage(
    recipe: Recipe, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = Path(str(recipe.data.dir)) / "test.csv"
    test.write_bytes(test.read_bytes() + (test.parent / "train.csv").read_bytes().split(b"\n", 1)[1])
    fail_at(monkeypatch, "tfidf")
    told: list[str] = []
    with pytest.raises(ZeroDivisionError):
        run_recipe(recipe, out, False, silent, told.append)
    assert any("train rows recur in test set held_out" in note for note in told)


def test_data_that_are_no_longer_those_of_the_kept_digests_stop_the_run_once(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hub dataset without a revision changes: the source's key stays, the rows do not."""
    monkeypatch.setattr("compress.inputs.source_key", lambda *_: "k" * 64)
    assert RecipeData(recipe, tmp_path).facts == RecipeData(recipe, tmp_path).facts
    test = Path(str(recipe.data.dir)) / "test.csv"
    test.write_bytes(test.read_bytes().replace(b"table", b"chart"))
    changed = RecipeData(recipe, tmp_path)
    assert changed.facts.digests  # the old ones
    with pytest.raises(DataError, match=r"the rows changed since they were first read.*run the same command again"):
        _ = changed.splits
    again = RecipeData(recipe, tmp_path)
    assert again.facts.digests != changed.facts.digests
    assert len(again.splits.train)


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_was(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = Path(str(recipe.data.dir)) / "test.csv"

    def slowly(*arguments: Any) -> Any:
        test.write_bytes(test.read_bytes().replace(b"table", b"chart"))
        return load_splits(*arguments)

    monkeypatch.setattr("compress.inputs.load_splits", slowly)
    with pytest.raises(DataError, match=r"the rows changed while they were read"):
        _ = RecipeData(recipe, tmp_path / "cache").facts
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b'{"digests"', b"\xff", b"[]", b'{"digests": {}}'])
def test_a_damaged_cache_counts_as_absent(recipe: Recipe, out: Path, damage: bytes) -> None:
    run_recipe(recipe, out, False, silent)
    report = (out / "report.json").read_bytes()
    kept = list((out / "cache").rglob("*.json"))
    assert {path.name.split("-")[0] for path in kept} == {"data", "quality", "footprint", "latency", "report"}
    for path in kept:
        path.write_bytes(damage)
    outcome = run_recipe(recipe, out, False, silent)
    assert (outcome.ran, outcome.measured) == ((), True)
    assert (out / "report.json").read_bytes() != report  # timed again
    for path in kept:
        json.loads(path.read_bytes())


# ---------------------------------------------------------------------------------------------------- report and lock


def test_the_lock_needs_no_source_model_once_the_stage_has_run(
    tmp_path: Path, tiny_run: Path, tiny_encoder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(tiny_run, tmp_path / "out")
    before = json.loads((out / "recipe.lock").read_bytes())["pretrained"]
    assert before["teacher"]["reference"] == str(tiny_encoder("bert"))
    assert len(before["teacher"]["weights_sha256"]["model.safetensors"]) == 64
    assert read_manifest(out / "artifacts" / "teacher").pretrained == before["teacher"]
    (out / "recipe.lock").unlink()
    monkeypatch.setattr(pipeline, "weights_sha256", lambda *_: 1 / 0)
    run_recipe(load_recipe(tiny_run.parent / "recipe.yaml", ()), out, False, silent)
    assert json.loads((out / "recipe.lock").read_bytes())["pretrained"] == before


def test_manifests_from_before_pretrained_are_read(tiny_run: Path) -> None:
    written = json.loads((tiny_run / "artifacts" / "teacher" / "manifest.json").read_bytes())
    del written["pretrained"]
    assert Manifest.model_validate(written).pretrained == {}


@pytest.mark.parametrize(
    ("where", "new"),
    [
        ("all_threads", lambda: 99),
        ("VERSION", 99),
        ("METHOD", 99),
        ("SCHEMA_VERSION", 99),
        ("__version__", "99"),
        ("environment", lambda: {"gpu": "another"}),
    ],
)
def test_a_report_holds_for_one_machine_and_one_version(
    tmp_path: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, where: str, new: object
) -> None:
    recipe = load_recipe(tiny_run.parent / "recipe.yaml", ())
    facts = RecipeData(recipe, tmp_path).facts
    before = judge._report_key(recipe, {}, facts)
    assert judge._report_key(recipe, {}, facts) == before
    monkeypatch.setattr(judge, where, new)
    assert judge._report_key(recipe, {}, facts) != before


def test_the_report_says_how_it_was_made(recipe: Recipe, out: Path) -> None:
    run_recipe(recipe, out, False, silent, command="compress run 'my recipe.yaml' --set seed=3")
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "\n    compress run 'my recipe.yaml' --set seed=3\n" in text
