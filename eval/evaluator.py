"""From a candidate and a test set to numbers with intervals. What it returns round-trips through plain JSON exactly."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from eval.contract import (
    Candidate,
    Floats,
    Footprint,
    Interval,
    LabelledTexts,
    Targets,
    check_probabilities,
    check_values,
)
from eval.errors import InvalidInputError
from eval.latency import LatencyRow, LatencySamples, latency_rows, measure_latency
from eval.metrics import Metric, average_precision, decide, f1, macro, micro, per_label, precision, recall, roc_auc
from eval.resample import AVERAGES, BootstrapDraws, bootstrap, interval
from eval.values import RegressionQuality, score_values

__all__ = [
    "Interval",
    "LabelQuality",
    "LatencyRow",
    "LatencySamples",
    "Measurement",
    "Quality",
    "RegressionQuality",
    "SetQuality",
    "latency_rows",
    "measure_latency",
    "measure_quality",
    "predict_all",
    "quality_from_json",
    "score_quality",
]

CHUNK = 256  # texts per call while measuring quality
_METRICS: Mapping[str, Metric] = {"f1": f1, "precision": precision, "recall": recall}
_RANK_METRICS: Mapping[str, Metric] = {"roc_auc": roc_auc, "average_precision": average_precision}


@dataclass(frozen=True)
class LabelQuality:
    """One label of one test set. None is "undefined" (no positive there), never shown as a number.

    support: positives. threshold: the decision threshold used; None where the decision is an argmax. f1_at_half: F1
    with every threshold at 0.5, so that the gain of tuned thresholds is seen.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    f1_low: float | None
    f1_high: float | None
    f1_at_half: float | None
    roc_auc: float | None
    average_precision: float | None
    support: int
    threshold: float | None


@dataclass(frozen=True)
class SetQuality:
    """All of one test set. Macro: mean over the labels where it is defined. Micro: over all decisions pooled.

    Intervals are 95 % (stratified percentile bootstrap, see `eval.resample`). macro_f1_at_half has none.
    """

    rows: int
    macro_f1: Interval
    micro_f1: Interval
    macro_precision: Interval
    macro_recall: Interval
    micro_precision: Interval
    micro_recall: Interval
    macro_roc_auc: Interval
    micro_roc_auc: Interval
    macro_average_precision: Interval
    micro_average_precision: Interval
    macro_f1_at_half: float | None
    labels: dict[str, LabelQuality]

    def to_json(self) -> dict[str, Any]:
        """Plain dict; `from_json` reads it back exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "SetQuality":
        """Reads what `to_json` wrote; keys added by a later version are passed over."""
        known = {field.name: data[field.name] for field in fields(cls)}
        averages = {name: Interval(**data[name]) for name in AVERAGES}
        names = [field.name for field in fields(LabelQuality)]
        labels = {label: LabelQuality(**{name: row[name] for name in names}) for label, row in data["labels"].items()}
        return cls(**{**known, **averages, "labels": labels})


Quality: TypeAlias = SetQuality | RegressionQuality


def quality_from_json(data: dict[str, Any]) -> Quality:
    """Reads what either's `to_json` wrote: a regression has targets where a classifier has labels."""
    return RegressionQuality.from_json(data) if "targets" in data else SetQuality.from_json(data)


