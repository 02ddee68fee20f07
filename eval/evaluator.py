"""From a candidate and a test set to numbers with intervals."""

from collections.abc import Callable, Mapping

import numpy as np

from eval.contract import Candidate, Floats, Interval, LabelledTexts, Targets, check_probabilities, check_values
from eval.differences import paired_differences
from eval.errors import InvalidInputError
from eval.measurement import LabelQuality, Quality, SetDetails, SetQuality
from eval.metrics import Metric, average_precision, decide, f1, macro, micro, per_label, precision, recall, roc_auc
from eval.resample import BootstrapDraws, Judged, bootstrap, interval
from eval.values import score_values

CHUNK = 256  # texts per call while measuring quality
_METRICS: Mapping[str, Metric] = {"f1": f1, "precision": precision, "recall": recall}
_RANK_METRICS: Mapping[str, Metric] = {"roc_auc": roc_auc, "average_precision": average_precision}


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
    answers = predict_all(candidate, test_set, progress)
    if test_set.is_regression:
        return score_values(answers, test_set, resamples=resamples, seed=seed)
    judged = judge(answers, test_set, candidate.thresholds, resamples=resamples, seed=seed)
    return score_quality(judged, test_set, candidate.thresholds)


def predict_all(
    candidate: Candidate, test_set: LabelledTexts, progress: Callable[[int, int], None] | None = None
) -> Floats:
    """Checked probabilities (or a regression's values) of all rows, float32 (N, L), asked for in chunks.

    Errors: as `measure_quality`.
    """
    _check(candidate, test_set)
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


def judge(
    probabilities: Floats, test_set: LabelledTexts, thresholds: Floats | None, *, resamples: int, seed: int
) -> Judged:
    """Decides, and resamples the rows. probabilities: (N, L) in [0, 1]."""
    decisions = decide(probabilities, thresholds)
    draws = bootstrap(test_set.targets, decisions, probabilities, resamples=resamples, seed=seed)
    return Judged(decisions, probabilities, draws)


def score_quality(judged: Judged, test_set: LabelledTexts, thresholds: Floats | None) -> SetQuality:
    """Every metric of a candidate's answers, with intervals."""
    targets, decisions, probabilities = test_set.targets, judged.decisions, judged.probabilities
    half = np.full(targets.shape[1], 0.5, dtype=np.float32)
    at_half = decide(probabilities, half)
    averages = _averages(targets, decisions, probabilities, judged.draws)
    labels = _label_qualities(test_set, decisions, at_half, probabilities, thresholds, judged.draws)
    return SetQuality(rows=len(test_set), macro_f1_at_half=macro(f1, targets, at_half), labels=labels, **averages)


def score_details(own: Judged, references: Mapping[str, Judged], test_set: LabelledTexts) -> SetDetails:
    """What else is said of a classifier's answers. references: by id, those it is compared with."""
    return SetDetails(
        against={
            name: paired_differences(test_set.targets, test_set.labels, own, reference)
            for name, reference in references.items()
        }
    )


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
