"""Label-aware fallback: divergences worked by hand, a search that leaves nothing out, and outliers that it finds."""

import json
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from planted import plant_outliers

from compress.encoder.files import load_classifier, save_classifier
from compress.errors import DataError
from compress.recipe.quantizing import Fallback, Int8Dynamic, Int8Static
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.runtime.onnx import open_session
from compress.stages import export, quantize
from compress.stages.quantize import fallback_run
from compress.stages.quantize.fallback import Losses, label_divergence, losses, need, search
from compress.stages.quantize.fallback_run import said
from compress.stages.quantize.int8_dynamic import int8_dynamic
from compress.stages.quantize.mixed import Product, mixed, name_products
from compress.stages.quantize.node_times import node_times, time_of
from compress.tokenizer import copy_tokenizer
from eval.metrics import per_label, roc_auc

LIMITS = (0.003, 0.02)


def lost(*auc: float) -> Losses:
    return Losses(np.array(auc), np.full(len(auc), np.nan), LIMITS)


# ------------------------------------------------------------------------------------------------------- what is lost


def test_divergence_by_hand() -> None:
    before, after = np.float32([[0.5, 0.1], [0.5, 0.1]]), np.float32([[0.25, 0.1], [0.5, 0.1]])
    # 0.5 ln 2 + 0.5 ln (2 / 3), halved: the second text did not move
    assert label_divergence(before, after) == pytest.approx([0.143841 / 2, 0.0], abs=1e-6)
    assert label_divergence(before[:0], after[:0]).tolist() == [0, 0]


@given(st.lists(st.lists(st.floats(-8, 8), min_size=6, max_size=6), min_size=1, max_size=5))
def test_divergence_of_a_label_is_never_above_that_of_all(rows: list[list[float]]) -> None:
    logits = np.array(rows)
    powers = np.exp(logits.reshape(-1, 2, 3))
    before, after = np.moveaxis(powers / powers.sum(axis=2, keepdims=True), 1, 0)
    whole = (before * np.log(before / after)).sum(axis=1).mean()
    found = label_divergence(before.astype(np.float32), after.astype(np.float32))
    assert (found >= 0).all()
    assert (found <= whole + 1e-5).all()


def test_losses_by_hand() -> None:
    """ROC-AUC of the first label falls from 1 to 0.75; the second has no positive; F1 counts from 30 positives on."""
    targets = np.int8([[0, 0], [0, 0], [1, 0], [1, 0]])
    before, after = np.float32([[0.1] * 2, [0.2] * 2, [0.8] * 2, [0.9] * 2]), np.float32([[0.1] * 2] * 4)
    after[:, 0] = (0.1, 0.8, 0.7, 0.9)
    few = losses(targets, before, after, (0.5, 0.5), (0.25, 0.02))
    assert few.roc_auc[0] == pytest.approx(0.25)
    assert np.isnan([few.roc_auc[1], *few.f1]).all()
    assert few.holds
    assert few.excess.tolist() == pytest.approx([1.0, 0.0])
    many = losses(*(np.repeat(it, 15, axis=0) for it in (targets, before, after)), (0.5, 0.5), (0.25, 0.02))
    assert many.f1[0] == pytest.approx(1 - 2 * 30 / (45 + 30))
    assert not many.holds
    assert many.said(0) == "it loses 0.2000 of F1, 0.02 is allowed"
    single = losses(np.eye(2, dtype=np.int8), np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), None, LIMITS)
    assert single.worst == 0


def test_a_tolerance_of_nothing_holds_what_loses_nothing() -> None:
    assert Losses(np.zeros(2), np.zeros(2), (0.0, 0.0)).holds
    assert not Losses(np.array([0.0, 1e-4]), np.zeros(2), (0.0, 0.0)).holds


# ------------------------------------------------------------------------------------------------------- the search


def additive(costs: np.ndarray) -> Any:
    """judge(kept): every product that is not kept costs each label what it costs, whatever else is."""

    def judge(kept: Collection[int]) -> Losses:
        return lost(*np.delete(costs, list(kept), axis=0).sum(axis=0).tolist())

    return judge


