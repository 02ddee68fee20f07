"""The page's plots, drawn by matplotlib as SVG with fixed margins: dots with intervals, and lines."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from eval.report.comparison import shortened
from eval.report.inline import SERIES_COLOURS, inline_svg

_WIDTH, _INCH = 648, 72  # points
_BOTTOM, _TOP, _RIGHT = 42, 10, 14
_LETTER = 5.6  # points across, of 10-point text
_LONGEST = 30  # letters of a name beside a plot
_MARKERS = "sDov^Pp*X<"


@dataclass(frozen=True)
class Dot:
    """A number with its interval, on the row that has this place. says: what hover and a screen reader tell."""

    row: int
    value: float
    low: float
    high: float
    says: str


@dataclass(frozen=True)
class Dots:
    """One series. colour: its place among the page's series; it chooses colour and marker."""

    colour: int
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Line:
    """One line with a mark at each point. says: of each mark. dashed: a series' second line."""

    colour: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    says: tuple[str, ...]
    dashed: bool = False


@dataclass(frozen=True)
class Kind:
    """What a line of a choice is. colour: as everywhere."""

    colour: int
    style: Literal["solid", "dashed", "dotted"]
    width: float = 1.6


@dataclass(frozen=True)
class Choice:
    """Curves that are shown together when they are chosen. lines: one a kind, its points."""

    pick: str
    lines: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Axis:
    """What an axis shows. ends: fixed ones, or None to fit what is drawn. ticks: on a log axis, those to write."""

    title: str
    ends: tuple[float, float] | None = None
    log: bool = False
    ticks: tuple[float, ...] = ()


def draw_dots(
    name: str,
    says: str,
    rows: Sequence[str],
    series: Sequence[Dots],
    axis: Axis,
    zero: bool = False,
    together: bool = False,
) -> str:
    """Rows down, numbers across. zero: marks 0. together: the series share the rows' middles, else in each row they
    stand one under the other. Returns an SVG element.
    """
    step = 0.5 if together else 1 / (len(series) + 1)
    each = 20 if together else max(17, 6.5 * (len(series) + 1))
    left = 12 + _LETTER * min(max(map(len, rows), default=0), _LONGEST)
    with _figure(left, each * len(rows)) as (axes, finish):
        for place, it in enumerate(series):
            colour = _colour(it.colour)
            heights = [dot.row - 0.5 + step * (1 if together else place + 1) for dot in it.dots]
            lows, highs = [dot.low for dot in it.dots], [dot.high for dot in it.dots]
            axes.hlines(heights, lows, highs, colors=colour, linewidths=1.4, alpha=0.6, gid=f"bars-{place}")
            values = [dot.value for dot in it.dots]
            axes.scatter(values, heights, s=22, c=colour, marker=_marker(it.colour), linewidths=0, gid=f"dots-{place}")
        if zero:
            axes.axvline(0, color="#000000", linewidth=0.9)
        axes.set_yticks(range(len(rows)), [shortened(row, _LONGEST) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks([row - 0.5 for row in range(1, len(rows))], minor=True)
        axes.tick_params(axis="y", which="both", length=0)
        axes.grid(axis="y", which="minor", color="#dddddd", linewidth=0.6)
        _across(axes, axis)
        drawing = finish()
    marks = {f"dots-{place}": [dot.says for dot in it.dots] for place, it in enumerate(series)}
    classes = {f"{part}-{place}": _series(it.colour) for place, it in enumerate(series) for part in ("bars", "dots")}
    return inline_svg(drawing, name, says, marks, classes)


def draw_lines(name: str, says: str, lines: Sequence[Line], across: Axis, up: Axis) -> str:
    """Lines with a mark at each point. Returns an SVG element."""
    with _figure(54, 250) as (axes, finish):
        for place, line in enumerate(lines):
            colour = _colour(line.colour)
            style = "dashed" if line.dashed else "solid"
            axes.plot(line.x, line.y, gid=f"line-{place}", color=colour, linewidth=1.5, linestyle=style)
            dots = {"s": 22, "color": colour, "marker": _marker(line.colour), "linewidths": 0}
            axes.scatter(line.x, line.y, gid=f"dots-{place}", **dots)
        _across(axes, across)
        _upwards(axes, up)
        drawing = finish()
    marks = {f"dots-{place}": line.says for place, line in enumerate(lines)}
    classes = {f"{part}-{place}": _series(line.colour) for place, line in enumerate(lines) for part in ("line", "dots")}
    return inline_svg(drawing, name, says, marks, classes)


def draw_choices(
    name: str, says: str, kinds: Sequence[Kind], choices: Sequence[Choice], across: Axis, up: Axis, diagonal: bool
) -> str:
    """All choices' curves in one drawing, of which the page shows one choice. Returns an SVG element.

    diagonal: from corner to corner, where x and y agree.
    """
    from matplotlib.collections import LineCollection

    with _figure(54, 260) as (axes, finish):
        if diagonal:
            axes.plot([0, 1], [0, 1], color="#dddddd", linewidth=1.2)
        for place, kind in enumerate(kinds):
            segments = [choice.lines[place] for choice in choices]
            look: dict[str, Any] = {"colors": _colour(kind.colour), "linestyles": kind.style, "linewidths": kind.width}
            axes.add_collection(LineCollection(segments, gid=f"kind-{place}", **look), autolim=False)
        _across(axes, across)
        _upwards(axes, up)
        drawing = finish()
    picks = [choice.pick for choice in choices]
    return inline_svg(drawing, name, says, {}, choices={f"kind-{place}": picks for place in range(len(kinds))})


@contextmanager
def _figure(left: float, height: float) -> Iterator[tuple[Any, Callable[[], str]]]:
    """Axes of `height` points with `left` points beside them, and what gives the drawing when all is on them."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    whole = height + _BOTTOM + _TOP
    style = {"svg.hashsalt": "compress", "svg.fonttype": "none", "text.parse_math": False, "font.size": 10}
    with rc_context(style):
        figure = Figure(figsize=(_WIDTH / _INCH, whole / _INCH), dpi=_INCH, facecolor="none")
        box = (left / _WIDTH, _BOTTOM / whole, 1 - (left + _RIGHT) / _WIDTH, height / whole)
        axes = figure.add_axes(box, facecolor="none")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)

        def finish() -> str:
            text = io.StringIO()
            FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
            return text.getvalue()

        yield axes, finish


def _across(axes: Any, axis: Axis) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xlabel(axis.title)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    if axis.log:
        axes.set_xscale("log")
        axes.set_xticks(axis.ticks, [f"{tick:g}" for tick in axis.ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    if axis.ends is not None:
        axes.set_xlim(*axis.ends)


def _upwards(axes: Any, axis: Axis) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_ylabel(axis.title)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    if axis.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    if axis.ends is not None:
        axes.set_ylim(*axis.ends)


def series_colour(place: int) -> int:
    """Which of the page's ten series colours; the first two, teacher's and baseline's, come only once."""
    return place if place < 2 else 2 + (place - 2) % (len(SERIES_COLOURS) - 2)


def _colour(place: int) -> str:
    return SERIES_COLOURS[series_colour(place)]


def _marker(place: int) -> str:
    return _MARKERS[place % len(_MARKERS)]


def _series(colour: int) -> dict[str, str]:
    return {"class": "series", "data-series": str(colour)}
