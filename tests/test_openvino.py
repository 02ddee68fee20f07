"""OpenVINO: graphs in int8 and in 16 bits, run on the threads asked for, and nobody is told."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from backends import onnx_artifact, torch_artifact
from hypothesis import given
from hypothesis import strategies as st

from compress.artifact import library_versions
from compress.environment import check_extra
from compress.errors import MissingPackageError, ParityError
from compress.plan import Plan, Step
from compress.preflight import check_backend, check_plan
from compress.recipe.quantizing import Bf16, OpenvinoBf16, OpenvinoInt8

needs_openvino = pytest.mark.skipif(
    len(library_versions(("openvino", "nncf"))) < 2, reason="the extra openvino is not installed"
)


def config(scheme: str = "openvino_int8", **keys: Any) -> Any:
    kind = OpenvinoInt8 if scheme == "openvino_int8" else OpenvinoBf16
    name = scheme.removeprefix("openvino_")
    return kind(id=name, type="quantize", scheme=scheme, **{"from": "model-onnx"}, **keys)


# ---------------------------------------------------------------------------------------------- without the extra


@given(rows=st.integers(1, 3), tokens=st.integers(1, 60), most=st.integers(60, 70), left=st.booleans())
def test_batches_are_rounded_up_to_few_lengths(rows: int, tokens: int, most: int, left: bool) -> None:
    from compress.runtime.openvino import rounded_up

    tokenizer: Any = SimpleNamespace(pad_id=7, pad_type=3, pad_left=left, max_tokens=most)
    names = {"input_ids": 7, "attention_mask": 0, "token_type_ids": 3}
    given_ = {name: np.arange(rows * tokens).reshape(rows, tokens) + 10 for name in names}
    found = rounded_up(given_, tokenizer)
    length = found["input_ids"].shape[1]
    assert tokens <= length <= most
    assert length % 16 == 0 or length == most
    for name, fill in names.items():
        own = slice(length - tokens, None) if left else slice(0, tokens)
        assert (found[name][:, own] == given_[name]).all()
        assert (np.delete(found[name], np.arange(length)[own], axis=1) == fill).all()


@pytest.mark.parametrize("there", [(), ("openvino",)])
def test_a_missing_extra_is_named_with_the_stage(there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "compress.environment.library_versions", lambda names: {name: "1" for name in names if name in there}
    )
    what = "nncf is" if there else "openvino and nncf are"
    with pytest.raises(MissingPackageError, match=rf"{what} not installed\. Install the extra openvino"):
        check_extra("openvino")
    for scheme in ("openvino_int8", "openvino_bf16"):
        with pytest.raises(MissingPackageError, match=r"^stages\.\w+\.scheme: [\s\S]*compress\[openvino\]"):
            check_backend(config(scheme))


def test_check_says_so_and_run_begins_nothing(
    tmp_path: Path, tiny_recipe_text: str, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "compress.environment.library_versions",
        lambda names: {name: "1" for name in names if name not in {"openvino", "nncf", "onnxruntime-gpu"}},
    )
    stage = "  - {id: fast, type: quantize, from: student-onnx, scheme: openvino_int8}\nevaluate:"
    (tmp_path / "r.yaml").write_text(tiny_recipe_text.replace("evaluate:", stage), encoding="utf-8")
    checked = command("check", tmp_path / "r.yaml")
    assert checked.code == 0, checked.err
    assert "stages.fast.scheme: openvino and nncf are not installed" in checked.out + checked.err
    ran = command("run", tmp_path / "r.yaml", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "pip install 'compress[openvino]'" in ran.err
    assert not (tmp_path / "out" / "artifacts").exists()


def test_what_lies_there_must_run_as_well_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's folder from another machine: its graph is measured beside what is trained here."""
    monkeypatch.setattr("compress.environment.library_versions", lambda names: {})
    manifest = SimpleNamespace(format="openvino", max_tokens=32)
    there: Any = SimpleNamespace(path=Path("artifacts/int8"), manifest=manifest)
    cached = Step(config(), 13, (), "", there, None)
    half = Bf16(id="half", type="quantize", scheme="bf16", **{"from": "model"})
    task: Any = None
    check_plan(Plan((cached,)), task)
    with pytest.raises(MissingPackageError, match=r"^artifacts/int8: openvino is not installed"):
        check_plan(Plan((cached, Step(half, 13, (), "", None, None))), task)


