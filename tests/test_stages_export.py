"""Export: the ONNX file answers as torch does, at any batch and length, or there is no file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compress.artifact import open_artifact
from compress.classifier import forward
from compress.encoder.files import load_classifier
from compress.errors import ParityError
from compress.recipe.stages import Export, Finetune
from compress.runtime import open_predictor
from compress.runtime.footprint import footprint
from compress.runtime.onnx import open_session
from compress.stages import export, finetune
from compress.stages.export.parity import compare
from compress.tokenizer import open_tokenizer

CONFIG = Export.model_validate({"id": "e", "type": "export", "from": "student"})
BOUND = (0.5, 0.5)


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The young exporter fails, as it does on some architectures."""

    def fail(model: Any, inputs: Any, path: Path) -> None:
        for name in (path.name, f"{path.name}.data"):
            (path.parent / name).write_bytes(b"half")
        raise RuntimeError("no such overload\nand a page of graph")

    monkeypatch.setattr(export.write, "_export_dynamo", fail)


def check_everywhere(torch_folder: Path, onnx_folder: Path) -> None:
    """Compares logits at batches and lengths that the export never saw, padding among them."""
    model, tokenizer = load_classifier(torch_folder), open_tokenizer(torch_folder, 32)
    session = open_session(str(onnx_folder / "model.onnx"), "cpu", 1)
    words = ("please", "add", "a", "source", "numpty")
    for rows, length in ((1, 0), (1, 1), (1, 40), (2, 3), (3, 17), (33, 9)):
        texts = [" ".join(words[i % 5] for i in range(max(0, length - row))) for row in range(rows)]
        batch = tokenizer.pad(tokenizer.encode(texts))
        found = session.run(["logits"], dict(batch))[0]
        assert found.shape == (rows, 6)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, forward(model, batch, "cpu"), atol=1e-4)


def test_onnx_equals_torch_at_every_batch_and_length(tiny_run: Path) -> None:
    check_everywhere(tiny_run / "artifacts" / "student", tiny_run / "artifacts" / "student-onnx")


def test_probabilities_equal_torchs_on_texts_it_was_not_checked_on(tiny_run: Path, comment_splits: Any) -> None:
    texts = comment_splits.tests["test"].texts
    before, after = (
        open_predictor(open_artifact(tiny_run / "artifacts" / name)).predict_proba(texts)
        for name in ("student", "student-onnx")
    )
    assert np.abs(before - after).max() <= 1e-4


def test_the_graph_has_the_names_that_others_look_for(tiny_run: Path) -> None:
    folder = tiny_run / "artifacts" / "student-onnx"
    model = onnx.load(str(folder / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert axes == {
        "input_ids": ["batch", "sequence"],
        "attention_mask": ["batch", "sequence"],
        "logits": ["batch", 6],
    }
    assert [path.name for path in folder.glob("model*")] == ["model.onnx"]  # no second file with the weights
    for name in ("config.json", "decision.json", "tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (tiny_run / "artifacts" / "student" / name).read_bytes()
    how, note = open_artifact(folder).manifest.notes
    assert how.startswith("exported by")
    assert note.startswith("ONNX equals torch on 80 validation texts")


@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean_max"), ("roberta", "own"), ("distilbert", "cls")])
def test_the_older_exporter_does_as_well(
    workshop: Any,
    tiny_encoder: Callable[[str], Path],
    family: str,
    pooling: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = {"encoder": str(tiny_encoder(family)), "pooling": pooling, "max_tokens": 32}
    config = Finetune(id="t", type="finetune", epochs=0.5, learning_rate=1e-3, precision="fp32", **given)
    parent = workshop.make(finetune.run, config)
    capfd.readouterr()
    made = workshop.make(export.run, CONFIG, parent=parent)
    assert capfd.readouterr() == ("", "")
    check_everywhere(parent.path, made.path)
    assert made.manifest.notes[0] == (
        "exported by torch's tracer, because transformers' exporter failed: RuntimeError: no such overload"
    )
    assert [path.name for path in made.path.glob("model*")] == ["model.onnx"]
    weights = footprint(parent).parameters
    segments = 64 if family == "bert" else 0  # of its two rows the first is added to the positions
    assert weights - segments <= footprint(made).parameters <= 1.02 * weights
    names = [item.name for item in onnx.load(str(made.path / "model.onnx")).graph.initializer]
    assert not [name for name in names if family == "bert" and "token_type" in name]


# ------------------------------------------------------------------------------------------------- parity


def changed(source: Path, target: Path, by: float) -> None:
    """Writes `source` with one number of its largest weight changed."""
    model = onnx.load(str(source))
    largest = max(model.graph.initializer, key=lambda item: int(np.prod(item.dims)))
    array = numpy_helper.to_array(largest).copy()
    array[:, 0] += by
    largest.CopyFrom(numpy_helper.from_array(array, largest.name))
    onnx.save(model, str(target))


@pytest.mark.parametrize("by", [1.0, float("nan")])
def test_a_file_that_answers_otherwise_is_not_kept(
    workshop: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, by: float
) -> None:
    exported = tiny_run / "artifacts" / "student-onnx" / "model.onnx"
    monkeypatch.setattr(export, "write_onnx", lambda model, batch, path: changed(exported, path, by) or "by hand")
    parent = open_artifact(tiny_run / "artifacts" / "student")
    with pytest.raises(ParityError, match=r"differ from torch's by up to .* Nothing was kept"):
        workshop.make(export.run, CONFIG, parent=parent)
    assert list((workshop.folder / "artifacts").iterdir()) == []


def test_an_unchanged_file_is_kept(workshop: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = tiny_run / "artifacts" / "student-onnx" / "model.onnx"
    monkeypatch.setattr(export, "write_onnx", lambda model, batch, path: changed(exported, path, 0.0) or "by hand")
    made = workshop.make(export.run, CONFIG, parent=open_artifact(tiny_run / "artifacts" / "student"))
    assert (made.manifest.format, made.manifest.max_tokens) == ("onnx", 32)


def f32(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_up_to_a_ten_thousandth_is_parity_and_more_is_not() -> None:
    assert "within 9.0e-05" in compare(f32((0.2, 0.8)), f32((0.20009, 0.8)), BOUND)
    with pytest.raises(ParityError, match=r"up to 1\.10e-04 on 1 validation texts"):
        compare(f32((0.2, 0.8)), f32((0.2, 0.80011)), BOUND)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_undefined_answers_are_no_parity(bad: float) -> None:
    with pytest.raises(ParityError, match="differ"):
        compare(f32((0.2, 0.8)), f32((0.2, bad)), BOUND)


def test_a_decision_may_only_flip_at_its_threshold() -> None:
    # 0.49996 -> 0.50001 is within 1e-4 of the threshold, so this is no flip
    assert "no decision flipped" in compare(f32((0.49996, 0.1)), f32((0.50001, 0.1)), BOUND)
    assert "no decision flipped" in compare(f32((0.50001, 0.1)), f32((0.49996, 0.1)), None)


def test_no_texts_are_no_difference() -> None:
    assert "within 0.0e+00" in compare(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), BOUND)
