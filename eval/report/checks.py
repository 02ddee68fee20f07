"""The report's section on models in fewer bits: do answers depend on their neighbours, or on the CPU. Pure."""

from collections.abc import Iterator, Sequence

from eval.contract import OlderCpus
from eval.details.invariance import Shift
from eval.measurement import Measurement
from eval.report.comparison import MISSING, significant
from eval.report.report import Report
from eval.report.table import markdown_table, plain

TITLE = "Fewer bits: padding, batches, older CPUs"
READING = """\
The largest change of a probability (of a regression, of a value) from that of the same text asked alone, and the
decisions that flipped: padded, beside a longer text and the longest; among, all texts in one call. Then the sums of two
u8 x s8 products that lie beyond 16 bits: x86 CPUs with AVX2 or AVX-512 but no VNNI cut them and answer otherwise."""
HEADINGS = (
    "candidate", "format", "padded: largest change", "padded: flipped", "among: largest change", "among: flipped",
    "sums beyond int16", "worst product", "without VNNI",
)  # fmt: skip
WORDS = 2  # columns


def check_rows(report: Report) -> list[list[str]]:
    """A row for each candidate in fewer bits than fp32, cells as in HEADINGS."""
    return [row for row in map(check_row, report.candidates) if row is not None]


def check_row(candidate: Measurement) -> list[str] | None:
    """One of them; None of a candidate that was not looked at."""
    if candidate.invariance is None and candidate.older_cpus is None:
        return None
    return [candidate.id, candidate.format, *_shifts(candidate), *_sums(candidate.older_cpus)]


def check_lines(report: Report) -> list[str]:
    """What to do about those that answer otherwise on older CPUs."""
    needed = [it for it in report.candidates if it.older_cpus is not None and it.older_cpus.reduce_range]
    if not needed:
        return []
    names, onnx = ", ".join(it.id for it in needed), any(it.format.startswith("onnx") for it in needed)
    return [
        f"{names}: for the same answers on CPUs without VNNI, make it with weights in 7 bits "
        "(scheme: int8_static, reduce_range: true)"
        + (", or set ONNX Runtime's session.x64quantprecision to 1 there, which is slower." if onnx else ".")
    ]


def check_section(report: Report) -> list[str]:
    """Heading, table and words, Markdown; nothing where no candidate was looked at."""
    rows = check_rows(report)
    if not rows:
        return []
    return [
        f"## {TITLE}",
        markdown_table(HEADINGS, rows, range(WORDS)),
        READING,
        *(plain(it) for it in check_lines(report)),
    ]


def _shifts(candidate: Measurement) -> Iterator[str]:
    found = candidate.invariance
    for shift in (None, None) if found is None else (found.padded, found.among):
        yield from (MISSING, MISSING) if shift is None else _shift(shift, 0 if found is None else found.texts)


def _shift(shift: Shift, texts: int) -> tuple[str, str]:
    """`0.0085` and `2 in 1 of 100 texts`."""
    if shift.decisions is None:
        return significant(shift.largest), MISSING
    where = f" in {shift.texts} of {texts} texts" if shift.decisions else f" of {texts} texts"
    return _small(shift.largest), f"{shift.decisions}{where}"


def _sums(found: OlderCpus | None) -> Sequence[str]:
    if found is None:
        return (MISSING, MISSING, MISSING)
    if not found.products:
        return ("no such products", MISSING, "as here")
    share = _percent(found.beyond / max(found.pair_sums, 1))
    worst = MISSING if found.worst is None else f"{found.worst} ({_percent(found.worst_share or 0.0)})"
    return (share, worst, "reduce_range needed" if found.reduce_range else "as here")


def _small(value: float) -> str:
    """Two digits, and of less than a hundred thousandth that it is."""
    return "0" if value == 0 else f"{value:.2g}" if value >= 1e-5 else "< 1e-5"


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    return f"{100 * share:.2g} %" if share >= 1e-6 else "< 0.0001 %"
