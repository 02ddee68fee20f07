"""Before the first stage: whatever would stop a later one is told at once, with its stage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import open_artifact
from compress.errors import ArtifactError, CompressError, EncoderError, MissingPackageError
from compress.inputs import DataFacts
from compress.plan import Plan, Step, make_plan
from compress.preflight import check_plan, seen_notes
from compress.recipe.recipe import Recipe

FACTS = DataFacts({"train": "t", "validation": "v", "unlabeled": "u", "test:test": "e"}, 1000, ())
LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")


def check(folder: Path, *stages: dict[str, Any], labels: tuple[str, ...] = LABELS) -> None:
    recipe = Recipe.model_validate(
        {
            "version": 1,
            "name": "n",
            "task": {"type": "multi_label", "text": "t", "labels": list(labels)},
            "data": {"builtin": "comments"},
            "stages": list(stages),
        }
    )
    check_plan(make_plan(recipe, folder / "out", FACTS), recipe.task)


def finetune(encoder: Path, **changes: Any) -> dict[str, Any]:
    return {"id": "teacher", "type": "finetune", "encoder": str(encoder), "max_tokens": 64} | changes


def student(encoder: Path, **changes: Any) -> dict[str, Any]:
    return {"id": "small", "type": "distill", "teacher": "teacher", "student": {"encoder": str(encoder)} | changes}


@pytest.fixture
def encoder(tmp_path: Path, tiny_encoder: Callable[[str], Path]) -> Path:
    """A BERT of 64 positions, the test's own to damage."""
    return shutil.copytree(tiny_encoder("bert"), tmp_path / "encoder")


