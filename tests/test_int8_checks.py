"""What is looked at in models of fewer bits: padding and batch invariance, and what older CPUs would cut."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper
from reports import bare_report, full_report

from compress.artifact import open_artifact
from compress.measure.candidates import candidate_of
from compress.runtime import open_predictor
from compress.runtime.footprint import _along, _axis
from compress.runtime.pair_sums import _fetched, _session, beyond_int16, int8_products, older_cpus, risky_pairs
from eval.contract import Candidate, Footprint, OlderCpus
from eval.details.invariance import (
    Invariance,
    Shift,
    longer_neighbours,
    measure_invariance,
    shift,
    spread_texts,
)
from eval.errors import InvalidInputError
from eval.report.checks import check_lines, check_rows
from eval.report.gains import stage_gains
from eval.report.html import render_html
from eval.report.markdown import render_markdown
from eval.report.page_tables import gains_table
from eval.report.picture import draw_picture
from eval.report.report import Report, dump_report, load_report

# ------------------------------------------------------------------------------------------- padding and batches


class Leaky:
    """Answers by a text's own length, and `leak` more for each further text of the batch."""

    labels = ("one", "two")

    def __init__(self, leak: float) -> None:
        self.leak = leak
        self.asked: list[int] = []

    def predict_proba(self, texts: Any) -> Any:
        self.asked.append(len(texts))
        own = np.array([[len(text) / 100, 0.5] for text in texts])
        return np.clip(own + self.leak * (len(texts) - 1), 0, 1).astype(np.float32)


def candidate(predictor: Any, thresholds: Any = (0.105, 0.9)) -> Candidate:
    known = None if thresholds is None else np.array(thresholds, np.float32)
    return Candidate("small", "quantize", "onnx", "none", "cpu", 1, Footprint(0, 0, 0, 0, 0.0), known, predictor)


def test_an_answer_that_leaks_is_told_by_how_much_it_moved_and_what_it_flipped() -> None:
    """Four texts of 1, 9, 10 and 20 characters: .01, .09, .10, .20; the leak is .01 for each neighbour."""
    leaky = Leaky(0.01)
    found = measure_invariance(candidate(leaky), ["a" * size for size in (1, 9, 10, 20)])
    # among three others: .01 -> .04, .09 -> .12 and .10 -> .13 cross .105
    assert found == Invariance(4, padded=Shift(0.02, 2, 2), among=Shift(0.03, 2, 2))
    assert leaky.asked == [1, 3] * 4 + [4]


def test_what_answers_alike_moves_by_nothing() -> None:
    told: list[tuple[int, int]] = []
    found = measure_invariance(candidate(Leaky(0.0)), ["a", "bb"], lambda *it: told.append(it))
    assert found == Invariance(2, Shift(0.0, 0, 0), Shift(0.0, 0, 0))
    assert told == [(1, 2), (2, 2)]


def test_of_one_class_a_text_another_class_is_one_decision() -> None:
    alone = np.array([[0.6, 0.4], [0.9, 0.1]], np.float32)
    together = np.array([[0.45, 0.55], [0.8, 0.2]], np.float32)
    assert shift(alone, together, None) == Shift(0.15, 1, 1)
    # cell by cell with thresholds: both labels of the first text
    assert shift(alone, together, np.array([0.5, 0.5], np.float32)) == Shift(0.15, 2, 1)
    assert shift(alone, together, None, is_regression=True) == Shift(0.15, None, None)


def test_without_texts_there_is_nothing_to_ask() -> None:
    with pytest.raises(InvalidInputError, match="small: there are no texts"):
        measure_invariance(candidate(Leaky(0.0)), [])


def test_answers_are_checked_before_they_are_compared() -> None:
    with pytest.raises(InvalidInputError, match="small: predict_proba gave"):
        measure_invariance(candidate(Leaky(float("nan"))), ["a", "bb"])


