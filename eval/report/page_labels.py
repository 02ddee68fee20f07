"""The page's tables of a classifier's labels: F1 side by side, and of each candidate all that is measured."""

from typing import TypeAlias

from eval.contract import Interval
from eval.measurement import SHOWN_AVERAGES, LabelQuality, SetQuality
from eval.report.comparison import MISSING, average_name, interval_text, number, with_interval
from eval.report.page_tables import Table, table
from eval.report.reading import unchosen_labels
from eval.report.report import Report

_HEADINGS = (
    "label", "positives", "threshold", "precision", "recall", "F1", "F1 at 0.5", "ROC-AUC", "average precision",
)  # fmt: skip
_Row: TypeAlias = tuple[Interval | str, ...]


def label_table(report: Report, test_set: str) -> Table:
    """F1: labels down, candidates across, the averages below."""
    measured = _measured(report, test_set)
    qualities = list(measured.values())
    rows = [
        [label, str(it.support), *(_label_f1(quality, label) for quality in qualities)]
        for label, it in qualities[0].labels.items()
    ]
    foot = [
        [average_name(report, name), "", *(interval_text(getattr(quality, name)) for quality in qualities)]
        for name in SHOWN_AVERAGES
    ]
    return table(f"F1 by label on {test_set}", ("label", "positives", *measured), rows, foot=foot)


def measure_tables(report: Report, test_set: str) -> list[Table]:
    """One a candidate: labels down, measures across; below, of several labels, the averages."""
    unchosen = unchosen_labels(report)
    return [
        table(
            f"{name} on {test_set}",
            _HEADINGS,
            [_measures(label, it, label in unchosen) for label, it in quality.labels.items()],
            foot=_averages(quality) if len(quality.labels) > 1 else (),
        )
        for name, quality in _measured(report, test_set).items()
    ]


def _measured(report: Report, test_set: str) -> dict[str, SetQuality]:
    found = {it.id: it.quality_by_set.get(test_set) for it in report.candidates}
    return {name: quality for name, quality in found.items() if isinstance(quality, SetQuality)}


def _label_f1(quality: SetQuality, label: str) -> str:
    found = quality.labels.get(label)
    return with_interval(found.f1, found.f1_low, found.f1_high) if found else MISSING


def _measures(label: str, it: LabelQuality, unchosen: bool) -> list[str]:
    """unchosen: whether its threshold is only a stand-in, as validation rows could not choose one."""
    mark = " (not chosen)" if unchosen else ""
    return [
        label,
        str(it.support),
        MISSING if it.threshold is None else f"{it.threshold:.3g}{mark}",  # an argmax has none, nor F1 without it
        with_interval(it.precision, it.precision_low, it.precision_high),
        with_interval(it.recall, it.recall_low, it.recall_high),
        with_interval(it.f1, it.f1_low, it.f1_high),
        MISSING if it.threshold is None else number(it.f1_at_half),
        with_interval(it.roc_auc, it.roc_auc_low, it.roc_auc_high),
        with_interval(it.average_precision, it.average_precision_low, it.average_precision_high),
    ]


def _averages(it: SetQuality) -> list[list[str]]:
    tuned = any(label.threshold is not None for label in it.labels.values())
    at_half = number(it.macro_f1_at_half) if tuned else MISSING
    macro: _Row = (
        it.macro_precision,
        it.macro_recall,
        it.macro_f1,
        at_half,
        it.macro_roc_auc,
        it.macro_average_precision,
    )
    micro: _Row = (
        it.micro_precision,
        it.micro_recall,
        it.micro_f1,
        MISSING,
        it.micro_roc_auc,
        it.micro_average_precision,
    )
    return [[name, "", "", *map(_cell, values)] for name, values in (("macro", macro), ("micro", micro))]


def _cell(found: Interval | str) -> str:
    return found if isinstance(found, str) else interval_text(found)
