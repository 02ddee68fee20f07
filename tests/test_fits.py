"""What a recipe alone shows of losses and hints that do not fit is told by its check, with its place."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from compress.errors import RecipeError
from compress.recipe.learning import HiddenStates
from compress.recipe.load import load_recipe
from compress.recipe.recipe import Recipe

TYPES: dict[str, dict[str, Any]] = {
    "multi_label": {"text": "t", "labels": ["a", "b"]},
    "single_label": {"text": "t", "labels": ["a", "b"], "label_column": "c"},
    "regression": {"text": "t", "labels": ["a"]},
}
TINY = {"layers": 3, "width": 16, "heads": 2}
SAME_TOKENS = TINY | {"tokenizer": {"type": "teacher"}}
BAG = {"type": "embedding_bag"}


def load(folder: Path, *stages: dict[str, Any], task: str = "multi_label") -> Recipe:
    recipe = {"version": 1, "name": "r", "task": {"type": task} | TYPES[task], "data": {"dir": "d"}}
    recipe |= {"baselines": ["tfidf"], "stages": stages}
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe | {"stages": list(stages)}, sort_keys=False), encoding="utf-8")
    return load_recipe(file)


def told(folder: Path, *stages: dict[str, Any], task: str = "multi_label") -> str:
    with pytest.raises(RecipeError) as caught:
        load(folder, *stages, task=task)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def teacher(encoder: Any = "some/encoder", **changes: Any) -> dict[str, Any]:
    return {"id": "teacher", "type": "finetune", "encoder": encoder} | changes


def distil(student: Any = None, **changes: Any) -> dict[str, Any]:
    return {"id": "s", "type": "distill", "teacher": "teacher", "student": student or TINY} | changes


ASYMMETRIC, FOCAL = {"type": "asymmetric"}, {"type": "focal", "gamma": 1.5}


def test_losses_for_rare_labels_go_with_fine_tuning_and_distillation(tmp_path: Path) -> None:
    found = load(tmp_path, teacher(label_loss=ASYMMETRIC), distil(label_loss=FOCAL))
    assert [getattr(stage, "label_loss").type for stage in found.stages] == ["asymmetric", "focal"]  # noqa: B009
    load(tmp_path, teacher(label_loss=FOCAL), task="single_label")


@pytest.mark.parametrize(
    ("task", "stage", "said"),
    [
        ("single_label", {"label_loss": ASYMMETRIC}, "label_loss: asymmetric is for labels that hold independently"),
        ("regression", {"label_loss": FOCAL}, "label_loss: is a classifier's; a regression learns by squared errors"),
    ],
)
def test_a_loss_that_the_task_has_no_use_for_is_told(
    tmp_path: Path, task: str, stage: dict[str, Any], said: str
) -> None:
    assert said in told(tmp_path, teacher(**stage), task=task)
    assert said in told(tmp_path, teacher(), distil(**stage), task=task)


def test_a_regression_is_distilled_by_squared_errors_whatever_is_asked(tmp_path: Path) -> None:
    said = told(tmp_path, teacher(), distil(distillation="mse"), task="regression")
    assert "stages.s.distillation: a regression learns its teachers' values by squared errors" in said


def test_a_loss_may_be_its_bare_name(tmp_path: Path) -> None:
    bare, whole = (load(tmp_path, teacher(label_loss=it)) for it in ("focal", {"type": "focal"}))
    assert bare == whole
    assert bare.model_dump() == whole.model_dump()


@pytest.mark.parametrize("loss", ["focall", {"type": "huber"}, {"gamma": 2}, 2, ["focal"]])
def test_another_loss_is_told_what_there_is(tmp_path: Path, loss: Any) -> None:
    said = told(tmp_path, teacher(label_loss=loss))
    assert "label_loss: must be cross_entropy, focal or asymmetric, or {type: focal, gamma: N}" in said


@pytest.mark.parametrize(
    ("encoder", "changes"),
    [
        (BAG, {"max_tokens": 64}),
        ({"type": "linear"}, {"max_tokens": 64}),
        (BAG, {"long_text": "windows"}),
        (BAG, {"long_text": "windows", "window_pooling": "max"}),
        (TINY | {"max_tokens": 32}, {"max_tokens": 64}),
        (TINY | {"long_text": "head_tail"}, {"long_text": "windows"}),
    ],
)
def test_how_a_shape_reads_stands_inside_it(tmp_path: Path, encoder: dict[str, Any], changes: dict[str, Any]) -> None:
    load(tmp_path, teacher(encoder))
    load(tmp_path, teacher(TINY, **changes))
    said = told(tmp_path, teacher(encoder, **changes))
    assert f"{' and '.join(changes)} would have no effect here" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"distillation": "mse", "temperature": 2.0},
            "temperature would have no effect here: only of distillation: kd",
        ),
        ({"hardness": 1.0, "label_loss": FOCAL}, "label_loss would have no effect here"),
        ({"label_loss": {"type": "focal", "gamma": 11}}, "gamma"),
        ({"label_loss": {"type": "huber"}}, "label_loss"),
        ({"hints": {}}, "hints: names no term"),
        ({"hints": {"hidden": {"layers": "first"}}}, "hidden.layers"),
        ({"augment": {"mask": 0, "ngrams": 0}}, "augment: changes nothing"),
        ({"augment": {"copies": 21}}, "augment.copies"),
        ({"teacher": {}}, "teacher"),
        ({"teacher": {"teacher": 0}}, "teacher"),
    ],
)
def test_what_would_have_no_effect_or_no_meaning_is_told(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, teacher(), distil(**changes))
    assert said in str(caught.value), caught.value


HIDDEN = {"hidden": {}}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (teacher(), distil(TINY, hints=HIDDEN), "hints: hidden and cosine compare token by token"),
        (teacher(), distil(TINY, hints={"cosine": 1.0}), "student.tokenizer: {type: teacher, size: null}"),
        (
            teacher(),
            distil(TINY | {"tokenizer": {"type": "teacher", "size": 8000}}, hints=HIDDEN),
            "compare token by token",
        ),
        (teacher(), distil(BAG, hints=HIDDEN), "an embedding_bag has none; use pooled"),
        (teacher(), distil(teacher="tfidf", hints={"pooled": 1.0}), "tfidf is a TF-IDF baseline, without states"),
        (teacher(BAG), distil(hints={"pooled": 1.0}), "teacher is a linear model or an embedding_bag, without states"),
        (teacher({"type": "linear"}), distil({"encoder": "e/e"}, hints=HIDDEN), "hints: look into the first"),
        (
            teacher(max_tokens=64),
            distil(SAME_TOKENS | {"max_tokens": 128}, hints=HIDDEN),
            "batches, of 128 tokens, and teacher reads 64; set student.max_tokens to at most 64",
        ),
        (
            teacher(),
            distil(teacher={"tfidf": 1, "teacher": 1}, hints={"pooled": 1.0}),
            "tfidf is a TF-IDF baseline, without states; name a transformer first",
        ),
        (
            teacher(),
            distil(SAME_TOKENS, hints={"hidden": {"layers": [[3, 0]]}}),
            "hints: hidden.layers: the student has no layer 3: it has 3, numbered 0 to 2",
        ),
        (
            teacher(TINY | {"layers": 2}),
            distil(SAME_TOKENS, hints={"hidden": {"layers": [[0, 2]]}}),
            "hints: hidden.layers: the teacher has no layer 2",
        ),
        (
            teacher(TINY | {"layers": 2}),
            distil(SAME_TOKENS, hints=HIDDEN),
            "the student has 3 layers and the teacher 2, so uniform has none for some of them",
        ),
        (
            teacher(TINY | {"width": 32}),
            distil(SAME_TOKENS, hints={"cosine": 1.0}),
            "hints: cosine compares states of one width, and the student's is 16, the teacher's 32",
        ),
        (
            teacher(TINY),
            distil({"init": {"from": "teacher", "layers": [0, 2]}}, hints={"hidden": {"layers": [[2, 2]]}}),
            "the student has no layer 2: it has 2",
        ),
        (
            teacher(TINY | {"layers": 6}),
            distil(SAME_TOKENS, hints={"hidden": {"layers": [[7, 9]]}}),
            "the student has no layer 7: it has 3, numbered 0 to 2, and the teacher has no layer 9: it has 6",
        ),
    ],
)
def test_hints_that_cannot_be_given_are_told(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    problem = told(tmp_path, first, second)
    assert said in problem, problem


def test_one_hint_that_does_not_fit_hides_no_other(tmp_path: Path) -> None:
    """Other tokens, a layer that is not there, another width, longer texts; and a teacher without states."""
    hints = {"hidden": {"layers": [[3, 0]]}, "cosine": 1.0}
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, teacher(TINY | {"width": 32}, max_tokens=64), distil(TINY | {"max_tokens": 128}, hints=hints))
    said = ("compare token by token", "no layer 3", "cosine compares states of one width", "and teacher reads 64")
    assert len(caught.value.problems) == len(said), caught.value.problems
    assert all(any(text in problem for problem in caught.value.problems) for text in said), caught.value.problems
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, teacher(), distil(teacher="tfidf", hints=hints))
    assert [problem.partition("hints: ")[2][:20] for problem in caught.value.problems] == [
        "look into the first ",
        "hidden and cosine co",
    ]


PAIRS = "must be uniform, last, or pairs [student layer, teacher layer] of numbers from 0, e.g. [[0, 2], [1, 5]]"


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([[0, 1, 2]], f"[0, 1, 2] is no pair: {PAIRS}"),
        ([[0, 1], [1], [1, -1], [2, 1.5], [2, True]], "[1] and [1, -1] and [2, 1.5] and [2, True] are no pairs: "),
        ([0, 2], f"0 and 2 are no pairs: {PAIRS}"),
        ([], f"holds nothing: {PAIRS}"),
        (3, f"{PAIRS} (found 3)"),
        ({0: 1}, PAIRS),
        ("unifrom", f"{PAIRS}; did you mean uniform? (found 'unifrom')"),
    ],
)  # fmt: skip
def test_what_is_no_map_of_layers_is_told_once_and_in_our_words(tmp_path: Path, layers: Any, said: str) -> None:
    problem = told(tmp_path, teacher(), distil(SAME_TOKENS, hints={"hidden": {"layers": layers}}))
    assert f": stages.s.hints.hidden.layers: {said}" in problem, problem


layer_pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5)


@given(layer_pairs)
def test_pairs_of_layers_keep_their_order(pairs: list[tuple[int, int]]) -> None:
    """Sorted, the teacher's layers may not fall where the student's rise; one may be compared with several."""
    crossed = any(mine < other[0] and theirs > other[1] for mine, theirs in pairs for other in pairs)
    refused = pytest.raises(ValidationError, match=" cross: the student's layer ")
    with refused if crossed else contextlib.nullcontext():
        assert HiddenStates.model_validate({"layers": pairs}).layers == tuple(pairs)


def test_crossing_pairs_are_told_with_the_mistakes_beside_them(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(
            tmp_path,
            teacher(),
            distil(SAME_TOKENS, hints={"hidden": {"layers": [[1, 2], [0, 5]], "wait": 1}, "cosine": -1}),
        )
    one, two, three = sorted(problem.partition("hints.")[2] for problem in caught.value.problems)
    assert one.startswith("cosine: input should be greater than or equal to 0")
    assert two.startswith(
        "hidden.layers: [0, 5] and [1, 2] cross: the student's layer 1 works on what its layer 0 gives"
    )
    assert two.endswith("write [0, 2] and [1, 5]")
    assert three.startswith("hidden.wait: unknown key")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"label_loss": "focal"}, "label_loss"),
        ({"label_loss": "focal", "hardness": 1}, "label_loss"),
        ({"distillation": "mse", "temperature": 2}, "distillation"),
        ({"epochs": 2, "hints": {"pooled": 1}}, "epochs and hints"),
    ],
)
def test_what_a_linear_student_cannot_take_is_to_be_removed(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    """Never to be made to fit, by a lower hardness say, only to be refused in the next pass."""
    said = told(tmp_path, teacher(), distil({"type": "linear"}, **changes))
    assert f"stages.s: {named} would have no effect here: only of a training in steps" in said
    assert said.endswith(": remove it")
    load(tmp_path, teacher(), distil({"type": "linear"}, hardness=1, temperature=2, augment={"copies": 2}))


def test_several_teachers_are_no_list(tmp_path: Path) -> None:
    said = told(tmp_path, teacher(), distil(teacher=["teacher", "tfidf"]))
    assert said.endswith(
        "teacher: must be a stage's id, or several with their weights: {teacher: 0.7, tfidf_chars: 0.3}"
    )


def test_hints_that_fit_pass(tmp_path: Path) -> None:
    everything = {"hidden": {"weight": 0.5, "layers": [[0, 1], [2, 2]]}, "cosine": 1.0, "pooled": 1.0}
    load(tmp_path, teacher(TINY), distil(SAME_TOKENS, hints=everything))
    load(tmp_path, teacher(), distil(SAME_TOKENS, hints=everything))  # of what is unknown yet nothing is said
    load(tmp_path, teacher(max_tokens=64), distil(SAME_TOKENS | {"max_tokens": 64}, hints=everything))
    load(tmp_path, teacher(max_tokens=64), distil(TINY | {"max_tokens": 128}, hints={"pooled": 1.0}))
    load(tmp_path, teacher(TINY), distil(BAG, hints={"pooled": 1.0}))
    load(tmp_path, teacher(TINY), distil({"init": {"from": "teacher", "layers": [0, 2]}}, hints=HIDDEN))
    load(tmp_path, teacher(TINY), distil(teacher={"teacher": 7, "tfidf": 3}, hints={"pooled": 1.0}))
