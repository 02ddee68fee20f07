"""data.svg: how often each label holds in each split, and how long the texts are beside the limits of the stages."""

import io
from collections.abc import Iterable
from itertools import cycle
from typing import Any

from compress.data.lengths import TokenFacts
from compress.data.overview import Overview
from compress.overview.tables import lengths_title, longer_text, stages_by_limit

# Okabe and Ito's colours, told apart by the colour-blind; markers for those who print in grey
_STYLES = {"train": ("#0072b2", "o"), "validation": ("#009e73", "s"), "unlabeled": ("#777777", "D")}
_TEST_STYLES = (("#d55e00", "^"), ("#e69f00", "v"), ("#cc79a7", "P"), ("#56b4e9", "X"))
_LOG_FROM = 20  # a common label so many times a rare one: on an even axis the rare ones would all lie at 0
_WIDTH, _TOKENS_HEIGHT = 9.0, 3.2  # inches


def draw_overview(found: Overview) -> str:
    """SVG text: a panel of the labels, or one for each target of a regression, then one for each tokenizer.

    The same overview gives the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    values = found.labels if found.task == "regression" else ()
    above = [0.9 + 0.22 * len(found.splits)] * len(values) if values else [1.1 + 0.24 * max(5, len(found.labels))]
    heights = [*above, *[_TOKENS_HEIGHT] * len(found.tokens)]
    with rc_context({"svg.hashsalt": "compress", "font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(_WIDTH, sum(heights)), facecolor="white", layout="constrained")
        panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        styles = dict(zip((it.name for it in found.splits if it.name not in _STYLES), cycle(_TEST_STYLES)))
        styles |= _STYLES
        for axes, target in zip(panels, values, strict=False):
            _draw_values(axes, found, target, styles)
        if not values:
            _draw_labels(panels[0], found, styles)
        for axes, facts in zip(panels[len(above) :], found.tokens, strict=True):
            _draw_lengths(axes, facts, styles)
        _as_they_are(text for axes in panels for text in (*axes.get_yticklabels(), *axes.texts, axes.title))
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _draw_labels(axes: Any, found: Overview, styles: dict[str, tuple[str, str]]) -> None:
    """A line for each label, a mark for each split; hollow at the left edge where no row of the split has it."""
    from matplotlib.colors import to_rgba

    labelled = [it for it in found.splits if it.positives]
    shares = {it.name: [100 * it.positives[label] / it.rows for label in found.labels] for it in labelled}
    positive = [share for line in shares.values() for share in line if share]
    logarithmic = max(positive) > _LOG_FROM * min(positive)
    edge = min(positive) / 1.6 if logarithmic else 0.0
    for name, line in shares.items():
        colour, marker = styles[name]
        fills = [to_rgba(colour, 0.8 if share else 0) for share in line]
        across, places = [share or edge for share in line], range(len(line))
        axes.scatter(across, places, s=42, facecolors=fills, edgecolors=colour, marker=marker)
        axes.scatter([], [], s=42, c=colour, marker=marker, label=name)
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlim(*((edge / 1.2, 1.4 * max(positive)) if logarithmic else (-1, 1.08 * max(positive))))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set_yticks(range(len(found.labels)), found.labels)
    axes.set_ylim(len(found.labels) - 0.4, -0.6)
    hollow = "; hollow: no row at all" if any(not share for line in shares.values() for share in line) else ""
    axes.set_xlabel(f"rows with the label, % of the split{hollow}")
    axes.set_title(f"{found.name}: {'classes' if found.task == 'single_label' else 'labels'}", loc="left")
    _finish(axes)


def _draw_values(axes: Any, found: Overview, target: str, styles: dict[str, tuple[str, str]]) -> None:
    """For each split a thin line from the least to the most, a thick one of a deviation to each side of the mean."""
    spreads = {it.name: it.spreads[target] for it in found.splits if target in it.spreads}
    for place, (name, spread) in enumerate(spreads.items()):
        colour, marker = styles[name]
        axes.hlines(place, spread.least, spread.most, colors=colour, linewidth=1)
        axes.hlines(place, spread.mean - spread.deviation, spread.mean + spread.deviation, colors=colour, linewidth=4)
        axes.plot([spread.mean], [place], color=colour, marker=marker, markersize=8)
    axes.set_yticks(range(len(spreads)), list(spreads))
    axes.set_ylim(len(spreads) - 0.4, -0.6)
    axes.set_xlabel("least, mean ± deviation, most")
    axes.set_title(f"{found.name}: {target}", loc="left")
    _finish(axes, legend=False)


def _draw_lengths(axes: Any, facts: TokenFacts, styles: dict[str, tuple[str, str]]) -> None:
    """Share of each split's texts by length, and a line at each limit; texts beyond the last bar are left out."""
    bars = max(index for it in facts.splits.values() for index, count in enumerate(it.histogram[:-1], 1) if count)
    edges = [1 + facts.bar_width * index for index in range(bars + 1)]
    for name, it in facts.splits.items():
        shares = [100 * count / it.counted for count in it.histogram[:bars]]
        axes.stairs(shares, edges, color=styles[name][0], linewidth=1.4, label=name)
    _draw_limits(axes, facts, edges[-1])
    axes.set_ylim(bottom=0)
    longest = max(it.longest for it in facts.splits.values())
    axes.set_xlabel(f"{facts.unit} of a text; the longest has {longest:,}")
    bar = f"{facts.bar_width} {facts.unit}" if facts.bar_width > 1 else facts.unit[:-1]
    axes.set_ylabel(f"% of the split\nby {bar}")
    axes.set_title(lengths_title(facts), loc="left")
    _finish(axes)


def _draw_limits(axes: Any, facts: TokenFacts, end: int) -> None:
    """A line at each limit and at the suggestion, their words one below the other. end: of the last bar."""
    limits = stages_by_limit(facts)
    suggested = [facts.suggested.max_tokens] if facts.suggested is not None else []
    axes.set_xlim(0, 1.02 * max(end, *limits, *suggested, 1))
    for place, (limit, stages) in enumerate(limits.items()):
        longer = longer_text(facts, facts.cuts[stages[0]], "train")
        said = f"max_tokens {limit} ({', '.join(stages)})\n{longer} of train longer"
        _draw_limit(axes, limit, said, "-", height=0.97 - 0.18 * place)
    for limit in suggested:
        _draw_limit(axes, limit, f"suggested {limit}", ":", height=0.97 - 0.18 * len(limits))


def _draw_limit(axes: Any, limit: int, said: str, style: str, height: float) -> None:
    """A line with words beside it, on the side that has more room."""
    axes.axvline(limit, color="black", linestyle=style, linewidth=1)
    left = limit > 0.6 * axes.get_xlim()[1]
    axes.annotate(
        said,
        (limit, height),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-5 if left else 5, 0),
        horizontalalignment="right" if left else "left",
        textcoords="offset points",
        fontsize=9,
        verticalalignment="top",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
    )


def _finish(axes: Any, legend: bool = True) -> None:
    axes.grid(which="both", axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        drawn = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
        _as_they_are(drawn.get_texts())


def _as_they_are(texts: Iterable[Any]) -> None:
    """A dollar sign in a name is no formula."""
    for text in texts:
        text.set_parse_math(False)
