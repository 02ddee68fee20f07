"""The recipe language: what YAML means, how values are overridden, and every mistake at once with its place."""

import contextlib
import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.errors import RecipeError
from compress.recipe.load import load_recipe
from compress.recipe.recipe import Recipe, stage_inputs
from compress.recipe.source import parse, parse_value
from compress.recipe.stages import Follows

RECIPE = """\
version: 1
name: small
vars: {root: data, comments: "${root}/comments", rounds: 5}
task:
  type: multi_label
  text: comment_text
  labels: [toxic, threat]
data: {dir: "${comments}"}
baselines: [tfidf]
stages:
  - {id: teacher, type: finetune, encoder: some/encoder, epochs: 2, learning_rate: 1e-4}
  - id: student
    type: distill
    teacher: teacher
    student: {layers: 1, width: 16, heads: 2}
  - {id: onnx, type: export}
  - {id: int8, type: quantize, scheme: int8_dynamic}
  - {id: fp16, type: quantize, scheme: fp16, from: onnx}
evaluate: {rounds: "${rounds}", threads: [1, all]}
"""
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(folder: Path, text: str = RECIPE, *overrides: str) -> Recipe:
    file = folder / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return load_recipe(file, overrides)


def problems(folder: Path, text: str = RECIPE, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert RECIPE.count(old) == 1, old
    return RECIPE.replace(old, new)


# ---------------------------------------------------------------------------------------------------- scalars


@QUICK
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_spelling_of_a_number_is_that_number(number: float) -> None:
    for written in (repr(number), f"{number:e}", f"{number:.17E}", f"{number:.17e}".replace("e+", "e")):
        assert parse_value(written) == float(written)
        assert isinstance(parse_value(written), float)


@given(st.integers())
def test_integers_stay_integers(number: int) -> None:
    assert parse_value(str(number)) == number
    assert isinstance(parse_value(str(number)), int)


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-4", 1e-4), (".5", 0.5), ("1.", 1.0), ("-3E2", -300.0), ("0x1f", 31), ("-.inf", -math.inf)],
)
def test_numbers_that_yaml_1_1_would_miss(written: str, value: float) -> None:
    assert parse_value(written) == value


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n", "Yes", "NO", "tRUE"])
def test_only_true_and_false_are_booleans(word: str) -> None:
    assert parse_value(word) == word
    assert parse_value("[true, False, TRUE]") == [True, False, True]


@pytest.mark.parametrize("text", ["010", "1:30", "2024-01-31", "2024-13-45", "1_000", "0b1", "1e", "e5", "1.2.3", "-"])
def test_what_only_looks_like_a_number_stays_text(text: str) -> None:
    assert parse_value(f"a: {text}") == {"a": text} if text != "-" else True


def test_labels_called_yes_and_no_are_labels(tmp_path: Path) -> None:
    assert load(tmp_path, changed("[toxic, threat]", "[yes, no, 1]")).task.labels == ("yes", "no", "1")


def test_a_label_that_yaml_reads_as_a_boolean_says_quote_it(tmp_path: Path) -> None:
    assert problems(tmp_path, changed("[toxic, threat]", "[toxic, true]")) == (
        "line 7: task.labels.1: YAML reads this as True, and it must be text: quote it",
    )


# ---------------------------------------------------------------------------------------------------- whole recipes


def test_from_is_the_stage_before_unless_named(tmp_path: Path) -> None:
    stages = {stage.id: stage for stage in load(tmp_path).all_stages}
    follows = {name: stage.from_ for name, stage in stages.items() if isinstance(stage, Follows)}
    assert list(stages) == ["tfidf", "teacher", "student", "onnx", "int8", "fp16"]
    assert follows == {"onnx": "student", "int8": "onnx", "fp16": "onnx"}
    assert [stage_inputs(stages[name]) for name in ("teacher", "student", "fp16")] == [(), ("teacher",), ("onnx",)]


