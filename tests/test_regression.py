"""Regression as a task: columns of numbers in, values in their own units out, through every stage of the house."""

import csv
import dataclasses
import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compress.artifact import Artifact, open_artifact
from compress.data import load_splits, split_digests
from compress.data.labels import targets_of
from compress.data.numbers import check_varies
from compress.data.tables import Table
from compress.errors import ArtifactError, DataError, EncoderError, ParityError, RecipeError
from compress.recipe.data import Data, Task
from compress.recipe.load import load_recipe
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.stages import Distill, Export, Finetune, Load, Tfidf
from compress.recipe.students import TinyEncoder, WordPiece
from compress.scaling import Scaling
from eval.contract import LabelledTexts
from eval.errors import InvalidInputError
from eval.regression import r2
from eval.report.gains import stage_gains
from eval.report.report import load_report

GOOD, BAD = ("lovely", "kind", "calm", "thanks"), ("awful", "rotten", "broken", "dull")
PLAIN = ("garden", "reading", "table", "window", "letter", "again", "paper", "morning")
ROWS = {"train": 300, "validation": 60, "test": 80, "unlabeled": 60}
TASK = Task(type="regression", text="review", labels=("stars", "price"))
ONE = Task(type="regression", text="review", labels=("stars",))
SHAPE = TinyEncoder(
    layers=1, width=24, heads=2, tokenizer=WordPiece(type="wordpiece", size=200), pooling="mean", max_tokens=32
)


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)


def review(chooser: random.Random) -> tuple[str, float, float]:
    """stars: 3, half a star up for a good word and down for a bad one; price: 1,000 a word, and 20,000."""
    good, bad, plain = chooser.randint(0, 4), chooser.randint(0, 4), chooser.randint(3, 12)
    words = chooser.choices(GOOD, k=good) + chooser.choices(BAD, k=bad) + chooser.choices(PLAIN, k=plain)
    chooser.shuffle(words)
    return " ".join(words), 3 + (good - bad) / 2, 20_000 + 1_000 * len(words)


@pytest.fixture(scope="module")
def review_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    chooser = random.Random(13)
    for name, count in ROWS.items():
        columns = 1 if name == "unlabeled" else 3
        rows = [(number, *review(chooser)[:columns]) for number in range(count)]
        write_csv(folder / f"{name}.csv", [("id", "review", "stars", "price")[: columns + 1], *rows])
    return folder


@pytest.fixture(scope="module")
def splits(review_files: Path) -> Any:
    return load_splits(Data(dir=str(review_files)), TASK, 13)


@pytest.fixture(scope="module")
def shop(new_workshop: Callable[[Path], Any]) -> Callable[..., Any]:
    """(folder, task, splits) -> a Workshop on these."""
    return lambda folder, task, splits: dataclasses.replace(new_workshop(folder), task=task, splits=splits)


@pytest.fixture
def reviews(tmp_path: Path, splits: Any, shop: Callable[..., Any]) -> Any:
    """A Workshop on the reviews."""
    return shop(tmp_path, TASK, splits)


def finetune(**changes: Any) -> Finetune:
    settings = {"epochs": 12, "batch_size": 16, "learning_rate": 5e-3, "precision": "fp32"}
    return Finetune(**{"id": "teacher", "type": "finetune", "encoder": SHAPE, **settings, **changes})


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory, splits: Any, shop: Callable[..., Any]) -> Artifact:
    """A torch artifact that has learnt the reviews."""
    from compress.stages import finetune as stage

    made: Artifact = shop(tmp_path_factory.mktemp("regression"), TASK, splits).make(stage.run, finetune())
    return made


def open_predictor(artifact: Artifact) -> Any:
    from compress.runtime import open_predictor as open_

    return open_(artifact)


def explained(artifact: Artifact, rows: LabelledTexts) -> list[float | None]:
    """R² on each target."""
    values = open_predictor(artifact).predict_values(rows.texts)
    return [r2(rows.targets[:, place], values[:, place]) for place in range(len(rows.labels))]


# ---------------------------------------------------------------------------------------------------- the scale


