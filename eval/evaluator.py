"""From a candidate and a test set to numbers with intervals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eval.contract import Candidate, Floats, LabelledTexts, Targets, check_probabilities, check_values
from eval.details.agreement import agreement
from eval.details.calibration import calibration
from eval.details.curves import threshold_curves
from eval.details.disagreements import worst_disagreements
from eval.details.slices import RowSet, score_slices
from eval.errors import InvalidInputError
from eval.intervals.differences import paired_differences
from eval.intervals.resample import Judged, bootstrap
from eval.intervals.scores import Intervals, intervals
from eval.measurement import LabelQuality, Quality, SetDetails, SetQuality
from eval.metrics import decide, f1, macro, per_label
from eval.values import score_values

CHUNK = 256  # texts per call while measuring quality


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
    thresholds do not fit, an answer is no array of numbers, a probability is NaN or outside [0, 1], or a regression's
    value is not finite; if one is a regression and the other is not; and if the test set is empty.
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
    targets = test_set.targets
    half = np.full(targets.shape[1], 0.5, dtype=np.float32)
    at_half = None if thresholds is None else decide(judged.probabilities, half)  # an argmax has no threshold to move
    measured = intervals(targets, judged)
    labels = _label_qualities(test_set, at_half, thresholds, measured)
    at_half_mean = None if at_half is None else macro(f1, targets, at_half)
    return SetQuality(
        rows=len(test_set),
        macro_f1_at_half=at_half_mean,
        labels=labels,
        positive_rows=int(targets.any(axis=1).sum()),
        **measured.averages,
    )


def score_details(
    own: Judged,
    references: Mapping[str, Judged],
    test_set: LabelledTexts,
    *,
    thresholds: Floats | None = None,
    teacher: str | None = None,
    sets: Sequence[RowSet] = (),
    disagreements: int = 20,
) -> SetDetails:
    """What else is said of a classifier's answers. references: by id, those it is compared with.

    thresholds: its own, as for `judge`: None where an argmax decides. teacher: the reference whose decisions it is to
    repeat, if it is among them. sets: what `row_sets` makes of the test set. disagreements: how many with the teacher
    are listed at most.
    """
    targets, labels = test_set.targets, test_set.labels
    taught = references.get(teacher) if teacher is not None else None
    apart = taught and worst_disagreements(test_set, own, taught, disagreements, argmax=thresholds is None)
    return SetDetails(
        against={name: paired_differences(targets, labels, own, reference) for name, reference in references.items()},
        calibration=calibration(targets, own.probabilities, labels),
        agreement=None if taught is None else agreement(targets, labels, own, taught),
        curves=threshold_curves(targets, own.probabilities, labels, thresholds),
        slices=score_slices(targets, own.decisions, sets),
        disagreements=apart or (),
    )


def _label_qualities(
    test_set: LabelledTexts, at_half: Targets | None, thresholds: Floats | None, measured: Intervals
) -> dict[str, LabelQuality]:
    halves = None if at_half is None else per_label(f1, test_set.targets, at_half)
    qualities = {}
    for place, label in enumerate(test_set.labels):
        found = {name: column[place] for name, column in measured.labels.items()}
        qualities[label] = LabelQuality(
            **{name: it.value for name, it in found.items()},
            **{f"{name}_low": it.low for name, it in found.items()},
            **{f"{name}_high": it.high for name, it in found.items()},
            f1_at_half=None if halves is None else halves[place],
            support=int(test_set.targets[:, place].sum()),
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
        raise InvalidInputError(
            f"{candidate.id}: {candidate.thresholds.shape} thresholds for {len(labels)} labels; give one for each"
        )
    if len(test_set) == 0:
        raise InvalidInputError(f"{candidate.id}: the test set has no rows to judge it on")
