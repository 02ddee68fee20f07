"""The judge: measures anything with `labels` and `predict_proba(texts)`, and reports. Stands without torch."""

from eval.contract import Candidate, Footprint, Interval, LabelledTexts, Predictor
from eval.errors import EvalError, InvalidInputError
from eval.evaluator import Measurement, SetQuality, latency_rows, measure_latency, measure_quality
from eval.report.report import Report, dump_report, load_report

__all__ = [
    "Candidate",
    "EvalError",
    "Footprint",
    "Interval",
    "InvalidInputError",
    "LabelledTexts",
    "Measurement",
    "Predictor",
    "Report",
    "SetQuality",
    "dump_report",
    "latency_rows",
    "load_report",
    "measure_latency",
    "measure_quality",
]