def reconfigure(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("pooling", ["own", "mean_max"])
def test_what_can_run_passes(tmp_path: Path, encoder: Path, pooling: str) -> None:
    check(tmp_path, finetune(encoder, pooling=pooling), student(encoder, pooling=pooling, max_tokens=64))


def test_a_student_inherits_more_tokens_than_it_has_positions(tmp_path: Path, encoder: Path) -> None:
    shape = {"layers": 1, "width": 8, "heads": 1}
    teacher = {"id": "teacher", "type": "finetune", "encoder": shape, "max_tokens": 65}
    with pytest.raises(EncoderError, match=r"stages\.small: max_tokens 65 is above the 64 positions of"):
        check(tmp_path, teacher, student(encoder))
    check(tmp_path, teacher, student(encoder, max_tokens=64))


def test_tokens_are_inherited_from_a_teacher_that_is_loaded(tmp_path: Path, encoder: Path, teacher: Any) -> None:
    reconfigure(encoder, max_position_embeddings=16)
    with pytest.raises(EncoderError, match=r"stages\.small: max_tokens 32 is above the 16 positions"):
        check(tmp_path, {"id": "teacher", "type": "load", "model": str(teacher.path)}, student(encoder))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("no tokenizer", "holds no tokenizer"),
        ("broken tokenizer", "no tokenizer can be read from"),
        ("no weights", r"has no model\.safetensors"),
        ("torn weights", "the weights in .* cannot be read"),
        ("encoder-decoder", "is an encoder-decoder"),
        ("unknown", "is not one transformers can read"),
        ("remote", "is not one transformers can read"),
        ("pictures", "cannot be built as a text classifier"),
        ("gone", "does not exist"),
    ],
)
def test_a_model_that_cannot_begin_is_told_with_its_stage(
    tmp_path: Path, encoder: Path, damage: str, said: str
) -> None:
    good = shutil.copytree(encoder, tmp_path / "good")
    match damage:
        case "no tokenizer":
            for file in encoder.glob("tokenizer*"):
                file.unlink()
        case "broken tokenizer":
            (encoder / "tokenizer.json").write_text("{}")
        case "no weights":
            (encoder / "model.safetensors").unlink()
        case "torn weights":
            (encoder / "model.safetensors").write_bytes((good / "model.safetensors").read_bytes()[:-9])
        case "encoder-decoder":
            (encoder / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
        case "unknown":
            reconfigure(encoder, model_type="nonsense")
        case "remote":  # its own code would be asked for on the terminal
            reconfigure(encoder, model_type="nonsense", auto_map={"AutoConfig": "code.Config"})
        case "pictures":
            (encoder / "config.json").write_text('{"model_type": "vit"}')
        case "gone":
            encoder = tmp_path / "gone"
            with pytest.raises(EncoderError, match=said):
                check(tmp_path, finetune(good), student(encoder))
            return
    with pytest.raises(EncoderError, match=rf"stages\.small: .*{said}"):
        check(tmp_path, finetune(good), student(encoder, max_tokens=32))


def test_a_model_of_pictures_is_no_encoder_of_text(tmp_path: Path, encoder: Path) -> None:
    (encoder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(EncoderError, match=r"stages\.teacher: .* \(vit\) reads pixel_values, not text"):
        check(tmp_path, finetune(encoder, pooling="mean"))


def test_the_labels_of_a_classifier_that_is_loaded(tmp_path: Path, teacher: Any) -> None:
    loaded = {"id": "late", "type": "load", "model": str(teacher.path)}
    check(tmp_path, loaded)
    with pytest.raises(EncoderError, match=r"^stages\.late\.labels: the classifier has no label toxicc"):
        check(tmp_path, loaded, labels=("toxicc", *LABELS[1:]))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("./nofolder", r"the folder \./nofolder does not exist\. Name one with a config\.json"),
        ("package:typo_of_a_package/model", "is not installed. Install it"),
        ("{here}", r"holds no config\.json, so it is no transformers model\. Name another"),
    ],
)
def test_a_classifier_that_is_not_there_is_told_with_its_key(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(EncoderError, match=rf"^stages\.late\.model: .*{said}"):
        check(tmp_path, {"id": "late", "type": "load", "model": model.format(here=tmp_path)})


def test_an_encoder_that_is_not_there_is_told_with_its_key(tmp_path: Path, encoder: Path) -> None:
    with pytest.raises(EncoderError, match=r"^stages\.teacher\.encoder: the folder .*none does not exist"):
        check(tmp_path, finetune(tmp_path / "none"))
    with pytest.raises(EncoderError, match=r"^stages\.small\.student\.encoder: the folder .*none does not exist"):
        check(tmp_path, finetune(encoder), student(tmp_path / "none"))


def test_a_model_of_ours_may_have_seen_test_rows_that_are_drawn(teacher: Any, encoder: Path) -> None:
    def notes(model: Path, stage: dict[str, Any] | None = None, **data: Any) -> tuple[str, ...]:
        task = {"type": "multi_label", "text": "t", "labels": list(LABELS)}
        stages = [stage or {"id": "late", "type": "load", "model": str(model)}]
        given = {"version": 1, "name": "n", "task": task, "data": {"train": "a.csv"} | data, "stages": stages}
        return seen_notes(Recipe.model_validate(given))

    (told,) = notes(teacher.path, test_share=0.2)
    assert told.startswith("stages.late.model: ")
    assert "may have seen some of them in training" in told
    tuned = {"id": "late", "type": "finetune", "encoder": str(teacher.path)}
    (told,) = notes(teacher.path, tuned, test_share=0.2)
    assert told.startswith("stages.late.encoder: ")
    assert notes(teacher.path, test={"held_out": "b.csv"}) == notes(encoder, test_share=0.2) == ()
    for odd in ("~nobody-of-this-name/model", "a" * 300):
        assert notes(Path(odd), test_share=0.2) == ()


def test_an_artifact_that_cannot_be_loaded(tmp_path: Path, teacher: Any) -> None:
    copy = shutil.copytree(teacher.path, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"^stages\.late: .* is damaged"):
        check(tmp_path, {"id": "late", "type": "load", "model": str(copy)})


def test_a_runtime_that_is_missing_is_told_before_the_training(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingPackageError("no ONNX Runtime is installed")

    monkeypatch.setattr("compress.preflight.check_onnxruntime", missing)
    check(tmp_path, finetune(encoder))
    with pytest.raises(MissingPackageError):
        check(tmp_path, finetune(encoder), {"id": "onnx", "type": "export", "from": "teacher"})


def test_what_is_cached_is_not_asked(tmp_path: Path, encoder: Path, teacher: Any) -> None:
    recipe = Recipe.model_validate(
        {
            "version": 1,
            "name": "n",
            "task": {"type": "multi_label", "text": "t", "labels": list(LABELS)},
            "data": {"builtin": "comments"},
            "stages": [finetune(tmp_path / "gone"), student(encoder)],
        }
    )
    one, two = recipe.stages
    cached = Step(one, 13, (), "", open_artifact(teacher.path), None)
    check_plan(Plan((cached,)), recipe.task)
    # a cached teacher still says how long its student's texts are
    reconfigure(encoder, max_position_embeddings=16)
    with pytest.raises(CompressError, match="max_tokens 32 is above the 16 positions"):
        check_plan(Plan((cached, Step(two, 13, ("teacher",), "", None, None))), recipe.task)


def hints(encoder: Path, layers: object = "uniform", **changes: Any) -> dict[str, Any]:
    return student(encoder) | {"hints": {"hidden": {"layers": layers}} | changes}


def test_hints_are_held_against_both_configurations(tmp_path: Path, encoder: Path) -> None:
    check(tmp_path, finetune(encoder), hints(encoder, [[1, 0]], cosine=1.0))
    with pytest.raises(EncoderError, match=r"^stages\.small\.hints: hidden\.layers: the student has no layer 2:"):
        check(tmp_path, finetune(encoder), hints(encoder, [[2, 1]]))
    teacher = shutil.copytree(encoder, tmp_path / "teacher")
    reconfigure(teacher, num_hidden_layers=1, hidden_size=48)
    with pytest.raises(EncoderError, match="the student has 2 layers and the teacher 1, so uniform has none"):
        check(tmp_path, finetune(teacher), hints(encoder))
    with pytest.raises(EncoderError, match="the student's is 32, the teacher's 48"):
        check(tmp_path, finetune(teacher), hints(encoder, [[0, 0]], cosine=1.0))
    with pytest.raises(
        EncoderError, match=r"no layer 1: it has 1, numbered 0 to 0\.\nstages\.small\.hints: cosine compar"
    ):
        check(tmp_path, finetune(teacher), hints(encoder, [[0, 1]], cosine=1.0))
