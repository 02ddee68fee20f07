"""Mean and spread over seeds, in numbers worked by hand, and what report.md says of them."""

import numpy as np
import pytest

from eval.contract import LabelledTexts
from eval.errors import InvalidInputError
from eval.evaluator import judge, score_quality
from eval.measurement import SetQuality
from eval.report.report import Report
from eval.report.seeds import seed_lines, seeds_section
from eval.seeds import SeedSpread, Spread, quality_spreads, spread
from eval.values import score_values


def test_mean_and_sample_deviation() -> None:
    assert spread([1.0, 2.0, 6.0]) == Spread(3.0, pytest.approx(7**0.5), (1.0, 2.0, 6.0))  # (4 + 1 + 9) / 2
    assert spread([0.5]) == Spread(0.5, None, (0.5,))
    assert spread([0.5, None]) == Spread(None, None, (0.5, None))
    with pytest.raises(InvalidInputError):
        spread([])


def judged(scores: list[list[float]]) -> SetQuality:
    rows = LabelledTexts(("a", "b", "c"), ("x", "never"), np.array([[1, 0], [1, 0], [0, 0]], np.int8))
    half = np.full(2, 0.5, np.float32)
    return score_quality(judge(np.array(scores, np.float32), rows, half, resamples=10, seed=0), rows, half)


def test_every_average_and_label_has_its_spread() -> None:
    all_right, half_right = [[0.9, 0], [0.8, 0], [0.1, 0]], [[0.9, 0], [0.2, 0], [0.1, 0]]
    found = quality_spreads([judged(all_right), judged(half_right)])
    # F1 of the second: 1 hit, 1 missed: 2 / 3
    assert found["label_f1[x]"].values == (1.0, pytest.approx(2 / 3))
    assert found["macro_f1"].mean == pytest.approx(5 / 6)
    assert found["macro_roc_auc"] == Spread(1.0, 0.0, (1.0, 1.0))
    assert found["label_f1[never]"] == Spread(None, None, (None, None))


def test_a_regression_has_its_own_metrics() -> None:
    rows = LabelledTexts(("a", "b"), ("stars",), np.array([[1], [3]], np.float32))
    found = quality_spreads([score_values(np.array([[1], [3]], np.float32), rows, resamples=5, seed=0)])
    assert found["macro_r2"] == Spread(1.0, None, (1.0,))
    assert "macro_f1" not in found


def test_report_md_has_a_table_only_where_seeds_were_asked_for() -> None:
    spreads = {"macro_f1": spread([0.5, 0.6]), "label_f1[x]": spread([0.1, 0.2]), "macro_roc_auc": spread([None, 0.9])}
    report = Report("n", {}, {}, (), None, "main", (), seeds=(SeedSpread("student", (13, 14), {"main": spreads}),))
    heading, table, _ = seeds_section(report)
    assert heading == "## Seeds"
    assert table.splitlines()[2:] == [
        "| macro_f1 | student | main | 13, 14 | 0.550 ± 0.071 | 0.500, 0.600 |",
        "| macro_roc_auc | student | main | 13, 14 | undefined | undefined, 0.900 |",
    ]
    assert seeds_section(Report("n", {}, {}, (), None, "main", ())) == []
    assert Report.from_json(report.to_json()).seeds == report.seeds
    assert seed_lines(report) == ["student, with seeds 13, 14: macro F1 0.550 ± 0.071"]
