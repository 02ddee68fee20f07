"""Texts longer than a model reads at once: cut the same way in training, in torch and in ONNX; short ones untouched."""

import csv
import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import save_family
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from compress import tokenizer as tokenizer_module
from compress.artifact import MANIFEST, open_artifact
from compress.batches import TOKEN_BUDGET, pool_windows, run_in_batches, text_logits
from compress.pieces import Pieces, TokenIds, cuts
from compress.recipe.data import Task
from compress.recipe.load import load_recipe
from compress.recipe.long_text import LongText
from compress.recipe.pruning import PruneMagnitude
from compress.recipe.quantizing import Int8Dynamic
from compress.recipe.stages import Distill, Export, Finetune, Load, Training
from compress.runtime import open_predictor
from compress.stages import distill, export, load, prune, quantize
from compress.tokenizer import Tokenizer, open_tokenizer, save_pretrained_tokenizer
from compress.train.learning import labelled_examples, labelling_loss, transfer_examples
from compress.train.loop import TRAINING_WINDOWS, Examples, train
from compress.train.transfer import transfer_set

# every kind of tokenizer: special tokens of one and of two kinds, at both ends or all at the end, padding on the left
TOKENIZERS = ("bert", "roberta", "mpnet", "modernbert", "albert", "deberta-v2", "xlnet")
MOST = 16
WAYS = (LongText(), LongText(how="head_tail"), LongText(how="windows"), LongText(how="windows", window_pooling="max"))
HEAD_TAIL, WINDOWS = WAYS[1], WAYS[2]
SHORT = ("you are a numpty", "", "the map", "thanks for the quick review")
LONG = ("the map is from an older edition " * 9 + "what a rotten thing to write", "I will come and smash you " * 40)
BAND = [f"w{number}" for number in range(30)]

words = st.sampled_from(
    ["please", "add a source", "numpty", "[SEP]", "</s>", "naïve", "\U0001f600", "x", "  ", "I'm", "page,"]
)
texts = st.lists(words, max_size=60).map(" ".join)


@pytest.fixture(scope="module", params=TOKENIZERS)
def opened(
    request: pytest.FixtureRequest, sentences: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[LongText], Tokenizer]:
    """way -> the family's tokenizer, which reads 16 tokens at once."""
    folder = tmp_path_factory.mktemp("tokenizer")
    save_family(request.param, sentences, folder / "whole")
    save_pretrained_tokenizer(folder / "whole", folder, MOST)
    ready = {way: open_tokenizer(folder, MOST, way) for way in WAYS}
    return lambda way: ready[way]


def as_lists(tokens: Any) -> list[tuple[list[int], list[int]]]:
    return [(item.ids.tolist(), item.types.tolist()) for item in tokens]


def library(encodings: Any) -> list[tuple[list[int], list[int]]]:
    return [(item.ids, item.type_ids) for item in encodings]


# ---------------------------------------------------------------------------------------------------- pieces


@given(text=texts)
def test_a_text_that_fits_is_read_alike_in_every_way(opened: Callable[[LongText], Tokenizer], text: str) -> None:
    readings = [opened(way).pieces([text]) for way in WAYS]
    if len(opened(HEAD_TAIL).inner.encode(text).ids) <= MOST:
        assert len({json.dumps(as_lists(reading.tokens)) for reading in readings}) == 1
    assert readings[0].counts.tolist() == readings[1].counts.tolist() == [1]


