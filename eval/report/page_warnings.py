"""What a reader of the page must know before any number, as far as the report's own fields tell it.

What else was noted on the way stands further below: a note says nothing of its weight.
"""

from collections.abc import Iterator, Mapping

from eval.goals.evidence import MINIMUM_POSITIVES
from eval.measurement import SetQuality
from eval.report.report import Report

_NAMED = 6  # labels that are named; of more the number


def warnings(report: Report) -> tuple[str, ...]:
    """One sentence each: generated data, labels with hardly a positive, times from a busy machine."""
    return (*_generated(report), *_thin(report), *busy_notes(report))


def busy_notes(report: Report) -> tuple[str, ...]:
    """Of each way of running that was timed while other work was going on."""
    return tuple(it.note() for it in report.timing if it.busy)


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
