"""Artifacts as the judge sees them."""

import numpy as np

from compress.artifact import Artifact
from compress.runtime.base import LogitsPredictor, Values
from eval.contract import Candidate, Footprint


def format_of(artifact: Artifact) -> str:
    """The format, with the precision where it is not fp32: onnx-int8."""
    manifest = artifact.manifest
    return manifest.format if manifest.precision == "fp32" else f"{manifest.format}-{manifest.precision}"


def candidate_of(name: str, artifact: Artifact, predictor: LogitsPredictor) -> Candidate:
    """An opened artifact. Its footprint is of no matter to quality and latency, and counted apart."""
    judged = predictor.judged()
    thresholds = None if isinstance(judged, Values) else predictor.decision.thresholds
    return Candidate(
        id=name,
        stage=artifact.manifest.stage_type,
        format=format_of(artifact),
        runtime=predictor.runtime,
        device=predictor.device,
        threads=predictor.threads,
        footprint=Footprint(0, 0, 0, 0, 0.0),
        thresholds=None if thresholds is None else np.asarray(thresholds, np.float32),
        predictor=judged,
    )
