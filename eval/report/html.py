"""report.html: one file that holds all of a report, and asks the network for nothing."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from eval.measurement import SetQuality
from eval.report import checks, page_details, page_labels, page_plots, page_tables
from eval.report.machine import machine_facts, timing_lines
from eval.report.page_tables import Table
from eval.report.page_warnings import noted, warnings
from eval.report.plots import series_colour
from eval.report.reading import GAINS, how_to_read, in_parts, unchosen_text
from eval.report.report import Report
from eval.report.verdicts import HEADINGS, HOW_TO_READ, verdict_lines, verdict_rows
from eval.values import RegressionQuality

if TYPE_CHECKING:
    from jinja2 import Environment

_PAGE = Path(__file__).parent / "page"


def render_html(report: Report, picture: str) -> str:
    """The page. picture: what `draw_picture` gave for this report.

    A section is there where its data are. Every text of the report is escaped, and the page runs no script but its own.
    """
    script = (_PAGE / "report.js").read_text(encoding="utf-8")
    parts = {
        "report": report,
        "rows": next((it.quality_by_set[report.first_set].rows for it in report.candidates), 0),
        "style": (_PAGE / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "cell_kind": page_tables.cell_kind,
        "series_colour": series_colour,
        "colours": page_plots.colours(report),
        "recipe": yaml.safe_dump(report.recipe, sort_keys=False, allow_unicode=True),
        "environment": machine_facts(report.environment),
        "warnings": warnings(report),
        "notes": [note for note in report.notes if note not in noted(report)],
        "reading": in_parts(f"- {HOW_TO_READ}\n{how_to_read(report)}" if report.verdicts else how_to_read(report)),
    }
    drawn = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            **parts,
            **_judgement(report),
            **_comparison(report, picture),
            **_quality(report),
            **_details(report),
            **_checks(report),
            **_times(report),
        )
    )
    return f"{drawn}\n"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def _judgement(report: Report) -> dict[str, Any]:
    states = [it.state for it in report.verdicts]
    return {
        "verdicts": list(zip(verdict_rows(report), report.verdicts, strict=True)),
        "standing": {state: states.count(state) for state in ("met", "missed", "undecided") if state in states},
        "verdict_lines": verdict_lines(report)[1:],
        "verdict_headings": HEADINGS,
    }


def _comparison(report: Report, picture: str) -> dict[str, Any]:
    return {
        "pareto": page_plots.pareto_plot(report, picture),
        "comparison": page_tables.comparison_table(report),
        "gains": page_tables.gains_table(report),
        "gains_reading": GAINS,
    }


def _quality(report: Report) -> dict[str, Any]:
    """By label or by target, and what is compared row by row."""
    first = report.first_set
    references = dict.fromkeys(
        name for details in page_details.details_of(report, first).values() for name in details.against
    )
    tables = [
        (name, page_tables.differences_table(report, name, test_set))
        for test_set in _sets(report)
        for name in references
    ]
    leading = report.teacher_id if report.teacher_id in references else next(iter(references), None)
    drawing = None if leading is None else page_plots.differences_plot(report, leading, first)
    judged = [it for it in report.candidates if isinstance(it.quality_by_set[first], SetQuality)]
    return {
        "labels_drawing": page_plots.labels_plot(report, first) if judged else None,
        "label_tables": [page_labels.label_table(report, it) for it in _sets(report, SetQuality)],
        "measure_tables": {it: page_labels.measure_tables(report, it) for it in _sets(report, SetQuality)},
        "unchosen": unchosen_text(report),
        "target_tables": [page_tables.target_table(report, it) for it in _sets(report, RegressionQuality)],
        "seeds": page_tables.seeds_table(report),
        "differences": [table for _, table in sorted(tables, key=lambda one: one[0] != leading) if table is not None],
        "differences_drawing": drawing,
    }


def _details(report: Report) -> dict[str, Any]:
    sets = _sets(report)
    agreements = [
        table
        for test_set in sets
        for table in (page_details.agreement_table(report, test_set), page_details.churn_table(report, test_set))
    ]
    return {
        "thresholds": page_plots.threshold_curves(report),
        "reliability": page_plots.reliability_curves(report),
        "calibration_tables": _there([page_details.calibration_table(report, it) for it in sets]),
        "agreements": _there(agreements),
        "slices": _there([page_details.slice_table(report, it, kind) for it in sets for kind in ("macro", "micro")]),
        "disagreements": page_details.disagreements(report, report.first_set),
    }


def _checks(report: Report) -> dict[str, Any]:
    """Of models in fewer bits."""
    rows = checks.check_rows(report)
    return {
        "checks": page_tables.table(checks.TITLE, checks.HEADINGS, rows, words=checks.WORDS) if rows else None,
        "checks_title": checks.TITLE,
        "checks_reading": [checks.READING, *checks.check_lines(report)],
    }


def _times(report: Report) -> dict[str, Any]:
    return {
        "batches": page_plots.batch_plots(report),
        "lengths": page_plots.length_plots(report),
        "time_tables": page_tables.time_tables(report),
        "timing": timing_lines(report.timing),
    }


def _there(tables: list[Table | None]) -> list[Table]:
    return [table for table in tables if table is not None and table.rows]


def _sets(report: Report, kind: type = object) -> list[str]:
    """The names of the test sets, the first one first; of a kind, those judged so."""
    names = dict.fromkeys(
        name for it in report.candidates for name, found in it.quality_by_set.items() if isinstance(found, kind)
    )
    return sorted(names, key=lambda name: name != report.first_set)