@given(text=texts)
def test_head_and_tail_are_what_the_library_makes_of_them(opened: Callable[[LongText], Tokenizer], text: str) -> None:
    """The library cuts the text's own tokens and puts the special ones where they belong; we cut what has them."""
    from tokenizers import Encoding

    tokenizer = opened(HEAD_TAIL)
    inner = tokenizer.inner
    room = MOST - inner.num_special_tokens_to_add(False)
    head, tail = (inner.encode(text, add_special_tokens=False) for _ in range(2))
    if len(head) > room:
        head.truncate(room - room * 3 // 4)
        tail.truncate(room * 3 // 4, direction="left")
        head = Encoding.merge([head, tail], growing_offsets=False)
    assert as_lists(tokenizer.encode([text])) == library([inner.post_process(head)])


@given(text=texts)
def test_windows_are_the_librarys_own(opened: Callable[[LongText], Tokenizer], text: str) -> None:
    tokenizer = opened(WINDOWS)
    found = as_lists(tokenizer.encode([text]))
    inner = tokenizer.inner
    try:
        inner.enable_truncation(MOST, stride=(MOST - inner.num_special_tokens_to_add(False)) // 4)
        first = inner.encode(text)
        assert found == library([first, *first.overflowing])
    finally:
        inner.no_truncation()


@given(
    own=st.integers(1, 400),
    before=st.integers(0, 2),
    after=st.integers(0, 2),
    most=st.integers(8, 64),
    cap=st.none() | st.integers(2, 9),
)
def test_windows_cover_the_text_and_share_a_quarter(
    own: int, before: int, after: int, most: int, cap: int | None
) -> None:
    size = before + own + after
    if size <= most:
        return
    special = np.ones(size, bool)
    special[before : before + own] = False
    room = most - before - after
    found = cuts(special, most, "windows", cap)
    inner = [piece[len(piece[:before]) : len(piece) - after].tolist() for piece in found]
    for piece, middle in zip(found, inner, strict=True):
        assert len(piece) <= most
        assert middle == list(range(middle[0], middle[-1] + 1))
        ends = [*range(before), *range(size - after, size)]
        assert sorted({*piece.tolist()} - {*middle}) == ends
    assert inner[0][0] == before
    assert inner[-1][-1] == before + own - 1
    assert all(len(middle) == room for middle in inner[:-1])
    if cap is None:
        assert all(before[-1] - after[0] + 1 == room // 4 for before, after in pairwise(inner))
    else:
        whole = [piece.tolist() for piece in cuts(special, most, "windows")]
        assert len(found) == min(cap, len(whole))
        places = [whole.index(piece.tolist()) for piece in found]
        gaps = np.diff(places)
        assert (gaps >= 1).all()
        assert np.ptp(gaps) <= 1


def test_head_and_tail_split_as_published() -> None:
    special = np.zeros(900, bool)
    special[[0, -1]] = True
    (found,) = cuts(special, 512, "head_tail")
    assert found.tolist() == [*range(129), *range(900 - 1 - 382, 900)]  # Sun et al. 2019: 128 + 382 of 510


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=9), data=st.data())
def test_rows_keep_their_pieces(sizes: list[int], data: st.DataObject) -> None:
    tokens = [
        TokenIds(np.full(part + 1, row), np.zeros(part + 1)) for row, size in enumerate(sizes) for part in range(size)
    ]
    pieces = Pieces(tokens, np.array(sizes))
    rows = data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1))
    found = pieces.of(rows)
    assert [(item.ids[0], len(item)) for item in found.tokens] == [
        (row, part + 1) for row in rows for part in range(sizes[row])
    ]
    assert found.lengths.tolist() == [sizes[row] * (sizes[row] + 1) // 2 for row in rows]


# ---------------------------------------------------------------------------------------------------- logits


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=9), seed=st.integers(0, 9))
def test_pooling_is_the_mean_or_the_maximum_of_a_texts_pieces(sizes: list[int], seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(sum(sizes), 3)).astype(np.float32)
    parts = np.split(logits, np.cumsum(sizes)[:-1])
    for pooling in ("mean", "max"):
        found = pool_windows(logits, np.array(sizes), pooling)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [getattr(part, pooling)(axis=0) for part in parts], rtol=1e-6, atol=1e-6)


