"""What a reader of the page must know before any number, as far as the report's own fields tell it.

What else was noted on the way stands further below: a note says nothing of its weight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple

from eval.goals.evidence import MINIMUM_POSITIVES
from eval.intervals.differences import Differences
from eval.latency.conditions import fallback_note
from eval.measurement import Measurement, SetQuality
from eval.report.comparison import average_name
from eval.report.page_tables import signed
from eval.report.report import Report

_NAMED = 6  # labels that are named; of more the number
_TFIDF = "tfidf"  # type of stage
_TRAINED = {"finetune", "distill"}  # of stages that may go on for longer
_JUDGED = ("macro_f1", "macro_roc_auc")


def warnings(report: Report) -> tuple[str, ...]:
    """One sentence each: generated data, labels with hardly a positive, a weak teacher, times that are not there or
    come from a busy machine.
    """
    return (*_generated(report), *_thin(report), *weak_teacher(report), *noted(report))


def weak_teacher(report: Report) -> tuple[str, ...]:
    """Where the teacher is worse than a TF-IDF model beyond noise: by how much, and what to do next.

    Worse: the whole paired interval, of macro F1 or macro ROC-AUC on the first test set, lies below 0.
    """
    teacher = next((it for it in report.candidates if it.id == report.teacher_id), None)
    details = None if teacher is None else teacher.details_by_set.get(report.first_set)
    if teacher is None or details is None:
        return ()
    baselines = [it.id for it in report.candidates if it.stage == _TFIDF]
    against = {name: found for name, found in details.against.items() if name in baselines}
    worse = {name: lost for name, found in against.items() if (lost := _lost(report, found))}
    if not worse:
        return ()
    best = min(worse, key=lambda name: against[name].macro_f1.value or 0.0)
    listed = "; ".join(f"less {name}: {lost}" for name, lost in worse.items())
    taught = _teachers(report, teacher.id)
    why = ", and students learn its mistakes" if taught else ""
    return (
        f"weak teacher: {teacher.id} is worse than TF-IDF on {report.first_set} ({listed}){why}; "
        f"{_remedy(teacher, best, taught)}",
    )


def _teachers(report: Report, teacher: str) -> list[set[str]]:
    """Of each stage that learns from this teacher, the models that it learns from."""
    named = (stage.get("teacher") for stage in report.recipe.get("stages", ()))
    several = (set(it) if isinstance(it, Mapping) else {it} for it in named)
    return [it for it in several if teacher in it]


def _lost(report: Report, found: Differences) -> str:
    """The averages by which it is worse, with their intervals."""
    below = {name: it for name in _JUDGED if (it := getattr(found, name)).high is not None and it.high < 0}
    return ", ".join(f"{average_name(report, name)} {signed(*astuple(it))}" for name, it in below.items())


def _remedy(teacher: Measurement, baseline: str, taught: Sequence[set[str]]) -> str:
    """The next step, of those that are there: without students nobody averages, nor where the recipe does already; and
    TF-IDF is trained to its end, as what was loaded is.
    """
    averaged = any(baseline in it for it in taught)
    average = f"let students learn from the average of the two (teacher: {{{teacher.id}: 0.5, {baseline}: 0.5}})"
    steps = ["train it longer"] * (teacher.stage in _TRAINED) + [average] * (bool(taught) and not averaged)
    return ", or ".join(steps) or (
        f"let students learn from {baseline}" if taught else f"hold others against {baseline}"
    )


def noted(report: Report) -> tuple[str, ...]:
    """The warnings that the report's notes hold too: who fell back to the CPU, and what was timed amid other work."""
    fallen = (fallback_note(it.id, device) for it in report.candidates for device in it.fell_back)
    return (*fallen, *(it.note() for it in report.timing if it.busy))


def _generated(report: Report) -> Iterator[str]:
    data = report.recipe.get("data")
    if isinstance(data, Mapping) and _is_generated([data.get("builtin") and data, data.get("test")]):
        yield "the test rows are generated, not real text: figures compare these models, and say nothing of real texts"


def _is_generated(source: object) -> bool:
    """Whether a source, or one of several, is the built-in generator. Sources: as in a recipe, by name or listed."""
    match source:
        case {"builtin": str()}:
            return True
        case dict():
            return any(map(_is_generated, source.values()))
        case list() | tuple():
            return any(map(_is_generated, source))
    return False


def _thin(report: Report) -> Iterator[str]:
    """Labels that the first test set has fewer positives of than any verdict asks for."""
    first = next((it.quality_by_set[report.first_set] for it in report.candidates), None)
    if not isinstance(first, SetQuality):
        return
    thin = [f"{name} ({it.support})" for name, it in first.labels.items() if it.support < MINIMUM_POSITIVES]
    if thin:
        more = f" and {len(thin) - _NAMED} more" if len(thin) > _NAMED else ""
        yield (
            f"thin support: {len(thin)} of {len(first.labels)} labels have fewer than {MINIMUM_POSITIVES} positives in "
            f"{report.first_set}: {', '.join(thin[:_NAMED])}{more}; what is said of them decides nothing"
        )
