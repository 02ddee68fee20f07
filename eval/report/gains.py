"""What each stage cut and what it really gave: its candidate beside the one it began with. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eval.contract import Interval
from eval.intervals.differences import Differences
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement
from eval.report.comparison import headline_setting, latency_at
from eval.report.pareto import headline_quality
from eval.report.report import Report
from eval.values import RegressionQuality

_TRAINING = {
    "epochs", "learning_rate", "batch_size", "batch_tokens", "warmup", "weight_decay", "precision", "early_stopping",
    "temperature", "hardness", "distillation", "label_loss", "pos_weight", "hints", "augment", "window_pooling",
    "seeds", "seed", "revision", "sha256", "importance_rows", "max_drop", "trials", "minutes",
}  # fmt: skip
_NAMES = {"id", "type", "from", "teacher"}


@dataclass(frozen=True)
class StageGain:
    """One stage of the recipe. began_with: in words, of several teachers all with their weights; parent: the first.

    asked: its settings that shape the model. Shares are of its parent's: size_share 0.25 is a quarter of the bytes.
    speed: parent's time / its own at the headline setting, with an interval where they were paired by round, else of
    their p50s; None where one has no time. zeros, zeros_before: shares of the parameters that are exactly 0. quality:
    macro F1 (or R²) less the parent's; with an interval where that difference was measured row by row. ranking: the
    same of macro ROC-AUC, and changed: the share of the decisions that are not the parent's; both None where they were
    not measured row by row.
    """

    stage: str
    kind: str
    parent: str
    began_with: str
    asked: tuple[str, ...]
    size_share: float
    gzip_share: float
    parameters_share: float | None
    zeros_before: float
    zeros: float
    speed: Interval | None
    quality: Interval
    ranking: Interval | None = None
    changed: float | None = None


def stage_gains(report: Report) -> tuple[StageGain, ...]:
    """Of every stage that began with another candidate of the report, in the recipe's order."""
    found = {it.id: it for it in report.candidates}
    gains = []
    for stage in report.recipe.get("stages", ()):
        own, parent = found.get(stage.get("id")), found.get(_began_with(stage))
        if own is not None and parent is not None and own is not parent:
            gains.append(_gain(report, stage, own, parent))
    return tuple(gains)


def _began_with(stage: Mapping[str, Any]) -> Any:
    """Id of what the stage follows, else of its teacher, of several the first."""
    teacher = stage.get("teacher")
    return stage.get("from") or (next(iter(teacher), None) if isinstance(teacher, Mapping) else teacher)


def _in_words(stage: Mapping[str, Any], parent: str) -> str:
    """`teacher (0.7), tfidf_chars (0.3)` where several are averaged: their weights sum to 1, as in the training."""
    teacher = stage.get("teacher")
    if stage.get("from") or not isinstance(teacher, Mapping) or len(teacher) == 1:
        return parent
    whole = sum(teacher.values())
    return ", ".join(f"{name} ({weight / whole:.3g})" for name, weight in teacher.items())


def _gain(report: Report, stage: Mapping[str, Any], own: Measurement, parent: Measurement) -> StageGain:
    setting = headline_setting(report)
    after, before = own.footprint, parent.footprint
    against = _against(report, own, parent)
    equal = None if against is None else against.equal_decisions
    return StageGain(
        stage=own.id,
        kind=stage.get("type", own.stage),
        parent=parent.id,
        began_with=_in_words(stage, parent.id),
        asked=tuple(_settings(stage)),
        size_share=after.size_bytes / max(before.size_bytes, 1),
        gzip_share=after.size_gzip_bytes / max(before.size_gzip_bytes, 1),
        parameters_share=after.parameters / before.parameters if before.parameters else None,
        zeros_before=before.zeros_share,
        zeros=after.zeros_share,
        speed=_speed(latency_at(own, setting), latency_at(parent, setting)),
        quality=_difference(report, own, parent),
        ranking=None if against is None else against.macro_roc_auc,
        changed=None if equal is None else 1 - equal,
    )


def _speed(own: LatencyRow | None, parent: LatencyRow | None) -> Interval | None:
    if own is None or parent is None:
        return None
    if own.speedup_vs_parent is not None:
        return own.speedup_vs_parent
    return Interval(parent.p50_ms / own.p50_ms, None, None) if own.p50_ms > 0 else None


def _against(report: Report, own: Measurement, parent: Measurement) -> Differences | None:
    details = own.details_by_set.get(report.first_set)
    return None if details is None else details.against.get(parent.id)


def _difference(report: Report, own: Measurement, parent: Measurement) -> Interval:
    against, quality = _against(report, own, parent), own.quality_by_set[report.first_set]
    if against is not None:
        return against.macro_f1
    if isinstance(quality, RegressionQuality) and parent.id in quality.r2_against:
        return quality.r2_against[parent.id]
    mine, theirs = (headline_quality(it, report.first_set).value for it in (own, parent))
    return Interval(None if mine is None or theirs is None else mine - theirs, None, None)


def _settings(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`scheme: int8_dynamic`, `student.layers: 1`: what was set, and shapes what comes out."""
    for key, value in section.items():
        if value is None or value is False or (not prefix and key in _NAMES) or key in _TRAINING:
            continue
        if key == "percentile" and section.get("method") != key:  # of the other methods it says nothing
            continue
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        elif value != 0:
            yield f"{prefix}{key}: {'yes' if value is True else value}"