# ------------------------------------------------------------------------------------------------- with the extra


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, tiny_encoder: Callable[[str], Path]
) -> dict[str, Any]:
    """A model in ONNX, and both of OpenVINO's forms of it."""
    from compress.stages import quantize

    shop = new_workshop(tmp_path_factory.mktemp("openvino"))
    found = {"shop": shop, "torch": torch_artifact(shop, tiny_encoder("bert"))}
    found["onnx"] = onnx_artifact(shop, found["torch"])
    found["int8"] = shop.make(quantize.run, config(calibration_rows=16), parent=found["onnx"])
    found["bf16"] = shop.make(quantize.run, config("openvino_bf16"), parent=found["onnx"])
    return found


@needs_openvino
@pytest.mark.parametrize(("name", "near"), [("int8", 0.4), ("bf16", 0.05)])
def test_it_answers_nearly_as_its_parent(made: dict[str, Any], name: str, near: float) -> None:
    from compress.runtime import open_predictor

    texts = made["shop"].splits.tests["test"].texts
    predictor = open_predictor(made[name], threads=1)
    before, after = open_predictor(made["onnx"]).predict_proba(texts), predictor.predict_proba(texts)
    # a random model of width 32 has nothing to spare: one text of eighty moves by .18 in int8
    assert 0 < np.abs(before - after).max() < near
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98
    assert predictor.predict_proba(["", "the map " * 200, "x"]).shape == (3, 6)
    assert (predictor.runtime, predictor.device, made[name].manifest.format) == ("openvino", "cpu", "openvino")
    for inherited in ("decision.json", "config.json", "tokenizer.json"):
        assert (made[name].path / inherited).read_bytes() == (made["onnx"].path / inherited).read_bytes()


@needs_openvino
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_arithmetic_are_what_was_asked_for(made: dict[str, Any], threads: int) -> None:
    from compress.runtime import open_predictor

    for name, arithmetic in (("int8", "float32"), ("bf16", "bfloat16")):
        compiled = open_predictor(made[name], threads=threads).graph.request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
        if name == "int8" or "bf16" in library_features():
            assert arithmetic in str(compiled.get_property("INFERENCE_PRECISION_HINT"))