def test_neighbours_are_longer_by_a_quarter_and_the_longest() -> None:
    texts = ["x" * size for size in (8, 4, 10, 100, 9)]
    assert [(len(one), len(two)) for one, two in longer_neighbours(texts)] == [
        (10, 100), (8, 100), (100, 100), (100, 100), (100, 100),
    ]  # fmt: skip


@given(st.lists(st.text(max_size=12), min_size=1, max_size=40), st.integers(1, 15))
def test_texts_are_spread_over_all_lengths_in_their_order(texts: list[str], most: int) -> None:
    kept = spread_texts(texts, most)
    assert len(kept) == min(most, len(texts))
    rest = iter(texts)
    assert all(text in rest for text in kept)  # a subsequence
    lengths, sizes = sorted(map(len, texts)), sorted(map(len, kept))
    assert sizes[0] == lengths[0]
    assert len(kept) == 1 or sizes[-1] == lengths[-1]


# ------------------------------------------------------------------------------------------- sums of pairs


def naive(activations: Any, weights: Any) -> int:
    """As the instruction does it: pairs of neighbouring rows, one sum for each column."""
    count = 0
    for row in activations.astype(int):
        for column in weights.T.astype(int):
            products = [*(row * column), *([0] * (len(row) % 2))]
            sums = [products[place] + products[place + 1] for place in range(0, len(products), 2)]
            count += sum(not -32768 <= it <= 32767 for it in sums)
    return count


def test_pair_sums_worked_by_hand() -> None:
    """255 x 127 + 255 x 2 = 32,895 is beyond; 255 x 127 + 255 x 1 = 32,640 and one at half the activation are not."""
    weights = np.array([[127, 127, -128, -127], [2, 1, -1, 127]], np.int8)
    risky = risky_pairs(weights)
    assert (risky.sums, len(risky.pairs)) == (4, 2)
    assert beyond_int16(np.array([[255, 255]], np.uint8), risky) == 2  # 32,895 and -32,895
    assert beyond_int16(np.array([[128, 255]], np.uint8), risky) == 0
    # 254 x 129 = 32,766 fits, 255 x 129 does not
    assert beyond_int16(np.array([[254, 254], [255, 254]], np.uint8), risky) == naive(
        np.array([[254, 254], [255, 254]], np.uint8), weights
    )


def test_the_odd_last_row_stands_alone() -> None:
    weights = np.full((3, 1), 127, np.int8)
    risky = risky_pairs(weights)
    assert risky.sums == 2
    assert beyond_int16(np.full((5, 3), 255, np.uint8), risky) == 5  # the pair of each row; 32,385 alone fits


@given(st.data(), st.integers(1, 4), st.integers(1, 9), st.integers(1, 5))
def test_counting_only_what_can_overflow_counts_all(data: Any, tokens: int, inner: int, outer: int) -> None:
    activations = data.draw(arrays(np.uint8, (tokens, inner), elements=st.sampled_from([0, 100, 200, 254, 255])))
    weights = data.draw(arrays(np.int8, (inner, outer), elements=st.sampled_from([-128, -127, -70, 0, 2, 65, 127])))
    assert beyond_int16(activations, risky_pairs(weights)) == naive(activations, weights)


@given(arrays(np.int8, (6, 3), elements=st.integers(-64, 64)))
def test_weights_in_seven_bits_cannot_overflow(weights: Any) -> None:
    assert len(risky_pairs(weights).pairs) == 0


def test_many_sums_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    activations = rng.integers(200, 256, (7, 12)).astype(np.uint8)
    weights = rng.integers(90, 128, (12, 9)).astype(np.int8)
    whole = beyond_int16(activations, risky_pairs(weights))
    assert whole == naive(activations, weights) > 100
    monkeypatch.setattr("compress.runtime.pair_sums._AT_ONCE", 15)
    assert beyond_int16(activations, risky_pairs(weights)) == whole


# ------------------------------------------------------------------------------------------- graphs


