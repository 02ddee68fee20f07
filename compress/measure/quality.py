"""What artifacts answer on a test set, and what the judge says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from compress.artifact import Artifact, library_versions
from compress.context import Progress
from compress.data.digests import columns_digest
from compress.environment import LIBRARIES, cpu_features
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.runtime import open_predictor
from eval.contract import Floats, LabelledTexts
from eval.details.slices import RowSet, row_sets
from eval.evaluator import judge, predict_all, score_details, score_quality
from eval.intervals.resample import Judged
from eval.measurement import Quality, SetDetails
from eval.values import JudgedValues, judge_values, r2_difference, score_judged

# raised when the judge says something else of the same answers; these are kept
JUDGED = 5


@dataclass(frozen=True)
class SetResult:
    """One candidate on one test set. details: None of a regression."""

    quality: Quality
    details: SetDetails | None


def judge_set(
    artifacts: Mapping[str, Artifact],
    references: Sequence[str],
    test: str,
    rows: LabelledTexts,
    digest: str,
    store: Store,
    progress: Progress,
    teacher: str | None = None,
    also: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, SetResult]:
    """Every candidate on one test set, each compared with the references; teacher: one of them, or None.

    also: id -> ids of further candidates that it is compared with.

    Answers are kept apart from what is made of them: one more candidate asks no other again.
    """
    config = store.config
    # without VNNI int8 kernels saturate, and answer otherwise
    machine = [digest, library_versions(LIBRARIES), cpu_features()]

    def answers(name: str) -> Floats:
        parts = [artifacts[name].digest, *machine]
        return store.array_once("answers", parts, partial(_answers, name, artifacts[name], test, rows, progress))

    @cache
    def judged(name: str) -> Judged:
        thresholds = _thresholds(artifacts[name])
        return judge(answers(name), rows, thresholds, resamples=config.resamples, seed=store.seed)

    @cache
    def judged_values(name: str) -> JudgedValues:
        return judge_values(answers(name), rows, resamples=config.resamples, seed=store.seed)

    @cache
    def sets() -> tuple[RowSet, ...]:
        return row_sets(rows)

    def others(name: str) -> list[str]:
        return [other for other in dict.fromkeys((*references, *(also or {}).get(name, ()))) if other != name]

    def result(name: str) -> SetResult:
        if rows.is_regression:
            own = judged_values(name)
            apart = {other: r2_difference(rows, own, judged_values(other)) for other in others(name)}
            return SetResult(replace(score_judged(own, rows), r2_against=apart), None)
        thresholds = _thresholds(artifacts[name])
        details = score_details(
            judged(name),
            {other: judged(other) for other in others(name)},
            rows,
            thresholds=thresholds,
            teacher=teacher,
            sets=sets(),
            disagreements=config.disagreements,
        )
        return SetResult(score_quality(judged(name), rows, thresholds), details)

    def parts(name: str) -> list[object]:
        compared = {other: artifacts[other].digest for other in others(name)}
        asked = [config.resamples, config.disagreements, teacher, columns_digest(rows)]
        return [artifacts[name].digest, compared, *asked, *machine, JUDGED]

    return {name: store.once("quality", parts(name), partial(result, name), SetResult) for name in artifacts}


def _answers(name: str, artifact: Artifact, test: str, rows: LabelledTexts, progress: Progress) -> Floats:
    candidate = candidate_of(name, artifact, open_predictor(artifact))
    return predict_all(candidate, rows, lambda done, total: progress(f"evaluating {name} on {test}", done, total))


def _thresholds(artifact: Artifact) -> Floats | None:
    thresholds = artifact.decision().thresholds
    return None if thresholds is None else np.asarray(thresholds, np.float32)