@given(st.lists(st.lists(st.floats(0, 0.01), min_size=2, max_size=2), min_size=1, max_size=12), st.randoms())
def test_it_holds_and_no_product_in_fp32_is_left_over(rows: list[list[float]], chance: Any) -> None:
    costs = np.array(rows)
    savings = np.array([chance.uniform(0.1, 1) for _ in rows])
    judge = additive(costs)
    found = search(costs, savings, judge, lambda: True)
    assert found.losses.holds
    assert found.ended == "done"
    assert not any(judge(found.kept - {product}).holds for product in found.kept)
    if found.kept:
        assert found.binding is not None
        product, worse = found.binding
        assert product in found.kept
        assert worse.worst == judge(found.kept - {product}).worst > 1


def test_what_failed_at_first_is_tried_again_once_others_are_int8() -> None:
    """Errors can cancel out: without the third product the first is not needed any more."""
    holding = [{0, 1, 2, 3}, {0, 1, 3}, {1, 3}]

    def judge(kept: Collection[int]) -> Losses:
        return lost(0.0 if set(kept) in holding else 0.01)

    costs = np.array([[0.001], [0.002], [0.003], [0.004]])
    found = search(costs, np.ones(4), judge, lambda: True)
    assert (found.kept, found.ended) == ({1, 3}, "done")
    assert found.binding is not None
    assert found.binding[0] in found.kept


def test_what_costs_the_label_in_need_goes_first_and_what_saves_little() -> None:
    # the first product costs most, but a label that can bear it
    costs = np.array([[0.0029, 0.0], [0.0, 0.004], [0.0, 0.004], [0.0, 0.0]])
    assert search(costs, np.array([1.0, 1.0, 1.0, 1.0]), additive(costs), lambda: True).kept == {1, 2}
    costs[2, 1] = 0.0029
    assert search(costs, np.array([1.0, 1.0, 1.0, 1.0]), additive(costs), lambda: True).kept == {1}
    alike = np.array([[0.0029], [0.0029]])
    assert search(alike, np.array([2.0, 1.0]), additive(alike), lambda: True).kept == {1}
    assert need(alike, np.array([2.0, 1.0]), lost(0.006)).tolist() == pytest.approx([0.00145, 0.0029])


def test_what_holds_in_int8_stays_there() -> None:
    found = search(np.array([[0.001], [0.001]]), np.ones(2), additive(np.array([[0.001], [0.001]])), lambda: True)
    assert (found.kept, found.binding, found.tried) == (frozenset(), None, 1)


def test_when_time_is_over_it_is_the_best_so_far() -> None:
    costs = np.array([[0.01], [0.02], [0.03], [0.0]])
    turns = iter([True, False])
    found = search(costs, np.ones(4), additive(costs), lambda: next(turns))
    assert (found.kept, found.ended, found.losses.holds) == ({2}, "time", False)
    turns = iter([True, True, True, False])  # enough to hold, not to look for what is left over
    found = search(costs, np.ones(4), additive(costs), lambda: next(turns))
    assert found.losses.holds
    assert (found.ended, len(found.kept)) == ("time", 4)


def test_where_nothing_holds_the_least_bad_is_kept_and_said() -> None:
    products = [Product("q", (4, 4)), Product("out", (4, 2))]
    costs = np.array([[0.01, 0.0], [0.02, 0.0]])

    def judge(kept: Collection[int]) -> Losses:
        return lost(0.04 - 0.005 * len(kept), 0.0)

    found = search(costs, np.ones(2), judge, lambda: True)
    assert (found.kept, found.ended, found.binding) == ({0, 1}, "done", None)
    note = said(found, products, ["threat", "insult"], costs, judge(()))
    assert note.startswith("warning: fallback: no mix that holds every label was found among 3; kept is the best")
    assert "threat binds: it loses 0.0300 of ROC-AUC, 0.003 is allowed; of what is int8 embeddings alone" in note


