"""One candidate less another on the same rows: paired differences with intervals. Pure NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

from eval.contract import Interval, Targets
from eval.metrics import Metric, average_precision, f1, macro, micro, per_label, roc_auc
from eval.resample import Judged, interval


@dataclass(frozen=True)
class Differences:
    """Candidate less reference, so above 0 is better; 95 % intervals. Undefined where a metric is for either.

    label_f1: by label.
    """

    macro_f1: Interval
    micro_f1: Interval
    macro_roc_auc: Interval
    macro_average_precision: Interval
    label_f1: dict[str, Interval]


def paired_differences(targets: Targets, labels: tuple[str, ...], own: Judged, reference: Judged) -> Differences:
    """How much better `own` is than `reference` on the same rows. targets: (N, L).

    Paired bootstrap (Efron and Tibshirani 1993): both are scored on the same resamples, drawn with one seed, and the
    scores subtracted resample by resample; so what makes a resample hard for both cancels.
    """

    def average(name: str, metric: Callable[[Judged], float | None]) -> Interval:
        draws = own.draws.averages[name] - reference.draws.averages[name]
        return interval(_less(metric(own), metric(reference)), draws)

    def of(average: Callable[..., float | None], metric: Metric, decided: bool) -> Callable[[Judged], float | None]:
        return lambda judged: average(metric, targets, judged.decisions if decided else judged.probabilities)

    draws = own.draws.label_f1 - reference.draws.label_f1
    values = [per_label(f1, targets, judged.decisions) for judged in (own, reference)]
    return Differences(
        macro_f1=average("macro_f1", of(macro, f1, True)),
        micro_f1=average("micro_f1", of(micro, f1, True)),
        macro_roc_auc=average("macro_roc_auc", of(macro, roc_auc, False)),
        macro_average_precision=average("macro_average_precision", of(macro, average_precision, False)),
        label_f1={
            label: interval(_less(values[0][place], values[1][place]), draws[:, place])
            for place, label in enumerate(labels)
        },
    )


def _less(own: float | None, reference: float | None) -> float | None:
    return None if own is None or reference is None else own - reference