def test_scaling_by_hand() -> None:
    found = Scaling.of(np.array([[1, 100], [3, 300]], np.float32))
    assert (found.means, found.deviations) == ((2.0, 200.0), (1.0, 100.0))
    np.testing.assert_array_equal(found.outputs(np.array([[3, 50]])), [[1, -1.5]])
    np.testing.assert_array_equal(found.values(np.array([[1, -1.5]])), [[3, 50]])
    assert found.ordered((1, 0)) == Scaling(means=(200.0, 2.0), deviations=(100.0, 1.0))
    assert Scaling.none(2).values(np.array([[7, -1]])).tolist() == [[7, -1]]


@given(st.integers(-1000, 1000), st.floats(0.01, 1000), st.integers(0, 1000))
def test_values_survive_the_way_to_outputs_and_back(mean: int, deviation: float, seed: int) -> None:
    targets = np.random.default_rng(seed).normal(mean, deviation, (20, 1)).astype(np.float32)
    scaling = Scaling.of(targets)
    outputs = scaling.outputs(targets)
    assert outputs.dtype == np.float32
    assert outputs.mean() == pytest.approx(0, abs=1e-2)
    assert outputs.std() == pytest.approx(1, rel=1e-2)
    np.testing.assert_allclose(scaling.values(outputs), targets, rtol=1e-5, atol=1e-5 * deviation)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Scaling.of(np.ones((3, 1)))
    with pytest.raises(ValueError, match="one of each a target"):
        Scaling(means=(1.0,), deviations=(1.0, 2.0))


# ---------------------------------------------------------------------------------------------------- the recipe


@pytest.mark.parametrize(
    "keys", [{"label_column": "stars"}, {"values": {"1": "stars"}}, {"separator": ";"}, {"values": "from_1"}]
)
def test_keys_of_a_classifiers_task_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(keys))}: regression reads one column of numbers for each target"):
        Task(type="regression", text="review", labels=("stars",), **keys)


def recipe(folder: Path, **changes: Any) -> dict[str, Any]:
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.005, "precision": "fp32"}
    shape = {"layers": 1, "width": 24, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 200}, "max_tokens": 32}
    stages = [
        {"id": "teacher", "type": "finetune", "encoder": shape, **training, "early_stopping": 6},
        {"id": "student", "type": "distill", "teacher": "teacher", "student": {**shape, "width": 16}, **training},
        {"id": "pruned", "type": "prune", "teacher": "teacher", **training, "epochs": 2},
        {"id": "onnx", "type": "export", "from": "student"},
        {"id": "fp16", "type": "quantize", "scheme": "fp16"},
        {"id": "int8", "type": "quantize", "from": "onnx", "scheme": "int8_dynamic"},
    ]
    return {
        "version": 1,
        "name": "reviews",
        "task": {"type": "regression", "text": "review", "labels": ["stars", "price"]},
        "data": {"dir": str(folder)},
        "baselines": ["tfidf"],
        "stages": stages,
        "evaluate": {
            "batch_sizes": [1],
            "threads": [1],
            "rounds": 5,
            "max_seconds": 1,
            "resamples": 100,
            "devices": "cpu",
        },
        **changes,
    }


def written(folder: Path, what: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(what, sort_keys=False), encoding="utf-8")
    return path


def test_check_names_each_key_that_a_regression_has_no_use_for(tmp_path: Path, review_files: Path) -> None:
    wrong = recipe(review_files)
    wrong["stages"][0]["pos_weight"] = "sqrt"
    wrong["stages"][1]["temperature"] = 2
    wrong["stages"][2]["temperature"] = 0.5
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path, wrong))
    found = [problem.partition(": ")[2] for problem in caught.value.problems]
    assert [problem.partition(":")[0] for problem in found] == [
        "stages.teacher.pos_weight",
        "stages.student.temperature",
        "stages.pruned.temperature",
    ]
    assert all(problem.endswith("remove it") for problem in found)
    wrong["task"] = {"type": "multi_label", "text": "review", "labels": ["stars", "price"]}
    assert load_recipe(written(tmp_path, wrong)).task.type == "multi_label"


