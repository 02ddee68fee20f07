"""Goals as text: the grammar both ways, what is refused and how, and what a recipe can and cannot decide."""

import ast
import dataclasses
import math
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import RecipeError
from compress.recipe.load import load_recipe
from compress.recipe.recipe import Recipe
from eval.errors import GoalError
from eval.goals.goal import METRICS, EachLabel, Goal, Metric, OneLabel, TimedAt, is_share
from eval.goals.text import parse_goal
from eval.intervals.differences import Differences
from eval.measurement import SetQuality
from eval.values import RegressionQuality

# ---------------------------------------------------------------------------------------------------- the grammar

EXAMPLES = (
    "macro_f1 >= teacher - 0.01",
    "label_f1[*] >= teacher - 0.03",
    "label_f1[severe toxic] >= tfidf_chars + 0.02 on news of today",
    "macro_roc_auc >= 0.98",
    "p95_ms[cpu, batch 1, threads 1] <= 15",
    "p50_ms[threads all] <= 2.5",
    "size_gzip_mb <= 10",
    "parameters <= 1000000",
    "speedup[cpu, batch 1] >= 20",
    "macro_rmse <= 0.5",
    "macro_r2 >= -0.1",
    "macro_f1 >= 0",
    "micro_recall >= 1",
    "macro_mae <= 0",
    "micro_f1 >= student-int8",
    'label_f1["*"] >= 0.5',
    'label_f1["a]b""c"] >= 0.5',
)


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_goal_is_its_text(text: str) -> None:
    assert str(parse_goal(text)) == text


def test_what_a_text_says() -> None:
    assert parse_goal("macro_f1>=teacher -.01") == Goal(METRICS["macro_f1"], None, ">=", -0.01, "teacher")
    assert parse_goal(" p95_ms [ threads all , cpu ]\n<= 1.5e1 ") == Goal(
        METRICS["p95_ms"], TimedAt("cpu", None, "all"), "<=", 15.0
    )
    assert parse_goal("label_f1[*] >= 2nd-teacher on a b") == Goal(
        METRICS["label_f1"], EachLabel(), ">=", 0.0, "2nd-teacher", "a b"
    )
    assert parse_goal("label_f1[ a b ] >= 1").at == OneLabel("a b")
    assert parse_goal("macro_f1 >= on + 1 on on") == Goal(METRICS["macro_f1"], None, ">=", 1.0, "on", "on")


_names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,9}", fullmatch=True)
_free = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_shares = st.floats(-1, 1).map(lambda number: number or 0.0)
_amounts = st.floats(0, exclude_min=True, allow_infinity=False)
_timed = st.builds(
    TimedAt,
    st.sampled_from([None, "cpu", "cuda"]),
    st.none() | st.integers(1, 10**6),
    st.none() | st.just("all") | st.integers(1, 999),
).filter(lambda at: str(at) != "")


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    metric = draw(st.sampled_from(list(METRICS.values())))
    at = None
    if metric.kind == "label":
        at = draw(st.just(EachLabel()) | st.builds(OneLabel, _free))
    elif metric.kind == "time":
        at = draw(st.none() | _timed)
    reference = draw(st.none() | _names) if metric.paired else None
    named = st.none() | _free.map(str.strip).filter(lambda name: name != "")
    test_set = draw(named) if metric.kind not in {"size", "time"} else None
    bound = draw(_shares) if is_share(metric.name) else draw(_amounts)
    if metric.kind in {"average", "label"} and reference is None:
        bound = abs(bound)
    return Goal(metric, at, metric.relation, bound, reference, test_set)


@given(goals())
def test_every_goal_comes_back_from_its_text(goal: Goal) -> None:
    assert parse_goal(str(goal)) == goal


