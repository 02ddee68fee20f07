"""What of a report is drawn on the page, and what each mark says."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

from eval.details.calibration import CalibrationErrors
from eval.details.curves import ThresholdCurve
from eval.latency.conditions import threads_text
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement, SetQuality
from eval.report.comparison import (
    Setting,
    headline_setting,
    interval_text,
    latency_at,
    milliseconds,
    number,
    quality_name,
    setting_of,
    with_interval,
)
from eval.report.inline import inline_svg
from eval.report.page_details import details_of
from eval.report.page_tables import judged, signed, size_text
from eval.report.pareto import dominated, headline_quality
from eval.report.plots import Axis, Choice, Dot, Dots, Kind, Line, draw_choices, draw_dots, draw_lines
from eval.report.report import Report

POOLED = "all labels, pooled"
_SHARE = (-0.02, 1.02)


@dataclass(frozen=True)
class Curves:
    """One drawing of which a candidate and a label are chosen. says: pick -> what is seen, in words.

    names: the picks' first and second halves, in the order offered.
    """

    drawing: str
    says: Mapping[str, str]
    candidates: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class _Point:
    """One time. says: all but whose it is."""

    x: float
    y: float
    says: str


def colours(report: Report) -> dict[str, int]:
    """Id -> place among the page's series: the teacher 0, the first baseline 1, others from 2 on.

    In the report's order, as in every table.
    """
    first = [it.id for it in report.candidates if it.id == report.teacher_id]
    baselines = [it.id for it in report.candidates if it.stage == "tfidf"][:1]
    others = [it.id for it in report.candidates if it.id not in first and it.id not in baselines]
    fixed = dict.fromkeys(first, 0) | dict.fromkeys(baselines, 1)
    places = fixed | {name: 2 + place for place, name in enumerate(others)}
    return {it.id: places[it.id] for it in report.candidates}


def pareto_plot(report: Report, picture: str) -> str:
    """report.svg, each marker with what it stands for."""
    beaten = dominated(report)
    says = {f"point-{place}": [_point_says(report, it, it.id in beaten)] for place, it in enumerate(report.candidates)}
    return inline_svg(picture, "pareto", f"{quality_name(report)} against latency; marker area is size", says)


def labels_plot(report: Report, test_set: str) -> str:
    """F1 by label with intervals, one series a candidate."""
    chosen = colours(report)
    measured = {
        it.id: quality for it in report.candidates if isinstance(quality := it.quality_by_set[test_set], SetQuality)
    }
    names = list(dict.fromkeys(label for quality in measured.values() for label in quality.labels))
    support = {label: it.support for quality in measured.values() for label, it in quality.labels.items()}
    series = [Dots(chosen[name], tuple(_label_dots(name, it, names))) for name, it in measured.items()]
    rows = [f"{label} ({support[label]})" for label in names]
    axis = Axis("F1 with 95 % interval; in brackets the label's positives", _fitted(series))
    return draw_dots("labels", f"F1 by label on {test_set}", rows, series, axis)


def differences_plot(report: Report, reference: str, test_set: str) -> str | None:
    """Macro F1 less the reference's, one row a candidate; None where it was not measured or is undefined."""
    chosen = colours(report)
    found = [(it.id, details.against[reference].macro_f1) for it, details in judged(report, test_set, reference)]
    series = []
    for row, (name, it) in enumerate(found):
        if it.value is not None and it.low is not None and it.high is not None:
            says = f"{name}: {signed(it.value, it.low, it.high)}"
            series.append(Dots(chosen[name], (Dot(row, it.value, it.low, it.high, says),)))
    if not series:
        return None
    axis = Axis(f"macro F1 less that of {reference}, same rows, 95 % interval: right of 0 is better")
    rows = [name for name, _ in found]
    return draw_dots("differences", f"Macro F1 less that of {reference}", rows, series, axis, zero=True, together=True)