# ---------------------------------------------------------------------------------------------------- data


def one_column(*cells: str) -> Table:
    return Table(
        "reviews.csv", "line", tuple(range(2, 2 + len(cells))), {"review": ("x",) * len(cells), "stars": cells}
    )


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("", "leave the row out, or write its number"),
        ("  ", "leave the row out, or write its number"),
        ("-", "leave the row out, or write a number such as 3.5"),
        ("n/a", "leave the row out, or write a number such as 3.5"),
        ("nan", "leave the row out, or write a number such as 3.5"),
        ("inf", "leave the row out, or write a number such as 3.5"),
        ("1_000", "leave the row out, or write a number such as 3.5"),
        ("0x10", "leave the row out, or write a number such as 3.5"),
        ("٣", "leave the row out, or write a number such as 3.5"),
        ("3 stars", "leave the row out, or write a number such as 3.5"),
        ("1,5", "write 1.5 if the comma is a decimal point"),
        ("1e39", "beyond what 32 bits hold"),
        ("1e999", "beyond what 32 bits hold"),
    ],
)
def test_a_cell_that_is_no_number_is_told_with_its_place(cell: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        targets_of(one_column("3", cell, "4"), ONE)
    said = str(caught.value)
    assert said.startswith("reviews.csv, line 3: column 'stars' is ")
    assert "not a finite number" in said
    assert remedy in said


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_every_number_is_read_back_as_it_was_written(numbers: list[float]) -> None:
    found = targets_of(one_column(*map(repr, numbers)), ONE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], np.array(numbers, np.float32))


def test_numbers_in_other_forms() -> None:
    found = targets_of(one_column("3", " -2.5 ", "+1e3", ".5", "5.", "-1"), ONE)
    assert found[:, 0].tolist() == [3, -2.5, 1000, 0.5, 5, -1]


def test_a_target_that_never_varies_is_refused(tmp_path: Path) -> None:
    rows = [("review", "stars"), ("a b", 3), ("c d", 3), ("e f", 3)]
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "validation.csv", rows)
    write_csv(tmp_path / "test.csv", rows)
    with pytest.raises(DataError, match=r"data\.train: stars is 3 in all of 3 rows; add rows that differ"):
        load_splits(Data(dir=str(tmp_path)), ONE, 13)


def test_a_target_that_32_bits_blur_is_refused() -> None:
    """Seconds since 1970 have steps of 128 there; of a year they may be told, of an hour not."""
    for spread, blurred in ((3600, True), (3e7, False)):
        seconds = (1.7e9 + np.linspace(0, spread, 50))[:, None].astype(np.float32)
        rows = LabelledTexts(("x",) * 50, ("seconds",), seconds)
        with pytest.raises(DataError, match="32 bits hold steps of 128 only") if blurred else nullcontext():
            check_varies(rows)


def test_validation_is_split_off_at_random_and_numbers_below_zero_are_numbers(tmp_path: Path) -> None:
    rows = [(f"text {i}", i / 4 - 10) for i in range(100)]
    write_csv(tmp_path / "train.csv", [("review", "stars"), *rows])
    write_csv(tmp_path / "test.csv", [("review", "stars"), ("other", -1), ("another", 2)])
    splits = load_splits(Data(dir=str(tmp_path)), ONE, 13)
    assert (len(splits.train), len(splits.validation)) == (90, 10)
    assert set(splits.train.texts) | set(splits.validation.texts) == {text for text, _ in rows}
    assert "validation is 10 rows split off train by seed 13, at random" in splits.notes
    assert splits.tests["test"].targets.tolist() == [[-1], [2]]


def test_a_number_that_changes_a_little_changes_the_digest(splits: Any) -> None:
    before = split_digests(splits)
    targets = splits.train.targets.copy()
    targets[0, 0] += 0.25
    after = split_digests(dataclasses.replace(splits, train=dataclasses.replace(splits.train, targets=targets)))
    assert {name for name, digest in after.items() if digest != before[name]} == {"train"}