def tensor(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


WEIGHTS = np.arange(6, dtype=np.int8).reshape(3, 2)
SCALE, POINT = tensor("scale", np.float32(0.1)), tensor("point", np.uint8(128))


def qdq(weight: Any, product: str = "MatMul", **attributes: Any) -> Any:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "point"], ["small"]),
        helper.make_node("DequantizeLinear", ["small", "scale", "point"], ["near"]),
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"]),
        helper.make_node(product, ["near", "wide"], ["y"], name="dense", **attributes),
        helper.make_node("MatMul", ["y", "plain"], ["z"], name="fp32"),
    ]
    given_in = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1])
    constants = [tensor("w", weight), SCALE, POINT, tensor("plain", np.ones((2, 1), np.float32))]
    return helper.make_graph(nodes, "g", [given_in], [out], constants)


def test_products_between_qdq_nodes_are_found_and_those_in_fp32_are_not() -> None:
    (found,) = int8_products(qdq(WEIGHTS))
    assert (found.name, found.activations) == ("dense", "small")
    np.testing.assert_array_equal(found.weights, WEIGHTS)
    (turned,) = int8_products(qdq(WEIGHTS.T.copy(), "Gemm", transB=1))
    np.testing.assert_array_equal(turned.weights, WEIGHTS)


def test_weights_that_a_node_makes_are_found_too() -> None:
    graph = qdq(WEIGHTS)
    stored = next(item for item in graph.initializer if item.name == "w")
    graph.initializer.remove(stored)
    graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=stored))
    assert [found.name for found in int8_products(graph)] == ["dense"]


def test_weights_in_u8_are_of_no_concern() -> None:
    """Those kernels add in 32 bits."""
    assert int8_products(qdq(WEIGHTS.astype(np.uint8))) == []


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("MatMulInteger", ["a", "w", "a_zero", "w_zero"]),
        ("QLinearMatMul", ["a", "a_scale", "a_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"]),
        ("QGemm", ["a", "a_scale", "a_zero", "w", "w_scale", "w_zero"]),
    ],
)
def test_each_form_of_product_is_read_where_its_operands_stand(operator: str, inputs: list[str]) -> None:
    graph = helper.make_graph([helper.make_node(operator, inputs, ["y"])], "g", [], [], [tensor("w", WEIGHTS)])
    (found,) = int8_products(graph)
    assert (found.name, found.activations, found.weights.shape) == ("y", "a", (3, 2))


# ------------------------------------------------------------------------------------------- artifacts and reports


@pytest.fixture(scope="module")
def report(tiny_run: Path) -> Report:
    return load_report(tiny_run / "report.json")


