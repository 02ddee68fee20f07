"""What artifacts answer on a test set, and what the judge says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from compress.artifact import Artifact, library_versions
from compress.context import Progress
from compress.environment import LIBRARIES, cpu_features
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.runtime import open_predictor
from eval.contract import Floats, LabelledTexts
from eval.evaluator import judge, predict_all, score_details, score_quality
from eval.measurement import Quality, SetDetails
from eval.resample import Judged
from eval.values import score_values


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
) -> dict[str, SetResult]:
    """Every candidate on one test set, each classifier compared with the references.

    Answers are kept apart from what is made of them: one more candidate asks no other again.
    """
    # without VNNI int8 kernels saturate, and answer otherwise
    machine = [digest, library_versions(LIBRARIES), cpu_features()]

    def answers(name: str) -> Floats:
        parts = [artifacts[name].digest, *machine]
        return store.array_once("answers", parts, partial(_answers, name, artifacts[name], test, rows, progress))

    @cache
    def judged(name: str) -> Judged:
        thresholds = _thresholds(artifacts[name])
        return judge(answers(name), rows, thresholds, resamples=store.config.resamples, seed=store.seed)

    def result(name: str) -> SetResult:
        if rows.is_regression:
            values = score_values(answers(name), rows, resamples=store.config.resamples, seed=store.seed)
            return SetResult(values, None)
        others = {other: judged(other) for other in references if other != name}
        quality = score_quality(judged(name), rows, _thresholds(artifacts[name]))
        return SetResult(quality, score_details(judged(name), others, rows))

    def parts(name: str) -> list[object]:
        others = {other: artifacts[other].digest for other in references if other != name}
        return [artifacts[name].digest, others, store.config.resamples, *machine]

    return {name: store.once("quality", parts(name), partial(result, name), SetResult) for name in artifacts}


def _answers(name: str, artifact: Artifact, test: str, rows: LabelledTexts, progress: Progress) -> Floats:
    candidate = candidate_of(name, artifact, open_predictor(artifact))
    return predict_all(candidate, rows, lambda done, total: progress(f"evaluating {name} on {test}", done, total))


def _thresholds(artifact: Artifact) -> Floats | None:
    thresholds = artifact.decision().thresholds
    return None if thresholds is None else np.asarray(thresholds, np.float32)
