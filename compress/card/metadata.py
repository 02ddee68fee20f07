"""The YAML on top of a model card, as Hugging Face's hub reads it: what the model is, and its `model-index`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from compress.artifact import Artifact
from compress.pretrained import is_hub_id
from eval.contract import Interval
from eval.measurement import Measurement, Quality, SetQuality
from eval.report.report import Report

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

AVERAGES = {  # of a classifier: what the hub calls the metric
    "macro_f1": "f1",
    "micro_f1": "f1",
    "macro_roc_auc": "roc_auc",
    "macro_average_precision": "average_precision",
}
_LIBRARIES = {"onnx": "onnx", "onnx_text": "onnx", "openvino": "openvino"}
_ERRORS = {"macro_r2": "r_squared", "macro_rmse": "rmse", "macro_mae": "mae", "macro_spearman": "spearmanr"}


def metadata_text(artifact: Artifact, report: Report, base_model: str | None, measured: Measurement | None) -> str:
    """Without the lines of dashes. base_model: a hub id. measured: None where no results are to be promised.

    No licence: that of the weights, the data and what became of both is nothing that a run knows.
    """
    from huggingface_hub import ModelCardData

    found = measured.quality_by_set if measured is not None else {}
    results = [it for name, quality in found.items() for it in _results(name, quality)]
    manifest = artifact.manifest
    data = ModelCardData(
        base_model=base_model,
        model_name=f"{report.name}-{manifest.stage_id}",
        pipeline_tag="text-classification",
        library_name=_LIBRARIES.get(manifest.format),
        tags=["compress", manifest.stage_type, manifest.precision],
        eval_results=results or None,
    )
    return str(data.to_yaml()).rstrip()


def base_model(artifact: Artifact, artifacts: Mapping[str, Artifact], follows: Mapping[str, str | None]) -> str | None:
    """Hub id of the model whose weights these were; None where that was a package or a folder, or there was none.

    follows: id -> id of the stage that one works on. Who only learns from a teacher has none of its weights.
    """
    reference = artifact.manifest.pretrained.get("reference")
    if reference is not None:
        return reference if is_hub_id(reference) else None
    followed = follows.get(artifact.manifest.stage_id)
    return None if followed is None else base_model(artifacts[followed], artifacts, follows)


def in_words(metric: str) -> str:
    """`macro ROC-AUC` of macro_roc_auc."""
    return metric.replace("roc_auc", "ROC-AUC").replace("_f1", " F1").replace("_r2", " R²").replace("_", " ")


def _results(test_set: str, quality: Quality) -> "Iterator[EvalResult]":
    """An undefined number is no result."""
    from huggingface_hub import EvalResult

    for name, kind in (AVERAGES if isinstance(quality, SetQuality) else _ERRORS).items():
        found = getattr(quality, name)
        if found.value is not None:
            yield EvalResult(
                task_type="text-classification",
                task_name="Text Classification",
                dataset_type=test_set,
                dataset_name=test_set,
                dataset_split="test",
                metric_type=kind,
                metric_name=in_words(name) + _ends(found),
                metric_value=round(found.value, 6),
            )


def _ends(found: Interval) -> str:
    """` (95 % interval 0.729 to 0.779)`."""
    return "" if found.low is None or found.high is None else f" (95 % interval {found.low:.4g} to {found.high:.4g})"
