"""Static int8: ranges worked by hand, what is rounded and what is not, masks, rows without a label, and max_drop."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compress.artifact import Decision, open_artifact
from compress.inputs import Inputs, Made
from compress.recipe.quantizing import Calibration, Fp16, Int8Static
from compress.recipe.stages import Export
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.runtime.onnx import open_session
from compress.stages import export, quantize
from compress.stages.quantize import drop
from compress.stages.quantize.calibrate import absent_labels, activation_ranges, clamp_masks, drawn_rows
from compress.stages.quantize.int8_static import int8_static
from eval.contract import LabelledTexts

CONFIG = {"id": "static", "type": "quantize", "from": "onnx", "scheme": "int8_static"}


def save(path: Path, nodes: list[Any], output: str, width: int, **weights: np.ndarray) -> Path:
    """A graph from x (n, 8) to output (n, width)."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", width])
    arrays = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [given], [made], arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def block(tmp_path: Path) -> Path:
    """y = x W, then y + relu(y) V, as a block with a residual."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="first"),
        helper.make_node("MatMul", ["y", "v"], ["z"], name="second"),
        helper.make_node("Add", ["y", "z"], ["s"], name="past"),
    ]
    return save(tmp_path / "block.onnx", nodes, "s", 8, w=random.normal(size=(8, 8)), v=random.normal(size=(8, 8)))


def batches(seed: int = 1) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [{"x": random.normal(size=(size, 8)).astype(np.float32), "no input": np.zeros(1)} for size in (40, 7)]


# ---------------------------------------------------------------------------------------------------------- ranges


def test_ranges_are_the_extremes_or_less(tmp_path: Path) -> None:
    path, given = block(tmp_path), batches()
    x = np.concatenate([batch["x"] for batch in given])
    first = dict(activation_ranges(path, {"x", "y"}, given, Calibration()).items())
    assert set(first) == {"x", "y"}
    assert [float(end.item()) for end in first["x"].range_value] == pytest.approx([x.min(), x.max()])
    for how in (Calibration(method="percentile", percentile=90.0), Calibration(method="entropy")):
        low, high = (
            float(end.item()) for end in dict(activation_ranges(path, {"x"}, given, how).items())["x"].range_value
        )
        assert x.min() - 0.1 <= low < 0 < high <= x.max() + 0.1
        if how.method == "percentile":
            inside = ((x >= low) & (x <= high)).mean()
            assert inside == pytest.approx(0.9, abs=0.03)


def test_the_parents_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's calibrators write a graph with its shapes beside the one that they are given."""
    infer, written = onnx.shape_inference.infer_shapes_path, []

    def told(source: str, target: str, *rest: Any, **more: Any) -> None:
        written.append(Path(target).parent)
        infer(source, target, *rest, **more)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes_path", told)
    activation_ranges(block(tmp_path), {"x"}, batches(), Calibration())
    assert written
    assert tmp_path not in written


def test_weights_and_inputs_of_products_lie_within_half_a_step_and_the_rest_is_fp32(tmp_path: Path) -> None:
    path = block(tmp_path)
    forms = int8_static(path, batches(), Calibration(), reduce_range=False)
    arrays = {item.name: numpy_helper.to_array(item) for item in forms.small.graph.initializer}
    whole = {item.name: numpy_helper.to_array(item) for item in forms.whole.graph.initializer}
    for name in ("w", "v"):
        scale = arrays[f"{name}_scale"]
        assert scale.shape == (8,)
        assert (np.abs(arrays[f"{name}_quantized"] * scale - whole[name]) <= scale / 2 * (1 + 1e-5)).all()
    x = batches()[0]["x"]
    scale, zero = arrays["x_scale"], arrays["x_zero_point"].astype(np.float32)
    restored = (np.clip(np.round(x / scale) + zero, 0, 255) - zero) * scale
    assert (np.abs(restored - x) <= scale / 2 * (1 + 1e-4)).all()
    # what goes past the block is not rounded: the sum reads y itself
    past = next(node for node in forms.small.graph.node if node.name == "past")
    assert list(past.input) == ["y", "z"]
    given = {"x": x}
    exact, rounded = (
        open_session(model.SerializeToString(), "cpu", 1).run(None, given)[0] for model in (forms.whole, forms.small)
    )
    assert 0 < np.abs(exact - rounded).max() < 0.1 * np.abs(exact).std()


def test_reduce_range_leaves_a_bit_free(tmp_path: Path) -> None:
    for reduced, most in ((False, 127), (True, 64)):
        forms = int8_static(block(tmp_path), batches(), Calibration(), reduce_range=reduced)
        levels = [
            numpy_helper.to_array(item) for item in forms.small.graph.initializer if item.data_type == TensorProto.INT8
        ]
        found = max(int(np.abs(array.astype(int)).max()) for array in levels)
        assert most - 1 <= found <= most


