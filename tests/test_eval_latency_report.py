"""Times as a reader sees them, and as report.json keeps them."""

from dataclasses import replace

import pytest

from eval.contract import Footprint, Interval
from eval.latency.conditions import Conditions
from eval.latency.rounds import LatencyRow
from eval.measurement import Measurement
from eval.plain import dump, read
from eval.report.comparison import speedup_text
from eval.report.latency import latency_tables
from eval.report.report import Report

PLAIN = LatencyRow("cpu", "onnxruntime", 1, 1, 50, 0.5, 0.9, None, 2000.0, None)
FULL = replace(
    PLAIN,
    speedup_vs_teacher=Interval(1.3, 0.9, 1.8),
    p50_low_ms=0.45,
    p50_high_ms=0.56,
    tokenize_ms=0.2,
    model_ms=0.31,
    tokens=64,
    cost_per_million=0.0139,
)


def measured(name, **fields):
    return Measurement(name, "export", "onnx", Footprint(2_000_000, 1, 1, 1, 0.0), {}, **{"latency": ()} | fields)


def test_a_column_is_there_when_a_row_fills_it():
    (table,) = latency_tables([measured("a", latency=(PLAIN,))])
    assert table.title == "Latency"
    assert table.headings == (
        "candidate", "device", "runtime", "threads", "batch", "samples", "p50 ms", "p95 ms", "p99 ms", "texts/s",
    )  # fmt: skip
    assert table.rows == (("a", "cpu", "onnxruntime", "1", "1", "50", "0.500", "0.900", "–", "2000"),)
    (table,) = latency_tables([measured("a", latency=(PLAIN,)), measured("b", latency=(FULL,))])
    plain, full = (dict(zip(table.headings, row, strict=True)) for row in table.rows)
    shown = {"tokens": "64", "p50 ms": "0.500 (0.450–0.560)", "tokenize ms": "0.200", "model ms": "0.310"}
    shown |= {"cost per million": "0.0139", "speedup": "1.30× (0.900–1.80) inconclusive"}
    assert {heading: full[heading] for heading in shown} == shown
    assert plain["tokens"] == plain["speedup"] == "–"


def test_lengths_and_cold_starts_have_tables_of_their_own():
    cold = measured("a", cold_start_ms=Interval(461.2, 430.0, 471.9), peak_memory_mb=87.4, peak_memory_batch_mb=None)
    tables = latency_tables([cold, measured("b", length_latency=(FULL,))])
    assert [table.title for table in tables] == ["Latency by length", "Cold start"]
    assert tables[1].rows == (("a", "461 (430–472)", "87", "–", "2.00"),)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(2.0, 1.9, 2.1), "2.00× (1.90–2.10)"),
        (Interval(1.3, 0.9, 1.8), "1.30× (0.900–1.80) inconclusive"),
        (Interval(45.0, 30.0, 60.0), "45.0× (30.0–60.0) imprecise"),
        (Interval(None, None, None), "–"),
        (None, "–"),
    ],
)
def test_a_speedup_says_when_it_is_too_wide(interval, text):
    assert speedup_text(interval) == text


def test_times_and_their_conditions_come_back_from_json():
    full = measured(
        "a", latency=(FULL,), length_latency=(FULL, PLAIN), cold_start_ms=Interval(1.0, 0.5, 2.0), peak_memory_mb=64.0
    )
    assert Measurement.from_json(full.to_json()) == full
    conditions = Conditions("cpu", 1, "some", ("avx2",), 2, None, 3.1, 0.7, 12.5)
    assert read(Conditions, dump(conditions)) == conditions
    report = Report("r", {}, {}, (), None, "", (), timing=(conditions,))
    assert Report.from_json(report.to_json()) == report


def test_a_report_from_before_is_read():
    old = measured("a", latency=(PLAIN,)).to_json()
    for name in ("length_latency", "cold_start_ms", "peak_memory_mb", "peak_memory_batch_mb"):
        del old[name]
    for name in ("p50_low_ms", "p50_high_ms", "p95_low_ms", "p95_high_ms", "tokenize_ms", "model_ms", "tokens"):
        del old["latency"][0][name]
    assert Measurement.from_json(old) == measured("a", latency=(PLAIN,))
    report = Report("r", {}, {}, (), None, "", ()).to_json()
    del report["timing"]
    assert Report.from_json(report).timing == ()
