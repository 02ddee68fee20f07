"""The picture: latency across, macro F1 (of a regression, R²) up, marker area by size, the dominated ones faint.

An SVG that is the same for the same report.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from eval.contract import Interval
from eval.measurement import Measurement
from eval.report.comparison import Setting, headline_setting, latency_at, megabytes, quality_name, shortened
from eval.report.pareto import dominated, headline_quality
from eval.report.report import Report

_STYLES = {  # colour (Okabe and Ito's, told apart by the colour-blind) and marker of each part
    "teacher": ("#d55e00", "s"),
    "baseline": ("#777777", "D"),
    "candidate": ("#0072b2", "o"),
}
_AREAS = (30.0, 700.0)  # marker area in points squared: smallest shown, and that of the largest model
_DIRECTIONS = (
    (1, 0),
    (1, 1),
    (1, -1),
    (0, 1),
    (0, -1),
    (-1, 0),
    (-1, 1),
    (-1, -1),
    (1, 0.5),
    (1, -0.5),
    (-1, 0.5),
    (-1, -0.5),
)
_FAINT = 0.35
_INK, _SOFT = "#000000", "#57606a"  # of names, the dominated ones' softer; both are read on either theme
_LETTERS = 32  # the most that is shown of a name
_DISTANCES = (8, 22, 36, 50, 66, 82, 100, 120, 145, 170, 200, 230, 260)  # pixels from the marker's edge, tried in turn


@dataclass(frozen=True)
class _Point:
    name: str
    part: str  # a key of _STYLES
    x: float
    quality: Interval
    y: float
    area: float
    place: int  # in the report's candidates
    strength: float  # opacity: what another candidate beats on everything is faint


def draw_picture(report: Report) -> str:
    """SVG text. Across: p50 ms at the headline setting (log scale), or MB where nothing was timed at all.

    Up: macro F1, or R², on the first test set with its 95 % interval. A candidate without one of the two is left out,
    and the picture says so. The marker of the report's first candidate is the group point-0, that of the next one
    point-1. The same report gives the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "compress", "font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(9, 5.6), dpi=100, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)  # measures text, so that labels can be kept apart
        axes = figure.add_subplot()
        setting = headline_setting(report)
        points = _points(report, setting)
        _draw_axes(axes, report, setting, left_out=len(report.candidates) - len(points))
        if points:
            axes.set_xlim(*_limits([point.x for point in points]))
        _draw_points(axes, points)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the axes stay where they are now: names are placed by pixels
        _draw_names(figure, axes, points)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _points(report: Report, setting: Setting | None) -> list[_Point]:
    largest = max((candidate.footprint.size_bytes for candidate in report.candidates), default=1) or 1
    faint = dominated(report)
    points = []
    for place, candidate in enumerate(report.candidates):
        timed = latency_at(candidate, setting)
        x = candidate.footprint.size_bytes / 1e6 if setting is None else timed.p50_ms if timed else None
        quality = headline_quality(candidate, report.first_set)
        if x is None or quality.value is None:
            continue
        area = max(_AREAS[0], _AREAS[1] * candidate.footprint.size_bytes / largest)
        name = f"{shortened(candidate.id, _LETTERS)} ({megabytes(candidate.footprint.size_bytes)} MB)"
        strength = _FAINT if candidate.id in faint else 1.0
        part = _part(candidate, report)
        points.append(_Point(name, part, max(x, 1e-6), quality, quality.value, area, place, strength))
    return points


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a log axis with room beside the outermost values: a fifth of their span, or a factor of 1.5 at least.

    Left to itself the axis would be scaled to the first values drawn, and warn where those are a single one.
    """
    low, high = min(values), max(values)
    room = max((high / low) ** 0.18, 1.5)
    return low / room, high * room


def _part(candidate: Measurement, report: Report) -> str:
    if candidate.id == report.teacher_id:
        return "teacher"
    return "baseline" if candidate.stage == "tfidf" else "candidate"


def _draw_axes(axes: Any, report: Report, setting: Setting | None, left_out: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(y=0.15)
    axes.set_xlabel(f"p50 latency, ms ({setting}): left is faster" if setting else "size, MB: left is smaller")
    axes.set_ylabel(f"{quality_name(report)} with 95 % interval: up is better")
    missing = f"; {left_out} candidate(s) not measured this way" if left_out else ""
    title = f"{shortened(report.name, _LETTERS)}, test set {shortened(report.first_set, _LETTERS)}{missing}"
    axes.set_title(title, loc="left", parse_math=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.grid(which="both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_points(axes: Any, points: Sequence[_Point]) -> None:
    for point in points:
        colour, marker = _STYLES[point.part]
        spread = [[point.y - _or(point.quality.low, point.y)], [_or(point.quality.high, point.y) - point.y]]
        thin = {"elinewidth": 1, "capsize": 3, "alpha": 0.55 * point.strength}
        axes.errorbar([point.x], [point.y], yerr=spread, fmt="none", ecolor=colour, **thin)
        solid = {"edgecolors": "white", "linewidths": 0.8, "alpha": 0.75 * point.strength}
        axes.scatter([point.x], [point.y], s=[point.area], c=colour, marker=marker, gid=f"point-{point.place}", **solid)
    for part, (colour, marker) in _STYLES.items():
        if any(point.part == part for point in points):
            axes.scatter([], [], s=45, c=colour, marker=marker, label=part)
    if points:
        faint = ", faint: dominated" if any(point.strength < 1 for point in points) else ""
        axes.legend(title=f"marker area: size{faint}", loc="best", frameon=True, framealpha=0.9, fontsize=9)


def _draw_names(figure: Any, axes: Any, points: Sequence[_Point]) -> None:
    """Each name beside its marker where it covers no other name, marker, bar or legend; else further, with a line."""
    renderer = figure.canvas.get_renderer()
    to_pixels, to_data = axes.transData, axes.transData.inverted()
    taken = [box for point in points for box in _boxes(point, to_pixels, figure.dpi)]
    if axes.get_legend() is not None:
        taken.append(axes.get_legend().get_window_extent(renderer))
    for point in sorted(points, key=lambda it: -it.x):  # names go to the right first: so lines seldom cross
        centre, radius = to_pixels.transform((point.x, point.y)), _radius(point, figure.dpi)
        colour = _STYLES[point.part][0]
        text = {"fontsize": 9, "color": _INK if point.strength == 1 else _SOFT, "gid": f"name-{point.place}"}
        name = axes.text(0, 0, point.name, in_layout=False, parse_math=False, verticalalignment="bottom", **text)
        size = name.get_window_extent(renderer)
        box, distance = _free_place(centre, radius, (size.width, size.height), taken, axes.get_window_extent(renderer))
        taken.append(box)
        name.set_position(to_data.transform((box.x0, box.y0)))
        if distance > _DISTANCES[0]:
            nearest = (np.clip(centre[0], box.x0, box.x1), np.clip(centre[1], box.y0, box.y1))
            ends = to_data.transform([centre, nearest])
            axes.plot(ends[:, 0], ends[:, 1], color=colour, alpha=0.6, lw=0.7, zorder=1, scalex=False, scaley=False)


def _radius(point: _Point, dpi: float) -> float:
    """Pixels; areas are in points squared."""
    return float(np.sqrt(point.area)) / 2 * dpi / 72


def _boxes(point: _Point, to_pixels: Any, dpi: float) -> list[Any]:
    """What the point's marker and its error bar cover, in pixels."""
    from matplotlib.transforms import Bbox

    centre, radius = to_pixels.transform((point.x, point.y)), _radius(point, dpi)
    low = to_pixels.transform((point.x, _or(point.quality.low, point.y)))
    high = to_pixels.transform((point.x, _or(point.quality.high, point.y)))
    marker = Bbox.from_extents(*(centre - radius), *(centre + radius))
    return [marker, Bbox.from_extents(low[0] - 4, low[1], high[0] + 4, high[1])]


def _free_place(
    centre: Any, radius: float, size: tuple[float, float], taken: Sequence[Any], within: Any
) -> tuple[Any, float]:
    """The first box around the marker that meets nothing, and how far off it is; the last one tried if all do."""
    from matplotlib.transforms import Bbox

    width, height = size
    box, distance = Bbox.unit(), 0
    for distance, (across, up) in product(_DISTANCES, _DIRECTIONS):
        reach = radius + distance
        left = centre[0] + across * reach - width * (1 - across) / 2
        bottom = centre[1] + up * reach - height * (1 - up) / 2
        box = Bbox.from_bounds(left, bottom, width, height)
        inside = within.x0 <= box.x0 and box.x1 <= within.x1 and within.y0 <= box.y0 and box.y1 <= within.y1
        if inside and not any(box.overlaps(other) for other in taken):
            return box, distance
    return box, distance


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