def test_variables_keep_their_type_and_may_use_those_above(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert (recipe.data.dir, recipe.evaluate.rounds) == ("data/comments", 5)


def test_a_single_value_stands_for_a_list_of_one(tmp_path: Path) -> None:
    recipe = load(tmp_path, changed('{dir: "${comments}"}', "{train: a.csv, test: {builtin: comments, split: test}}"))
    assert recipe.task.text == ("comment_text",)
    assert recipe.data.train == ("a.csv",)
    assert list(recipe.data.test or {}) == ["test"]


def test_a_recipe_survives_its_own_json(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert Recipe.model_validate(recipe.model_dump(mode="json", by_alias=True)) == recipe


# ---------------------------------------------------------------------------------------------------- --set


def test_set_addresses_list_items_by_id(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        RECIPE,
        "stages.teacher.epochs=1",
        "stages.student.student.layers=3",
        "stages.teacher.learning_rate=1e-5",
    )
    teacher, student = (stage.model_dump() for stage in recipe.stages[:2])
    assert (teacher["epochs"], teacher["learning_rate"], student["student"]["layers"]) == (1.0, 1e-5, 3)


def test_set_reaches_variables_lists_and_sections_that_are_not_there(tmp_path: Path) -> None:
    without = RECIPE[: RECIPE.index("evaluate:")]
    recipe = load(tmp_path, without, "vars.root=/other", "baselines=[]", "evaluate.batch_sizes=[2, 4]")
    assert recipe.data.dir == "/other/comments"
    assert (recipe.baselines, recipe.evaluate.batch_sizes) == ((), (2, 4))


def test_set_into_a_section_without_a_value_is_not_lost(tmp_path: Path) -> None:
    text = RECIPE.replace('vars: {root: data, comments: "${root}/comments", rounds: 5}', "vars:")
    recipe = load(tmp_path, text, "vars.comments=here", "vars.rounds=7")
    assert (recipe.data.dir, recipe.evaluate.rounds) == ("here", 7)


@given(
    st.text("abcdefghij _-./", min_size=1).map(str.strip).filter(lambda text: text.strip("_-./ ")), st.floats(0.1, 1e6)
)
@QUICK
def test_set_takes_any_value_as_yaml_reads_it(tmp_path: Path, text: str, number: float) -> None:
    recipe = load(
        tmp_path, RECIPE, f'data.dir="{text}"', f"evaluate.max_seconds={number!r}", "stages.teacher.encoder=a=b"
    )
    assert (recipe.data.dir, recipe.evaluate.max_seconds) == (text, number)
    assert recipe.stages[0].model_dump()["encoder"] == "a=b"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "--set seed: must read KEY=VALUE, e.g. --set stages.teacher.epochs=1"),
        ("=3", "--set =3: must read KEY=VALUE"),
        ("seed=[", "--set seed: '[' is not a YAML value; quote it"),
        ("seed=!!int x", "--set seed: '!!int x' is not a YAML value; quote it"),
        (
            "stages.techer.epochs=1",
            "--set stages.techer: no item has the id techer; did you mean teacher?; ids: teacher, ",
        ),
        ("stages.teacher=1", "name a key of its item, e.g. stages.teacher.KEY=VALUE"),
        ("evaluate.threads.0=1", "evaluate.threads is a list; set it whole: evaluate.threads=[...]"),
        ("name.x=1", "--set name.x: name holds a single value, nothing below it can be set"),
        ("evaluate.round=5", "evaluate.round: unknown key; did you mean rounds?"),
        ("extends=other.yaml", "extends: unknown key"),
        ("stages=&a [*a]", "--set stages: '&a [*a]' is not a YAML value"),
        ("data={dir: a, dir: b}", "--set data: '{dir: a, dir: b}' is not a YAML value"),
        ("stages.teacher.epochs=many", "stages.teacher.epochs: input should be a valid number"),
    ],
)
def test_a_wrong_override_is_told_and_changes_nothing(tmp_path: Path, override: str, said: str) -> None:
    (found,) = problems(tmp_path, RECIPE, override)
    assert said in found


# ---------------------------------------------------------------------------------------------------- mistakes