def test_targets_in_a_file_beside_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [("review", "stars"), ("a", 1), ("b", 2)])
    write_csv(tmp_path / "test.csv", [("id", "review"), (1, "c")])
    write_csv(tmp_path / "test_labels.csv", [("id", "stars"), (1, -1)])
    with pytest.raises(DataError, match="a regression reads its targets from the file with the texts"):
        load_splits(Data(dir=str(tmp_path)), ONE, 13)


# ---------------------------------------------------------------------------------------------------- stages


def test_it_learns_each_target_in_its_own_unit(regression: Artifact, splits: Any) -> None:
    assert all(value is not None and value > 0.8 for value in explained(regression, splits.tests["test"]))
    scaling = regression.scaling()
    np.testing.assert_allclose(scaling.means, splits.train.targets.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaling.deviations, splits.train.targets.std(axis=0), rtol=1e-5)
    config = json.loads((regression.path / "config.json").read_text())
    assert config["problem_type"] == "regression"
    assert config["id2label"] == {"0": "stars", "1": "price"}
    assert not (regression.path / "decision.json").exists()


def test_values_are_the_outputs_scaled_and_there_are_no_probabilities(regression: Artifact, splits: Any) -> None:
    predictor = open_predictor(regression)
    texts = splits.tests["test"].texts[:5]
    outputs = predictor.predict_logits(texts)
    expected = outputs * np.array(predictor.scaling.deviations) + np.array(predictor.scaling.means)
    np.testing.assert_allclose(predictor.predict_values(texts), expected, rtol=1e-6)
    assert np.abs(outputs).max() < 5
    for ask in (lambda: predictor.predict_proba(texts), lambda: predictor.decision, regression.decision):
        with pytest.raises(ArtifactError, match="is a regression: it gives values"):
            ask()


def test_a_classifier_has_no_values(workshop: Any) -> None:
    from compress.stages import tfidf

    made = workshop.make(tfidf.run, Tfidf(id="tfidf", type="tfidf"))
    for ask in (lambda: open_predictor(made).predict_values(["a"]), made.scaling):
        with pytest.raises(ArtifactError, match="is a classifier: it gives probabilities"):
            ask()


def test_one_target_is_enough(tmp_path: Path, review_files: Path, shop: Callable[..., Any]) -> None:
    from compress.stages import finetune as stage
    from compress.stages import tfidf

    splits = load_splits(Data(dir=str(review_files)), ONE, 13)
    workshop = shop(tmp_path, ONE, splits)
    for made in (
        workshop.make(stage.run, finetune()),
        workshop.make(tfidf.run, Tfidf(id="tfidf", type="tfidf", features="words_chars")),
    ):
        assert open_predictor(made).predict_values(["a lovely garden"]).shape == (1, 1)
        assert explained(made, splits.tests["test"])[0] > 0.7  # type: ignore[operator]


def test_early_stopping_looks_at_validation_r2(reviews: Any, regression: Artifact) -> None:
    from compress.encoder.files import load_classifier
    from compress.tokenizer import open_tokenizer
    from compress.train.finish import validation_score

    tokenizer = open_tokenizer(regression.path, 32)
    score = validation_score(load_classifier(regression.path), tokenizer, reviews.inputs(), "cpu", finetune())
    values = explained(regression, reviews.splits.validation)
    assert score() == pytest.approx(np.mean([value for value in values if value is not None]), abs=1e-5)


