"""What was measured of a candidate, as plain data that round-trips through JSON exactly."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from eval.contract import Footprint, Interval, OlderCpus
from eval.details.agreement import Agreement
from eval.details.calibration import Calibration
from eval.details.curves import ThresholdCurve
from eval.details.disagreements import Disagreement
from eval.details.invariance import Invariance
from eval.details.slices import Slice
from eval.intervals.differences import Differences
from eval.latency.rounds import LatencyRow
from eval.plain import dump, read
from eval.values import RegressionQuality

# of a classifier, those of `eval.intervals.resample.AVERAGES` that are shown and compared first
SHOWN_AVERAGES = ("macro_f1", "micro_f1", "macro_roc_auc", "macro_average_precision")


@dataclass(frozen=True)
class LabelQuality:
    """One label of one test set. None is "undefined" (no positive there, of a ranking no negative, of a precision no
    positive decision), never shown as a number.

    support: positives. threshold: the decision threshold used; None where the decision is an argmax. f1_at_half: F1
    with every threshold at 0.5, so that the gain of tuned thresholds is seen; None where an argmax decides.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    f1_low: float | None
    f1_high: float | None
    f1_at_half: float | None
    roc_auc: float | None
    average_precision: float | None
    support: int
    threshold: float | None
    precision_low: float | None = None
    precision_high: float | None = None
    recall_low: float | None = None
    recall_high: float | None = None
    roc_auc_low: float | None = None
    roc_auc_high: float | None = None
    average_precision_low: float | None = None
    average_precision_high: float | None = None


@dataclass(frozen=True)
class SetQuality:
    """All of one test set. Macro: mean over the labels where it is defined. Micro: over all decisions pooled.

    Intervals are 95 % (see `eval.intervals.scores`). macro_f1_at_half has none. positive_rows: those with a positive of
    any label; None in reports of before it was counted.
    """

    rows: int
    macro_f1: Interval
    micro_f1: Interval
    macro_precision: Interval
    macro_recall: Interval
    micro_precision: Interval
    micro_recall: Interval
    macro_roc_auc: Interval
    micro_roc_auc: Interval
    macro_average_precision: Interval
    micro_average_precision: Interval
    macro_f1_at_half: float | None
    labels: dict[str, LabelQuality]
    positive_rows: int | None = None


Quality: TypeAlias = SetQuality | RegressionQuality


@dataclass(frozen=True)
class SetDetails:
    """What else one test set says of a classifier. against: by the id of the candidate it is compared with.

    agreement, disagreements: with the teacher; None and empty of the teacher itself, and where there is none. curves:
    by label. slices: of the test set's rows.
    """

    against: dict[str, Differences]
    calibration: Calibration | None = None
    agreement: Agreement | None = None
    curves: dict[str, ThresholdCurve] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """All that is known of one candidate. quality_by_set, details_by_set: by test set, in the recipe's order.

    length_latency: on texts that were all made of one length (their `tokens`). cold_start_ms: from the start of a
    process to its first answer, the median of five with the fastest and slowest; peak_memory_mb: the most memory it
    held up to then, peak_memory_batch_mb: after a batch of 32 texts; None where they were not measured. invariance: of
    models in fewer bits than fp32; older_cpus: of those in int8; else None. fell_back: devices on which it was to be
    timed, and ran on the CPU instead: it has no time there.
    """

    id: str
    stage: str
    format: str
    footprint: Footprint
    quality_by_set: dict[str, Quality]
    latency: tuple[LatencyRow, ...]
    details_by_set: dict[str, SetDetails] = field(default_factory=dict)
    length_latency: tuple[LatencyRow, ...] = ()
    cold_start_ms: Interval | None = None
    peak_memory_mb: float | None = None
    peak_memory_batch_mb: float | None = None
    invariance: Invariance | None = None
    older_cpus: OlderCpus | None = None
    fell_back: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One entry of report.json's `candidates`; "quality" repeats the first test set for who reads only that."""
        written = dump(self)
        footprint = written.pop("footprint")
        return {**written, **footprint, "quality": next(iter(written["quality_by_set"].values()), None)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Measurement":
        """Reads what `to_json` wrote. Raises InvalidInputError if something of it is missing."""
        return read(cls, {**data, "footprint": data})
