"""The recipe's `thresholds`: what is a mistake, that decisions follow it, and that no test row is ever looked at."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from compress.artifact import open_artifact
from compress.errors import RecipeError
from compress.recipe.load import load_recipe
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.stages import Distill, Load, Tfidf
from compress.stages import distill, load, prune, tfidf

RECIPE = """\
version: 1
name: decided
task: {{type: multi_label, text: comment_text, labels: [toxic, severe_toxic, obscene, threat, insult, identity_hate]}}
data: {{dir: "{data}"}}
thresholds: {thresholds}
baselines: [tfidf]
stages:
  - {{id: teacher, type: load, model: "{model}"}}
  - {{id: small, type: finetune, precision: fp32, encoder: {{layers: 1, width: 16, heads: 2, max_tokens: 32, tokenizer: {{type: wordpiece, size: 200}}}}}}
evaluate: {{batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100, devices: cpu}}
"""  # noqa: E501 - one stage a line; fp32: auto chooses by a trial of speed, which may end otherwise
IDS = ("tfidf", "teacher", "small")


@pytest.fixture(scope="session")
def decided(
    tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, command: Callable[..., Any]
) -> Callable[..., Path]:
    """(data, thresholds) -> the folder of the recipe once run."""

    def run(data: Path, thresholds: str) -> Path:
        folder = tmp_path_factory.mktemp("decided")
        teacher = tiny_run / "artifacts" / "teacher"
        text = RECIPE.format(data=data, thresholds=thresholds, model=teacher)
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")
        ended = command("run", folder / "recipe.yaml", "--out", folder / "out")
        assert ended.code == 0, ended.err
        return folder / "out"

    return run


@pytest.fixture(scope="session")
def precise(decided: Callable[..., Path], comment_files: Path) -> Path:
    return decided(comment_files, "{precision: 0.8}")


def decisions(out: Path, *names: str) -> dict[str, bytes]:
    return {name: (out / "artifacts" / name / "decision.json").read_bytes() for name in names or IDS}


def test_decisions_do_not_depend_on_test_rows(
    precise: Path, decided: Callable[..., Path], comment_files: Path, tmp_path: Path
) -> None:
    """Other test rows, their labels turned round: every decision is the same to the last byte.

    Of what is trained anew to a millionth: threads that share a core round sums otherwise.
    """
    for file in comment_files.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    turned = [[row[0], f"{row[1]} indeed", *("10"[int(cell)] for cell in row[2:])] for row in rows]
    with (tmp_path / "test.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([header, *turned])
    other = decided(tmp_path, "{precision: 0.8}")
    assert decisions(other, "tfidf", "teacher") == decisions(precise, "tfidf", "teacher")
    trained = [json.loads(decisions(folder)["small"]) for folder in (other, precise)]
    assert trained[0]["thresholds"] == pytest.approx(trained[1]["thresholds"], rel=1e-6)
    assert trained[0]["calibration_temperature"] == pytest.approx(trained[1]["calibration_temperature"], rel=1e-6)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (other, precise)]
    assert reports[0]["candidates"][0]["quality"] != reports[1]["candidates"][0]["quality"]  # it was judged on them


class Unseen(dict[str, Any]):
    """Test sets that nobody may look at."""

    def _refuse(self, *_: object) -> NoReturn:
        raise AssertionError("a stage looked at the test rows")

    __getitem__ = __iter__ = __len__ = __contains__ = keys = values = items = get = _refuse  # type: ignore[assignment]


TRAINED = {"precision": "fp32", "epochs": 0.5, "batch_size": 16}
STUDENT = {"layers": 1, "width": 16, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 200}}


@pytest.mark.parametrize("stage", ["tfidf", "load", "distill", "prune"])
def test_a_stage_fits_its_decision_without_the_test_sets(workshop: Any, tiny_run: Path, stage: str) -> None:
    shop = dataclasses.replace(workshop, splits=dataclasses.replace(workshop.splits, tests=Unseen()))
    made_before = tiny_run / "artifacts" / "teacher"
    teacher = open_artifact(made_before)
    match stage:
        case "tfidf":
            made = shop.make(tfidf.run, Tfidf(id="tfidf", type="tfidf"))
        case "load":
            made = shop.make(load.run, Load(id="load", type="load", model=str(made_before)))
        case "distill":
            given = {"id": "distill", "type": "distill", "teacher": "teacher", "student": STUDENT}
            made = shop.make(distill.run, Distill.model_validate(given | TRAINED), teacher=teacher)
        case _:
            given = {"id": "prune", "type": "prune", "from": "teacher", "final_sparsity": 0.5}
            made = shop.make(prune.run, PruneMagnitude.model_validate(given | TRAINED), parent=teacher)
    assert len(made.decision().thresholds) == 6


def test_every_stage_that_decides_follows_the_rule(
    precise: Path, decided: Callable[..., Path], comment_files: Path
) -> None:
    generous = decided(comment_files, "{f_beta: 4}")
    for name in IDS:
        low, high = (json.loads(decisions(out)[name])["thresholds"] for out in (generous, precise))
        assert all(one <= other for one, other in zip(low, high, strict=True))
        assert low != high or name == "tfidf"  # it parts these comments without an error, by any rule


def test_a_precision_that_is_not_reached_is_in_manifest_and_report(precise: Path) -> None:
    manifest = json.loads((precise / "artifacts" / "small" / "manifest.json").read_text())
    (note,) = (note for note in manifest["notes"] if note.startswith("thresholds: "))
    assert note.startswith("thresholds: precision 0.8 is not reached on the validation rows of ")
    assert f"small: {note}" in json.loads((precise / "report.json").read_text())["notes"]


# ---------------------------------------------------------------------------------------------------- mistakes


MULTI = "{type: multi_label, text: t, labels: [a, b]}"
SINGLE = "{type: single_label, text: t, labels: [a, b], label_column: c}"
NUMBERS = "{type: regression, text: t, labels: [stars]}"


def problem(folder: Path, task: str, thresholds: str, evaluate: str = "{}") -> str:
    text = f"""\
