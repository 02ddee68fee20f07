"""Whether a recipe's goals can be judged: their stages, labels, settings and models are there and measured."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from compress.errors import did_you_mean
from compress.recipe.data import Data, Task
from compress.recipe.model import Section
from compress.recipe.recipe import Evaluate, teacher_of
from compress.recipe.stages import Stage
from eval.errors import GoalError, UnknownMetricError
from eval.goals.goal import METRICS, TEACHER, Goal, Metric, OneLabel, TimedAt
from eval.goals.text import parse_goal

Place = tuple[str | int, ...]
Report = Callable[[Place, str], None]
_Part = TypeVar("_Part", bound=Section)


@dataclass(frozen=True)
class _Known:
    """What goals can be about; None: not known, because a mistake stands there, so nothing is said of it.

    candidates: ids, the baselines first. teacher: as `teacher_of`; sure_of_teacher: no stage has a mistake.
    """

    candidates: tuple[str, ...]
    teacher: str | None
    sure_of_teacher: bool
    task: Task | None
    data: Data | None
    evaluate: Evaluate | None


def check_goals(data: Mapping[str, Any], parsed: Sequence[Stage | None], report: Report) -> None:
    """Reports (place, text) for each goal that nothing could decide. data: the recipe as plain values.

    parsed: its stages, None where one has a mistake. A goal that is no goal at all is told where it is parsed.
    """
    known = _known(data, parsed)
    written = data.get("goals")
    last = known.candidates[-1] if known.candidates else ""
    for candidate, goals in written.items() if isinstance(written, dict) else [(last, written)]:
        place = ("goals", str(candidate)) if isinstance(written, dict) else ("goals",)
        # a key that YAML reads as a number is told where the recipe is validated
        if isinstance(written, dict) and isinstance(candidate, str) and candidate not in known.candidates:
            hint = did_you_mean(candidate, known.candidates)
            report(place, f"there is no stage {candidate}{hint}; stages: {', '.join(known.candidates) or 'none'}")
        for here, text in _texts(goals, place):
            try:
                found = _problems(parse_goal(text), str(candidate), known)
            except UnknownMetricError as error:
                report(here, _no_metric(error.word, known.task))
            except GoalError:
                continue  # told where the recipe is validated
            else:
                for problem in found:
                    report(here, problem)


def goal_places(written: Any) -> Iterator[tuple[Place, Goal]]:
    """Each goal of the `goals` section with its place. written: the section as plain values, without mistakes."""
    for candidate, goals in written.items() if isinstance(written, dict) else [(None, written)]:
        place = ("goals",) if candidate is None else ("goals", str(candidate))
        yield from ((here, parse_goal(text)) for here, text in _texts(goals, place))


def check_test_sets(goals: Iterable[Goal], test_sets: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """What is wrong with the test sets that goals name, once the data say which there are. places: by goal's text."""
    unknown = {str(goal): goal.test_set for goal in goals if goal.test_set not in (None, *test_sets)}
    return [
        f"{places.get(text, 'goals')}: {text}: {_no_test_set(str(name), test_sets)}" for text, name in unknown.items()
    ]


def _known(data: Mapping[str, Any], parsed: Sequence[Stage | None]) -> _Known:
    baselines, stages = data.get("baselines"), data.get("stages")
    ids = [str(name) for name in baselines] if isinstance(baselines, list) else []
    ids += [str(item.get("id")) for item in stages if isinstance(item, dict)] if isinstance(stages, list) else []
    return _Known(
        candidates=tuple(ids),
        teacher=teacher_of(stage for stage in parsed if stage is not None),
        sure_of_teacher=None not in parsed,
        task=_section(Task, data.get("task")),
        data=_section(Data, data.get("data")),
        evaluate=_section(Evaluate, data.get("evaluate", {})),
    )


def _section(kind: type[_Part], written: Any) -> _Part | None:
    with suppress(ValidationError):  # told where the whole recipe is validated
        return kind.model_validate(written)
    return None