class Counting:
    """Stands for a model: a piece's logits are its first own token and its length; it remembers the batches."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        self.shapes.append(batch["input_ids"].shape)
        return np.stack([batch["input_ids"][:, 1], batch["attention_mask"].sum(axis=1)], axis=1).astype(np.float32)


def test_a_text_of_a_megabyte_is_read_within_the_budget(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path, 64)
    tokenizer, model = open_tokenizer(tmp_path, 64, WINDOWS), Counting()
    tokens = len(tokenizer.inner.encode("the map ", add_special_tokens=False)) * 130_000
    assert text_logits(model, ["the map", "the map " * 130_000], tokenizer, 2).shape == (2, 2)
    assert all(rows * longest <= TOKEN_BUDGET for rows, longest in model.shapes)
    assert sum(rows for rows, _ in model.shapes) == 1 + math.ceil((tokens - 15) / (62 - 15))


def test_many_texts_are_read_in_runs_and_answered_in_order(
    tiny_encoder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path, MOST)
    tokenizer = open_tokenizer(tmp_path, MOST, WINDOWS)
    given_texts = [*SHORT, *LONG, *SHORT]
    told: list[tuple[int, int]] = []
    at_once = text_logits(Counting(), given_texts, tokenizer, 2)
    assert len(list(tokenizer.runs(given_texts))) == 1
    whole = tokenizer.pieces(given_texts)
    monkeypatch.setattr(tokenizer_module, "_RUN_CHARACTERS", 60)
    assert len(list(tokenizer.runs(given_texts))) == 4
    np.testing.assert_array_equal(
        text_logits(Counting(), given_texts, tokenizer, 2, progress=lambda *now: told.append(now)), at_once
    )
    assert told == sorted(told)
    assert told[-1] == (10, 10)
    again = tokenizer.pieces(given_texts)
    assert as_lists(again.tokens) == as_lists(whole.tokens)
    assert again.counts.tolist() == whole.counts.tolist()
    assert text_logits(Counting(), (), tokenizer, 2).shape == (0, 2)


@pytest.fixture(scope="module")
def readers(
    teacher: Any, new_workshop: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[LongText, dict[str, Any]]:
    """way -> that teacher read so, as torch and as ONNX; the graph is the same, whichever way it was compared."""
    folder = tmp_path_factory.mktemp("readers")
    made = {way: {"torch": rewritten(teacher, folder / f"torch-{way}", way)} for way in WAYS}
    shop, config = new_workshop(folder), Export(id="onnx", type="export")
    exported = shop.make(export.run, config, parent=made[WAYS[3]]["torch"])
    assert exported.manifest.long_text == WAYS[3]
    for way, artifacts in made.items():
        artifacts["onnx"] = rewritten(exported, folder / f"onnx-{way}", way)
    return made


def rewritten(artifact: Any, folder: Path, way: LongText | None) -> Any:
    """The artifact with another long_text in its manifest; None: a manifest that does not know the key."""
    shutil.copytree(artifact.path, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["long_text"]
    if way is not None:
        manifest["long_text"] = way.model_dump()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return open_artifact(folder)


def logits(artifact: Any, given_texts: Any) -> np.ndarray:
    return open_predictor(artifact).predict_logits(given_texts)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_short_texts_get_the_same_answers_bit_for_bit(readers: Any, runtime: str) -> None:
    expected = logits(readers[WAYS[0]][runtime], SHORT)
    for way in WAYS:
        np.testing.assert_array_equal(logits(readers[way][runtime], SHORT), expected)
        truncated = logits(readers[WAYS[0]][runtime], LONG)
        assert (np.abs(logits(readers[way][runtime], LONG) - truncated).max() > 1e-3) == (way.how != "truncate")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_texts_logits_are_those_of_its_pieces_read_alone(readers: Any, way: LongText) -> None:
    predictor = open_predictor(readers[way]["torch"])
    for text, found in zip(LONG, predictor.predict_logits(LONG), strict=True):
        pieces = predictor.tokenizer.encode([text])
        alone = [run_in_batches(predictor._run, [piece], predictor.tokenizer, 6)[0] for piece in pieces]
        assert (len(pieces) > 1) == (way.how == "windows")
        np.testing.assert_allclose(found, getattr(np, way.window_pooling)(alone, axis=0), atol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_torch_and_onnx_agree_and_batch_mates_change_nothing(readers: Any, way: LongText) -> None:
    together = (*LONG, *SHORT, LONG[0][::-1])
    expected = logits(readers[way]["torch"], together)
    for artifact in readers[way].values():
        assert artifact.manifest.long_text == way
        np.testing.assert_allclose(logits(artifact, together), expected, atol=1e-4)
        alone = np.concatenate([logits(artifact, [text]) for text in together])
        np.testing.assert_allclose(alone, expected, atol=1e-4)


# ---------------------------------------------------------------------------------------------------- artifacts


def test_an_artifact_of_before_truncates_and_keeps_its_digest(teacher: Any, tmp_path: Path) -> None:
    older = rewritten(teacher, tmp_path / "older", None)
    assert older.manifest.long_text == LongText()
    assert older.digest == teacher.digest
    np.testing.assert_array_equal(logits(older, LONG), logits(teacher, LONG))
    digests = {rewritten(teacher, tmp_path / str(way), way).digest for way in WAYS}
    assert len(digests) == 4  # what was kept of one holds for no other: measurements, a teacher's answers, what follows


def test_what_follows_a_model_reads_as_it_does(workshop: Any, readers: Any) -> None:
    quick = {"epochs": 0.1, "precision": "fp32"}
    way = WAYS[3]
    parent = readers[way]["torch"]
    student = {"layers": 1, "width": 16, "heads": 2, "tokenizer": {"type": "wordpiece", "size": 200}}
    own = student | {"long_text": "head_tail"}
    made = {
        "pruned": workshop.make(prune.run, PruneMagnitude(id="p", type="prune", **quick), parent=parent),
        "loaded": workshop.make(load.run, Load(id="l", type="load", model=str(parent.path))),
        "student": workshop.make(
            distill.run, Distill(id="s", type="distill", teacher="t", student=student, **quick), teacher=parent
        ),
    }
    made["int8"] = workshop.make(
        quantize.run, Int8Dynamic(id="q", type="quantize", scheme="int8_dynamic"), parent=readers[way]["onnx"]
    )
    assert {name: artifact.manifest.long_text for name, artifact in made.items()} == dict.fromkeys(made, way)
    other = Load(id="o", type="load", model=str(parent.path), long_text="truncate")
    assert workshop.make(load.run, other).manifest.long_text == LongText()
    taught = Distill(id="h", type="distill", teacher="t", student=own, **quick)
    assert workshop.make(distill.run, taught, teacher=parent).manifest.long_text == HEAD_TAIL


# ---------------------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stages.teacher.window_pooling=max", "window_pooling would have no effect here: only of long_text: windows"),
        ("stages.student.student.window_pooling=max", "window_pooling would have no effect here"),
        ("stages.teacher.long_text=window", "'window' is not one of truncate, head_tail, windows"),
        ("stages.pruned.long_text=windows", "unknown key"),
    ],
)
def test_mistakes_are_told(tiny_recipe_text: str, tmp_path: Path, change: str, told: str) -> None:
    from compress.errors import RecipeError

    file = tmp_path / "recipe.yaml"
    file.write_text(tiny_recipe_text)
    with pytest.raises(RecipeError, match=told):
        load_recipe(file, [change])
    fine = (
        "stages.teacher.long_text=windows",
        "stages.teacher.window_pooling=max",
        "stages.student.student.long_text=windows",
    )
    load_recipe(file, fine)


def test_a_shape_reads_as_it_says_or_as_its_stage_does() -> None:
    shape = {"layers": 1, "width": 16, "heads": 2}
    own = Finetune.model_validate({"id": "t", "type": "finetune", "encoder": shape | {"long_text": "head_tail"}})
    assert own.encoder.long_texts(own.long_texts(LongText())) == HEAD_TAIL
    one = Finetune.model_validate({"id": "t", "type": "finetune", "encoder": shape, "long_text": "windows"})
    assert one.encoder.long_texts(one.long_texts(LongText())) == WINDOWS
    with pytest.raises(ValidationError, match="long_text would have no effect"):
        Finetune.model_validate(
            {"id": "t", "type": "finetune", "encoder": shape | {"long_text": "head_tail"}, "long_text": "windows"}
        )


# ---------------------------------------------------------------------------------------------------- training


class Bag(nn.Module):
    """Sums word vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.words = nn.Embedding(400, 8)
        self.head = nn.Linear(8, 2)
        self.rows: list[int] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        self.rows.append(len(input_ids))
        return self.head((self.words(input_ids) * attention_mask[:, :, None]).sum(dim=1))


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_loss_is_of_pooled_logits_and_reaches_every_window(
    workshop: Any, tiny_encoder: Callable[[str], Path], tmp_path: Path, pooling: Any
) -> None:
    save_pretrained_tokenizer(tiny_encoder("bert"), tmp_path / "t", MOST)
    tokenizer = open_tokenizer(tmp_path / "t", MOST, LongText(how="windows", window_pooling=pooling))
    pieces = tokenizer.pieces([LONG[0], "x"])
    assert pieces.counts[0] > 3
    targets = np.array([[1, 0], [0, 1]], np.float32)
    model, same = Bag(), Bag()
    task = Task(type="multi_label", text="t", labels=("a", "b"))
    config = Training(id="t", epochs=1, batch_size=2, learning_rate=1e-3, warmup=0, weight_decay=0, precision="fp32")
    seen: list[Tensor] = []

    def loss(given_logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        seen.append(given_logits.detach())
        order.append(batch["targets"][:, 1].tolist())
        return labelling_loss(task)(given_logits, batch)

    order: list[list[float]] = []
    train(model, Examples(pieces, targets, np.ones(2, np.float32)), tokenizer, config, loss, workshop.context())
    assert model.rows == [len(pieces.tokens)]
    # the same by hand, one window at a time
    single = [same(*(torch.from_numpy(v) for v in tokenizer.pad([piece]).values())) for piece in pieces.tokens]
    long, short = torch.cat(single[:-1]), single[-1]
    pooled = torch.cat([long.mean(0, True) if pooling == "mean" else long.amax(0, True), short])
    torch.testing.assert_close(seen[0], pooled.detach()[[int(second) for second in order[0]]])
    labelling_loss(task)(pooled, {"targets": torch.from_numpy(targets)}).backward()
    changed = (model.words.weight != same.words.weight).any(dim=1)
    torch.testing.assert_close(changed, (same.words.weight.grad != 0).any(dim=1))
    if pooling == "mean":
        read = {int(word) for piece in pieces.tokens for word in piece.ids}
        assert set(changed.nonzero().flatten().tolist()) == read


def test_a_book_is_trained_on_in_a_few_windows(workshop: Any, teacher: Any) -> None:
    tokenizer = open_tokenizer(teacher.path, 32, WINDOWS)
    rows = workshop.splits.train
    book = dataclasses.replace(rows, texts=("the map " * 2000, *rows.texts[1:]))
    shop = dataclasses.replace(workshop, splits=dataclasses.replace(workshop.splits, train=book))

    labelled = labelled_examples(tokenizer, shop.inputs(), shop.context())
    answered = transfer_set(shop.inputs(teacher=teacher), open_predictor, shop.context(), "s")
    transfer = transfer_examples(tokenizer, answered, shop.context())
    for examples in (labelled, transfer):
        assert examples.pieces.counts[0] == TRAINING_WINDOWS == 8
        assert len(examples.pieces.counts) == len(examples.targets)
        assert (examples.pieces.counts[1:] < 3).all()
    assert tokenizer.pieces(book.texts).counts[0] > 100  # all of them where it predicts


# ---------------------------------------------------------------------------------------------------- a whole run


def story(chooser: Any, good: int) -> str:
    """Forty-two words, of which the last but one alone tells the label."""
    filler = chooser.choice(BAND, size=40).tolist()
    return " ".join([*filler, "bright" if good else "gloomy", chooser.choice(BAND)])


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chooser = tmp_path_factory.mktemp("stories"), np.random.default_rng(13)
    for name, count in {"train": 160, "validation": 80, "test": 80}.items():
        rows = [(number, story(chooser, number % 2), number % 2) for number in range(count)]
        lines = [",".join(map(str, row)) for row in (("id", "text", "good"), *rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_what_stands_at_the_end_is_learnt_where_it_is_read(
    stories: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    ways = ("truncate", "head_tail", "windows", "windows, window_pooling: max")
    settings = "max_tokens: 24, epochs: 8, learning_rate: 2e-2, batch_size: 8, precision: fp32"
    shape = "{layers: 1, width: 16, heads: 2, tokenizer: {type: wordpiece, size: 200}, pooling: max}"
    stages = [
        f"  - {{id: reader-{number}, type: finetune, encoder: {shape}, {settings}, long_text: {way}}}"
        for number, way in enumerate(ways)
    ]
    (tmp_path / "recipe.yaml").write_text(
        "\n".join(
            [
                "version: 1",
                "name: stories",
                "task: {type: multi_label, text: text, labels: [good]}",
                f"data: {{dir: {stories}, train: train.csv, validation: validation.csv, test: {{stories: test.csv}}}}",
                "stages:",
                *stages,
                "  - {id: onnx, type: export}",
                "evaluate: {batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100, devices: cpu}",
            ]
        ),
        encoding="utf-8",
    )
    ended = command("run", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    right = {}
    for stage in ("reader-0", "reader-1", "reader-2", "reader-3", "onnx"):
        ended = command("predict", tmp_path / "run" / "artifacts" / stage, "--input", stories / "test.csv")
        assert ended.code == 0, ended.err
        found = list(csv.DictReader(ended.out.splitlines()))
        right[stage] = np.mean([int(row["good_decision"]) == int(row["id"]) % 2 for row in found])
    assert right.pop("reader-0") < 0.7
    assert min(right.values()) > 0.9, right
