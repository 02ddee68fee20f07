"""neural-compressor's autotune as a torch.export program: int8 weights, no pickle, kernels that multiply integers."""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backends import torch_artifact
from pydantic import TypeAdapter, ValidationError

from compress.artifact import library_versions
from compress.environment import check_extra
from compress.errors import ArtifactError, MissingPackageError
from compress.preflight import check_backend
from compress.recipe.quantizing import IncInt8
from compress.runtime.pair_sums import beyond_int16, older_cpus, risky_pairs
from compress.runtime.torch_export import PROGRAM, check_plain, open_graph, to_int8_kernels
from compress.runtime.torch_export_products import open_products

needs_inc = pytest.mark.skipif(
    len(library_versions(("neural-compressor", "neural-compressor-pt", "torchao"))) < 2,
    reason="the extra inc is not installed",
)


def config(**keys: Any) -> IncInt8:
    return IncInt8(id="small", type="quantize", scheme="inc_int8", **{"from": "model"}, **keys)


# ---------------------------------------------------------------------------------------------- without the extra


def test_a_missing_extra_is_named_with_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compress.environment.library_versions", lambda names: {})
    with pytest.raises(MissingPackageError, match=r"neural-compressor and torchao are not installed.*\n.*\[inc\]"):
        check_extra("inc")
    with pytest.raises(MissingPackageError, match=r"^stages\.small\.scheme: [\s\S]*pip install 'compress\[inc\]'"):
        check_backend(config())


def test_more_settings_than_there_are_is_a_mistake_of_the_recipe() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 3"):
        TypeAdapter(IncInt8).validate_python(
            {"id": "small", "type": "quantize", "scheme": "inc_int8", "from": "model", "trials": 4}
        )


class Linear(torch.nn.Module):
    """A linear layer as PT2E quantization leaves it: floats made of integers, on both sides."""

    def __init__(self) -> None:
        super().__init__()
        draw = np.random.default_rng(13)
        self.register_buffer("table", torch.from_numpy(draw.integers(-127, 128, (5, 8)).astype(np.int8)))
        self.register_buffer("scales", torch.from_numpy(draw.uniform(0.01, 0.02, 5).astype(np.float32)))
        self.register_buffer("zeros", torch.zeros(5, dtype=torch.int64))
        self.register_buffer("bias", torch.from_numpy(draw.normal(size=5).astype(np.float32)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        operators = torch.ops.quantized_decomposed
        rounded = operators.quantize_per_tensor(x, 0.05, 100, 0, 255, torch.uint8)
        floats = operators.dequantize_per_tensor(rounded, 0.05, 100, 0, 255, torch.uint8)
        weights = operators.dequantize_per_channel(self.table, self.scales, self.zeros, 0, -128, 127, torch.int8)
        return torch.nn.functional.linear(floats, weights, self.bias)


def program(path: Path, example_inputs: bool = False) -> Path:
    import torch.ao.quantization.fx._decomposed

    axis = {0: torch.export.Dim.DYNAMIC}
    made = torch.export.export(Linear(), (torch.ones(3, 8),), dynamic_shapes=(axis,))
    if not example_inputs:
        made._example_inputs = None
    torch.export.save(made, str(path))
    return path


def test_integer_kernels_answer_as_the_floats_do(tmp_path: Path) -> None:
    module = torch.export.load(str(program(tmp_path / PROGRAM))).module()
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 8)).astype(np.float32))
    before = module(x)
    # by hand: integers of activations and weights multiplied, then scaled once
    rounded = np.clip(np.round(x.numpy() / np.float32(0.05)) + 100, 0, 255) - 100
    layer = Linear()
    by_hand = rounded @ layer.table.numpy().astype(np.float64).T * 0.05 * layer.scales.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(before.numpy(), by_hand, rtol=1e-4, atol=1e-5)
    if not torch.backends.mkldnn.is_available():
        pytest.skip("oneDNN is not in this build of torch")
    assert to_int8_kernels(module) == 1
    targets = [str(node.target) for node in module.graph.nodes]
    assert "onednn.qlinear_pointwise.default" in targets
    assert not any("dequantize" in target for target in targets)
    np.testing.assert_allclose(module(x).numpy(), by_hand, rtol=1e-4, atol=1e-5)
    assert module(x[:1]).shape == (1, 5)


def test_what_products_read_is_seen_as_the_integers_it_is(tmp_path: Path) -> None:
    """For the sums that older CPUs cut."""
    program(tmp_path / PROGRAM)
    products = open_products(tmp_path)
    x = np.random.default_rng(1).normal(scale=10, size=(70, 8)).astype(np.float32)
    (product,), (seen,) = products.all, products.fetch({"x": x})
    np.testing.assert_array_equal(product.weights, Linear().table.numpy().T)
    np.testing.assert_array_equal(seen, np.clip(np.round(x / np.float32(0.05)) + 100, 0, 255))
    pairs = seen.astype(int)[:, None, :] * product.weights.T.astype(int)
    sums = pairs[..., ::2] + pairs[..., 1::2]
    assert beyond_int16(seen, risky_pairs(product.weights)) == ((sums > 32767) | (sums < -32768)).sum() > 0


