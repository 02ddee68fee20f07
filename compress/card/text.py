"""What a model card says below its metadata: a page of Markdown. Texts only, no files."""

from collections.abc import Iterable, Iterator, Mapping

from compress.artifact import Artifact
from compress.card.metadata import AVERAGES, in_words, metadata_text
from compress.recipe.recipe import Repeat
from eval.measurement import Measurement, SetQuality
from eval.report.checks import HEADINGS, READING, TITLE, WORDS, check_row
from eval.report.comparison import average_name, in_units, interval_text, megabytes, number, with_interval
from eval.report.latency import latency_tables
from eval.report.report import Report
from eval.report.seeds import mean_text
from eval.report.table import code, markdown_table, plain

_FORMATS = {
    "torch": "PyTorch weights (safetensors)",
    "onnx": "ONNX",
    "onnx_text": "ONNX that takes texts",
    "openvino": "OpenVINO",
    "torch_export": "a torch.export program",
    "tfidf": "TF-IDF with a linear model",
}
_LIMITS = (
    "It was measured on the test sets named above and on no other rows: on texts of another kind, time or language "
    "its quality is unknown. An interval says how far a number may move on other rows of the same kind."
)
_TIMES = {
    "Latency": "Wall clock from text to answer, tokenization included. Speedup is relative to the recipe's teacher.",
    "Latency by length": "The same on texts that were all cut and joined to so many tokens.",
    "Cold start": "From the start of a process to its first answer: the median of five, the fastest and the slowest in "
    "brackets. Memory is the most that the process held.",
}
_USE = """\
With compress, calibrated and decided as it was measured:

```python
import compress

predictor = compress.open_predictor("{folder}")
print(predictor.labels, predictor.{method}(["a text"]))
```

or `compress predict {folder} --input texts.csv --output scored.csv`."""
_ONNX_RUNTIME = """\
With ONNX Runtime alone, which splits the texts itself; these are logits, {after}:

```python
import onnxruntime

session = onnxruntime.InferenceSession("{folder}/model.onnx", providers=["CPUExecutionProvider"])
(logits,) = session.run(["logits"], {{"text": ["a text"]}})
```"""
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

_OPENVINO = """\
With OpenVINO alone; these are logits, {after}:

```python
import openvino
from tokenizers import Tokenizer

compiled = openvino.Core().compile_model("{folder}/model.xml", "CPU")
encoding = Tokenizer.from_file("{folder}/tokenizer.json").encode("a text")
given = {{"input_ids": [encoding.ids], "attention_mask": [encoding.attention_mask]}}
logits = compiled(given)["logits"]
```"""


def card_text(
    artifact: Artifact,
    measured: Measurement,
    report: Report,
    data_sha256s: Mapping[str, str],
    base_model: str | None = None,
) -> str:
    """All of README.md but its mark. data_sha256s: split -> sha256 of its rows. base_model: hub id, if it has one."""
    about = [
        _what_it_is(artifact, measured, report),
        *_labels(artifact),
        *_quality(measured, report),
        *_speed(measured),
        *_checks(measured),
    ]
    return _page(metadata_text(artifact, report, base_model, measured), about, artifact, report, data_sha256s)


def repeat_text(
    artifact: Artifact,
    repeat: Repeat,
    report: Report,
    data_sha256s: Mapping[str, str],
    base_model: str | None = None,
) -> str:
    """The card of one more training of a stage with another seed, of which less is measured; without a model-index."""
    about = [_what_it_repeats(artifact, repeat, report), *_labels(artifact), *_beside_other_seeds(repeat, report)]
    return _page(metadata_text(artifact, report, base_model, None), about, artifact, report, data_sha256s)


def _page(
    metadata: str, about: Iterable[str], artifact: Artifact, report: Report, data_sha256s: Mapping[str, str]
) -> str:
    sections = [
        f"# {plain(report.name)}: {plain(artifact.manifest.stage_id)}",
        *about,
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(artifact, report)),
        "## Use",
        *_use(artifact),
        "## Data and origin",
        "\n".join(f"- {line}" for line in _origin(artifact, report, data_sha256s)),
    ]
    body = "\n\n".join(sections)
    return f"---\n{metadata}\n---\n\n{body}\n\n"


def _what_it_is(artifact: Artifact, measured: Measurement, report: Report) -> str:
    manifest, weighed = artifact.manifest, measured.footprint
    made_of = f" from `{'`, `'.join(manifest.parents)}`" if manifest.parents else ""
    return (
        f"{_kind(artifact)}: {weighed.parameters:,} parameters, {megabytes(weighed.size_bytes)} MB, "
        f"{megabytes(weighed.size_gzip_bytes)} MB gzipped. "
        f"It is stage `{measured.id}` ({manifest.stage_type}){made_of} of the recipe "
        f"{code(report.name)}, made with compress.{_reads(artifact)}"
    )