def test_masks_are_clamped_and_nothing_else() -> None:
    low = np.finfo(np.float32).min
    far = helper.make_node("Constant", [], ["far"], value=numpy_helper.from_array(np.float32([-np.inf, 2.0])))
    filled = helper.make_node("ConstantOfShape", ["n"], ["f"], value=numpy_helper.from_array(np.float32([low])))
    arrays = [numpy_helper.from_array(np.float32(values), name) for name, values in (("a", [low, 1e5]), ("b", [1e29]))]
    model = helper.make_model(helper.make_graph([far, filled], "g", [], [], arrays))
    assert clamp_masks(model) == 3
    a, b = (numpy_helper.to_array(item).tolist() for item in model.graph.initializer)
    assert a == [-1e4, 1e5]
    assert b == pytest.approx([1e29])
    constant, shape = (numpy_helper.to_array(node.attribute[0].t).tolist() for node in model.graph.node)
    assert (constant, shape) == ([-1e4, 2.0], [-1e4])
    assert clamp_masks(model) == 0


# ---------------------------------------------------------------------------------------------------------- rows


@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 80), st.integers(0, 5), st.randoms())
def test_rows_are_drawn_once_each_and_rare_labels_are_among_them(
    rows: int, labels: int, count: int, seed: int, chance: Any
) -> None:
    targets = np.array([[int(chance.random() < 0.1) for _ in range(labels)] for _ in range(rows)], np.int8)
    texts = LabelledTexts(tuple(map(str, range(rows))), tuple("abcd"[:labels]), targets)
    chosen = drawn_rows(texts, count, seed)
    assert len(chosen) == min(rows, count)
    assert len(set(chosen.tolist())) == len(chosen)
    assert chosen.tolist() == sorted(chosen.tolist())
    each = max(1, min(4, count // (2 * labels)))
    if len(chosen) >= each * labels:
        assert (targets[chosen].sum(axis=0) >= np.minimum(targets.sum(axis=0), each)).all()
        assert set(absent_labels(texts, chosen)) == {
            label for label, some in zip(texts.labels, targets.any(axis=0), strict=True) if not some
        }


def test_a_regressions_rows_are_drawn_and_lack_no_label() -> None:
    values = LabelledTexts(tuple("abc"), ("stars",), np.float32([[0.5], [3.0], [1.0]]))
    chosen = drawn_rows(values, 2, 0)
    assert len(chosen) == 2
    assert absent_labels(values, chosen) == ()


# ---------------------------------------------------------------------------------------------------------- the stage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, teacher: Any) -> Any:
    """(workshop, the teacher as ONNX, its static int8)."""
    shop = new_workshop(tmp_path_factory.mktemp("static"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.write, "_export_dynamo", lambda *arguments: 1 / 0)
        parent = shop.make(export.run, Export(id="onnx", type="export"), parent=teacher)
    return shop, parent, shop.make(quantize.run, Int8Static.model_validate(CONFIG), parent=parent)


def test_it_answers_nearly_as_its_parent_in_a_quarter_of_the_bytes(made: Any) -> None:
    shop, parent, child = made
    texts = shop.splits.tests["test"].texts
    before, after = (open_predictor(it).predict_proba(texts) for it in (parent, child))
    assert 0 < np.abs(before - after).max() < 0.2
    assert child.manifest.precision == "int8"
    assert child.manifest.notes == ("int8: 100.0% of the weights in matrix products",)
    # integers count as the weights that they stand for
    assert footprint(child).parameters == pytest.approx(footprint(parent).parameters, rel=0.02)
    weights = [
        sum(numpy_helper.to_array(item).nbytes for item in onnx.load(str(it.path / "model.onnx")).graph.initializer)
        for it in (parent, child)
    ]
    assert weights[1] < 0.35 * weights[0]


def test_softmax_sums_and_products_of_activations_stay_fp32(made: Any) -> None:
    _, _, child = made
    graph = onnx.load(str(child.path / "model.onnx")).graph
    produced = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type in {"Add", "Softmax", "LayerNormalization", "Erf"}:
            assert not any(
                produced[it].op_type == "DequantizeLinear" for it in node.input if it in produced and "embed" not in it
            )


def test_a_label_that_no_row_has_is_told(made: Any) -> None:
    shop, parent, _ = made
    train = shop.splits.train
    targets = train.targets.copy()
    targets[:, 3] = 0
    splits = dataclasses.replace(shop.splits, train=dataclasses.replace(train, targets=targets))
    bare = dataclasses.replace(shop, splits=splits)
    config = Int8Static.model_validate(CONFIG | {"id": "absent", "calibration": {"rows": 500}})
    notes = bare.make(quantize.run, config, parent=parent).manifest.notes
    assert notes[1].startswith("warning: no calibration row has threat: of 120 rows; what these labels alone excite is")
    assert "train has none" in notes[1]


# ---------------------------------------------------------------------------------------------------------- max_drop


@pytest.mark.parametrize(("after", "marked"), [(0.9, False), (0.89, False), (0.88, True), (0.95, False)])
def test_what_falls_further_than_it_may_is_marked(
    made: Any, monkeypatch: pytest.MonkeyPatch, after: float, marked: bool
) -> None:
    shop, parent, _ = made
    found = iter([0.9, after])
    monkeypatch.setattr(drop, "_quality", lambda artifact, inputs: next(found))
    config = Fp16.model_validate(
        {"id": "half", "type": "quantize", "from": "onnx", "scheme": "fp16", "max_drop": 0.0101}
    )
    inputs = Inputs(shop.task, parent, (), lambda: shop.splits)
    marks = drop.drop_marks(config, inputs, Made("onnx", 32, "fp16"), shop.folder)
    assert bool(marks) == marked
    if marked:
        assert "macro ROC-AUC on validation fell from 0.9000 to 0.8800, by 0.0200; max_drop is 0.0101" in marks[0]
        assert marks[0].endswith("take another scheme")


def test_a_fallback_is_named_where_there_can_be_one(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, parent, _ = made
    inputs = Inputs(shop.task, parent, (), lambda: shop.splits)
    monkeypatch.setattr(drop, "_quality", lambda artifact, inputs: float(artifact is parent))
    for more, named in (({}, True), ({"fallback": {}}, False)):
        config = Int8Static.model_validate(CONFIG | {"max_drop": 0.1} | more)
        (mark,) = drop.drop_marks(config, inputs, Made("onnx", 32, "int8"), shop.folder)
        assert mark.endswith("take another scheme, or give this one a fallback") == named


def test_max_drop_is_of_macro_roc_auc_on_validation(made: Any) -> None:
    from eval.metrics import macro, roc_auc

    shop, parent, child = made
    rows = shop.splits.validation
    inputs = Inputs(shop.task, parent, (), lambda: shop.splits)
    wanted = macro(roc_auc, rows.targets, open_predictor(child).predict_proba(rows.texts))
    assert drop._quality(child, inputs) == wanted


def test_of_one_label_each_probabilities_are_ranked_not_logits() -> None:
    """Softmax of the second text gives the first label less, although its logit is the larger one."""
    targets, logits = np.int8([[1, 0], [0, 1]]), np.float32([[1.0, 0.0], [2.0, 4.0]])
    for kind, wanted in (("single_label", 1.0), ("multi_label", 0.5)):
        task: Any = SimpleNamespace(type=kind)
        held: Any = SimpleNamespace(
            manifest=SimpleNamespace(task=task), decision=lambda: Decision(calibration_temperature=1.0, thresholds=None)
        )
        assert drop.score_of(held)(targets, logits) == wanted


def test_a_marked_artifact_is_kept_shown_and_ends_with_3(
    command: Any, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, recipe = tmp_path / "out", tmp_path / "recipe.yaml"
    shutil.copytree(tiny_run, out)
    shutil.copyfile(tiny_run.parent / "recipe.yaml", recipe)
    found = iter([0.9, 0.5])
    monkeypatch.setattr(drop, "_quality", lambda artifact, inputs: next(found))
    arguments = ("run", recipe, "--out", out, "--set", "stages.student-int8.max_drop=0.1")
    ended = command(*arguments)
    assert ended.code == 3, ended.err
    assert open_artifact(out / "artifacts" / "student-int8").manifest.marks
    notes = json.loads((out / "report.json").read_text(encoding="utf-8"))["notes"]
    assert any(note.startswith("student-int8: marked: macro ROC-AUC on validation fell from 0.9000") for note in notes)
    assert "marked" in (out / "report.md").read_text(encoding="utf-8")
    again = command(*arguments)  # all cached: it is still what it is
    assert again.code == 3


# ---------------------------------------------------------------------------------------------------------- the recipe


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ({"calibration": {"percentile": 99}}, "percentile would have no effect here: only of method: percentile"),
        ({"calibration": {"rows": 0}}, "calibration.rows"),
        ({"calibration": {"method": "kl"}}, "calibration.method"),
        ({"fallback": {"roc_auc": 2}}, "fallback.roc_auc"),
        ({"max_drop": -1}, "max_drop"),
    ],
)
def test_check_finds_settings_that_cannot_be(
    command: Any, tiny_recipe: dict[str, Any], tmp_path: Path, stage: dict[str, Any], told: str
) -> None:
    tiny_recipe["stages"].append(
        {"id": "static", "type": "quantize", "from": "student-onnx", "scheme": "int8_static"} | stage
    )
    (tmp_path / "recipe.yaml").write_text(json.dumps(tiny_recipe), encoding="utf-8")
    ended = command("check", tmp_path / "recipe.yaml")
    assert ended.code == 2
    assert told in " ".join(ended.err.split())