def test_a_teacher_on_another_scale_is_put_on_the_students(reviews: Any) -> None:
    """Its answers are values in another scale's outputs; unlabeled rows are learnt from these alone."""
    from compress.train.transfer import transfer_set

    theirs = Scaling(means=(1.0, -5.0), deviations=(2.0, 500.0))
    truth = np.concatenate([reviews.splits.train.targets, np.full((ROWS["unlabeled"], 2), (4.5, 31_000))])

    def predict(texts: Any) -> NDArray[np.float32]:
        return theirs.outputs(truth[: len(texts)])

    manifest = SimpleNamespace(labels=reviews.task.labels, stage_id="t")
    teacher = SimpleNamespace(digest="t", scaling=lambda: theirs, manifest=manifest)
    inputs = reviews.inputs(teacher=teacher)
    opened = SimpleNamespace(predict_logits=predict)
    found = transfer_set(inputs, lambda artifact, device: opened, reviews.context(), "student")
    rows = ROWS["train"]
    np.testing.assert_allclose(found.answers[:rows], found.targets[:rows], atol=1e-4)
    np.testing.assert_allclose(found.targets[:rows].std(axis=0), 1, rtol=1e-4)
    expected = Scaling.of(reviews.splits.train.targets).outputs(np.array([[4.5, 31_000]]))
    np.testing.assert_allclose(found.answers[rows:], np.repeat(expected, ROWS["unlabeled"], axis=0), atol=1e-4)
    assert found.labelled.sum() == rows


def test_squared_error_by_hand_and_mixed_with_the_teachers() -> None:
    import torch

    from compress.train.learning import distilling_loss, labelling_loss

    outputs, truth = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    batch = {"targets": truth, "labelled": torch.tensor([1.0, 0.0]), "teacher": torch.tensor([[1.0, 0.0], [0.0, 2.0]])}
    assert labelling_loss(TASK)(outputs, batch).item() == pytest.approx((2.5 + 4.5) / 2)
    # row 0: a quarter of the labels' 2.5 and three quarters of the teacher's 2; row 1 has the teacher's 2 alone
    assert distilling_loss(TASK, 0.75, 1.0)(outputs, batch).item() == pytest.approx((0.25 * 2.5 + 0.75 * 2 + 2) / 2)


def test_export_is_judged_by_the_size_of_the_outputs() -> None:
    from compress.stages.export.parity import compare_outputs

    before = np.array([[0.5, -0.2], [2.0, 0.1]], np.float32)
    off = np.array([[0, 1e-5], [0, 0]], np.float32)  # outputs below 1 count as they are
    assert "outputs within 1.0e-05" in compare_outputs(before, before + off)
    assert "outputs within 5.0e-06" in compare_outputs(before, before + off[:, ::-1])
    with pytest.raises(ParityError, match="Nothing was kept"):
        compare_outputs(before, before + 11 * off)
    prices = before * 1e5  # of a loaded model, whose outputs are values
    assert "outputs within 5.0e-05" in compare_outputs(prices, prices + np.array([[10, 0], [0, 0]], np.float32))
    with pytest.raises(ParityError):
        compare_outputs(before, np.full_like(before, np.nan))


# ---------------------------------------------------------------------------------------------------- load