def _what_it_repeats(artifact: Artifact, repeat: Repeat, report: Report) -> str:
    return (
        f"{_kind(artifact)}. It is a repeat of stage `{repeat.of}` ({artifact.manifest.stage_type}) of the recipe "
        f"{code(report.name)}, made with compress: with seed {repeat.seed} in its training, to see what chance there "
        f"alone moves.{_reads(artifact)}"
    )


def _kind(artifact: Artifact) -> str:
    manifest = artifact.manifest
    kind = {"multi_label": "multi-label classifier", "single_label": "classifier", "regression": "regression"}
    return f"A text {kind[manifest.task.type]} in {_FORMATS[manifest.format]}, {manifest.precision}"


def _reads(artifact: Artifact) -> str:
    limit = artifact.manifest.max_tokens
    return f" It reads {limit} tokens at once." if limit else ""


def _labels(artifact: Artifact) -> list[str]:
    task = artifact.manifest.task
    if task.type == "regression":
        return ["## Targets", ", ".join(code(label) for label in task.labels)]
    thresholds = artifact.decision().thresholds
    if thresholds is None:
        listed = ", ".join(code(label) for label in task.labels)
        return ["## Labels", f"{listed}; the most probable one is the answer."]
    rows = [[label, number(threshold, 4)] for label, threshold in zip(task.labels, thresholds, strict=True)]
    chosen = "A label is given where its calibrated probability is at least its threshold, chosen on validation rows."
    return ["## Labels", chosen, markdown_table(("label", "threshold"), rows)]


def _quality(measured: Measurement, report: Report) -> Iterator[str]:
    for test_set, quality in measured.quality_by_set.items():
        yield f"## Quality on {plain(test_set)}"
        yield f"{quality.rows} rows; brackets hold 95 % intervals."
        if isinstance(quality, SetQuality):
            rows = [[average_name(report, name), interval_text(getattr(quality, name))] for name in AVERAGES]
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


def _beside_other_seeds(repeat: Repeat, report: Report) -> Iterator[str]:
    """What the report has of this training: each metric's value, and how those of all seeds lie."""
    found = next((it for it in report.seeds if it.stage == repeat.of and repeat.seed in it.seeds), None)
    if found is None:
        return
    place = found.seeds.index(repeat.seed)
    for test_set, spreads in found.by_set.items():
        yield f"## Quality on {plain(test_set)}"
        yield f"Beside it the mean over seeds {', '.join(map(str, found.seeds))}, ± standard deviation."
        rows = [[_metric(name), number(it.values[place]), mean_text(it)] for name, it in spreads.items()]
        yield markdown_table(("metric", f"seed {repeat.seed}", "all seeds"), rows)


def _metric(name: str) -> str:
    """`F1 of threat` of label_f1[threat]."""
    return f"F1 of {name[len('label_f1[') : -1]}" if name.startswith("label_f1[") else in_words(name)


def _speed(measured: Measurement) -> Iterator[str]:
    """Times, and times by length, cold start and memory where they were measured."""
    for table in latency_tables([measured]):
        yield f"## {table.title}"
        yield _TIMES[table.title]
        yield markdown_table(table.headings, table.rows)


def _checks(measured: Measurement) -> Iterator[str]:
    """Of a model in fewer bits: what its answers depend on beside the text."""
    row = check_row(measured)
    if row is not None:
        yield f"## {TITLE}"
        yield READING
        yield markdown_table(("what", "found"), zip(HEADINGS[WORDS:], row[WORDS:], strict=True))


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
    # notes on a stage or a repeat begin so; its own are in the manifest
    stages = (*(f"{it.id}: " for it in report.candidates), *(f"{it.stage}.seed" for it in report.seeds))
    told = (*manifest.marks, *report.notes, *manifest.notes)
    yield from (plain(note) for note in told if not note.startswith(stages))


def _use(artifact: Artifact) -> Iterator[str]:
    manifest, folder = artifact.manifest, artifact.path.name
    regression = manifest.task.type == "regression"
    yield _USE.format(folder=folder, method="predict_values" if regression else "predict_proba")
    if manifest.format == "onnx_text":
        yield _ONNX_RUNTIME.format(folder=folder, after=_after_logits(artifact))
    if manifest.format == "onnx" and manifest.long_text.how == "truncate":
        yield _OPTIMUM.format(folder=folder, after=_after_logits(artifact))

    if manifest.format == "openvino":
        yield _OPENVINO.format(folder=folder, after=_after_logits(artifact))


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
