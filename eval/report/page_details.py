"""The page's tables on what else is known of classifiers: calibration, agreement, slices, disagreements."""

from typing import Literal

from eval.contract import Interval
from eval.details.calibration import CalibrationErrors
from eval.details.disagreements import Disagreement
from eval.details.slices import Slice
from eval.measurement import SetDetails
from eval.report.comparison import MISSING, interval_text, number
from eval.report.page_tables import Table, table
from eval.report.report import Report


def details_of(report: Report, test_set: str) -> dict[str, SetDetails]:
    """By id, of the candidates that have any on this test set."""
    found = {it.id: it.details_by_set.get(test_set) for it in report.candidates}
    return {name: details for name, details in found.items() if details is not None}


def calibration_table(report: Report, test_set: str) -> Table | None:
    """Each candidate's calibration errors over all cells, and by label; None where they were not measured."""
    found = {name: it.calibration for name, it in details_of(report, test_set).items() if it.calibration is not None}
    if not found:
        return None
    labels = list(next(iter(found.values())).labels)
    rows = [
        [
            name,
            *_calibration_cells(it.pooled),
            *(number(it.labels[label].ece) if label in it.labels else MISSING for label in labels),
        ]
        for name, it in found.items()
    ]
    headings = ("candidate", "ECE", "ECE, equal width", "Brier score", *(f"ECE {label}" for label in labels))
    return table(f"Calibration errors on {test_set}", headings, rows)


def agreement_table(report: Report, test_set: str) -> Table | None:
    """How far each candidate decides as the teacher does; None where that was not measured."""
    rows = [
        [
            name,
            interval_text(it.agreement.equal_rows),
            number(it.agreement.equal_decisions, 4),
            number(it.agreement.probability_difference, 4),
        ]
        for name, it in details_of(report, test_set).items()
        if it.agreement is not None
    ]
    headings = ("candidate", "rows decided alike", "decisions alike", "mean difference of probabilities")
    return table(f"Agreement with {report.teacher_id} on {test_set}", headings, rows) if rows else None


def churn_table(report: Report, test_set: str) -> Table | None:
    """Decisions that changed from the teacher's, by candidate and label; those with none are left out."""
    rows = [
        [name, label, *map(str, (it.yes_to_no, it.no_to_yes, it.mended, it.broken))]
        for name, details in details_of(report, test_set).items()
        if details.agreement is not None
        for label, it in details.agreement.labels.items()
        if it.yes_to_no or it.no_to_yes
    ]
    headings = ("candidate", "label", "yes to no", "no to yes", "of these mended", "of these broken")
    return table(f"Decisions changed from those of {report.teacher_id} on {test_set}", headings, rows, words=2)


def slice_table(report: Report, test_set: str, average: Literal["macro", "micro"]) -> Table | None:
    """F1 on each slice of the test set, slices down, candidates across; None where there are no slices."""
    found = {name: details.slices for name, details in details_of(report, test_set).items() if details.slices}
    if not found:
        return None
    names = list(dict.fromkeys((it.name, it.value) for slices in found.values() for it in slices))
    by_name = {name: {(it.name, it.value): it for it in slices} for name, slices in found.items()}
    rows = []
    for key in names:
        held = [slices.get(key) for slices in by_name.values()]
        first = next(it for it in held if it is not None)
        scores = (MISSING if it is None else interval_text(_average_f1(it, average)) for it in held)
        rows.append([key[0], key[1] or "(blank)", str(first.rows), str(first.positives), *scores])
    headings = ("slice", "value", "rows", "positives", *found)
    return table(f"{average.capitalize()} F1 on slices of {test_set}", headings, rows, words=2)


def disagreements(report: Report, test_set: str) -> list[tuple[str, Disagreement]]:
    """With the candidate's id; the furthest apart first."""
    found = [(name, it) for name, details in details_of(report, test_set).items() for it in details.disagreements]
    return sorted(found, key=lambda one: -abs(one[1].probability - one[1].teacher_probability))


def _average_f1(found: Slice, average: Literal["macro", "micro"]) -> Interval:
    return found.macro_f1 if average == "macro" else found.micro_f1


def _calibration_cells(errors: CalibrationErrors) -> list[str]:
    return [number(errors.ece), number(errors.ece_equal_width), number(errors.brier)]
