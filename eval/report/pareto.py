"""Which candidates another one beats on everything that counts: size, latency and quality."""

from eval.contract import Interval
from eval.measurement import Measurement
from eval.report.comparison import headline_setting, latency_at
from eval.report.report import Report
from eval.values import RegressionQuality


def headline_quality(candidate: Measurement, test_set: str) -> Interval:
    """Macro F1, or macro R² of a regression, on one test set."""
    quality = candidate.quality_by_set[test_set]
    return quality.macro_r2 if isinstance(quality, RegressionQuality) else quality.macro_f1


def dominated(report: Report) -> frozenset[str]:
    """Ids of candidates that another is at least as good as in bytes, p50 at the headline setting and quality.

    In one of them it is better. Noise is not looked at; who lacks one of the numbers neither dominates nor is
    dominated.
    """
    setting = headline_setting(report)
    costs = {}
    for candidate in report.candidates:
        timed, quality = latency_at(candidate, setting), headline_quality(candidate, report.first_set).value
        if quality is not None and (timed is not None or setting is None):
            costs[candidate.id] = (candidate.footprint.size_bytes, timed.p50_ms if timed else 0.0, -quality)
    return frozenset(name for name, own in costs.items() if any(_beats(other, own) for other in costs.values()))


def _beats(other: tuple[float, ...], own: tuple[float, ...]) -> bool:
    return other != own and all(theirs <= mine for theirs, mine in zip(other, own, strict=True))