MISTAKES = """\
version: 1
name: bad
sed: 3
task: {type: multi_label, text: comment_text, labels: [toxic, toxic]}
data:
  train: {hub: x, spilt: train}
  test: [a.csv, {builtin: comments, split: tset}]
stages:
  - {id: teacher, type: finetun, encoder: x}
  - {id: student, type: distill, teacher: techer, student: {layer: 2, width: 10, heads: 4}, hardness: 3}
  - {id: again, type: quantize, scheme: int9}
  - {id: again, type: export, from: last}
  - {id: half, type: quantize, scheme: fp16, from: student}
  - {id: last, type: prune, from: last, final_sparsity: 1.5, "no": "${nothing}"}
evaluate: {rounds: 2}
"""
FOUND = (
    "line 3: sed: unknown key; did you mean seed?",
    "line 4: task: labels: a name occurs twice",
    "line 6: data.train.spilt: unknown key; did you mean split?; known here: hub, split, config, revision",
    "line 6: data.train.split: is missing",
    "line 7: data.test.1.split: 'tset' is not one of train, validation, unlabeled, test; did you mean test?",
    "line 9: stages.teacher.type: 'finetun' is no type of stage; did you mean finetune?",
    "line 10: stages.student.teacher: there is no stage techer; did you mean teacher?",
    "line 10: stages.student.student.layer: unknown key; did you mean layers?",
    "line 10: stages.student.student.layers: is missing",
    "line 10: stages.student.student: width 10 is not a multiple of heads 4",
    "line 10: stages.student.hardness: input should be less than or equal to 1 (found 3)",
    "line 11: stages.again.scheme: 'int9' is not one of fp16, bf16, int8_dynamic, int8_static, ",
    "line 11: stages.again.from: quantize needs an fp32 ONNX model",
    "line 12: stages.again.id: again is taken by another stage or baseline; ids are unique",
    "line 12: stages.again.from: last comes later; a stage reads only those before it, so move it up",
    "line 13: stages.half.from: quantize needs an fp32 ONNX model",
    "line 14: stages.last.no: unknown key",
    "line 14: stages.last.no: ${nothing} is not among vars (none); add it, or --set vars.nothing=...",
    "line 14: stages.last.from: last is this stage itself",
    "line 14: stages.last.final_sparsity: input should be less than 1 (found 1.5)",
    "line 15: evaluate.rounds: input should be greater than or equal to 5 (found 2)",
)


