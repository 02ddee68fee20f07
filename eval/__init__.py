"""The judge: measures anything with `labels` and `predict_proba(texts)` (or, of a regression, `predict_values(texts)`),
and reports. Stands without torch.
"""

from eval.contract import Candidate, Footprint, Interval, LabelledTexts, Predictor, ValuePredictor
from eval.errors import EvalError, GoalError, InvalidInputError
from eval.evaluator import measure_quality
from eval.goals.evidence import Evidence
from eval.goals.text import parse_goal
from eval.goals.verdicts import Verdict, judge_goal
from eval.latency.rounds import latency_rows, measure_latency
from eval.measurement import Measurement, SetQuality
from eval.report.report import Report, dump_report, load_report
from eval.values import RegressionQuality

__all__ = [
    "Candidate",
    "EvalError",
    "Evidence",
    "Footprint",
    "GoalError",
    "Interval",
    "InvalidInputError",
    "LabelledTexts",
    "Measurement",
    "Predictor",
    "RegressionQuality",
    "Report",
    "SetQuality",
    "ValuePredictor",
    "Verdict",
    "dump_report",
    "judge_goal",
    "latency_rows",
    "load_report",
    "measure_latency",
    "measure_quality",
    "parse_goal",
]
