"""What a model card says: metadata with the hub's `model-index`, and a page of Markdown. Texts only, no files."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from compress.artifact import Artifact
from eval.contract import Interval
from eval.measurement import Measurement, SetQuality
from eval.report.comparison import average_name, in_units, interval_text, megabytes, number, with_interval
from eval.report.latency import latency_tables
from eval.report.report import Report
from eval.report.table import markdown_table, plain
from eval.values import RegressionQuality

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_AVERAGES = {  # of a classifier: what the hub calls the metric
    "macro_f1": "f1",
    "micro_f1": "f1",
    "macro_roc_auc": "roc_auc",
    "macro_average_precision": "average_precision",
}
_ERRORS = {"macro_r2": "r_squared", "macro_rmse": "rmse", "macro_mae": "mae", "macro_spearman": "spearmanr"}
_FORMATS = {"torch": "PyTorch weights (safetensors)", "onnx": "ONNX", "tfidf": "TF-IDF with a linear model"}
_LIMITS = (
    "It was measured on the test sets named above and on no other rows: on texts of another kind, time or language "
    "its quality is unknown. An interval says how far a number may move on other rows of the same kind."
)
_USE = """\
With compress, calibrated and decided as it was measured:

```python
import compress

predictor = compress.open_predictor("{folder}")
print(predictor.labels, predictor.{method}(["a text"]))
```

or `compress predict {folder} --input texts.csv --output scored.csv`."""
_OPTIMUM = """\
With optimum; these are logits, {after}:

```python
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}")
model = ORTModelForSequenceClassification.from_pretrained("{folder}")
logits = model(**tokenizer(["a text"], truncation=True, padding=True, return_tensors="pt")).logits
```

With transformers.js, from a folder beside the script:

```js
import {{ AutoModelForSequenceClassification, AutoTokenizer, env }} from "@huggingface/transformers";

env.localModelPath = ".";
const tokenizer = await AutoTokenizer.from_pretrained("{folder}");
const model = await AutoModelForSequenceClassification.from_pretrained("{folder}", {{ subfolder: "", dtype: "fp32" }});
const {{ logits }} = await model(await tokenizer(["a text"], {{ padding: true, truncation: true }}));
```