def test_the_note_names_the_product_and_the_label_that_bind() -> None:
    costs = np.array([[0.004, 0.0], [0.0, 0.005], [0.001, 0.0]])
    products = [Product("q", (4, 4)), Product("out", (4, 2)), Product("head", (4, 6))]
    found = search(costs, np.ones(3), additive(costs), lambda: True)
    note = said(found, products, ["threat", "insult"], costs, additive(costs)(()))
    assert note.startswith("fallback: 2 of 3 products stay in fp32 (q (4 x 4), out (4 x 2)), and every label holds")
    assert "q (4 x 4) and threat bind: with this product in int8 it loses 0.0050 of ROC-AUC, 0.003 is allowed" in note


# ------------------------------------------------------------------------------------------------------- mixed graphs


def two_products(tmp_path: Path) -> Path:
    """x -> MatMul -> Relu -> Gemm with a bias -> logits, whose nodes have no names."""
    random = np.random.default_rng(0)
    weights = {"w": (8, 16), "v": (4, 16), "b": (4,)}
    arrays = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), it) for it, shape in weights.items()
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "v", "b"], ["logits"], transB=1),
    ]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("x", 8), ("logits", 4))
    )
    graph = helper.make_graph(nodes, "g", [given], [made], arrays)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def test_a_mix_has_each_product_as_the_form_it_is_from(tmp_path: Path) -> None:
    forms = int8_dynamic(two_products(tmp_path))
    first, second = (it.name for it in forms.products)
    x = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)

    def run(model: Any) -> np.ndarray:
        onnx.checker.check_model(model)
        return np.asarray(open_session(model.SerializeToString(), "cpu", 1).run(None, {"x": x})[0])

    np.testing.assert_array_equal(run(mixed(forms.whole, forms.small, {first, second})), run(forms.whole))
    np.testing.assert_array_equal(run(mixed(forms.whole, forms.small, ())), run(forms.small))
    half = mixed(forms.whole, forms.small, {second})
    kinds = [node.op_type for node in half.graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("Gemm"), kinds.count("MatMul")) == (1, 1, 0)
    assert 0 < np.abs(run(half) - run(forms.whole)).max() <= np.abs(run(forms.small) - run(forms.whole)).max() * 2
    # weights of what is int8 do not stay behind in fp32, nor those of what is fp32 in int8
    sizes = {item.data_type: item.dims for item in half.graph.initializer if len(item.dims) == 2}
    assert set(sizes) == {TensorProto.INT8, TensorProto.FLOAT}


def test_a_product_of_a_tables_rows_may_stay_fp32(tmp_path: Path) -> None:
    """A table that is factored: rows, then a product, which reads them as integers where it is int8 itself."""
    random = np.random.default_rng(0)
    weights = {"table": (50, 8), "w": (8, 16)}
    arrays = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), it) for it, shape in weights.items()
    ]
    nodes = [helper.make_node("Gather", ["table", "x"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["y"])]
    given = helper.make_tensor_value_info("x", TensorProto.INT64, ["n"])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 16])
    graph = helper.make_graph(nodes, "g", [given], [made], arrays)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    forms = int8_dynamic(path)

    def run(model: Any) -> np.ndarray:
        onnx.checker.check_model(model)
        session = open_session(model.SerializeToString(), "cpu", 1)
        return np.asarray(session.run(None, {"x": np.arange(50)})[0])

    whole = mixed(forms.whole, forms.small, {forms.products[0].name})
    assert "MatMulInteger" not in [node.op_type for node in whole.graph.node]
    off = {name: np.abs(run(it) - run(forms.whole)).max() for name, it in (("fp32", whole), ("int8", forms.small))}
    assert 0 < off["fp32"] < off["int8"]  # the table's own rounding is left