@given(st.text(max_size=40) | st.lists(st.sampled_from([*'[]<>=-+*," .01', "macro_f1", "p95_ms", "on "])).map("".join))
def test_any_text_is_a_goal_or_is_told_where_it_is_none(text: str) -> None:
    try:
        goal = parse_goal(text)
    except GoalError as error:
        said = str(error)
    else:
        assert parse_goal(str(goal)) == goal
        return
    assert said.startswith("at ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at its end: a goal begins with a metric"),
        ("macrof1 >= 0.5", "at 'macrof1 >= 0.5', character 1: macrof1 is no metric; did you mean macro_f1?; metrics:"),
        ("macro_f1", "at its end: after macro_f1 comes >= and a bound"),
        ("macro_f1 >=", "at its end: after >= comes a number or a model, e.g. teacher - 0.01"),
        ("size_mb <=", "at its end: after <= comes a number"),
        ("macro_f1 > 0.5", "at '> 0.5', character 10: > is no comparison of a goal; write >="),
        ("macro_f1 <= 0.5", "character 10: macro_f1 is better the higher it is; write >="),
        ("p95_ms >= 5", "character 8: p95_ms is better the lower it is; write <="),
        ("macro_f1 >= teacher-0.01", "leave a blank on both sides of the sign: teacher - 0.01"),
        ("macro_f1 >= teacher- 0.01", "at '0.01', character 22: this is left over"),
        ("macro_f1 >= teacher - x", "at 'x', character 23: after the sign comes a number"),
        ("macro_f1 >= teacher − 0.01", "at '− 0.01', character 21: − (U+2212) is no minus of a goal; write -"),
        ("macro_f1 >= teacher–0.01", "at '–0.01', character 20: – (U+2013) is no minus of a goal; write -"),
        ("macro_r2 >= −0.1", "at '−0.1', character 13: − (U+2212) is no minus of a goal; write -"),
        ("macro_f1 ≥ 0.5", "at '≥ 0.5', character 10: ≥ is no comparison of a goal; write >="),
        ("size_mb ≤ 5", "at '≤ 5', character 9: ≤ is no comparison of a goal; write <="),
        ("macro_f1 >= 98", "at '98', character 13: macro_f1 is a share from 0 to 1; 98 % is 0.98"),
        ("accuracy >= 1.5 on news", "at '1.5 on news', character 13: accuracy is a share from 0 to 1; 1.5 % is 0.015"),
        ("label_recall[*] >= -0.1", "character 20: label_recall is a share from 0 to 1"),
        (
            "label_f1[threat] >= teacher - 3",
            "at '3', character 31: label_f1 is a share from 0 to 1, and so are differences of it; 3 % is 0.03",
        ),
        ("macro_r2 >= 1.1", "macro_r2 is 1 at most"),
        ("size_mb <= -1", "at '-1', character 12: size_mb is always above 0"),
        ("speedup[cpu] >= 0", "speedup is always above 0"),
        ("macro_rmse <= -0.5", "macro_rmse is never below 0"),
        ("macro_f1 >= 90%", "90% is neither a number nor a model's id"),
        ("macro_f1 >= 1e999", "1e999 is too large a number"),
        ("macro_f1 >= 0.5 of it", "at 'of it', character 17: this is left over; after the bound only `on TESTSET`"),
        ("macro_f1 >= 0.5 on ", "after `on` comes the name of a test set"),
        ("macro_f1[threat] >= 0.5", "at '[threat] >= 0.5', character 9: macro_f1 takes no brackets; label_f1 and"),
        ("label_f1 >= 0.5", "write label_f1[LABEL], or label_f1[*] for each label apart"),
        ("label_f1[] >= 0.5", "the brackets hold a label, or * for each label apart"),
        ("label_f1[threat >= 0.5", "at its end: a closing bracket ] is missing here"),
        ("p95_ms[gpu] <= 5", "at 'gpu] <= 5', character 8: a setting reads cpu or cuda, batch 1, threads 1 or threads"),
        ("p95_ms[thread 1] <= 5", "did you mean threads?"),
        ("p95_ms[batch 0] <= 5", "at '0] <= 5', character 14: after batch comes a whole number from 1 up"),
        ("p95_ms[batch all] <= 5", "after batch comes a whole number from 1 up, as in batch 1"),
        ("p95_ms[cpu, batch 1, batch 2] <= 5", "batch stands twice; keep one of them"),
        ("p95_ms[cpu batch 1] <= 5", "at 'batch 1] <= 5', character 12: a closing bracket ] is missing here"),
        ("p95_ms <= 15ms", "15ms is no number"),
        ("p95_ms <= teacher", "p95_ms is compared with a number; against the teacher there is speedup"),
        ("size_mb <= teacher - 5", "size_mb is compared with a number, not with teacher"),
        ("size_mb <= 5 on news", "size_mb is of no test set: leave `on news` out"),
        ("macro_recall >= teacher - 0.01", "of macro_recall no paired difference between two models is measured"),
    ],
)
def test_what_is_no_goal_says_where_and_what_to_do(text: str, said: str) -> None:
    with pytest.raises(GoalError) as caught:
        parse_goal(text)
    assert said in str(caught.value)