There `dtype: "fp32"` names the file, `model.onnx`, whatever its precision."""


def card_text(artifact: Artifact, measured: Measurement, report: Report, data_sha256s: Mapping[str, str]) -> str:
    """All of README.md but its mark. data_sha256s: split -> sha256 of its rows."""
    sections = [
        f"# {plain(report.name)}: {plain(measured.id)}",
        _what_it_is(artifact, measured, report),
        *_labels(artifact),
        *_quality(measured, report),
        *_speed(measured),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(artifact, report)),
        "## Use",
        *_use(artifact),
        "## Data and origin",
        "\n".join(f"- {line}" for line in _origin(artifact, report, data_sha256s)),
    ]
    body = "\n\n".join(sections)
    return f"---\n{_metadata(artifact, measured, report)}\n---\n\n{body}\n\n"


def _metadata(artifact: Artifact, measured: Measurement, report: Report) -> str:
    from huggingface_hub import ModelCardData

    results = [it for name in measured.quality_by_set for it in _results(measured, name)]
    library = {"onnx": "onnx", "torch": None, "tfidf": None}[artifact.manifest.format]
    data = ModelCardData(
        model_name=f"{report.name}-{measured.id}",
        pipeline_tag="text-classification",
        library_name=library,
        tags=["compress", artifact.manifest.stage_type, artifact.manifest.precision],
        eval_results=results or None,
    )
    return str(data.to_yaml()).rstrip()


def _results(measured: Measurement, test_set: str) -> "Iterator[EvalResult]":
    """An undefined number is no result."""
    from huggingface_hub import EvalResult

    for name, kind in _metrics(measured.quality_by_set[test_set]).items():
        found = getattr(measured.quality_by_set[test_set], name)
        if found.value is not None:
            yield EvalResult(
                task_type="text-classification",
                task_name="Text Classification",
                dataset_type=test_set,
                dataset_name=test_set,
                dataset_split="test",
                metric_type=kind,
                metric_name=_in_words(name, found),
                metric_value=round(found.value, 6),
            )


def _in_words(name: str, found: Interval) -> str:
    """`macro F1 (95 % interval 0.729 to 0.779)`."""
    spoken = name.replace("roc_auc", "ROC-AUC").replace("_f1", " F1").replace("_r2", " R²").replace("_", " ")
    ends = "" if found.low is None or found.high is None else f" (95 % interval {found.low:.4g} to {found.high:.4g})"
    return spoken + ends


def _metrics(quality: SetQuality | RegressionQuality) -> Mapping[str, str]:
    return _AVERAGES if isinstance(quality, SetQuality) else _ERRORS


def _what_it_is(artifact: Artifact, measured: Measurement, report: Report) -> str:
    manifest, weighed = artifact.manifest, measured.footprint
    kind = {"multi_label": "multi-label classifier", "single_label": "classifier", "regression": "regression"}
    made_of = f" from `{'`, `'.join(manifest.parents)}`" if manifest.parents else ""
    reads = f" It reads {manifest.max_tokens} tokens at once." if manifest.max_tokens else ""
    return (
        f"A text {kind[manifest.task.type]} in {_FORMATS[manifest.format]}, {manifest.precision}: "
        f"{weighed.parameters:,} parameters, {megabytes(weighed.size_bytes)} MB, "
        f"{megabytes(weighed.size_gzip_bytes)} MB gzipped. "
        f"It is stage `{measured.id}` ({manifest.stage_type}){made_of} of the recipe "
        f"`{plain(report.name)}`, made with compress.{reads}"
    )


def _labels(artifact: Artifact) -> list[str]:
    task = artifact.manifest.task
    if task.type == "regression":
        return ["## Targets", ", ".join(f"`{plain(label)}`" for label in task.labels)]
    thresholds = artifact.decision().thresholds
    if thresholds is None:
        listed = ", ".join(f"`{plain(label)}`" for label in task.labels)
        return ["## Labels", f"{listed}; the most probable one is the answer."]
    rows = [[label, number(threshold, 4)] for label, threshold in zip(task.labels, thresholds, strict=True)]
    chosen = "A label is given where its calibrated probability is at least its threshold, chosen on validation rows."
    return ["## Labels", chosen, markdown_table(("label", "threshold"), rows)]


def _quality(measured: Measurement, report: Report) -> Iterator[str]:
    for test_set, quality in measured.quality_by_set.items():
        yield f"## Quality on {plain(test_set)}"
        yield f"{quality.rows} rows; brackets hold 95 % intervals."
        if isinstance(quality, SetQuality):
            rows = [[average_name(report, name), interval_text(getattr(quality, name))] for name in _AVERAGES]
            yield markdown_table(("metric", "value"), rows)
            yield markdown_table(
                ("label", "positives", "precision", "recall", "F1"),
                (
                    [
                        label,
                        str(it.support),
                        number(it.precision),
                        number(it.recall),
                        with_interval(it.f1, it.f1_low, it.f1_high),
                    ]
                    for label, it in quality.labels.items()
                ),
            )
        else:
            yield markdown_table(
                ("target", "R²", "RMSE", "MAE", "Spearman"),
                (
                    [label, interval_text(it.r2), in_units(it.rmse), in_units(it.mae), interval_text(it.spearman)]
                    for label, it in quality.targets.items()
                ),
            )


def _speed(measured: Measurement) -> list[str]:
    tables = [it for it in latency_tables([measured]) if it.title == "Latency"]
    if not tables:
        return []
    read = "Wall clock from text to answer, tokenization included. Speedup is relative to the recipe's teacher."
    return ["## Latency", read, markdown_table(tables[0].headings, tables[0].rows)]


def _limits(artifact: Artifact, report: Report) -> Iterator[str]:
    manifest = artifact.manifest
    yield _LIMITS
    if manifest.max_tokens:
        how = {
            "truncate": "only the beginning is read",
            "head_tail": "the beginning and the end are read",
            "windows": f"it is read in windows, whose logits are combined ({manifest.long_text.window_pooling})",
        }
        yield f"Of a text of more than {manifest.max_tokens} tokens {how[manifest.long_text.how]}."
    if manifest.task.type == "multi_label":
        yield "The thresholds fit data in which labels are as frequent as they were in validation."
    stages = tuple(f"{it.id}: " for it in report.candidates)  # notes on one begin so; its own are in the manifest
    yield from (plain(note) for note in (*report.notes, *manifest.notes) if not note.startswith(stages))


def _use(artifact: Artifact) -> Iterator[str]:
    manifest, folder = artifact.manifest, artifact.path.name
    regression = manifest.task.type == "regression"
    yield _USE.format(folder=folder, method="predict_values" if regression else "predict_proba")
    if manifest.format == "onnx" and manifest.long_text.how == "truncate":
        yield _OPTIMUM.format(folder=folder, after=_after_logits(artifact))


def _after_logits(artifact: Artifact) -> str:
    if artifact.manifest.task.type == "regression":
        return "which `scaling.json` turns into values"
    squash = "softmax" if artifact.manifest.task.type == "single_label" else "sigmoid"
    temperature = artifact.decision().calibration_temperature
    return f"to be divided by the calibration temperature {temperature:.4g} before {squash}"


def _origin(artifact: Artifact, report: Report, data_sha256s: Mapping[str, str]) -> Iterator[str]:
    manifest = artifact.manifest
    if manifest.pretrained:
        weights = manifest.pretrained.get("weights_sha256")
        yield f"began with `{manifest.pretrained['reference']}`" + (f", weights sha256 `{weights}`" if weights else "")
    for split, digest in data_sha256s.items():
        yield f"{split} rows: sha256 `{digest}`"
    yield f"made with {', '.join(f'{name} {version}' for name, version in manifest.environment.items())}"
    machine = report.environment.get("cpu")
    if isinstance(machine, str):
        yield f"measured on {plain(machine)}"
    yield f"artifact digest `{artifact.digest}`"