@dataclass(frozen=True)
class Measurement:
    """All that is known of one candidate. quality_by_set: test set name -> quality, in the recipe's order."""

    id: str
    stage: str
    format: str
    footprint: Footprint
    quality_by_set: dict[str, Quality]
    latency: tuple[LatencyRow, ...]

    def to_json(self) -> dict[str, Any]:
        """One entry of report.json's `candidates`; "quality" repeats the first test set for who reads only that."""
        quality = {name: measured.to_json() for name, measured in self.quality_by_set.items()}
        return {
            "id": self.id,
            "stage": self.stage,
            "format": self.format,
            **asdict(self.footprint),
            "quality": next(iter(quality.values()), None),
            "quality_by_set": quality,
            "latency": [row.to_json() for row in self.latency],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Measurement":
        """Reads what `to_json` wrote."""
        return cls(
            id=data["id"],
            stage=data["stage"],
            format=data["format"],
            footprint=Footprint(**{field.name: data[field.name] for field in fields(Footprint)}),
            quality_by_set={name: quality_from_json(it) for name, it in data["quality_by_set"].items()},
            latency=tuple(LatencyRow.from_json(row) for row in data["latency"]),
        )


def measure_quality(
    candidate: Candidate,
    test_set: LabelledTexts,
    *,
    resamples: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Quality:
    """Predicts the test set and scores it. progress(done, total): rows predicted so far.

    Raises InvalidInputError naming the candidate (and the row, from 0) if its labels are not the test set's, its
    thresholds do not fit, a probability is NaN or outside [0, 1], or a regression's value is not finite; if one is a
    regression and the other is not; and if the test set is empty.
    """
    _check(candidate, test_set)
    answers = predict_all(candidate, test_set, progress)
    if test_set.is_regression:
        return score_values(answers, test_set, resamples=resamples, seed=seed)
    return score_quality(answers, test_set, candidate.thresholds, resamples=resamples, seed=seed)


def predict_all(
    candidate: Candidate, test_set: LabelledTexts, progress: Callable[[int, int], None] | None = None
) -> Floats:
    """Checked probabilities (or a regression's values) of all rows, float32 (N, L), asked for in chunks."""
    rows, labels = len(test_set), len(test_set.labels)
    check = check_values if candidate.is_regression else check_probabilities
    answers = np.empty((rows, labels), dtype=np.float32)
    for start in range(0, rows, CHUNK):
        texts = test_set.texts[start : start + CHUNK]
        answer = candidate.predict(texts)
        answers[start : start + len(texts)] = check(
            answer, rows=len(texts), labels=labels, candidate=candidate.id, first_row=start
        )
        if progress is not None:
            progress(start + len(texts), rows)
    return answers


def score_quality(
    probabilities: Floats, test_set: LabelledTexts, thresholds: Floats | None, *, resamples: int, seed: int
) -> SetQuality:
    """The pure part: probabilities (N, L) in [0, 1] and truth -> quality with intervals."""
    targets = test_set.targets
    decisions = decide(probabilities, thresholds)
    half = np.full(targets.shape[1], 0.5, dtype=np.float32)
    at_half = decide(probabilities, half)
    draws = bootstrap(targets, decisions, probabilities, resamples=resamples, seed=seed)
    averages = _averages(targets, decisions, probabilities, draws)
    labels = _label_qualities(test_set, decisions, at_half, probabilities, thresholds, draws)
    return SetQuality(rows=len(test_set), macro_f1_at_half=macro(f1, targets, at_half), labels=labels, **averages)


def _averages(
    targets: Targets, decisions: Targets, probabilities: Floats, draws: BootstrapDraws
) -> dict[str, Interval]:
    averages = {}
    for metrics, predictions in ((_METRICS, decisions), (_RANK_METRICS, probabilities)):
        for name, metric in metrics.items():
            for kind, average in (("macro", macro), ("micro", micro)):
                value = average(metric, targets, predictions)
                averages[f"{kind}_{name}"] = interval(value, draws.averages[f"{kind}_{name}"])
    return averages


def _label_qualities(
    test_set: LabelledTexts,
    decisions: Targets,
    at_half: Targets,
    probabilities: Floats,
    thresholds: Floats | None,
    draws: BootstrapDraws,
) -> dict[str, LabelQuality]:
    targets = test_set.targets
    columns = {name: per_label(metric, targets, decisions) for name, metric in _METRICS.items()}
    columns |= {name: per_label(metric, targets, probabilities) for name, metric in _RANK_METRICS.items()}
    columns["f1_at_half"] = per_label(f1, targets, at_half)
    qualities = {}
    for place, label in enumerate(test_set.labels):
        spread = interval(columns["f1"][place], draws.label_f1[:, place])
        qualities[label] = LabelQuality(
            **{name: values[place] for name, values in columns.items()},
            f1_low=spread.low,
            f1_high=spread.high,
            support=int(targets[:, place].sum()),
            threshold=None if thresholds is None else float(thresholds[place]),
        )
    return qualities


def _check(candidate: Candidate, test_set: LabelledTexts) -> None:
    if candidate.is_regression != test_set.is_regression:
        given, wanted = ("numbers", "0/1 labels") if candidate.is_regression else ("probabilities", "numbers")
        raise InvalidInputError(f"{candidate.id}: gives {given}, and the test set's targets are {wanted}")
    labels = candidate.predictor.labels
    if tuple(labels) != tuple(test_set.labels):
        raise InvalidInputError(f"{candidate.id}: predicts {labels}; the test set has {test_set.labels}, in that order")
    if candidate.thresholds is not None and candidate.thresholds.shape != (len(labels),):
        raise InvalidInputError(f"{candidate.id}: {candidate.thresholds.shape} thresholds for {len(labels)} labels")
    if len(test_set) == 0:
        raise InvalidInputError(f"{candidate.id}: the test set has no rows to judge it on")