def batch_plots(report: Report) -> list[tuple[str, str]]:
    """Title and drawing of p50 by batch, for each device and number of threads that has several batch sizes."""
    chosen = colours(report)
    ways = sorted({(row.device, row.threads) for it in report.candidates for row in it.latency})
    plots: list[tuple[str, str]] = []
    for device, threads in ways:
        timed = {
            it.id: [row for row in it.latency if (row.device, row.threads) == (device, threads)]
            for it in report.candidates
        }
        batches = sorted({row.batch_size for rows in timed.values() for row in rows})
        if len(batches) > 1:
            lines = [line for name, rows in timed.items() for line in _lines(name, rows, chosen[name], _by_batch)]
            title = f"{device}, {threads_text(threads)}{_dashes(timed)}"
            across = Axis("texts in a batch", log=True, ticks=tuple(batches))
            drawing = draw_lines(f"batch{len(plots)}", title, lines, across, Axis("ms a text, p50", log=True))
            plots.append((title, drawing))
    return plots


def length_plots(report: Report) -> list[tuple[str, str]]:
    """Title and drawing of p50 by length of the texts, for each way that several lengths were timed in."""
    chosen = colours(report)
    plots: list[tuple[str, str]] = []
    for way in sorted({astuple(setting_of(row)) for it in report.candidates for row in it.length_latency}):
        timed = {
            it.id: [row for row in it.length_latency if astuple(setting_of(row)) == way and row.tokens is not None]
            for it in report.candidates
        }
        lengths = sorted({row.tokens for rows in timed.values() for row in rows if row.tokens is not None})
        if len(lengths) > 1:
            lines = [line for name, rows in timed.items() for line in _lines(name, rows, chosen[name], _by_length)]
            title = f"{Setting(*way)}{_dashes(timed)}"
            across = Axis(f"tokens of every text ({title})", log=True, ticks=tuple(lengths))
            plots.append((title, draw_lines(f"length{len(plots)}", title, lines, across, Axis("ms, p50", log=True))))
    return plots


def threshold_curves(report: Report) -> Curves | None:
    """Precision, recall and F1 by threshold, of a candidate and a label, on the first test set."""
    found = {name: it.curves for name, it in details_of(report, report.first_set).items() if it.curves}
    kinds = (Kind(2, "solid"), Kind(3, "dashed"), Kind(0, "solid", 2.2), Kind(9, "dotted"))
    says, choices = {}, []
    candidates, labels = _names(found), _names({it: 0 for curves in found.values() for it in curves})
    for name, curves in found.items():
        for label, curve in curves.items():
            pick = f"{candidates[name]}-{labels[label]}"
            says[pick] = f"{name}, {label}: {_curve_says(curve)}"
            choices.append(Choice(pick, _curve_lines(curve)))
    if not choices:
        return None
    title = "Precision, recall and F1 by threshold"
    across, up = Axis("threshold", _SHARE), Axis("share", _SHARE)
    return Curves(draw_choices("curves", title, kinds, choices, across, up, False), says, candidates, labels)


def reliability_curves(report: Report) -> Curves | None:
    """Observed share of positives by probability, of a candidate and a label or all, on the first test set."""
    found = {name: it.calibration for name, it in details_of(report, report.first_set).items() if it.calibration}
    errors = {name: {POOLED: it.pooled, **it.labels} for name, it in found.items()}
    candidates, labels = _names(errors), _names({label: 0 for it in errors.values() for label in it})
    says, choices = {}, []
    for name, by_label in errors.items():
        for label, it in by_label.items():
            pick = f"{candidates[name]}-{labels[label]}"
            if it.bins.rows:
                says[pick] = f"{name}, {label}: {_reliability_says(it)}"
                choices.append(Choice(pick, _reliability_lines(it)))
    if not choices:
        return None
    kinds = (Kind(2, "solid", 2.2), Kind(2, "dotted", 1.2), Kind(2, "dotted", 1.2))
    title = "Share of positives by probability"
    across, up = Axis("mean probability in the bin", _SHARE), Axis("share of positives in it", _SHARE)
    return Curves(draw_choices("reliability", title, kinds, choices, across, up, True), says, candidates, labels)


def _point_says(report: Report, candidate: Measurement, beaten: bool) -> str:
    setting = headline_setting(report)
    timed = latency_at(candidate, setting)
    speed = f"p50 {milliseconds(timed.p50_ms)} ms ({setting}), " if timed else ""
    quality = interval_text(headline_quality(candidate, report.first_set))
    faint = "; dominated: another is at least as good in size, latency and quality" if beaten else ""
    return f"{candidate.id}: {quality_name(report)} {quality}, {speed}{size_text(candidate)}{faint}"