def test_every_mistake_is_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    found = problems(tmp_path, MISTAKES)
    missing = [start for start in FOUND if not any(problem.startswith(start) for problem in found)]
    assert not missing, found
    assert len(found) == len(FOUND), found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fp16, from: onnx", "fp16, from: int8", "quantize needs an fp32 ONNX model (export); int8 is"),
        ("fp16, from: onnx", "fp16, from: student", "quantize needs an fp32 ONNX model (export); student is a trans"),
        ("type: export}", "type: export, from: tfidf}", "or a linear model or an embedding_bag; tfidf is"),
        ("width: 16", "width: 15", "stages.student.student: width 15 is not a multiple of heads 2"),
        ("id: teacher", "id: tfidf", "tfidf is taken by another stage or baseline"),
        ("id: teacher", "id: ../teacher", "stages.../teacher.id: may hold letters, digits and _ - only"),
        ("id: teacher", "id: teacher.v2", "may hold letters, digits and _ - only, begins with a letter or digit"),
        ("id: onnx", "id: Student", "stages.Student.id: Student and student differ only in case"),
        ("id: onnx", "id: TFIDF", "TFIDF and tfidf differ only in case"),
        ("name: small", "name: a b", "name: may hold letters, digits and _ . - only, begins with a letter or digit"),
        ("[tfidf]", "[tfidf, tfidf]", "baselines: tfidf stands twice; keep one of them"),
        ("[1, all]", "[1, all, 1]", "evaluate.threads: 1 stands twice; keep one of them"),
        ("threads: [1, all]", "batch_sizes: [8, 8]", "evaluate.batch_sizes: 8 stands twice"),
        ("encoder: some/encoder", "encoder: {layers: 1, width: 8, heads: 1}, pooling: mean, sha256: SHA",
         "stages.teacher: sha256 and pooling would have no effect here: only of a pretrained encoder"),
        ("type: export}", "type: prune, hardness: 0.7}",
         "stages.onnx: hardness would have no effect here: only of a teacher; name one, or remove this"),
        ('{dir: "${comments}"}', "{dir: x, builtin: comments}", "dir and builtin: give one of them"),
        ('{dir: "${comments}"}', "{train: a.csv}", "data: give dir, or builtin, or both train and test"),
        ("type: multi_label", "type: single_label", "single_label needs the column that holds the class"),
        ("[tfidf]", "[tfid]", "baselines.0: 'tfid' is not one of tfidf, tfidf_chars; did you mean tfidf?"),
        ("[tfidf]", "tfidf", "line 9: baselines: must be a list"),
        ("${comments}", "${coments}", "did you mean comments?"),
        ("version: 1", "version: 2", "line 1: version: 2 is not one of 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = problems(tmp_path, changed(old, new.replace("SHA", "0" * 64)))
    assert any(said in problem for problem in found), found


def test_the_builtin_comments_are_of_one_task(tmp_path: Path) -> None:
    text = changed("type: multi_label", "type: regression").replace('{dir: "${comments}"}', "{builtin: comments}")
    assert any("the built-in comments are multi_label, the task is regression" in it for it in problems(tmp_path, text))


def test_a_first_stage_has_nothing_to_follow(tmp_path: Path) -> None:
    head = RECIPE[: RECIPE.index("stages:")]
    (found,) = problems(tmp_path, f"{head}stages: [{{id: a, type: export}}]\n")
    assert found.endswith("stages.a.from: export works on another stage's result, and none stands before it")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c", "line 1: not valid YAML"),
        ("version: 1\nname: \x01", "line 2: not valid YAML: a control character"),
        ("? [a]\n: b", "not valid YAML: found unhashable key"),
        ("a: &a [*a]", "an alias (*) that holds itself"),
        ("a: !!int x", "a tag (!!) does not fit its value"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("- a", "the file holds no mapping"),
        ("", "the file holds no mapping"),
        ("version: 1\nversion: 1", "line 2: version: stands twice; keep one of them"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_clear_mistake(tmp_path: Path, text: str, said: str) -> None:
    (found,) = problems(tmp_path, text)
    assert said in found


def test_a_recipe_in_another_encoding_is_told_where(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(RecipeError, match="byte 9: not UTF-8; save the file as UTF-8"):
        load_recipe(file)


def test_a_name_near_a_shipped_recipe_is_offered() -> None:
    with pytest.raises(RecipeError, match=re.escape("did you mean jigsaw-minilm?; shipped recipes: ")):
        load_recipe("jigsaw-minlm")


def test_a_shipped_recipe_goes_by_its_bare_name() -> None:
    assert load_recipe("jigsaw-minilm").name == "jigsaw-minilm"


# ---------------------------------------------------------------------------------------------------- any input at all

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["${x}", "tfidf"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


WHOLE = parse(RECIPE, "test").data


@given(st.sampled_from(list(places(WHOLE))[1:]), JUNK)
@QUICK
def test_any_junk_anywhere_is_a_recipe_or_a_recipe_error(tmp_path: Path, place: tuple[Any, ...], junk: Any) -> None:
    data = copy.deepcopy(WHOLE)
    here = data
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = junk
    with contextlib.suppress(RecipeError):
        load(tmp_path, yaml.safe_dump(data))


@given(st.text(st.characters(codec="utf-8")) | st.text(":-[]{}&*!|>'\"#%@ \n\tab1"))
@QUICK
def test_any_text_is_parsed_or_told(text: str) -> None:
    with contextlib.suppress(RecipeError):
        assert isinstance(parse(text, "text").data, dict)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("thresholds=f2", "must be max_f1, {f_beta: N} or {precision: P}, one of them (found 'f2')"),
        ("thresholds={recall: 0.9}", "must be max_f1, {f_beta: N} or {precision: P}, one of them (found {recall: 0.9}"),
        ("thresholds={f_beta: 2, precision: 0.9}", "one of them (found {f_beta: 2, precision: 0.9})"),
        ("thresholds={f_beta: 0}", "--set thresholds.f_beta: input should be greater than 0"),
        ("evaluate.threads=[0]", "--set evaluate.threads.0: must be a whole number from 1 up, or all (found 0)"),
        ("evaluate.threads=[true]", "must be a whole number from 1 up, or all (found True)"),
        ("evaluate.batch_sizes=[0]", "--set evaluate.batch_sizes.0: input should be greater"),
        ("evaluate.batch_sizes=[]", "--set evaluate.batch_sizes: holds nothing; name at least one"),
        ("stages.student.student={encoder: x, layers: 3}", "must be a shape ({layers: N, width: N, heads: N, ...}), {"),
        ("stages.student.student=x", "--set stages.student.student: must be a shape"),
        ("task.values=3", "must be from_0, from_1 or a mapping"),
        ("data={train: {path: x}, test: a.csv}", "--set data.train: must be a file's name, {hub: ID, split: NAME} or"),
        ("data={train: {hub: x, builtin: comments}, test: a}", "one of them (found {hub: x, builtin: comments})"),
        ("goals=[macro_f2 >= 0.5]", "goals.0: macro_f2 is no metric of a multi_label task; did you mean macro_f1?"),
        ("goals=[f1 >= 0.5]", "f1 is no metric of a multi_label task; did you mean macro_f1?"),
        ("goals=[latency <= 5]", "latency is no metric of a multi_label task; metrics: macro_f1, micro_f1, "),
        ("goals=[p95_ms[cpu] <= 5]", 'inside [...] a goal with brackets stands in quotes: ["p95_ms[cpu] <= 15"]'),
    ],
)
def test_a_mistake_is_told_once_and_in_the_projects_words(tmp_path: Path, override: str, said: str) -> None:
    (found,) = problems(tmp_path, RECIPE, override)
    assert said in found
    assert found.startswith("--set ")
    assert found.count("macro_f1") <= 1


def test_what_set_filled_is_no_fault_of_the_file(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, RECIPE, "task.labels=[a, a]")
    assert found == "line 4 with --set task.labels: task: labels: a name occurs twice"
    found, other = problems(tmp_path, changed("epochs: 2", "epochs: -2"), "stages.student.hardness=3")
    assert found.startswith("--set stages.student.hardness: input should be less than or equal to 1 (found 3)")
    assert other.startswith("line 11: stages.teacher.epochs: ")


def test_a_regression_is_offered_its_own_metrics(tmp_path: Path) -> None:
    text = changed("type: multi_label", "type: regression").replace("[toxic, threat]", "[stars]")
    (found,) = problems(tmp_path, text, "goals=[macro_r >= 0.5]")
    assert found == "--set goals.0: macro_r is no metric of a regression task; did you mean macro_r2?"
    (found,) = problems(tmp_path, text, "goals=[mystery >= 0.5]")
    assert found.endswith("metrics: macro_r2, macro_spearman, macro_rmse, macro_mae, size_mb, size_gzip_mb, "
                          "parameters, p50_ms, p95_ms, speedup")  # fmt: skip


def test_a_bare_goal_with_brackets_in_a_list_says_quote_it(tmp_path: Path) -> None:
    text = f"{RECIPE}goals: [macro_f1 >= 0.5,\n  p95_ms[cpu, batch 1] <= 15]\n"
    (found,) = problems(tmp_path, text)
    assert found.startswith("line 21: not valid YAML: expected ',' or ']'")
    assert found.endswith('; inside [...] a goal with brackets stands in quotes: ["p95_ms[cpu] <= 15"]')
    (found,) = problems(tmp_path, f"{RECIPE}goals: [macro_f1: 1: 2]\n")
    assert "in quotes" not in found


def test_the_generators_test_sets_are_known(tmp_path: Path) -> None:
    text = changed('{dir: "${comments}"}', "{builtin: comments}")
    (found,) = problems(tmp_path, f"{text}goals: [macro_f1 >= 0.5 on news]\n")
    assert found == "line 20: goals.0: there is no test set news; test sets: test"
    assert load(tmp_path, f"{text}goals: [macro_f1 >= 0.5 on test]\n").goals


def test_where_a_recipe_stands_is_no_part_of_it(tmp_path: Path) -> None:
    recipe = load(tmp_path, f"{RECIPE}goals: [macro_f1 >= 0.50]\n")
    assert recipe.written.file == str(tmp_path / "recipe.yaml")
    assert recipe.written.goals == {"macro_f1 >= 0.5": "line 20: goals.0"}
    assert Recipe.model_validate(recipe.model_dump(mode="json", by_alias=True)) == recipe


def test_a_mistake_hides_no_other_in_the_same_stage(tmp_path: Path) -> None:
    """The unknown key, the heads that do not divide the width, and what cannot follow what: all in one pass."""
    text = """version: 1
name: several
task: {type: multi_label, text: text, labels: [a]}
data: {builtin: comments}
stages:
  - {id: teacher, type: finetune, encoder: {layers: 1, width: 130, heads: 4}, epoch: 1}
  - {id: small, type: quantize, from: teacher, scheme: int4}
"""
    file = tmp_path / "several.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_recipe(file)
    told = "\n".join(raised.value.problems)
    assert len(raised.value.problems) == 4
    assert "epoch: unknown key; did you mean epochs?" in told
    assert "width 130 is not a multiple of heads 4" in told
    assert "'int4' is not one of" in told
    assert "quantize needs an fp32 ONNX model" in told


AVERAGED = """version: 1
name: averaged
vars:
  half: 0.5
  teachers: {teacher: "${half}", tfidf: 0.5}
  tiny: {layers: 1, width: 16, heads: 2}
task: {type: multi_label, text: text, labels: [a]}
data: {builtin: comments}
baselines: [tfidf]
stages:
  - {id: teacher, type: finetune, encoder: "${tiny}"}
  - {id: one, type: distill, teacher: "${teachers}", student: "${tiny}"}
  - {id: two, type: distill, teacher: "${teachers}", student: "${tiny}"}
  - {id: three, type: prune, teacher: "${teachers}"}
"""
USED = "used in stages.one.teacher, stages.two.teacher, stages.three.teacher"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tfidf: 0.5", "tfidf: -1", f"line 5: vars.teachers.tfidf: input should be greater than 0 (found -1) ({USED})"),
        ("half: 0.5", "half: 0", f"line 4: vars.half: input should be greater than 0 (found 0) ({USED})"),
        ("{teacher: ", "{teachr: ", "line 5: vars.teachers: there is no stage teachr; did you mean teacher?; before it "
         f"stand: tfidf, teacher ({USED})"),
        ("width: 16", "width: 15", "line 6: vars.tiny: width 15 is not a multiple of heads 2 (used in "
         "stages.teacher.encoder, stages.one.student, stages.two.student)"),
        ("width: 16", "widht: 16, width: 16", "line 6: vars.tiny.widht: unknown key; did you mean width?"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_variable_is_told_once_and_where_it_stands(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    load(tmp_path, AVERAGED)
    assert AVERAGED.count(old) == 1
    (found,) = problems(tmp_path, AVERAGED.replace(old, new))
    assert found.startswith(said)


def test_a_variable_that_set_filled_and_what_each_stage_makes_of_one(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, AVERAGED, "vars.teachers.tfidf=0")
    assert found == f"--set vars.teachers.tfidf: input should be greater than 0 (found 0) ({USED})"
    found, other = problems(tmp_path, AVERAGED, "vars.teachers={two: 1}")
    assert found.endswith(
        "two comes later; a stage reads only those before it, so move it up (used in stages.one.teacher)"
    )
    assert other.endswith("two is this stage itself (used in stages.two.teacher)")
    text = AVERAGED.replace('three, type: prune, teacher: "${teachers}"', "three, type: prune, teacher: {teacher: 0}")
    (found,) = problems(tmp_path, text)
    assert found == "line 14: stages.three.teacher.teacher: input should be greater than 0 (found 0)"