def library_features() -> str:
    from compress.runtime.openvino import openvino

    return " ".join(openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")).lower()


@needs_openvino
def test_weights_are_integers_within_half_a_step(made: dict[str, Any]) -> None:
    from compress.runtime.footprint import footprint
    from compress.runtime.openvino import GRAPH, weight_arrays

    prints = {name: footprint(made[name]) for name in ("torch", "onnx", "int8", "bf16")}
    for name in ("int8", "bf16"):
        assert prints[name].parameters == pytest.approx(prints["onnx"].parameters, rel=0.05)
    arrays = list(weight_arrays(made["int8"].path / GRAPH))
    integers = sum(array.size for array in arrays if array.dtype == np.int8)
    assert integers > 0.9 * prints["torch"].parameters
    assert {array.dtype for array in weight_arrays(made["bf16"].path / GRAPH) if array.ndim == 2} == {
        np.dtype(np.float16)
    }
    sizes = {name: (made[name].path / "model.bin").stat().st_size for name in ("int8", "bf16")}
    assert sizes["int8"] < 0.45 * 4 * prints["torch"].parameters
    assert sizes["bf16"] < 0.55 * 4 * prints["torch"].parameters


@needs_openvino
def test_what_products_read_is_seen_as_the_integers_it_is(made: dict[str, Any]) -> None:
    """For the sums that older CPUs cut."""
    from compress.runtime import open_predictor
    from compress.runtime.openvino_products import open_products
    from compress.runtime.pair_sums import older_cpus

    texts, tokenizer = made["shop"].splits.tests["test"].texts[:3], open_predictor(made["int8"]).tokenizer
    products = open_products(made["int8"].path)
    names = [product.name for product in products.all]
    assert len(set(names)) == len(names) >= 12  # six of each layer; NNCF may leave the head as it is
    seen = [list(products.fetch(tokenizer.pad([item]))) for item in tokenizer.encode(texts)]
    for product, *arrays in zip(products.all, *seen, strict=True):
        assert {array.shape[1] for array in arrays} == {len(product.weights)}
        # ranges were found on texts like these, so that most of the levels are there
        assert np.ptp(np.concatenate([array.ravel() for array in arrays])) > 64
    found = older_cpus(made["int8"], texts)
    sums = [-(-len(product.weights) // 2) * product.weights.shape[1] for product in products.all]
    rows = [sum(len(arrays[place]) for arrays in seen) for place in range(len(sums))]
    assert (found.products, found.pair_sums) == (len(names), int(np.dot(sums, rows)))
    assert found.reduce_range == (found.beyond > 0)


@needs_openvino
def test_accuracy_control_says_what_it_held(made: dict[str, Any], workshop: Any) -> None:
    from compress.stages import quantize

    # a drop of all there is: nothing has to go back, and all of the way is walked once
    small = workshop.make(quantize.run, config(calibration_rows=8, accuracy_drop=1.0), parent=made["onnx"])
    note = next(note for note in small.manifest.notes if note.startswith("accuracy_drop 1: macro ROC-AUC"))
    before, after = (float(word.strip(",")) for word in note.split() if word.startswith("0."))
    assert 0 < before < 1
    assert 0 < after < 1


@needs_openvino
def test_accuracy_control_does_not_smooth(made: dict[str, Any], workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives a product its own weights back, and would leave the smoothing of what the product reads."""
    import nncf

    from compress.stages import quantize

    asked: dict[str, Any] = {}

    def control(model: Any, *_: Any, **how: Any) -> Any:
        asked.update(how)
        return model

    monkeypatch.setattr(nncf, "quantize_with_accuracy_control", control)
    workshop.make(quantize.run, config(calibration_rows=8, accuracy_drop=0.0), parent=made["onnx"])
    assert asked["advanced_quantization_parameters"].smooth_quant_alphas.matmul == -1


@needs_openvino
def test_a_graph_that_does_not_answer_is_not_kept(
    made: dict[str, Any], workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compress.stages import quantize

    monkeypatch.setattr("compress.runtime.openvino.OpenGraph.logits", lambda graph, batch: 1 / 0)
    with pytest.raises(ParityError, match=r"does not run: division by zero\. Nothing was kept"):
        workshop.make(quantize.run, config("openvino_bf16"), parent=made["onnx"])
    assert list((workshop.folder / "artifacts").iterdir()) == []


@needs_openvino
def test_the_card_shows_how_openvino_alone_runs_it(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from compress.card.text import _use
    from compress.runtime import open_predictor

    code = next(text for text in _use(made["bf16"]) if "import openvino" in text)
    monkeypatch.chdir(made["bf16"].path.parent)
    told: dict[str, Any] = {}
    exec(code.split("```python\n")[1].split("```")[0], told)  # noqa: S102 - the card's own example
    np.testing.assert_allclose(told["logits"], open_predictor(made["bf16"]).predict_logits(["a text"]), atol=0.05)


@needs_openvino
def test_inspect_knows_the_format(made: dict[str, Any]) -> None:
    from compress.architecture.read import inspect_model

    found = inspect_model(str(made["int8"].path))
    assert (found.source, found.uses) == ("artifact, openvino int8", ("evaluate", "predict"))
    assert found.weights_bytes == sum((made["int8"].path / name).stat().st_size for name in ("model.xml", "model.bin"))


@needs_openvino
def test_nothing_is_sent_and_no_id_is_written(tmp_path: Path) -> None:
    """In a home of its own: at import OpenVINO writes an id for this user there, and sends an event under it."""
    program = (
        "from compress.runtime.openvino import openvino\n"
        "import sys\n"
        "openvino(); import nncf\n"
        "from nncf.telemetry import telemetry\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
        "assert 'Mock' in type(telemetry).__name__ or 'Mock' in getattr(telemetry, '__name__', '')\n"
    )
    home = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": home}
    for name in ("CI", "PYTEST_CURRENT_TEST"):  # in which it keeps quiet by itself
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.glob("**/openvino*")) == []
    assert not (tmp_path / "intel").exists()
