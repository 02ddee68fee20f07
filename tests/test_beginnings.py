"""Students that cannot begin as they are to: told by `check` where the recipe shows it, else before any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.beginnings import check_beginnings
from compress.errors import EncoderError
from compress.inputs import DataFacts
from compress.keys import cache_key
from compress.plan import make_plan
from compress.recipe.recipe import Recipe
from compress.vocabulary.vectors import vectors_sha256

FACTS = DataFacts({"train": "t", "validation": "v", "unlabeled": "u", "test:test": "e"}, 1000, ())
SHAPE = {"layers": 2, "width": 16, "heads": 2}
Command = Callable[..., Any]


def recipe_of(*stages: dict[str, Any]) -> Recipe:
    given = {"version": 1, "name": "n", "data": {"builtin": "comments"}, "stages": list(stages)}
    return Recipe.model_validate(given | {"task": {"type": "multi_label", "text": "t", "labels": ["a", "b"]}})


def teacher_on(encoder: object, **changes: Any) -> dict[str, Any]:
    return {"id": "teacher", "type": "finetune", "encoder": encoder, "max_tokens": 32} | changes


def taught(student: dict[str, Any], teacher: str = "teacher") -> dict[str, Any]:
    return {"id": "small", "type": "distill", "teacher": teacher, "student": student}


@pytest.fixture
def begin(tmp_path: Path, comment_splits: Any) -> Callable[..., None]:
    """Looks at stages as a run does before the first of them."""

    def check(*stages: dict[str, Any], splits: Any = comment_splits) -> None:
        recipe = recipe_of(*stages)
        check_beginnings(make_plan(recipe, tmp_path / "out", FACTS), lambda: splits)

    return check


@pytest.fixture
def checked(tmp_path: Path, command: Command) -> Callable[..., Any]:
    """What `compress check` says of stages."""
    import json

    def check(*stages: dict[str, Any]) -> Any:
        data = {"version": 1, "name": "n", "data": {"builtin": "comments"}, "stages": list(stages)}
        data |= {"task": {"type": "multi_label", "text": "t", "labels": ["a", "b"]}, "baselines": ["tfidf"]}
        (tmp_path / "recipe.yaml").write_text(json.dumps(data))
        return command("check", tmp_path / "recipe.yaml")

    return check


def test_what_can_begin_passes(begin: Any, checked: Any, tiny_encoder: Callable[[str], Path]) -> None:
    teacher = teacher_on(str(tiny_encoder("bert")))
    for student in (
        {"init": {"from": "teacher", "layers": [1]}},
        SHAPE | {"tokenizer": {"type": "teacher", "size": 200}, "embeddings": "teacher"},
        SHAPE | {"tokenizer": {"type": "unigram", "size": 300}},
    ):
        begin(teacher, taught(student))
        assert checked(teacher, taught(student)).code == 0


# ---------------------------------------------------------------------------------------------------- by the recipe


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ({"init": {"from": "teacher", "layers": [0, 2]}}, "no layer 2: teacher has 2, numbered 0 to 1"),
        ({"init": {"from": "teacher", "layers": [0, 0]}}, "layers"),
        ({"init": {"from": "tfidf", "layers": [0]}}, "needs a transformer"),
        (SHAPE | {"tokenizer": {"type": "bpe", "size": 260}}, "smaller than the alphabet"),
        (SHAPE | {"embedding_rank": 16}, "saves nothing"),
    ],
)
def test_check_says_what_the_recipe_alone_shows(checked: Any, student: dict[str, Any], said: str) -> None:
    ended = checked(teacher_on(SHAPE), taught(student))
    assert ended.code == 2
    assert "stages.small.student" in ended.err
    assert said in ended.err


def test_layers_of_a_shape_read_no_more_than_it_did(checked: Any) -> None:
    student = {"init": {"from": "teacher", "layers": [0]}, "max_tokens": 64}
    ended = checked(teacher_on(SHAPE), taught(student))
    assert ended.code == 2
    assert "stages.small.student.max_tokens: 64 is above the 32 positions of teacher" in " ".join(ended.err.split())
    pruned = {"id": "pruned", "type": "prune", "from": "teacher"}
    student["init"] = {"from": "pruned", "layers": [0]}
    assert "32 positions of pruned" in " ".join(checked(teacher_on(SHAPE), pruned, taught(student)).err.split())
    assert checked(teacher_on(SHAPE, max_tokens=64), pruned, taught(student)).code == 0


@pytest.mark.parametrize("name", ["small", "later"])
def test_layers_of_the_student_itself_or_of_a_later_one_are_a_mistake(checked: Any, name: str) -> None:
    later = taught({"init": {"from": "small", "layers": [0]}}) | {"id": "later"}
    ended = checked(teacher_on(SHAPE), taught({"init": {"from": name, "layers": [0]}}), later)
    assert ended.code == 2
    assert "stages.small.student.init.from" in ended.err


def test_layers_that_are_shared_cannot_be_chosen(checked: Any) -> None:
    ended = checked(teacher_on(SHAPE | {"share_layers": True}), taught({"init": {"from": "teacher", "layers": [0]}}))
    assert "share their weights" in ended.err


@pytest.mark.parametrize("student", [{"tokenizer": {"type": "teacher"}}, {"embeddings": "teacher"}])
def test_pieces_and_embeddings_come_from_a_transformer(checked: Any, student: dict[str, Any]) -> None:
    ended = checked(teacher_on(SHAPE), taught(SHAPE | student, teacher="tfidf"))
    assert ended.code == 2
    assert "tfidf is no transformer" in ended.err
    assert "needs" not in checked(teacher_on(SHAPE), taught(SHAPE | student)).err


def test_check_says_that_vectors_are_of_another_width_where_they_are_here(checked: Any, tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    student = SHAPE | {"embeddings": {"vectors": str(file)}}
    file.write_text(f"the {'1 ' * 16}\n")
    assert checked(teacher_on(SHAPE), taught(student)).code == 0
    file.write_text("the 1 2 3\n")
    ended = checked(teacher_on(SHAPE), taught(student))
    assert ended.code == 2
    assert "stages.small.student.embeddings.vectors" in ended.err
    assert "vectors of 3 numbers, the student's embeddings have 16" in " ".join(ended.err.split())


@pytest.mark.parametrize("name", ["check", "plan", "run"])
def test_vectors_that_are_not_here_are_told_with_the_other_mistakes(
    command: Command, tmp_path: Path, name: str
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""version: 1
name: n
task: {{type: multi_label, text: comment_text, labels: [toxic]}}
data: {{builtin: comments}}
stages:
  - {{id: teacher, type: finetune, encoder: {{layers: 1, width: 8, heads: 1}}, epochs: -1}}
  - id: small
    type: distill
    teacher: teacher
    student:
      layers: 1
      width: 8
      heads: 1
      embeddings:
        vectors: {tmp_path}/none.txt
"""
    )
    ended = command(name, recipe)
    said = " ".join(ended.err.split())
    assert ended.code == 2
    assert "2 mistakes" in said
    assert "line 6: stages.teacher.epochs" in said
    assert f"line 15: stages.small.student.embeddings.vectors: {tmp_path}/none.txt does not exist" in said


