"""What is looked at in models of fewer bits: whether answers depend on their neighbours, and on the CPU's age."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from compress.artifact import Artifact, library_versions
from compress.context import Progress
from compress.environment import LIBRARIES, cpu_features
from compress.measure.candidates import candidate_of
from compress.measure.store import Store
from compress.runtime import open_predictor
from eval.contract import OlderCpus
from eval.details.invariance import Invariance, measure_invariance, spread_texts
from eval.measurement import Measurement

# raised when the checks would come out otherwise, or there are more of them
METHOD = 1


def checked(
    measurements: Sequence[Measurement],
    artifacts: Mapping[str, Artifact],
    texts: Sequence[str],
    digest: str,
    store: Store,
    progress: Progress,
) -> tuple[Measurement, ...]:
    """The measurements with what was found of those in fewer bits than fp32. texts: of a test set. digest: of them."""
    return tuple(
        _checked(measured, artifacts[measured.id], texts, digest, store, progress)
        if artifacts[measured.id].manifest.precision != "fp32"
        else measured
        for measured in measurements
    )


def _checked(
    measured: Measurement, artifact: Artifact, texts: Sequence[str], digest: str, store: Store, progress: Progress
) -> Measurement:
    # int8 kernels answer by what the CPU has
    parts = [METHOD, artifact.digest, digest, library_versions(LIBRARIES)]
    invariance = store.once(
        "invariance", [*parts, cpu_features()], partial(_invariance, measured.id, artifact, texts, progress), Invariance
    )
    found = replace(measured, invariance=invariance)
    if artifact.manifest.precision != "int8":
        return found
    counted = store.once("older_cpus", parts, partial(_older_cpus, measured.id, artifact, texts, progress), OlderCpus)
    return replace(found, older_cpus=counted)


def _invariance(name: str, artifact: Artifact, texts: Sequence[str], progress: Progress) -> Invariance:
    candidate = candidate_of(name, artifact, open_predictor(artifact))
    return measure_invariance(
        candidate, spread_texts(texts), lambda done, total: progress(f"asking {name} alone and padded", done, total)
    )


def _older_cpus(name: str, artifact: Artifact, texts: Sequence[str], progress: Progress) -> OlderCpus:
    from compress.runtime.pair_sums import TEXTS, older_cpus

    return older_cpus(
        artifact, spread_texts(texts, TEXTS), lambda done, total: progress(f"adding {name}'s pairs", done, total)
    )