version: 1
name: small
task: {task}
data: {{train: a.csv, test: b.csv}}
thresholds: {thresholds}
evaluate: {evaluate}
stages: [{{id: t, type: tfidf}}]
"""
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "recipe.yaml")
    (only,) = caught.value.problems
    return only


ONE_OF = "thresholds: must be max_f1, {f_beta: N} or {precision: P}, one of them"


@pytest.mark.parametrize(
    ("thresholds", "says"),
    [
        ("max_f2", f"line 5: {ONE_OF} (found 'max_f2')"),
        ("{f_beta: 0}", "line 5: thresholds.f_beta: input should be greater than 0 (found 0)"),
        ("{precision: 1}", "line 5: thresholds.precision: input should be less than 1 (found 1)"),
        ("{precision: 0.9, f_beta: 2}", f"line 5: {ONE_OF} (found {{precision: 0.9, f_beta: 2}})"),
        ("{f_beta: .inf}", "line 5: thresholds.f_beta: input should be a finite number (found inf)"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, thresholds: str, says: str) -> None:
    assert problem(tmp_path, MULTI, thresholds) == says


@pytest.mark.parametrize(("task", "kind"), [(SINGLE, "single_label"), (NUMBERS, "regression")])
def test_where_no_threshold_decides_the_key_is_a_mistake(tmp_path: Path, task: str, kind: str) -> None:
    assert f"thresholds would have no effect: of {kind} " in problem(tmp_path, task, "{f_beta: 2}")


def test_slices_are_of_classifiers(tmp_path: Path) -> None:
    assert "evaluate.slices would have no effect" in problem(tmp_path, NUMBERS, "max_f1", "{slices: [language]}")
    assert problem(tmp_path, MULTI, "max_f1", "{slices: [a, a]}").endswith("a stands twice; keep one of them")