def test_every_product_of_a_dynamic_int8_model_is_looked_at(tiny_run: Path, comment_splits: Any) -> None:
    artifact = open_artifact(tiny_run / "artifacts" / "student-int8")
    texts = comment_splits.tests["test"].texts[:3]
    graph = onnx.load(str(artifact.path / "model.onnx")).graph
    kinds = Counter(node.op_type for node in graph.node)
    products = int8_products(graph)
    assert kinds["QAttention"] == 1  # its products of queries, keys and values, side by side
    assert len(products) == kinds["MatMulInteger"] + 1 > 4
    told: list[tuple[int, int]] = []
    found = older_cpus(artifact, texts, lambda *it: told.append(it))
    predictor = open_predictor(artifact)
    tokens = [len(item) for text in texts for item in predictor.tokenize([text])[0].tokens]
    # the head reads one vector a text, all others every token of it
    sums = [-(-it.weights.shape[0] // 2) * it.weights.shape[1] for it in products]
    assert found.pair_sums == sum(tokens) * sum(sums[:-1]) + len(texts) * sums[-1]
    assert (found.texts, found.products, told[-1]) == (3, len(products), (3, 3))
    assert found.reduce_range == (found.beyond > 0)


def test_activations_that_are_fetched_are_those_that_the_model_computes(tiny_run: Path, comment_splits: Any) -> None:
    """With one weight made extreme, the count is that of its own product, seen by the naive rule."""
    artifact = open_artifact(tiny_run / "artifacts" / "student-int8")
    model = onnx.load(str(artifact.path / "model.onnx"))
    products = int8_products(model.graph)
    session = _session(model, [it.activations for it in products])
    # else a CPU without VNNI would count what its own cut sums led to
    assert session.get_session_options().get_session_config_entry("session.x64quantprecision") == "1"
    predictor = open_predictor(artifact)
    (item,) = predictor.tokenize([comment_splits.tests["test"].texts[0]])[0].tokens
    fetched = list(_fetched(session, products, predictor.tokenizer.pad([item])))
    assert [array.shape[1] for array in fetched] == [it.weights.shape[0] for it in products]
    assert all(array.dtype == np.uint8 for array in fetched)
    rng = np.random.default_rng(0)
    extreme = rng.choice(np.array([-127, 0, 127], np.int8), products[0].weights.shape)
    assert beyond_int16(fetched[0], risky_pairs(extreme)) == naive(fetched[0], extreme) > 0


def test_a_run_checks_what_has_fewer_bits_and_nothing_else(report: Report) -> None:
    found = {it.id: it for it in report.candidates}
    fewer = {name for name, it in found.items() if it.invariance is not None}
    assert fewer == {name for name, it in found.items() if it.format.endswith(("-fp16", "-int8"))} > {"student-int8"}
    assert {name for name, it in found.items() if it.older_cpus is not None} == {
        name for name in fewer if name.endswith("-int8")
    }
    for name in fewer:
        assert found[name].invariance.texts == 80
        assert 0 <= found[name].invariance.padded.largest < 0.2


def test_the_judge_measures_the_same_of_any_candidate(tiny_run: Path, comment_splits: Any) -> None:
    """fp32 too: there a neighbour changes the order of sums alone."""
    artifact = open_artifact(tiny_run / "artifacts" / "student-onnx")
    found = measure_invariance(
        candidate_of("student-onnx", artifact, open_predictor(artifact)), comment_splits.tests["test"].texts[:10]
    )
    assert found.padded.largest < 1e-6
    assert found.padded.decisions == found.among.decisions == 0


def test_the_report_shows_them_in_every_form(tiny_run: Path, report: Report) -> None:
    heading = "Fewer bits: padding, batches, older CPUs"
    text, page = ((tiny_run / name).read_text(encoding="utf-8") for name in ("report.md", "report.html"))
    assert f"## {heading}" in text
    assert f"<h2>{heading}</h2>" in page
    (int8,) = (row for row in check_rows(report) if row[0] == "student-int8")
    assert f"| {' | '.join(int8)} |" in text
    document = json.loads((tiny_run / "report.json").read_text(encoding="utf-8"))
    found = next(it for it in document["candidates"] if it["id"] == "student-int8")
    assert set(found["invariance"]) == {"texts", "padded", "among"}
    assert found["older_cpus"]["products"] > 3


def checked_report(older: OlderCpus | None = None, **changes: Any) -> Report:
    made = full_report()
    invariance = Invariance(100, Shift(0.0123, 2, 1), Shift(1e-7, 0, 0))
    last = replace(made.candidates[-1], invariance=invariance, older_cpus=older, **changes)
    return replace(made, candidates=(*made.candidates[:-1], last))


@pytest.mark.parametrize(
    ("older", "cells"),
    [
        (None, ["–", "–", "–"]),
        (OlderCpus(0, 0, 0, 0, None, None, False), ["no such products", "–", "as here"]),
        (OlderCpus(200, 9, 10**9, 0, None, None, False), ["0 %", "–", "as here"]),
        (OlderCpus(200, 9, 10**6, 300, "dense", 0.004, True), ["0.03 %", "dense (0.4 %)", "reduce_range needed"]),
    ],
)
def test_a_row_says_what_was_found(older: OlderCpus | None, cells: list[str]) -> None:
    (row,) = check_rows(checked_report(older))
    assert row == ["student-int8", "onnx", "0.012", "2 in 1 of 100 texts", "< 1e-5", "0 of 100 texts", *cells]


def test_what_must_be_done_about_it_is_said_of_those_that_need_it() -> None:
    assert check_lines(checked_report(OlderCpus(200, 9, 10**9, 0, None, None, False))) == []
    (line,) = check_lines(checked_report(OlderCpus(200, 9, 10**6, 300, "dense", 0.004, True)))
    assert line.startswith("student-int8: for the same answers on CPUs without VNNI")
    assert "reduce_range: true" in line
    assert "x64quantprecision" in line


def test_a_setting_of_onnx_runtime_helps_onnx_alone() -> None:
    of_another = checked_report(OlderCpus(200, 9, 10**6, 300, "dense", 0.004, True), format="openvino-int8")
    (line,) = check_lines(of_another)
    assert line.endswith("(scheme: int8_static, reduce_range: true).")


def test_a_report_without_such_models_has_no_such_section() -> None:
    made = bare_report()
    assert "Fewer bits" not in render_markdown(made, None)
    assert "Fewer bits" not in render_html(made, draw_picture(made))


def test_reports_of_earlier_versions_open_without_them() -> None:
    document = json.loads(dump_report(checked_report(OlderCpus(200, 9, 10, 3, "dense", 0.3, True))))
    assert Report.from_json(document).candidates[-1].older_cpus == OlderCpus(200, 9, 10, 3, "dense", 0.3, True)
    for it in document["candidates"]:
        del it["invariance"], it["older_cpus"]
    assert all(it.invariance is None for it in Report.from_json(document).candidates)


# ------------------------------------------------------------------------------------------- what stages gave


def test_what_a_stage_gave_has_its_ranking_and_the_decisions_it_changed(report: Report) -> None:
    gains = {gain.stage: gain for gain in stage_gains(report)}
    found = {it.id: it.details_by_set["held_out"] for it in report.candidates}
    for name, gain in gains.items():
        against = found[name].against[gain.parent]
        assert gain.ranking == against.macro_roc_auc
        assert gain.changed == pytest.approx(1 - against.equal_decisions)
    assert gains["student-onnx"].changed == 0  # fp32 decides as torch does
    table = gains_table(report)
    assert [it.text for it in table.headings[-2:]] == ["macro ROC-AUC, change", "decisions changed"]
    row = next(row for row in table.rows if row[0].text == "student-onnx")
    assert row[-1].text == "0.00 %"
    assert re.fullmatch(r"[+-]0\.0\d{3} \([+-]0\.\d{4} to [+-]0\.\d{4}\)", row[-2].text)


def test_a_report_of_an_earlier_version_has_no_decisions_changed() -> None:
    made = full_report()
    details = made.candidates[-2].details_by_set["main"]
    old = {name: replace(it, equal_decisions=None) for name, it in details.against.items()}
    earlier = replace(made.candidates[-2], details_by_set={"main": replace(details, against=old)})
    table = gains_table(replace(made, candidates=(*made.candidates[:-2], earlier, made.candidates[-1])))
    assert [it.text for it in table.rows[0][-2:]][1] == "–"


# ------------------------------------------------------------------------------------------- what files weigh


@pytest.mark.parametrize(("axis", "zeros"), [(0, 5), (1, 4)])
def test_zeros_are_counted_along_the_axis_of_their_channels(axis: int, zeros: int) -> None:
    """[[1, 1, 0], [2, 0, 2], [3, 3, 0]] stands for 0 where it equals the zero points 1, 2, 0 of its rows or columns."""
    weights = np.array([[1, 1, 0], [2, 0, 2], [3, 2, 0]], np.int8)
    assert int((weights == _along(np.array([1, 2, 0], np.int8), weights, axis)).sum()) == zeros


def test_channels_of_a_gemm_lie_along_its_first_axis() -> None:
    """So footprints of static int8 count what the graph says."""
    along = helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"], axis=0)
    assert (_axis(along), _axis(helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"]))) == (0, 1)
