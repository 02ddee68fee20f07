"""The part of report.md on stages that were trained with several seeds."""

from eval.report.comparison import UNDEFINED, number, quality_name
from eval.report.report import Report
from eval.report.table import markdown_table
from eval.seeds import SeedSpread, Spread

_READ = (
    "The same training with other seeds, on the same rows: what chance in the training alone moves, and what was made "
    "of each. ± is the sample standard deviation. Every other figure of this report is of the first seed."
)


def seeds_section(report: Report) -> list[str]:
    """Heading, table and how to read it; nothing where every stage was trained once."""
    if not report.seeds:
        return []
    return ["## Seeds", _table(report), _READ]


def seed_lines(report: Report) -> list[str]:
    """One sentence a stage, on the first test set."""
    metric = "macro_f1" if report.regression is None else "macro_r2"
    found = {it.stage: mean_text(it.by_set[report.first_set][metric]) for it in report.seeds}
    return [f"{it.stage}, with seeds {_listed(it)}: {quality_name(report)} {found[it.stage]}" for it in report.seeds]


def _listed(found: SeedSpread) -> str:
    return ", ".join(map(str, found.seeds))


def _table(report: Report) -> str:
    rows = [
        [metric, it.stage, test, _listed(it), mean_text(found), _values(found)]
        for it in report.seeds
        for test, metrics in it.by_set.items()
        for metric, found in _shown(metrics).items()
    ]
    return markdown_table(("metric", "stage", "test set", "seeds", "mean ± deviation", "each"), rows)


def _shown(metrics: dict[str, Spread]) -> dict[str, Spread]:
    """Each label has its row in report.json; here the averages are enough."""
    return {name: found for name, found in metrics.items() if "[" not in name}


def mean_text(found: Spread) -> str:
    """`0.742 ± 0.004`, or "undefined"."""
    if found.mean is None:
        return UNDEFINED
    return number(found.mean) if found.deviation is None else f"{number(found.mean)} ± {number(found.deviation)}"


def _values(found: Spread) -> str:
    return ", ".join(number(value) for value in found.values)