def _label_dots(name: str, quality: SetQuality, labels: list[str]) -> Iterator[Dot]:
    """Undefined ones are left out."""
    for row, label in enumerate(labels):
        it = quality.labels.get(label)
        if it is not None and it.f1 is not None:
            low, high = (it.f1 if end is None else end for end in (it.f1_low, it.f1_high))
            says = f"{name}, {label}: F1 {with_interval(it.f1, it.f1_low, it.f1_high)}, {it.support} positives"
            yield Dot(row, it.f1, low, high, says)


def _fitted(series: Iterable[Dots]) -> tuple[float, float]:
    """Ends of an axis of shares, with a little room beside what is drawn."""
    ends = [end for it in series for dot in it.dots for end in (dot.low, dot.high)] or [0.0, 1.0]
    return max(min(ends) - 0.04, _SHARE[0]), min(max(ends) + 0.04, _SHARE[1])


def _lines(name: str, rows: Sequence[LatencyRow], colour: int, point: Callable[[LatencyRow], _Point]) -> Iterator[Line]:
    """A line for each runtime: on CUDA a torch model comes in fp32 and in fp16, in one setting."""
    runtimes = _runtimes(rows)
    for place, runtime in enumerate(runtimes):
        points = sorted((point(row) for row in rows if row.runtime == runtime), key=lambda it: it.x)
        who = f"{name} ({runtime})" if len(runtimes) > 1 else name
        says = tuple(f"{who}, {it.says}" for it in points)
        yield Line(colour, tuple(it.x for it in points), tuple(it.y for it in points), says, dashed=place > 0)


def _runtimes(rows: Iterable[LatencyRow]) -> list[str]:
    """In the rows' order: fp32 comes before fp16."""
    return list(dict.fromkeys(row.runtime for row in rows))


def _dashes(timed: Mapping[str, Sequence[LatencyRow]]) -> str:
    """What the dashed lines are, if there are any."""
    second = dict.fromkeys(runtime for rows in timed.values() for runtime in _runtimes(rows)[1:])
    return f"; dashed: {', '.join(second)}" if second else ""


def _by_batch(row: LatencyRow) -> _Point:
    each = row.p50_ms / row.batch_size
    return _Point(float(row.batch_size), each, f"batch {row.batch_size}: {milliseconds(each)} ms a text")


def _by_length(row: LatencyRow) -> _Point:
    return _Point(float(row.tokens or 0), row.p50_ms, f"{row.tokens} tokens: {milliseconds(row.p50_ms)} ms")


def _names(found: Mapping[str, object]) -> dict[str, str]:
    """Each name's place, as text: names themselves may hold anything."""
    return {name: str(place) for place, name in enumerate(found)}


def _curve_lines(curve: ThresholdCurve) -> tuple[tuple[tuple[float, float], ...], ...]:
    own = curve.thresholds[curve.current]
    measured = (curve.precision, curve.recall, curve.f1)
    points = (
        tuple((at, value) for at, value in zip(curve.thresholds, values, strict=True) if value is not None)
        for values in measured
    )
    return (*points, ((own, 0.0), (own, 1.0)))


def _curve_says(curve: ThresholdCurve) -> str:
    here = curve.current
    best = max(range(len(curve.f1)), key=lambda place: curve.f1[place])
    return (
        f"at its threshold {curve.thresholds[here]:.3g} precision is {number(curve.precision[here])}, recall "
        f"{number(curve.recall[here])} and F1 {number(curve.f1[here])}; on these rows F1 would be highest, "
        f"{number(curve.f1[best])}, at {curve.thresholds[best]:.3g}"
    )


def _reliability_lines(errors: CalibrationErrors) -> tuple[tuple[tuple[float, float], ...], ...]:
    bins = errors.bins
    return tuple(
        tuple(zip(bins.mean_probability, values, strict=True)) for values in (bins.observed, bins.low, bins.high)
    )


def _reliability_says(errors: CalibrationErrors) -> str:
    claimed = errors.bins.mean_probability[-1]
    return (
        f"expected calibration error {number(errors.ece)}, Brier score {number(errors.brier)}; in the bin of the "
        f"highest probabilities {claimed:.3f} is said and {errors.bins.observed[-1]:.3f} of the rows are positive"
    )