def test_products_get_names_of_their_own() -> None:
    nodes = [helper.make_node("MatMul", [f"x{at}", "w"], [f"x{at + 1}"], name="same" * (at != 2)) for at in range(3)]
    nodes.append(helper.make_node("MatMul", ["x3", "x1"], ["y"], name="of two activations"))
    weights = numpy_helper.from_array(np.zeros((2, 2), np.float32), "w")
    found = name_products(helper.make_model(helper.make_graph(nodes, "g", [], [], [weights])))
    assert [it.name for it in found] == ["same", "MatMul_1", "MatMul_2"]
    assert str(found[0]) == "same (2 x 2)"


def test_a_products_time_is_that_of_its_own_nodes(tmp_path: Path) -> None:
    times = {"a": 1.0, "a_quant": 2.0, "a/Fusion/": 4.0, "a_1": 8.0, "aa": 16.0, "a_MatMul_quant": 32.0}
    assert time_of("a", times) == 39.0
    path = two_products(tmp_path)
    forms = int8_dynamic(path)
    batches = [{"x": np.ones((64, 8), np.float32)}] * 2
    for model in (forms.whole, forms.small):
        found = node_times(model.SerializeToString(), batches)
        assert all(time_of(product.name, found) > 0 for product in forms.products), found


# ------------------------------------------------------------------------------------------------------- a whole stage


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, teacher: Any) -> Any:
    """(workshop, the teacher with outlier channels in its first layer as ONNX)."""
    shop = new_workshop(tmp_path_factory.mktemp("planted"))

    def copy(config: Any, inputs: Any, context: Any, folder: Path) -> Any:
        model = load_classifier(inputs.parent.path)
        plant_outliers(model, [0, 1], 3000.0, channels=1)
        copy_tokenizer(inputs.parent.path, folder)
        (folder / "decision.json").write_bytes((inputs.parent.path / "decision.json").read_bytes())
        save_classifier(model, folder)
        return quantize.Made("torch", inputs.parent.manifest.max_tokens)

    torch_model = shop.make(copy, Export(id="torch", type="export"), parent=teacher)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.write, "_export_dynamo", lambda *arguments: 1 / 0)
        made = shop.make(export.run, Export(id="onnx", type="export"), parent=torch_model)
    return shop, made


def auc(artifact: Any, rows: Any) -> np.ndarray:
    return np.array(per_label(roc_auc, rows.targets, open_predictor(artifact).predict_proba(rows.texts)), float)


@pytest.mark.parametrize("scheme", [Int8Static, Int8Dynamic])
def test_it_finds_the_product_that_outliers_ruin(planted: Any, teacher: Any, scheme: Any) -> None:
    shop, parent = planted
    name = {Int8Static: "int8_static", Int8Dynamic: "int8_dynamic"}[scheme]
    config = {"type": "quantize", "from": "onnx", "scheme": name}
    plain = shop.make(quantize.run, scheme.model_validate(config | {"id": f"{name}-plain"}), parent=parent)
    asked = config | {"id": f"{name}-mixed", "fallback": {"rows": 64}}
    made = shop.make(quantize.run, scheme.model_validate(asked), parent=parent)
    rows = shop.splits.validation
    np.testing.assert_allclose(auc(parent, rows), auc(teacher, rows), atol=1e-6)
    before = auc(parent, rows)
    assert (before - auc(plain, rows)).max() > 0.01
    assert (before - auc(made, rows)).max() <= 0.003
    note = next(note for note in made.manifest.notes if note.startswith("fallback: "))
    count, products = (int(word) for word in note.split()[1:4:2])
    assert 1 <= count < 0.2 * products
    assert "attention/output" in note
    assert "bind: with this product in int8 it loses" in note
    kinds = [node.op_type for node in onnx.load(str(made.path / "model.onnx")).graph.node]
    assert "MatMulInteger" in kinds or "QuantizeLinear" in kinds


