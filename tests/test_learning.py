"""What a student learns from: one or several teachers, their hints, and texts that were made of the transfer set."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compress.classifier import pool
from compress.encoder.files import load_classifier
from compress.errors import DataError, EncoderError
from compress.pieces import Pieces, TokenIds
from compress.recipe.learning import HiddenStates, Hints
from compress.recipe.long_text import LongText
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.stages import Distill, Finetune, Tfidf, Training
from compress.runtime import open_predictor
from compress.stages import distill, finetune, prune, tfidf
from compress.stages.distill.students import build_student
from compress.tokenizer import open_tokenizer
from compress.train import checkpoints
from compress.train.hints import HintedStudent, open_source
from compress.train.hints.states import answer_seen, vector_layer
from compress.train.learning import distilling_loss
from compress.train.loop import Examples, Hinted, train
from compress.train.losses import cosine_distance, hidden_error, squared_error
from compress.train.transfer import common_mask, transfer_set

Encoder = Callable[[str], Path]
SHAPE = {"layers": 1, "width": 32, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 250}}


def config(student: Any = None, **changes: Any) -> Distill:
    given = {"id": "s", "type": "distill", "teacher": "teacher", "student": student or SHAPE, "precision": "fp32"}
    return Distill.model_validate(given | {"epochs": 0.5, "batch_size": 16} | changes)


def small_bag() -> Finetune:
    """A teacher that counts words, trained for a moment."""
    shape = {"type": "embedding_bag", "width": 4, "hidden": 4, "max_tokens": 24, "tokenizer": {"type": "hashed"}}
    given = {"id": "bag", "type": "finetune", "encoder": shape, "epochs": 0.1, "precision": "fp32"}
    return Finetune.model_validate(given)


def answers(artifact: Any, texts: Sequence[str]) -> np.ndarray:
    return open_predictor(artifact).predict_logits(texts)


def whole(workshop: Any) -> tuple[str, ...]:
    return (*workshop.splits.train.texts, *workshop.splits.unlabeled)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the teachers that were opened, in order."""
    ids: list[str] = []

    def spy(artifact: Any, **words: Any) -> Any:
        ids.append(artifact.manifest.stage_id)
        return open_predictor(artifact, **words)

    monkeypatch.setattr(distill, "open_predictor", spy)
    monkeypatch.setattr(prune.magnitude, "open_predictor", spy)
    return ids


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, new_workshop: Callable[[Path], Any]) -> Any:
    """A TF-IDF model of the comments."""
    return new_workshop(tmp_path_factory.mktemp("baseline")).make(tfidf.run, Tfidf(id="tfidf", type="tfidf"))


# ---------------------------------------------------------------------------------------------------- teachers


def test_the_logits_of_several_teachers_are_averaged_by_weight(workshop: Any, teacher: Any, baseline: Any) -> None:
    inputs = workshop.inputs(teacher=[(teacher, 0.7), (baseline, 0.3)])
    found = transfer_set(inputs, open_predictor, workshop.context(), "s")
    texts = whole(workshop)
    assert found.texts == texts
    np.testing.assert_allclose(
        found.answers, 0.7 * answers(teacher, texts) + 0.3 * answers(baseline, texts), rtol=1e-4, atol=1e-4
    )
    rows = len(workshop.splits.train)
    np.testing.assert_array_equal(found.targets[:rows], workshop.splits.train.targets)
    assert found.labelled.tolist() == [1] * rows + [0] * (len(texts) - rows)


def test_each_teacher_is_asked_once_and_in_its_own_name(
    workshop: Any, teacher: Any, baseline: Any, opened: list[str]
) -> None:
    told: list[str] = []
    shop = {"progress": lambda what, done, total: told.append(what)}
    workshop.make(distill.run, config(id="one"), teacher=baseline, **shop)
    workshop.make(distill.run, config(id="both"), teacher=[(teacher, 0.5), (baseline, 0.5)], **shop)
    pruning = PruneMagnitude(id="p", type="prune", teacher={"a": 1, "b": 2}, epochs=0.1, precision="fp32")
    workshop.make(prune.run, pruning, parent=teacher, teacher=[(teacher, 0.1), (baseline, 0.9)], **shop)
    assert opened == ["tfidf", "teacher"]
    asked = [what for what in dict.fromkeys(told) if "answers" in what]
    assert asked == ["one: teacher's answers", "both: answers of teacher"]