def test_what_could_run_code_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    check_plain(program(tmp_path / "good.pt2"))
    with pytest.raises(ArtifactError, match=r"holds \w+/data/sample_inputs/model\.pt, which could run code"):
        check_plain(program(tmp_path / "samples.pt2", example_inputs=True))
    written = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(written, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("model_weights_config.json"):
                data = data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
            bad.writestr(name, data)
    (tmp_path / "bad.pt2").write_bytes(written.getvalue())
    with pytest.raises(ArtifactError, match=r"holds (table|scales|zeros|bias), which could run code"):
        check_plain(tmp_path / "bad.pt2")


@pytest.mark.parametrize(
    ("there", "put"),
    [
        # sympify evaluates what a size is
        (r'"expr_str": "[^"]*"', """"expr_str": "__import__('pathlib').Path('PATH').touch()\""""),
        # names become the source of a module
        (r'"name": "x"', """"name": "x): import pathlib; pathlib.Path('PATH').touch() #\""""),
        # a kind of tree may name a module to import
        (r"builtins\.tuple", "collections.defaultdict"),
    ],
)
def test_a_graphs_words_are_refused_where_torch_would_run_them(tmp_path: Path, there: str, put: str) -> None:
    touched = tmp_path / "touched"
    with zipfile.ZipFile(program(tmp_path / "good.pt2")) as good, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("model.json"):
                text = data.decode()
                assert re.search(there, text)
                data = re.sub(there, lambda _: put.replace("PATH", str(touched)), text).encode()
            bad.writestr(name, data)
    with pytest.raises(ArtifactError, match="which could run code"):
        open_graph(tmp_path / "bad.pt2")
    assert not touched.exists()


# ------------------------------------------------------------------------------------------------- with the extra


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, new_workshop: Any, tiny_encoder: Callable[[str], Path]
) -> dict[str, Any]:
    """A torch artifact and what neural-compressor makes of it."""
    from compress.stages import quantize

    shop = new_workshop(tmp_path_factory.mktemp("inc"))
    whole = torch_artifact(shop, tiny_encoder("bert"))
    train = shop.splits.train
    targets = train.targets.copy()
    targets[:, 3] = 0
    bare = replace(shop, splits=replace(shop.splits, train=replace(train, targets=targets)))
    small = bare.make(quantize.run, config(calibration_rows=32, trials=1, tolerance=0.1), parent=whole)
    return {"shop": shop, "whole": whole, "small": small}


@needs_inc
def test_it_answers_nearly_as_its_parent_on_any_batch(made: dict[str, Any]) -> None:
    from compress.runtime import open_predictor

    texts = made["shop"].splits.tests["test"].texts
    predictor = open_predictor(made["small"], threads=1)
    before, after = open_predictor(made["whole"]).predict_proba(texts), predictor.predict_proba(texts)
    # a random model of width 32 has nothing to spare
    assert 0 < np.abs(before - after).max() < 0.4
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98
    # ranges are fixed, so a text's answer is its own
    alone = np.concatenate([predictor.predict_proba([text]) for text in texts[:8]])
    np.testing.assert_allclose(after[:8], alone, atol=1e-2)
    assert predictor.predict_proba(["", "the map " * 200]).shape == (2, 6)
    assert (predictor.runtime, predictor.device, made["small"].manifest.precision) == ("torch.export", "cpu", "int8")


@needs_inc
def test_weights_of_linear_layers_are_integers_and_nothing_is_left_over(made: dict[str, Any]) -> None:
    from compress.runtime.footprint import footprint
    from compress.runtime.torch_export import open_program, weight_arrays

    before, after = footprint(made["whole"]), footprint(made["small"])
    assert after.parameters == pytest.approx(before.parameters, rel=0.02)
    integers = sum(array.size for array in weight_arrays(made["small"].path) if array.dtype == np.int8)
    assert integers == 2 * (4 * 32 * 32 + 2 * 32 * 64) + 64 * 6
    module = open_program(made["small"].path / PROGRAM)
    kernels = sum("qlinear" in str(node.target) for node in module.graph.nodes)
    assert kernels == (13 if torch.backends.mkldnn.is_available() else 0)


@needs_inc
def test_every_linear_layer_is_looked_at_for_older_cpus(made: dict[str, Any]) -> None:
    found = older_cpus(made["small"], made["shop"].splits.tests["test"].texts[:3])
    assert (found.texts, found.products) == (3, 13)  # six of each layer, and the head
    assert found.pair_sums > 0
    assert found.reduce_range == (found.beyond > 0)


@needs_inc
def test_the_file_holds_no_pickle_and_no_path(made: dict[str, Any]) -> None:
    file = made["small"].path / PROGRAM
    check_plain(file)
    with zipfile.ZipFile(file) as opened:
        contents = b"".join(opened.read(name) for name in opened.namelist())
    assert str(Path(__file__).resolve().parents[1]).encode() not in contents
    assert b".py" not in contents


@needs_inc
def test_the_report_is_told_what_was_tried(made: dict[str, Any]) -> None:
    notes = made["small"].manifest.notes
    assert any("embeddings stay fp32" in note for note in notes)
    assert any(note.startswith("warning: no calibration row has threat: of 32 rows") for note in notes)
    tried = next(note for note in notes if "neural-compressor tried" in note)
    assert tried.startswith("macro ROC-AUC on 80 validation rows: fp32 0.")