def test_where_all_holds_nothing_is_searched(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, parent = planted
    monkeypatch.setattr(fallback_run, "_costs", None)
    monkeypatch.setattr(fallback_run, "_LEAST_JUDGED", 30)
    monkeypatch.setattr(fallback_run, "_JUDGED", 40)
    config = {"id": "lax", "type": "quantize", "from": "onnx", "scheme": "int8_dynamic"}
    lax = Int8Dynamic.model_validate(config | {"fallback": {"roc_auc": 1, "f1": 1}})
    made = shop.make(quantize.run, lax, parent=parent)
    assert any("every label holds in int8, and no product stays in fp32" in note for note in made.manifest.notes)
    assert "fallback: judged on 40 validation rows" in made.manifest.notes


def test_without_validation_rows_it_says_so(planted: Any) -> None:
    import dataclasses

    shop, parent = planted
    validation = shop.splits.validation
    empty = dataclasses.replace(validation, texts=(), targets=validation.targets[:0])
    bare = dataclasses.replace(shop, splits=dataclasses.replace(shop.splits, validation=empty))
    config = {"id": "bare", "type": "quantize", "from": "onnx", "scheme": "int8_dynamic", "fallback": {}}
    with pytest.raises(DataError, match=r"stages\.bare\.fallback: .*there are none\. Give data\.validation"):
        bare.make(quantize.run, Int8Dynamic.model_validate(config), parent=parent)


def test_the_clock_ends_the_asking_and_others_cost_the_mean() -> None:
    class Bench:
        tokenizer = SimpleNamespace(runs=lambda texts: texts)

        def probabilities(self, kept: frozenset[int], texts: Any) -> np.ndarray:
            return np.float32([[0.5 + 0.1 * number for number in (0, 1) if number not in kept] or [0.5]])

    asked: list[int] = []

    def tell(what: str, done: int, total: int) -> None:
        asked.append(done)

    forms: Any = SimpleNamespace(products=range(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fallback_run, "_bytes", lambda forms, kept: frozenset(kept))
        times = iter([True, False])  # before the first it is not even asked
        costs = fallback_run._costs(Bench(), forms, ("a",), tell, lambda: next(times))  # type: ignore[arg-type]
    assert asked == [0, 1]
    assert costs[1, 0] == pytest.approx(0.5 * np.log(0.5 / 0.6) + 0.5 * np.log(0.5 / 0.4), abs=1e-6)
    assert costs.ravel().tolist() == pytest.approx([0, costs[1, 0], *[costs[1, 0] / 2] * 2])


def test_a_product_without_a_time_saves_what_others_do() -> None:
    times = np.array([[4.0, 1.0], [0.0, 0.0], [2.0, 3.0]])  # the last is slower in int8: a twentieth all the same
    assert fallback_run._saved(times).tolist() == pytest.approx([3.0, 1.55, 0.1])
    assert fallback_run._saved(np.zeros((2, 2))).tolist() == [1, 1]


def test_rows_and_texts_are_as_many_as_the_time_allows() -> None:
    config = Fallback(minutes=1, rows=512)
    assert fallback_run._judged(config, per_text=0.0001) == 5000
    assert fallback_run._judged(config, per_text=0.002) == 1875
    assert fallback_run._judged(config, per_text=1.0) == 1000
    assert fallback_run._affordable(config, per_text=0.01, products=10) == 300
    assert fallback_run._affordable(config, per_text=0.0001, products=10) == 512
    assert fallback_run._affordable(config, per_text=10.0, products=10) == 16


# ------------------------------------------------------------------------------------------------------- the recipe


def test_check_knows_what_it_is_not_for(command: Any, tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    tiny_recipe["stages"] += [
        {"id": "words", "type": "distill", "teacher": "teacher", "student": {"type": "linear"}},
        {"id": "words-text", "type": "export"},
        {"id": "static", "type": "quantize", "scheme": "int8_static"},
        {"id": "mixed", "type": "quantize", "from": "words-text", "scheme": "int8_dynamic", "fallback": {}},
    ]
    (tmp_path / "recipe.yaml").write_text(json.dumps(tiny_recipe), encoding="utf-8")
    ended = command("check", tmp_path / "recipe.yaml")
    assert ended.code == 2
    told = " ".join(ended.err.split())
    assert "words-text is a graph that takes texts, whose tables only fp16 and int8_dynamic make smaller" in told
    assert "stages.mixed.fallback: is for matrix products" in told