def test_what_all_teachers_agree_on_is_learnt_as_from_one(workshop: Any, teacher: Any) -> None:
    texts = whole(workshop)
    for taught_by in ([(teacher, 1.0)], [(teacher, 0.25), (teacher, 0.75)]):
        found = transfer_set(workshop.inputs(teacher=taught_by), open_predictor, workshop.context(), "s")
        np.testing.assert_allclose(found.answers, answers(teacher, texts), rtol=1e-5, atol=1e-5)


def stranger(labels: tuple[str, ...], logits: np.ndarray) -> tuple[Any, Any]:
    """A teacher with labels of its own, and what opens it."""
    manifest = SimpleNamespace(labels=labels, stage_id="stranger")
    artifact = SimpleNamespace(digest="d", manifest=manifest)
    return artifact, lambda given, device: SimpleNamespace(predict_logits=lambda texts: logits[: len(texts)])


def test_a_teachers_labels_are_put_into_the_tasks_order(workshop: Any) -> None:
    labels = workshop.task.labels
    order = np.array([3, 1, 0, 5, 4, 2])
    logits = np.random.default_rng(1).normal(size=(len(whole(workshop)), 6)).astype(np.float32)
    artifact, opener = stranger(tuple(labels[place] for place in order), logits[:, order])
    inputs = dataclasses.replace(workshop.inputs(), teachers=(SimpleNamespace(artifact=artifact, weight=1.0),))
    found = transfer_set(inputs, opener, workshop.context(), "s")
    np.testing.assert_array_equal(found.answers, logits)


@pytest.mark.parametrize(
    ("change", "named"), [(lambda it: (*it[:5], "spam"), "identity_hate"), (lambda it: (*it, "spam"), "spam")]
)
def test_a_teacher_with_other_labels_is_named_before_it_is_asked(
    workshop: Any, change: Callable[[tuple[str, ...]], tuple[str, ...]], named: str
) -> None:
    artifact, _ = stranger(change(workshop.task.labels), np.zeros((0, 6)))
    inputs = dataclasses.replace(workshop.inputs(), teachers=(SimpleNamespace(artifact=artifact, weight=1.0),))
    with pytest.raises(EncoderError, match=rf"stages\.s\.teacher: stranger .*: {named} is in one of them alone"):
        transfer_set(inputs, open_predictor, workshop.context(), "s")


def test_an_empty_transfer_set_is_an_error_before_any_training(workshop: Any, teacher: Any) -> None:
    rows = workshop.splits.train
    none = dataclasses.replace(rows, texts=(), targets=rows.targets[:0])
    splits = dataclasses.replace(workshop.splits, train=none, unlabeled=())
    shop = dataclasses.replace(workshop, splits=splits)
    with pytest.raises(DataError, match=r"stages\.s: the transfer set is empty: neither train nor unlabeled"):
        transfer_set(shop.inputs(teacher=teacher), open_predictor, shop.context(), "s")


# ---------------------------------------------------------------------------------------------------- augmentation


def test_augmented_texts_are_answered_and_have_no_labels(workshop: Any, teacher: Any, opened: list[str]) -> None:
    plain = distill.answered(config(), workshop.inputs(teacher=teacher), workshop.context(), teacher.path)
    more = config(augment={"copies": 2, "mask": 0.2})
    found = distill.answered(more, workshop.inputs(teacher=teacher), workshop.context(), teacher.path)
    count = len(plain.texts)
    assert found.texts[:count] == plain.texts
    assert count < len(found.texts) <= 3 * count
    assert not found.labelled[count:].any()
    assert any("[MASK]" in text for text in found.texts[count:])
    np.testing.assert_array_equal(found.answers[:count], plain.answers)
    np.testing.assert_allclose(found.answers[count:], answers(teacher, found.texts[count:]), atol=1e-4)
    again = distill.answered(more, workshop.inputs(teacher=teacher), workshop.context(), teacher.path)
    assert again.texts == found.texts
    assert opened == ["teacher", "teacher"]  # for the transfer set, and for what was made of it