def test_the_digest_of_vectors_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def digest(file: Path) -> str:
        read.append(file)
        return "0" * 64

    monkeypatch.setattr("compress.vocabulary.vectors.sha256_file", digest)
    file = tmp_path / "vectors.txt"
    file.write_text("the 1\n")
    for _ in range(3):
        assert vectors_sha256(file) == "0" * 64
    assert read == [file]
    file.write_text("the 1 2\n")
    vectors_sha256(file)
    assert read == [file, file]


def test_check_says_that_vectors_are_others(checked: Any, tmp_path: Path) -> None:
    vectors = {"vectors": str(tmp_path / "vectors.txt"), "sha256": "0" * 64}
    student = SHAPE | {"embeddings": vectors}
    (tmp_path / "vectors.txt").write_text(f"the {'1 ' * 16}\n")
    ended = checked(teacher_on(SHAPE), taught(student))
    assert ended.code == 2
    assert "stages.small.student.embeddings.sha256" in ended.err


# --------------------------------------------------------------------------------------- by models and texts


def test_layers_that_cannot_read_as_long_texts_as_asked(begin: Any, tiny_encoder: Callable[[str], Path]) -> None:
    encoder = teacher_on(str(tiny_encoder("bert")))
    init = {"init": {"from": "teacher", "layers": [0]}}
    begin(encoder, taught(init | {"max_tokens": 64, "attention_dropout": 0.0}))
    for teacher, limit in ((encoder, 64), (teacher_on(SHAPE), 32)):
        with pytest.raises(EncoderError, match=rf"stages.small.student.max_tokens: 65 is above the {limit} positions"):
            begin(teacher, taught(init | {"max_tokens": 65}))
    reads_more = {"id": "reads", "type": "finetune", "encoder": SHAPE, "max_tokens": 100}
    with pytest.raises(EncoderError, match=r"student.max_tokens: 100 is above the 64 positions of teacher"):
        begin(encoder, reads_more, taught(init, teacher="reads"))


