"""How far the same training with other seeds lies apart: mean and sample standard deviation. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from eval.errors import InvalidInputError
from eval.measurement import SHOWN_AVERAGES, Quality, SetQuality


@dataclass(frozen=True)
class Spread:
    """A metric over seeds. values: one a seed, in their order. deviation: with n - 1 below; None of a single seed.

    mean and deviation are None where the metric is undefined for any.
    """

    mean: float | None
    deviation: float | None
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class SeedSpread:
    """One stage trained with several seeds, or made of such a training.

    by_set: test set -> metric (`macro_f1`, `label_f1[threat]`) -> spread.
    """

    stage: str
    seeds: tuple[int, ...]
    by_set: dict[str, dict[str, Spread]]


def spread(values: Sequence[float | None]) -> Spread:
    """Raises InvalidInputError without any value."""
    if not values:
        raise InvalidInputError("a spread needs at least one value")
    defined = [value for value in values if value is not None]
    if len(defined) < len(values):
        return Spread(None, None, tuple(values))
    return Spread(fmean(defined), stdev(defined) if len(defined) > 1 else None, tuple(values))


def quality_spreads(qualities: Sequence[Quality]) -> dict[str, Spread]:
    """By metric, over the same model trained with several seeds and judged on one test set."""
    return {name: spread([value(quality) for quality in qualities]) for name, value in _metrics(qualities[0]).items()}


def _metrics(first: Quality) -> Mapping[str, Callable[[Quality], float | None]]:
    if isinstance(first, SetQuality):
        labels = {f"label_f1[{label}]": _label_f1(label) for label in first.labels}
        return {name: _average(name) for name in SHOWN_AVERAGES} | labels
    return {name: _average(name) for name in ("macro_r2", "macro_rmse", "macro_mae", "macro_spearman")}


def _average(name: str) -> Callable[[Quality], float | None]:
    return lambda quality: getattr(quality, name).value


def _label_f1(label: str) -> Callable[[Quality], float | None]:
    return lambda quality: quality.labels[label].f1 if isinstance(quality, SetQuality) else None