def _texts(goals: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """What is text of a list, or of what stands for a list of one, each with its place."""
    listed = goals if isinstance(goals, list) else [goals]
    for index, text in enumerate(listed):
        if isinstance(text, str):
            yield (*place, index) if isinstance(goals, list) else place, text


def _no_metric(word: str, task: Task | None) -> str:
    """Of this task's metrics the one with the word in it, else the nearest; averages come first in both."""
    fitting = [name for name, metric in METRICS.items() if task is None or _fits(metric, task)]
    averages = [name for name in fitting if METRICS[name].kind in {"average", "values"}]
    part = next((f"; did you mean {name}?" for name in fitting if f"_{word}_" in f"_{name}_"), "")
    hint = part or did_you_mean(word, averages) or did_you_mean(word, fitting)
    of = f" of a {task.type} task" if task is not None else ""
    return f"{word} is no metric{of}{hint or '; metrics: ' + ', '.join(fitting)}"


def _problems(goal: Goal, candidate: str, known: _Known) -> Iterator[str]:
    if known.task is not None:
        yield from _task_problems(goal, known.task)
    if isinstance(goal.at, TimedAt) and known.evaluate is not None:
        yield from _setting_problems(goal.at, known.evaluate)
    if goal.reference is not None:
        yield from _reference_problems(goal.reference, candidate, known)
    if goal.metric.name == "speedup" and known.teacher is None and known.sure_of_teacher:
        yield "a speedup is relative to a teacher, and there is none: call a stage teacher"
    test_sets = _test_sets(known.data)
    if goal.test_set is not None and test_sets is not None and goal.test_set not in test_sets:
        yield _no_test_set(goal.test_set, test_sets)


def _task_problems(goal: Goal, task: Task) -> Iterator[str]:
    metric = goal.metric
    if not _fits(metric, task):
        fitting = ", ".join(name for name, other in METRICS.items() if _fits(other, task))
        yield f"{metric.name} is not measured of a {task.type} task; measured are {fitting}"
    elif isinstance(goal.at, OneLabel) and goal.at.name not in task.labels:
        hint = did_you_mean(goal.at.name, task.labels)
        yield f"there is no label {goal.at.name}{hint}; labels: {', '.join(task.labels)}"


def _fits(metric: Metric, task: Task) -> bool:
    if metric.name == "accuracy":
        return task.type == "single_label"
    if metric.kind in {"average", "label"}:
        return task.type != "regression"
    return metric.kind != "values" or task.type == "regression"


def _setting_problems(at: TimedAt, evaluate: Evaluate) -> Iterator[str]:
    if at.batch_size is not None and at.batch_size not in evaluate.batch_sizes:
        yield _not_measured("batch", at.batch_size, "batch_sizes", evaluate.batch_sizes)
    if at.device == "cuda" and evaluate.devices == "cpu":
        yield "nothing is measured on cuda, because evaluate.devices is cpu; set it to auto"
    if at.device == "cuda" and at.threads not in (None, "all"):
        yield "on cuda all threads are used; leave threads out"
    elif at.device != "cuda" and at.threads is not None and at.threads not in evaluate.threads:
        yield _not_measured("threads", at.threads, "threads", evaluate.threads)


def _not_measured(what: str, wanted: object, key: str, measured: Iterable[object]) -> str:
    there = ", ".join(map(str, measured))
    return f"{what} {wanted} is not measured: evaluate.{key} has {there}; add it there"


def _reference_problems(reference: str, candidate: str, known: _Known) -> Iterator[str]:
    resolved = known.teacher if reference == TEACHER else reference
    if resolved is None:
        if known.sure_of_teacher:
            others = [name for name in known.candidates if name != candidate]
            yield f"there is no teacher: call a stage teacher, or name another one ({', '.join(others) or 'none'})"
    elif resolved not in known.candidates:
        hint = did_you_mean(resolved, (TEACHER, *known.candidates))
        yield f"there is no stage {resolved}{hint}; stages: {', '.join(known.candidates)}"
    elif resolved == candidate:
        yield f"{reference} is {candidate} itself; name another stage or baseline"


def _test_sets(data: Data | None) -> tuple[str, ...] | None:
    """None where only the data say which there are."""
    if data is None:
        return None
    one = data.test_share is not None or data.builtin is not None
    return tuple(data.test) if data.test is not None else ("test",) if one else None


def _no_test_set(name: str, test_sets: Sequence[str]) -> str:
    return f"there is no test set {name}{did_you_mean(name, test_sets)}; test sets: {', '.join(test_sets)}"