@pytest.fixture(scope="module")
def from_transformers(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Callable[[str], Path]) -> Path:
    """A regression as transformers writes one: outputs are the values themselves, in the order price, stars."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("theirs")
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_encoder("bert")))
    tokenizer.save_pretrained(str(folder))
    config = BertConfig.from_pretrained(
        str(tiny_encoder("bert")), num_labels=2, problem_type="regression", id2label={0: "price", 1: "LABEL_1"}
    )
    torch.manual_seed(5)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.mul_(torch.tensor([[1e5], [10.0]]))
        model.classifier.bias.copy_(torch.tensor([30_000.0, 3.0]))
    model.save_pretrained(str(folder))
    return folder


def load(folder: Path, **changes: Any) -> Load:
    return Load(**{"id": "theirs", "type": "load", "model": str(folder), "labels": {"LABEL_1": "stars"}, **changes})


def test_a_loaded_regression_gives_its_own_values(reviews: Any, from_transformers: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from compress.stages import load as stage

    made = reviews.make(stage.run, load(from_transformers))
    texts = list(reviews.splits.tests["test"].texts[:4])
    tokens = AutoTokenizer.from_pretrained(str(from_transformers))(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        theirs = AutoModelForSequenceClassification.from_pretrained(str(from_transformers)).eval()(**tokens).logits
    found = open_predictor(made).predict_values(texts)
    np.testing.assert_allclose(found, theirs.numpy()[:, ::-1], rtol=1e-4)
    assert made.scaling() == Scaling.none(2)


def test_what_follows_a_loaded_model_keeps_its_scale(reviews: Any, from_transformers: Path) -> None:
    from compress.stages import export, prune
    from compress.stages import load as stage

    parent = reviews.make(stage.run, load(from_transformers))
    pruned = reviews.make(
        prune.run,
        PruneMagnitude(id="pruned", type="prune", final_sparsity=0.1, epochs=1, learning_rate=1e-6, precision="fp32"),
        parent=parent,
    )
    exported = reviews.make(export.run, Export(id="onnx", type="export"), parent=parent)
    assert pruned.scaling() == exported.scaling() == parent.scaling()
    texts = reviews.splits.tests["test"].texts
    before, after = (open_predictor(it).predict_values(texts) for it in (parent, exported))
    np.testing.assert_allclose(after, before, rtol=1e-4)


def test_our_own_artifact_is_loaded_with_its_scale_in_the_tasks_order(
    tmp_path: Path, splits: Any, shop: Callable[..., Any], regression: Artifact
) -> None:
    from compress.stages import load as stage

    turned = Task(type="regression", text="review", labels=("price", "rating"))

    def other_way(rows: LabelledTexts) -> LabelledTexts:
        return LabelledTexts(rows.texts, turned.labels, rows.targets[:, ::-1])

    ours = SimpleNamespace(train=other_way(splits.train), validation=other_way(splits.validation))
    made = shop(tmp_path, turned, ours).make(stage.run, load(regression.path, labels={"stars": "rating"}))
    texts = splits.tests["test"].texts[:6]
    before, after = (open_predictor(it).predict_values(texts) for it in (regression, made))
    np.testing.assert_allclose(after, before[:, ::-1], rtol=1e-5)


def test_a_model_of_the_other_kind_is_not_loaded(
    reviews: Any, workshop: Any, regression: Artifact, from_transformers: Path
) -> None:
    from compress.stages.load import check_load

    labelled = Task(type="multi_label", text="review", labels=("stars", "price"))
    with pytest.raises(
        EncoderError, match=r"was trained for regression, as its config\.json says; the task is multi_label"
    ):
        check_load(load(from_transformers), labelled)
    with pytest.raises(EncoderError, match="was trained for regression, the task is multi_label"):
        check_load(load(regression.path), labelled)
    config = json.loads((from_transformers / "config.json").read_text())
    other = reviews.folder / "classifier"
    other.mkdir()
    for file in from_transformers.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "config.json").write_text(json.dumps({**config, "problem_type": "multi_label_classification"}))
    with pytest.raises(EncoderError, match="was trained for multi_label_classification"):
        check_load(load(other), TASK)


# ---------------------------------------------------------------------------------------------------- a whole run


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, review_files: Path, command: Callable[..., Any]) -> Path:
    """The folder of the whole recipe, once run."""
    folder = tmp_path_factory.mktemp("reviews-run")
    ended = command("run", written(folder, recipe(review_files)), "--out", folder / "out")
    assert ended.code == 0, ended.err
    assert "macro R²" in ended.out
    assert "F1" not in ended.out
    return folder / "out"


def test_the_report_has_a_regressions_fields_and_every_model_has_learnt(whole_run: Path) -> None:
    report = json.loads((whole_run / "report.json").read_text())
    quality = {it["id"]: it["quality"] for it in report["candidates"]}
    assert list(quality) == ["tfidf", "teacher", "student", "pruned", "onnx", "fp16", "int8"]
    for name, found in quality.items():
        fields = {"rows", "macro_rmse", "macro_mae", "macro_r2", "macro_spearman", "targets", "r2_against"}
        assert set(found) == fields, name
        assert list(found["targets"]) == ["stars", "price"]
        assert found["macro_r2"]["value"] > 0.6, name
        assert found["rows"] == ROWS["test"]
    for name in ("onnx", "fp16", "int8"):
        assert quality[name]["macro_r2"]["value"] == pytest.approx(quality["student"]["macro_r2"]["value"], abs=0.01)
    assert (whole_run / "report.svg").is_file()
    assert "## By target: test" in (whole_run / "report.md").read_text()


def test_what_a_stage_gave_has_an_interval_of_pairs(whole_run: Path) -> None:
    report = load_report(whole_run / "report.json")
    gains = {it.stage: it for it in stage_gains(report)}
    r2 = {it.id: it.quality_by_set["test"].macro_r2.value for it in report.candidates}
    assert gains.keys() == {"student", "pruned", "onnx", "fp16", "int8"}
    for it in gains.values():
        assert it.quality.value == pytest.approx(r2[it.stage] - r2[it.parent])
        assert it.quality.low <= it.quality.value <= it.quality.high
    assert -0.001 < gains["onnx"].quality.low <= gains["onnx"].quality.high < 0.001  # the same answers
    assert gains["pruned"].quality.high - gains["pruned"].quality.low > 0.001
    assert re.search(
        r"\| pruned \|.*[+-]0\.\d{3} \([+-]0\.\d{3} to [+-]0\.\d{3}\) \|", (whole_run / "report.md").read_text()
    )


def test_nothing_in_a_run_speaks_of_thresholds(whole_run: Path) -> None:
    files = [whole_run / "report.md", *(whole_run / "artifacts").rglob("*.json")]
    texts = {str(file): file.read_text() for file in files if file.name not in {"tokenizer.json", "terms.json"}}
    report = json.loads((whole_run / "report.json").read_text())
    assert report.pop("recipe")["thresholds"] == "max_f1"  # it has every key, those at their default too
    texts["report.json"] = json.dumps(report)
    assert len(texts) > 20
    assert not [name for name, text in texts.items() if "threshold" in text or "calibration" in text]
    assert not list((whole_run / "artifacts").rglob("decision.json"))
    own = {file.parent.name: file.read_text() for file in (whole_run / "artifacts").rglob("scaling.json")}
    assert set(own) == {"tfidf", "teacher", "student", "pruned", "onnx", "fp16", "int8"}
    assert len({text for name, text in own.items() if name != "tfidf"}) == 1


def test_predict_gives_a_column_a_target_whatever_the_format(
    whole_run: Path, review_files: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    with (review_files / "test.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    for name in ("teacher", "int8", "tfidf"):
        artifact = whole_run / "artifacts" / name
        ended = command("predict", artifact, "--input", review_files / "test.csv")
        assert ended.code == 0, ended.err
        rows = list(csv.DictReader(ended.out.splitlines()))
        assert list(rows[0]) == ["id", "stars_prediction", "price_prediction"]
        expected = open_predictor(open_artifact(artifact)).predict_values([row["review"] for row in truth])
        found = np.array([[float(row["stars_prediction"]), float(row["price_prediction"])] for row in rows])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert [row["id"] for row in rows] == [row["id"] for row in truth]
    out = tmp_path / "out.jsonl"
    command("predict", whole_run / "artifacts" / "int8", "--input", review_files / "test.csv", "--output", out)
    first = json.loads(out.read_text().splitlines()[0])
    assert list(first) == ["id", "stars_prediction", "price_prediction"]
    assert 15_000 < first["price_prediction"] < 45_000


def test_predictions_of_any_size_keep_seven_digits_and_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    from compress.data import Row, open_results
    from compress.data.results import PREDICTED
    from compress.scoring import score_rows

    def predictor(*values: float) -> Any:
        found = np.array([[value] for value in values], np.float32)
        artifact = SimpleNamespace(path=Path("runs/a"))
        return SimpleNamespace(task=ONE, artifact=artifact, predict_values=lambda texts: found)

    rows = [Row("text", str(number)) for number in range(3)]
    for suffix in ("csv", "jsonl"):
        with open_results(tmp_path / f"out.{suffix}", ("stars",), True, kinds=PREDICTED) as out:
            assert score_rows(predictor(1 / 3, -1.5e9, 2e-9), rows, out).rows == 3
    assert (tmp_path / "out.csv").read_text() == "id,stars_prediction\n0,0.3333333\n1,-1.5e+09\n2,2e-09\n"
    read = [json.loads(line)["stars_prediction"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert read == [0.3333333, -1.5e9, 2e-9]
    with (
        pytest.raises(InvalidInputError, match="runs/a: predict_values gave nan for row 1, label number 0"),
        open_results(tmp_path / "bad.jsonl", ("stars",), True, kinds=PREDICTED) as out,
    ):
        score_rows(predictor(1, float("nan"), 2), rows, out)
    assert not (tmp_path / "bad.jsonl").exists()


def test_evaluate_judges_regressions_and_refuses_a_mixture(
    whole_run: Path, review_files: Path, tmp_path: Path, workshop: Any, command: Callable[..., Any]
) -> None:
    from compress.stages import tfidf

    artifacts = whole_run / "artifacts"
    data = ("--data", review_files / "test.csv")
    ended = command(
        "evaluate", artifacts / "int8", *data, "--teacher", artifacts / "onnx", "--out", tmp_path / "judged"
    )
    assert ended.code == 0, ended.err
    ran = json.loads((whole_run / "report.json").read_text())
    judged = json.loads((tmp_path / "judged" / "report.json").read_text())
    by_id = {it["id"]: it["quality"]["macro_rmse"]["value"] for it in ran["candidates"]}
    for candidate in judged["candidates"]:
        assert candidate["quality"]["macro_rmse"]["value"] == pytest.approx(by_id[candidate["id"]], rel=1e-6)
    classifier = workshop.make(tfidf.run, Tfidf(id="labels", type="tfidf"))
    mixed = command("evaluate", artifacts / "tfidf", classifier.path, *data)
    assert mixed.code == 2
    assert "(multi_label)" in mixed.err
    assert "predicts stars, price (regression)" in mixed.err


def test_run_again_all_is_cached(whole_run: Path, command: Callable[..., Any]) -> None:
    ended = command("run", whole_run.parent / "recipe.yaml", "--out", whole_run)
    assert "all stages are cached: nothing to run; measurements are cached" in ended.out


def test_a_bad_cell_ends_a_run_before_it_begins(
    tmp_path: Path, review_files: Path, command: Callable[..., Any]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for file in review_files.iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    lines = (data / "train.csv").read_text().splitlines()
    lines[41] = "40,a lovely table,four,30000"
    (data / "train.csv").write_text("\n".join(lines) + "\n")
    ended = command("run", written(tmp_path, recipe(data)), "--out", tmp_path / "out")
    assert ended.code == 2
    said = " ".join(ended.err.split())
    assert "train.csv, line 42: column 'stars' is 'four', not a finite number" in said
    assert not list((tmp_path / "out").rglob("model.*"))


def test_generated_comments_have_no_numbers(tmp_path: Path, command: Callable[..., Any]) -> None:
    builtin = recipe(tmp_path, data={"builtin": "comments"})
    ended = command("run", written(tmp_path, builtin), "--out", tmp_path / "out")
    assert ended.code == 2
    assert "the built-in comments are multi_label" in ended.err


def test_distilling_from_a_baseline_in_values(reviews: Any) -> None:
    """TF-IDF answers in units, the student learns deviations of them."""
    from compress.stages import distill, tfidf

    teacher = reviews.make(tfidf.run, Tfidf(id="tfidf", type="tfidf"))
    assert teacher.scaling() == Scaling.none(2)
    config = Distill(
        id="student",
        type="distill",
        teacher="tfidf",
        student=SHAPE,
        hardness=1.0,
        epochs=8,
        batch_size=16,
        learning_rate=5e-3,
        precision="fp32",
    )
    student = reviews.make(distill.run, config, teacher=teacher)
    test = reviews.splits.tests["test"]
    theirs, own = (open_predictor(it).predict_values(test.texts) for it in (teacher, student))
    assert r2(theirs[:, 0], own[:, 0]) > 0.7  # type: ignore[operator]
    np.testing.assert_allclose(own.mean(axis=0), theirs.mean(axis=0), rtol=0.05)