def test_layers_without_a_dropout_of_attention(begin: Any, tiny_encoder: Callable[[str], Path]) -> None:
    student = {"init": {"from": "teacher", "layers": [0]}, "attention_dropout": 0.0}
    with pytest.raises(EncoderError, match=r"stages.small.student.attention_dropout: xlnet has no dropout"):
        begin(teacher_on(str(tiny_encoder("xlnet"))), taught(student))


def test_a_layer_that_the_pretrained_teacher_lacks(begin: Any, tiny_encoder: Callable[[str], Path]) -> None:
    teacher = teacher_on(str(tiny_encoder("bert")))
    with pytest.raises(EncoderError, match=r"stages.small.student.init.layers: there is no layer 5: the model has 2"):
        begin(teacher, taught({"init": {"from": "teacher", "layers": [0, 5]}}))


def test_embeddings_wider_than_the_teachers(begin: Any, tiny_encoder: Callable[[str], Path]) -> None:
    student = {"layers": 1, "width": 48, "heads": 2, "embeddings": "teacher"}
    with pytest.raises(EncoderError, match=r"stages.small.student.embeddings: the teacher's have 32 numbers, fewer"):
        begin(teacher_on(str(tiny_encoder("bert"))), taught(student))


def test_vectors_that_are_not_there(begin: Any, tmp_path: Path) -> None:
    student = SHAPE | {"embeddings": {"vectors": str(tmp_path / "none.txt")}}
    with pytest.raises(EncoderError, match=r"stages.small.student.embeddings.vectors: .*none.txt does not exist"):
        begin(teacher_on(SHAPE), taught(student))


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_vocabulary_too_small_for_the_texts(begin: Any, comment_splits: Any, kind: str) -> None:
    import dataclasses

    chinese = tuple("".join(chr(0x4E00 + (17 * row + place) % 900) for place in range(30)) for row in range(99))
    splits = dataclasses.replace(comment_splits, unlabeled=chinese)
    student = SHAPE | {"tokenizer": {"type": kind, "size": 200}}
    with pytest.raises(EncoderError, match=r"stages.small.student.tokenizer.size: 200 is smaller than the alphabet"):
        begin(teacher_on(SHAPE), taught(student), splits=splits)
    with pytest.raises(EncoderError, match=r"stages.teacher.encoder.tokenizer.size: 200 is smaller"):
        begin(teacher_on(student), splits=splits)
    begin(teacher_on(SHAPE), taught(student))


def test_a_teachers_vocabulary_cut_too_small(begin: Any, tiny_encoder: Callable[[str], Path]) -> None:
    student = SHAPE | {"tokenizer": {"type": "teacher", "size": 200}}
    with pytest.raises(EncoderError, match=r"stages.small.student.tokenizer.size: 200 is smaller than the alphabet"):
        begin(teacher_on(str(tiny_encoder("roberta"))), taught(student))


def test_a_cache_key_is_of_the_vectors_themselves_and_only_of_a_stage_that_has_some(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"

    def key(text: str | None) -> str:
        file.write_text(text or "")
        student = SHAPE | ({"embeddings": {"vectors": str(file)}} if text else {})
        recipe = recipe_of(teacher_on(SHAPE), taught(student))
        return cache_key(recipe.stages[1], recipe, FACTS, 13)

    assert key("the 1 2\n") == key("the 1 2\n") != key("the 1 3\n")
    assert key(None) not in {key("the 1 2\n")}


def test_an_alias_is_a_copy_of_its_own(tmp_path: Path) -> None:
    from compress.recipe.load import load_recipe

    (tmp_path / "recipe.yaml").write_text(
        """\
version: 1
name: n
task: {type: multi_label, text: t, labels: [a, b]}
data: {builtin: comments}
stages:
  - {id: teacher, type: finetune, encoder: &shape {layers: 2, width: 16, heads: 2}}
  - {id: small, type: distill, teacher: teacher, student: *shape}
"""
    )
    recipe: Any = load_recipe(str(tmp_path / "recipe.yaml"), ["stages.small.student.width=32"])
    assert (recipe.stages[0].encoder.width, recipe.stages[1].student.width) == (16, 32)
