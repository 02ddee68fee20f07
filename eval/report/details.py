"""report.md's short sections on calibration, agreement with the teacher, and slices: of the first test set alone."""

from collections.abc import Mapping
from dataclasses import astuple

from eval.details.agreement import LabelChurn
from eval.details.slices import Slice
from eval.measurement import SHOWN_AVERAGES, SetDetails
from eval.report.comparison import MISSING, average_name, interval_text, number
from eval.report.page_tables import signed
from eval.report.report import Report
from eval.report.table import bold, markdown_table, plain

_CALIBRATION = """\
*ECE*: mean gap between what a model claims and what is so, over {cells}, in bins that hold equally many. Above 0
also of a perfect model: read it beside the others. *Brier*: mean squared error of the probabilities. Both: less is
better. Reliability bins by label are in `report.json` and `report.html`."""
_DIFFERENCES = """\
Each candidate less the teacher on the same rows, with the 95 % interval of that paired difference: above 0 is better,
and an interval that holds 0 shows no difference. By label they are in `report.json` and `report.html`."""
_AGREEMENT = """\
How each candidate decides on the teacher's rows; truth plays no part. Below, by label, *teacher's yes that became no /
no that became yes*: churn that F1 does not show."""
_SLICES = """\
Macro F1 on parts of the test set, over the labels that have a positive there: compare candidates within a line, not
lines. *Shouting*: half of ten letters or more are capitals. *Disguised*: a word spelt with signs, digits or marks in
place of letters, or with a letter repeated. Micro F1 is in `report.json` and `report.html`."""


def detail_sections(report: Report) -> list[str]:
    """Headings and paragraphs, Markdown; none of what was not measured, and of a regression none at all.

    Texts that candidate and teacher disagree on are not among them: they may be offensive.
    """
    found = {it.id: it.details_by_set.get(report.first_set) for it in report.candidates}
    details = {name: it for name, it in found.items() if it is not None}
    teacher = plain(str(report.teacher_id))
    sections = (_differences(report, details), _calibration(details), _agreement(report, details), _slices(details))
    titles = (f"Differences from {teacher}", "Calibration", f"Agreement with {teacher}", "Slices")
    return [
        part
        for title, section in zip(titles, sections, strict=True)
        if section
        for part in (f"## {title}: {plain(report.first_set)}", *section)
    ]


def _differences(report: Report, details: dict[str, SetDetails]) -> list[str]:
    """Of the averages that goals may be about, from the teacher."""
    against = {name: it.against.get(report.teacher_id or "") for name, it in details.items()}
    found = {name: it for name, it in against.items() if it is not None}
    if not found:
        return []
    rows = [
        [name, *(signed(*astuple(getattr(it, average))) for average in SHOWN_AVERAGES)] for name, it in found.items()
    ]
    return [_DIFFERENCES, markdown_table(("candidate", *(average_name(report, it) for it in SHOWN_AVERAGES)), rows)]


def _calibration(details: dict[str, SetDetails]) -> list[str]:
    found = {name: it.calibration for name, it in details.items() if it.calibration is not None}
    if not found:
        return []
    labels = [len(it.labels) for it in found.values()]
    rows = []
    for name, it in found.items():
        known = {label: errors.ece for label, errors in it.labels.items() if errors.ece is not None}
        worst = max(known, key=lambda label: known[label], default=None)
        shown = MISSING if worst is None else f"{worst}: {number(known[worst], 4)}"
        rows.append([name, number(it.pooled.ece, 4), shown, number(it.pooled.brier, 4)])
    cells = "all rows and labels" if max(labels) > 1 else "all rows"
    return [_CALIBRATION.format(cells=cells), markdown_table(("candidate", "ECE", "worst label", "Brier"), rows)]


def _agreement(report: Report, details: dict[str, SetDetails]) -> list[str]:
    found = {name: it.agreement for name, it in details.items() if it.agreement is not None}
    if not found:
        return []
    alike = (interval_text(it.equal_rows) for it in found.values())
    apart = (number(it.probability_difference, 4) for it in found.values())
    rows = [[bold("rows decided alike"), *alike], [bold("mean difference of probabilities"), *apart]]
    labels = next(iter(found.values())).labels
    rows += [[label, *(_churn(it.labels.get(label)) for it in found.values())] for label in labels]
    section = [_AGREEMENT, markdown_table((f"with {report.teacher_id}", *found), rows)]
    listed = max(len(it.disagreements) for it in details.values())
    if listed:
        where = "`report.json` and `report.html`, and not here: the texts may be offensive"
        section.append(
            f"The worst disagreements of each candidate ({listed} at most), with their texts, are in {where}."
        )
    return section


def _churn(churn: LabelChurn | None) -> str:
    return MISSING if churn is None else f"{churn.yes_to_no} / {churn.no_to_yes}"


def _slices(details: dict[str, SetDetails]) -> list[str]:
    found = {name: {(it.name, it.value): it for it in one.slices} for name, one in details.items() if one.slices}
    if not found:
        return []
    first = next(iter(found.values()))
    rows = [
        [f"{name}: {value or '(blank)'}", str(one.rows), str(one.positives), *_scores(found, (name, value))]
        for (name, value), one in first.items()
    ]
    return [_SLICES, markdown_table(("slice", "rows", "positives", *found), rows)]


def _scores(found: Mapping[str, Mapping[tuple[str, str], Slice]], key: tuple[str, str]) -> list[str]:
    return [interval_text(slices[key].macro_f1) if key in slices else MISSING for slices in found.values()]