def test_a_mask_is_what_all_readers_know_as_one(tmp_path: Path, teacher: Any, tiny_encoder: Encoder) -> None:
    assert common_mask((teacher.path, tiny_encoder("bert"))) == "[MASK]"
    assert common_mask((tiny_encoder("roberta"),)) == "<mask>"
    assert common_mask((teacher.path, tiny_encoder("roberta"))) is None
    assert common_mask((teacher.path, tmp_path)) is None


# ---------------------------------------------------------------------------------------------------- hints


def batch(artifact: Any, texts: Sequence[str]) -> dict[str, Tensor]:
    reader = open_tokenizer(artifact.path, 32)
    return {name: torch.from_numpy(value) for name, value in reader.pad(reader.encode(texts)).items()}


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "albert"])
@pytest.mark.parametrize("pooling", ["own", "mean_max"])
def test_what_is_seen_is_what_the_model_computes(
    workshop: Any, tiny_encoder: Encoder, family: str, pooling: str
) -> None:
    stage = Finetune(
        id="t", type="finetune", encoder=str(tiny_encoder(family)), pooling=pooling, max_tokens=32, epochs=0.05
    )
    made = workshop.make(finetune.run, stage)
    model = load_classifier(made.path)
    inputs = batch(made, workshop.splits.train.texts[:3])
    with torch.inference_mode():
        expected = model(**inputs)
        logits, vector, hidden = answer_seen(model, inputs, 6, hidden=True)
        plain = answer_seen(model, inputs, 6, hidden=False)
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(plain[0], expected)
        assert plain[2] == ()
        assert len(hidden) == 1 + model.config.num_hidden_layers == 3
        last = model.encoder(**inputs, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(hidden[-1], last)
        if pooling != "own":
            torch.testing.assert_close(vector, pool(last, inputs["attention_mask"], pooling))
            torch.testing.assert_close(model.head(vector), expected)
        torch.testing.assert_close(model(**inputs), expected)  # and nothing of it stays in the model
    assert not model.encoder._forward_pre_hooks
    assert not vector_layer(model, 6)._forward_pre_hooks


def hinted(teacher: Any, hints: Hints, pairs: tuple[tuple[int, int], ...] = (), width: int | None = None) -> Any:
    torch.manual_seed(3)
    student = load_classifier(teacher.path)
    with torch.no_grad():
        for value in student.parameters():
            value.add_(0.05 * torch.randn_like(value))
    source = load_classifier(teacher.path) if hints.of_tokens else None
    return HintedStudent(student, source, hints, 6, pairs, width)


def test_the_terms_are_those_of_the_two_models_states(workshop: Any, teacher: Any) -> None:
    pairs = ((0, 1), (1, 1))
    module = hinted(teacher, Hints(hidden=HiddenStates(weight=3.0), cosine=0.5, pooled=2.0), pairs, 64)
    inputs = batch(teacher, workshop.splits.train.texts[:4])
    with torch.inference_mode():
        found = module(**inputs)
        mine = module.student.encoder(**inputs, output_hidden_states=True).hidden_states
        theirs = load_classifier(teacher.path).encoder(**inputs, output_hidden_states=True).hidden_states
        mask = inputs["attention_mask"]
        errors = [
            hidden_error(project(mine[here + 1]), theirs[there + 1], mask)
            for (here, there), project in zip(pairs, module.projections, strict=True)
        ]
        expected = 3.0 * torch.stack(errors).mean(dim=0) + 0.5 * cosine_distance(mine[-1], theirs[-1], mask)
        assert expected.shape == (4,)
        torch.testing.assert_close(found.term, expected)
        torch.testing.assert_close(found.logits, module.student(**inputs))
        projected = module.vector_projection(pool(mine[-1], mask, "mean_max"))
        torch.testing.assert_close(found.vectors, projected)


def test_a_copy_of_the_teacher_is_hinted_at_nothing(workshop: Any, teacher: Any) -> None:
    module = HintedStudent(load_classifier(teacher.path), load_classifier(teacher.path), Hints(cosine=1.0), 6)
    found = module(**batch(teacher, workshop.splits.train.texts[:4]))
    assert found.term.tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert found.vectors is None


def test_the_teacher_is_frozen_and_is_no_part_of_what_is_saved(workshop: Any, teacher: Any) -> None:
    module = hinted(teacher, Hints(hidden=HiddenStates(), pooled=1.0), ((1, 1),), 64)
    module.train()
    found = module(**batch(teacher, workshop.splits.train.texts[:4]))
    (found.term.sum() + found.vectors.sum()).backward()
    source = module._teacher[0]
    assert not source.training
    assert all(value.grad is None for value in source.parameters())
    assert all(value.grad is not None for value in module.projections.parameters())
    assert all(value.grad is not None for value in module.vector_projection.parameters())
    names = {name.partition(".")[0] for name in module.state_dict()}
    assert names == {"student", "projections", "vector_projection"}


def test_hints_are_added_to_the_loss_by_weight() -> None:
    from compress.recipe.data import Task

    task = Task(type="multi_label", text="t", labels=("a", "b"))
    logits, random = torch.zeros(3, 2), torch.Generator().manual_seed(1)
    vectors, theirs = (torch.randn(3, 4, generator=random) for _ in range(2))
    given = {"targets": torch.zeros(3, 2), "labelled": torch.ones(3), "teacher": torch.ones(3, 2)}
    plain = distilling_loss(task, 0.5, 1.0)(logits, given)
    given |= {"term": torch.tensor([0.5, 0.25, 0.0]), "vectors": vectors, "teacher_vectors": theirs}
    found = distilling_loss(task, 0.5, 1.0, hints=Hints(cosine=1.0, pooled=2.0))(logits, given)
    torch.testing.assert_close(found, plain + 0.25 + 2 * squared_error(vectors, theirs).mean())
    mse = distilling_loss(task, 1.0, 1.0, "mse")(logits, given)
    assert mse.item() == 1.0


HINTS = ({"hidden": {"weight": 0.5}}, {"cosine": 1.0}, {"pooled": 1.0}, {"hidden": {}, "cosine": 1.0, "pooled": 0.5})


@pytest.mark.parametrize("hints", HINTS, ids=lambda it: "+".join(it))
def test_hints_change_what_is_learnt_and_leave_nothing_in_the_artifact(
    workshop: Any, teacher: Any, tiny_encoder: Encoder, hints: dict[str, Any]
) -> None:
    student = {"encoder": str(tiny_encoder("bert")), "pooling": "mean_max"}
    plain = workshop.make(distill.run, config(student, id="plain"), teacher=teacher)
    made = workshop.make(distill.run, config(student, id="made", hints=hints), teacher=teacher)
    assert load_classifier(made.path).state_dict().keys() == load_classifier(plain.path).state_dict().keys()
    assert made.manifest.file_sha256s.keys() == plain.manifest.file_sha256s.keys()
    assert made.manifest.file_sha256s["model.safetensors"] != plain.manifest.file_sha256s["model.safetensors"]


def test_hints_bring_the_students_states_nearer_the_teachers(
    workshop: Any, teacher: Any, tiny_encoder: Encoder
) -> None:
    student = {"encoder": str(tiny_encoder("bert")), "pooling": "mean_max"}
    test = batch(teacher, workshop.splits.tests["test"].texts)

    def distance(artifact: Any) -> float:
        with torch.inference_mode():
            states = [load_classifier(it.path).encoder(**test).last_hidden_state for it in (artifact, teacher)]
        return float(cosine_distance(states[0], states[1], test["attention_mask"]).mean())

    given = {"epochs": 4, "learning_rate": 2e-3}
    plain = workshop.make(distill.run, config(student, id="plain", **given), teacher=teacher)
    near = workshop.make(distill.run, config(student, id="near", hints={"cosine": 3.0}, **given), teacher=teacher)
    assert distance(near) < 0.7 * distance(plain)


def test_pooled_hints_work_across_tokenizers_and_vectors_are_kept(
    workshop: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints = Hints(pooled=1.0)
    context = workshop.context()
    inputs, reader = workshop.inputs(teacher=teacher), open_tokenizer(teacher.path, 32)
    source = open_source(inputs, load_classifier(teacher.path), reader, hints, context, "s")
    texts = whole(workshop)
    found = source.vectors(texts, context, "s")
    assert found.dtype == np.float16
    assert found.shape == (len(texts), 64)
    model = load_classifier(teacher.path)
    logits = torch.nn.functional.linear(torch.from_numpy(found.astype(np.float32)), model.head.weight, model.head.bias)
    np.testing.assert_allclose(logits.detach().numpy(), answers(teacher, texts), atol=2e-2)
    monkeypatch.setattr(type(source), "_pooled", lambda *words: pytest.fail("asked twice"))
    np.testing.assert_array_equal(source.vectors(texts, context, "s"), found)
    workshop.make(distill.run, config(hints={"pooled": 0.5}), teacher=teacher)


def test_a_student_reads_as_its_first_teacher_that_counts_pieces(
    workshop: Any, teacher: Any, baseline: Any, tmp_path: Path
) -> None:
    """TF-IDF has no limit, and a bag's is one of words."""
    bag = workshop.make(finetune.run, small_bag())
    long_text = LongText(how="head_tail")
    reader = dataclasses.replace(teacher, manifest=teacher.manifest.model_copy(update={"long_text": long_text}))
    given = workshop.inputs(teacher=[(baseline, 0.4), (bag, 0.3), (reader, 0.3)])
    built = build_student(config().student, given, tmp_path)
    assert (built.tokenizer.max_tokens, built.tokenizer.long_text) == (teacher.manifest.max_tokens, long_text)


def test_windows_of_a_text_have_one_vector_and_one_answer(workshop: Any, teacher: Any) -> None:
    student = SHAPE | {"max_tokens": 8, "long_text": "windows"}
    made = workshop.make(distill.run, config(student, hints={"pooled": 0.5}, epochs=0.2), teacher=teacher)
    assert made.manifest.long_text.how == "windows"


def test_hints_weigh_texts_and_not_their_windows(workshop: Any) -> None:
    """Three texts of 3, 1 and 2 windows: their terms are the means over each one's own."""
    tokens = [TokenIds(np.array([number], np.int32), np.zeros(1, np.int32)) for number in (1, 2, 6, 4, 5, 7)]
    targets = np.zeros((3, 2), np.float32)
    examples = Examples(Pieces(tokens, np.array([3, 1, 2])), targets, np.ones(3, np.float32))
    seen: list[float] = []

    class Student(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(1, 2)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Hinted:
            numbers = input_ids.float()
            return Hinted(self.head(numbers), numbers[:, 0], None)

    class Reader:
        long_text = LongText(how="windows", window_pooling="max")

        def pad(self, pieces: Sequence[TokenIds]) -> dict[str, np.ndarray]:
            ids = np.stack([piece.ids for piece in pieces]).astype(np.int64)
            return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    def loss(logits: Tensor, given: dict[str, Tensor]) -> Tensor:
        assert logits.shape == (3, 2)
        seen.extend(given["term"].tolist())
        return logits.sum() * 0

    stage = Training(id="s", epochs=1, batch_size=3, precision="fp32")
    train(Student(), examples, Reader(), stage, loss, workshop.context())
    assert sorted(seen) == [3, 4, 6]


def test_resumed_with_hints_it_ends_as_it_would_have(
    workshop: Any, teacher: Any, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = {"encoder": str(tiny_encoder("bert")), "pooling": "mean_max"}
    hints = {"hidden": {}, "pooled": 1.0}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)

    def weights(stop: int | None, work: str) -> str:
        def progress(what: str, done: int, total: int) -> None:
            if "training" in what and done == stop:
                raise KeyboardInterrupt

        given = config(student, hints=hints, epochs=2, early_stopping=2)
        made = workshop.make(distill.run, given, teacher=teacher, work_dir=workshop.folder / work, progress=progress)
        return str(made.manifest.file_sha256s["model.safetensors"])

    for name in ("whole", "stopped"):
        (workshop.folder / name).mkdir()
    try:
        expected = weights(None, "whole")
        with pytest.raises(KeyboardInterrupt):
            weights(17, "stopped")
        assert weights(None, "stopped") == expected
    finally:
        torch.set_num_threads(threads)


# ---------------------------------------------------------------------------------------------------- bad hints


@pytest.mark.parametrize("hints", [{"pooled": 1.0}, {"cosine": 1.0}])
def test_a_bag_has_no_states_to_hint_at(workshop: Any, tiny_encoder: Encoder, hints: dict[str, Any]) -> None:
    bag = workshop.make(finetune.run, small_bag())
    message = refused(workshop, bag, {"encoder": str(tiny_encoder("bert")), "max_tokens": 32}, hints)
    assert message == "stages.s.hints: bag (EmbeddingBag) has no states; name a transformer first."


def refused(workshop: Any, teacher: Any, student: Any, hints: dict[str, Any]) -> str:
    with pytest.raises(EncoderError) as raised:
        workshop.make(distill.run, config(student, hints=hints), teacher=teacher)
    assert not (workshop.folder / "cache" / "teacher_outputs").exists()  # the teacher has not been asked yet
    return str(raised.value)


def test_states_of_other_tokens_are_refused(workshop: Any, teacher: Any, tiny_encoder: Encoder) -> None:
    message = refused(workshop, teacher, {"encoder": str(tiny_encoder("roberta"))}, {"cosine": 1.0})
    assert message.startswith("stages.s.hints: ")
    assert "cuts texts otherwise than its teacher teacher" in message
    assert "pooled" in message


def test_more_tokens_than_the_teacher_reads_are_refused(workshop: Any, teacher: Any, tiny_encoder: Encoder) -> None:
    student = {"encoder": str(tiny_encoder("bert")), "max_tokens": 64}
    assert "set student.max_tokens to at most 32" in refused(workshop, teacher, student, {"hidden": {}})


def test_a_layer_that_is_not_there_is_refused(workshop: Any, teacher: Any, tiny_encoder: Encoder) -> None:
    message = refused(workshop, teacher, {"encoder": str(tiny_encoder("bert"))}, {"hidden": {"layers": [[0, 7]]}})
    assert message == "stages.s.hints.hidden.layers: the teacher has no layer 7: it has 2, numbered 0 to 1."


def test_a_teacher_without_states_is_refused(workshop: Any, baseline: Any) -> None:
    message = refused(workshop, baseline, SHAPE, {"pooled": 1.0})
    assert message == "stages.s.hints: tfidf (tfidf) has no states; name a transformer first."


def test_the_layer_map_by_hand() -> None:
    assert HiddenStates().pairs(2, 6) == ((0, 2), (1, 5))
    assert HiddenStates().pairs(4, 6) == ((0, 0), (1, 2), (2, 3), (3, 5))
    assert HiddenStates(layers="last").pairs(2, 6) == ((0, 4), (1, 5))
    assert HiddenStates(layers=((0, 5), (0, 1))).pairs(1, 6) == ((0, 5), (0, 1))
    for layers in ("uniform", "last"):
        with pytest.raises(ValueError, match="the student has 7 layers and the teacher 6"):
            HiddenStates(layers=layers).pairs(7, 6)
    with pytest.raises(ValueError, match="the student has no layer 2: it has 2"):
        HiddenStates(layers=((2, 0),)).pairs(2, 6)


def test_a_hinted_answer_survives_what_a_process_group_does_to_it() -> None:
    """accelerate rebuilds a model's answer when it turns it into fp32."""
    from accelerate.utils.operations import convert_to_fp32

    given = Hinted(torch.zeros(2, 3, dtype=torch.bfloat16), torch.zeros(()), None)
    found = convert_to_fp32(given)
    assert isinstance(found, Hinted)
    assert found.logits.dtype == torch.float32
    assert found.vectors is None
    assert json.dumps(found._fields) == '["logits", "term", "vectors"]'