def test_the_documentation_shows_goals() -> None:
    text = (Path(__file__).parent.parent / "recipes" / "README.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(text.partition("## Goals")[2].partition("```yaml")[2].partition("```")[0])
    assert len([parse_goal(goal) for goals in shown["goals"].values() for goal in goals]) == 7
    table = text.partition("## Goals")[2]
    assert [
        name for name, metric in METRICS.items() if metric.kind in {"size", "time", "values"} and name not in table
    ] == []


def test_the_grammar_needs_the_standard_library_alone() -> None:
    folder = Path(sys.modules["eval"].__file__ or "").parent
    for name in ("goals/goal", "goals/text", "errors"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        ours = {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
        assert ours <= {"eval.errors", "eval.goals.goal"}


def test_every_metric_is_one_that_is_measured() -> None:
    def fields(kind: type) -> set[str]:
        return {field.name for field in dataclasses.fields(kind)}

    def of(kind: str) -> list[Metric]:
        return [metric for metric in METRICS.values() if metric.kind == kind]

    assert {metric.field for metric in of("average")} < fields(SetQuality)
    assert {metric.field for metric in of("values")} < fields(RegressionQuality)
    paired = {metric.field if metric.kind == "average" else metric.name for metric in METRICS.values() if metric.paired}
    # equal_decisions is told of a stage and its parent, and no goal asks for it
    assert paired == fields(Differences) - {"equal_decisions"}
    assert all(metric.name == name for name, metric in METRICS.items())


# ---------------------------------------------------------------------------------------------------- in a recipe

RECIPE = """\
version: 1
name: small
task: {type: multi_label, text: comment_text, labels: [toxic, severe toxic, threat]}
data: {train: a.csv, test: {news: b.csv, chat: c.csv}}
baselines: [tfidf]
stages:
  - {id: big, type: finetune, encoder: some/encoder}
  - {id: small, type: distill, teacher: big, student: {layers: 1, width: 16, heads: 2}}
  - {id: onnx, type: export}
evaluate: {batch_sizes: [1, 32], threads: [1, all], devices: cpu}
goals:
"""


def load(folder: Path, goals: str, *overrides: str, recipe: str = RECIPE) -> Recipe:
    (folder / "recipe.yaml").write_text(recipe + goals, encoding="utf-8")
    return load_recipe(folder / "recipe.yaml", overrides)


def problems(folder: Path, goals: str, *overrides: str, recipe: str = RECIPE) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        load(folder, goals, *overrides, recipe=recipe)
    return caught.value.problems


def texts(recipe: Recipe) -> dict[str, list[str]]:
    return {name: [str(goal) for goal in goals] for name, goals in recipe.goals_by_candidate.items()}


def test_a_list_is_of_the_last_stage_and_a_mapping_of_those_it_names(tmp_path: Path) -> None:
    assert texts(load(tmp_path, "  - macro_f1 >= teacher - .010\n  - size_mb <= 3\n")) == {
        "onnx": ["macro_f1 >= teacher - 0.01", "size_mb <= 3"]
    }
    assert texts(load(tmp_path, "  small: [micro_f1 >= big]\n  tfidf: size_mb <= 3\n")) == {
        "small": ["micro_f1 >= big"],
        "tfidf": ["size_mb <= 3"],
    }
    assert texts(load(tmp_path, "  []\n")) == {"onnx": []}


def test_goals_are_set_from_the_command_line_quoted_where_they_hold_brackets(tmp_path: Path) -> None:
    assert texts(load(tmp_path, "  []\n", 'goals=["p95_ms[cpu, batch 1] <= 15", macro_f1 >= tfidf + 0.02]')) == {
        "onnx": ["p95_ms[cpu, batch 1] <= 15", "macro_f1 >= tfidf + 0.02"]
    }
    assert texts(load(tmp_path, "  [size_mb <= 3]\n", 'goals={small: "label_f1[*] >= 0.5"}')) == {
        "small": ["label_f1[*] >= 0.5"]
    }
    assert texts(load(tmp_path, "  big: [size_mb <= 3]\n", "goals.big=[size_mb <= 4]")) == {"big": ["size_mb <= 4"]}
    (found,) = problems(tmp_path, "  []\n", "goals=[p95_ms[cpu] <= 15]")
    assert found.startswith("--set goals: '[p95_ms[cpu] <= 15]' is not a YAML value; quote it")


def test_variables_reach_into_goals(tmp_path: Path) -> None:
    recipe = RECIPE.replace("version: 1", "version: 1\nvars: {least: 0.9}")
    assert texts(load(tmp_path, '  - "macro_f1 >= ${least}"\n', recipe=recipe)) == {"onnx": ["macro_f1 >= 0.9"]}


def test_a_recipe_with_goals_survives_its_own_json(tmp_path: Path) -> None:
    for goals in ("  - size_mb <= 3\n", "  small: [micro_f1 >= big]\n"):
        recipe = load(tmp_path, goals)
        assert Recipe.model_validate(recipe.model_dump(mode="json", by_alias=True)) == recipe


MISTAKES = """\
  smal: [size_mb <= 3]
  small:
    - size_mb < 3
    - macro_f1 >= student - 0.01
    - macro_f1 >= small
    - label_f1[sever toxic] >= 0.5
    - macro_r2 >= 0.5
    - p95_ms[batch 8, threads 2] <= 5
    - p95_ms[cuda] <= 5
    - macro_f1 >= 0.5 on nws
    - {size_mb: 3}
    - 0.5
  big: [macro_f1 >= teacher - 0.01, micro_f1 >= 0.50, micro_f1 >= .5]
"""
FOUND = (
    "line 12: goals.smal: there is no stage smal; did you mean small?; stages: tfidf, big, small, onnx",
    "line 14: goals.small.0: at '< 3', character 9: < is no comparison of a goal; write <= (found 'size_mb < 3')",
    "line 15: goals.small.1: there is no stage student; stages: tfidf, big, small, onnx",
    "line 16: goals.small.2: small is small itself; name another stage or baseline",
    "line 17: goals.small.3: there is no label sever toxic; did you mean severe toxic?; labels: toxic, severe toxic",
    "line 18: goals.small.4: macro_r2 is not measured of a multi_label task; measured are macro_f1, micro_f1, ",
    "line 19: goals.small.5: batch 8 is not measured: evaluate.batch_sizes has 1, 32; add it there",
    "line 19: goals.small.5: threads 2 is not measured: evaluate.threads has 1, all; add it there",
    "line 20: goals.small.6: nothing is measured on cuda, because evaluate.devices is cpu; set it to auto",
    "line 21: goals.small.7: there is no test set nws; did you mean news?; test sets: news, chat",
    "line 22: goals.small.8: a goal is a line of text, e.g. macro_f1 >= teacher - 0.01; quote it",
    "line 23: goals.small.9: a goal is a line of text",
    "line 24: goals.big.0: teacher is big itself; name another stage or baseline",
    "line 24: goals.big: micro_f1 >= 0.5 stands twice; keep one of them",
)


def test_every_mistake_in_goals_is_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    told = problems(tmp_path, MISTAKES)
    missing = [start for start in FOUND if not any(problem.startswith(start) for problem in told)]
    assert not missing, told
    assert len(told) == len(FOUND)


def test_mistakes_elsewhere_hide_none_in_goals_and_make_none_up(tmp_path: Path) -> None:
    goals = "  - macro_f1 >= teacher - 0.01\n  - label_f1[tretat] >= 0.5\n  - speedup[batch 8] >= 2\n"
    recipe = RECIPE.replace("distill, teacher: big", "distill, teacher: big, epochs: many")
    recipe = recipe.replace("devices: cpu", "devices: none")
    told = problems(tmp_path, goals, recipe=recipe)
    assert [problem.split(": ")[1] for problem in told] == ["stages.small.epochs", "evaluate.devices", "goals.1"]


def test_without_a_teacher_nothing_is_held_against_one(tmp_path: Path) -> None:
    recipe = RECIPE.replace(
        "  - {id: small, type: distill, teacher: big, student: {layers: 1, width: 16, heads: 2}}\n", ""
    )
    told = problems(tmp_path, "  - macro_f1 >= teacher\n  - speedup >= 2\n  - macro_f1 >= big\n", recipe=recipe)
    assert [problem.partition(": goals.")[2] for problem in told] == [
        "0: there is no teacher: call a stage teacher, or name another one (tfidf, big)",
        "1: a speedup is relative to a teacher, and there is none: call a stage teacher",
    ]


@pytest.mark.parametrize(
    ("task", "goal", "said"),
    [
        ("single_label, label_column: c", "accuracy >= 0.9", None),
        ("single_label, label_column: c", "label_f1[threat] >= 0.9", None),
        ("multi_label", "accuracy >= 0.9", "accuracy is not measured of a multi_label task"),
        ("regression", "macro_rmse <= 0.9", None),
        ("regression", "label_f1[*] >= 0.9", "label_f1 is not measured of a regression task; measured are macro_r2, "),
    ],
)
def test_metrics_are_of_a_task(tmp_path: Path, task: str, goal: str, said: str | None) -> None:
    recipe = RECIPE.replace("type: multi_label", f"type: {task}")
    if said is None:
        assert texts(load(tmp_path, f"  - {goal}\n", recipe=recipe)) == {"onnx": [goal]}
    else:
        assert [said in problem for problem in problems(tmp_path, f"  - {goal}\n", recipe=recipe)] == [True]


def test_numbers_are_written_so_that_they_are_read_as_themselves() -> None:
    for number in (1e22, 5e-324, 0.1 + 0.2, 123456789012345680.0):
        assert parse_goal(str(Goal(METRICS["size_mb"], None, "<=", number))).bound == number
    assert parse_goal(str(Goal(METRICS["macro_r2"], None, ">=", -math.pi))).bound == -math.pi
