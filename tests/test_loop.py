"""The training loop: it learns, stops and keeps the best, in the precision asked for, and leaves nothing behind."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compress.pieces import Pieces, TokenIds
from compress.recipe.data import Task
from compress.recipe.stages import Training
from compress.train import checkpoints, precision
from compress.train.checkpoints import StepHook
from compress.train.learning import labelling_loss
from compress.train.loop import Examples, train
from compress.train.precision import chosen_precision

TASK = Task(type="multi_label", text="t", labels=("a", "b"))
ROWS, WORDS = 24, 12


class Padder:
    """Stands for the tokenizer."""

    def pad(self, tokens: list[TokenIds]) -> dict[str, np.ndarray]:
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int64)
        for row, item in enumerate(tokens):
            ids[row, : len(item)] = item.ids
        return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}


class Bag(nn.Module):
    """Sums word vectors, with dropout, so that the order of random numbers counts."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS + 1, 8, padding_idx=0)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, 2)
        self.seen: list[tuple[bool, torch.dtype]] = []

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits = self.head(self.dropout(self.words(input_ids)).sum(dim=1))
        self.seen.append((torch.is_autocast_enabled("cpu"), logits.dtype))
        return logits


def bag() -> Bag:
    torch.manual_seed(5)
    return Bag()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def examples() -> Examples:
    return rows()


def rows() -> Examples:
    """Label a: the text holds word 1; label b: it holds word 2."""
    random = np.random.default_rng(3)
    texts = [random.integers(1, WORDS + 1, size=random.integers(2, 7)) for _ in range(ROWS)]
    targets = np.array([[1 in text, 2 in text] for text in texts], np.float32)
    tokens = [TokenIds(text.astype(np.int32), np.zeros(len(text), np.int32)) for text in texts]
    return Examples(Pieces(tokens, np.ones(ROWS, np.int64)), targets, np.ones(ROWS, np.float32))


def config(**changes: Any) -> Training:
    given = {"id": "t", "epochs": 3, "batch_size": 4, "learning_rate": 0.05, "warmup": 0.0, "precision": "fp32"}
    return Training.model_validate(given | changes)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def loss_of(model: nn.Module, examples: Examples) -> float:
    batch = {name: torch.from_numpy(value) for name, value in Padder().pad(examples.pieces.tokens).items()}
    with torch.inference_mode():
        return labelling_loss(TASK)(model(**batch), {"targets": torch.from_numpy(examples.targets)}).item()


def run(model: nn.Module, examples: Examples, context: Any, score: Any = None, hook: Any = None, **changes: Any) -> int:
    return train(model, examples, Padder(), config(**changes), labelling_loss(TASK), context, score, hook)


def test_it_learns_and_ends_in_evaluation_mode(examples: Examples, workshop: Any) -> None:
    model = bag()
    before = loss_of(model.eval(), examples)
    assert run(model, examples, workshop.context(), epochs=20) == 20 * 6
    assert not model.training
    assert loss_of(model, examples) < 0.2 * before


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 3), (1.5, 9), (0.01, 1), (2.34, 15)])
def test_epochs_may_be_fractions(examples: Examples, workshop: Any, epochs: float, steps: int) -> None:
    told: list[tuple[str, int, int]] = []
    context = workshop.context(progress=lambda *now: told.append(now))
    assert run(bag(), examples, context, epochs=epochs) == steps
    assert told == [("t: training steps", step, steps) for step in range(1, steps + 1)]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(examples: Examples, workshop: Any) -> None:
    made = []
    for number, seed in enumerate((13, 13, 14)):
        model = bag()
        torch.rand(number)  # what went before does not count
        run(model, examples, workshop.context(f"work-{number}", seed=seed))
        made.append(weights(model))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_the_rate_decays_to_zero_after_its_warm_up(
    examples: Examples, workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    run(bag(), examples, workshop.context(), epochs=2, warmup=0.25, learning_rate=0.09)
    # 12 steps, 3 of them warming up
    expected = [0, 0.03, 0.06, *(0.09 * (12 - at) / 9 for at in range(3, 12))]
    assert rates == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------- precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], float], None]:
    """machine(features, gain): a CPU with these features whose bf16 products are `gain` times as fast as fp32's."""

    def pretend(features: list[str], gain: float) -> None:
        seconds = iter((gain, 1.0))
        monkeypatch.setattr(precision, "cpu_features", lambda: features)
        monkeypatch.setattr(precision, "_best_seconds", lambda work: next(seconds))

    return pretend


@pytest.mark.parametrize(
    ("features", "gain", "wanted", "chosen"),
    [
        (["avx2", "amx_bf16"], 3.0, "auto", "bf16"),
        (["avx2", "avx512_bf16"], 0.8, "auto", "fp32"),
        (["avx2", "avx512f"], 3.0, "auto", "fp32"),
        ([], 3.0, "auto", "fp32"),
        (["amx_bf16"], 3.0, "fp32", "fp32"),
        ([], 0.5, "bf16", "bf16"),
    ],
)
def test_auto_is_bf16_where_it_is_faster(
    machine: Any, tmp_path: Path, features: list[str], gain: float, wanted: Any, chosen: str
) -> None:
    machine(features, gain)
    assert chosen_precision(wanted, "cpu", tmp_path) == chosen


def test_a_resumed_training_keeps_its_precision(machine: Any, tmp_path: Path) -> None:
    machine(["amx_bf16"], 3.0)
    assert chosen_precision("auto", "cpu", tmp_path) == "bf16"
    machine(["amx_bf16"], 0.5)
    assert chosen_precision("auto", "cpu", tmp_path) == "bf16"
    assert chosen_precision("auto", "cpu", tmp_path / "other") == "fp32"


@pytest.mark.parametrize(("gain", "bf16"), [(3.0, True), (0.5, False)])
def test_auto_reaches_the_training(examples: Examples, workshop: Any, machine: Any, gain: float, bf16: bool) -> None:
    machine(["amx_bf16"], gain)
    model = bag()
    run(model, examples, workshop.context(), precision="auto", epochs=0.2)
    assert {autocast for autocast, _ in model.seen} == {bf16}


@pytest.mark.parametrize("order", [("bf16", "fp32"), ("fp32", "bf16")])
def test_one_trainings_precision_does_not_outlive_it(examples: Examples, workshop: Any, order: tuple[str, str]) -> None:
    for wanted in order:
        model = bag()
        run(model, examples, workshop.context(wanted), precision=wanted, epochs=1)
        assert {autocast for autocast, _ in model.seen} == {wanted == "bf16"}
        model.seen.clear()
        # what is fitted after the training sees the model as it will be served
        loss_of(model, examples)
        assert model.seen == [(False, torch.float32)]


def test_the_loss_is_computed_in_fp32_also_under_bf16(examples: Examples, workshop: Any) -> None:
    seen: set[tuple[torch.dtype, bool]] = set()

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        seen.add((logits.dtype, torch.is_autocast_enabled("cpu")))
        return labelling_loss(TASK)(logits, batch)

    train(bag(), examples, Padder(), config(precision="bf16", epochs=1), loss, workshop.context())
    assert seen == {(torch.float32, False)}


# ------------------------------------------------------------------------------------------------- early stopping


class Scores:
    """Gives planned scores, one an epoch, and keeps the weights that each was given for."""

    def __init__(self, model: nn.Module, planned: list[float]) -> None:
        self.model, self.planned = model, planned
        self.weights: list[dict[str, Tensor]] = []

    def __call__(self) -> float:
        assert not self.model.training
        self.weights.append(weights(self.model))
        return self.planned[len(self.weights) - 1]


def test_it_stops_without_a_better_epoch_and_keeps_the_best(examples: Examples, workshop: Any) -> None:
    model = bag()
    scores = Scores(model, [0.5, 0.7, 0.7, 0.6, 0.9])
    # the second is the best; the third only equals it, and after the fourth patience is out
    assert run(model, examples, workshop.context(), scores, early_stopping=2, epochs=9) == 4 * 6
    assert len(scores.weights) == 4
    assert same(weights(model), scores.weights[1])


def test_the_last_epoch_may_be_the_best(examples: Examples, workshop: Any) -> None:
    model = bag()
    scores = Scores(model, [0.5, 0.6, 0.7])
    assert run(model, examples, workshop.context(), scores, early_stopping=1) == 3 * 6
    assert same(weights(model), scores.weights[2])


def test_without_early_stopping_nothing_is_scored_and_the_last_weights_stay(examples: Examples, workshop: Any) -> None:
    plain, scored = bag(), bag()
    scores = Scores(scored, [])
    run(plain, examples, workshop.context("plain"))
    run(scored, examples, workshop.context("scored"), scores)
    assert same(weights(plain), weights(scored))


def test_epochs_before_the_hook_is_settled_do_not_count(examples: Examples, workshop: Any) -> None:
    class Later(StepHook):
        def settled(self, steps: int, total: int) -> bool:
            return steps > 12

    model = bag()
    scores = Scores(model, [0.4, 0.3])
    assert run(model, examples, workshop.context(), scores, Later(), early_stopping=1, epochs=9) == 4 * 6
    assert same(weights(model), scores.weights[0])


def test_the_hook_is_called_before_every_step(examples: Examples, workshop: Any) -> None:
    class Hook(StepHook):
        def __init__(self) -> None:
            self.calls: list[tuple[int, int]] = []

        def before_step(self, step: int, total: int) -> None:
            self.calls.append((step, total))

    hook = Hook()
    run(bag(), examples, workshop.context(), hook=hook, epochs=1.5)
    assert hook.calls == [(step, 9) for step in range(9)]


# ------------------------------------------------------------------------------------------------- going on


class KilledError(Exception):
    """What stands for the end of the process."""


def killed_at(steps: int) -> Callable[[str, int, int], None]:
    def progress(what: str, done: int, total: int) -> None:
        if done == steps:
            raise KilledError

    return progress


@pytest.fixture
def always_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)


@pytest.mark.usefixtures("always_saving")
@pytest.mark.parametrize("stop", [2, 6, 7, 12, 17])
def test_a_resumed_training_ends_bit_equal(examples: Examples, workshop: Any, stop: int) -> None:
    whole = bag()
    run(whole, examples, workshop.context("whole"))
    context = workshop.context("killed", progress=killed_at(stop))
    with pytest.raises(KilledError):
        run(bag(), examples, context)
    torch.rand(7)  # another process has another past
    again = bag()
    steps: list[int] = []
    resumed = workshop.context("killed", progress=lambda what, done, total: steps.append(done))
    assert run(again, examples, resumed) == 18
    # the checkpoint after step stop - 1 was the last, or that of two steps before where an epoch ended in between
    assert steps[0] in {stop - 1, stop}
    assert steps[-1] == 18
    assert same(weights(again), weights(whole))


@pytest.mark.usefixtures("always_saving")
def test_killed_twice_it_ends_bit_equal(examples: Examples, workshop: Any) -> None:
    whole = bag()
    run(whole, examples, workshop.context("whole"), epochs=1.5)
    for stop in (4, 8):
        with pytest.raises(KilledError):
            run(bag(), examples, workshop.context("killed", progress=killed_at(stop)), epochs=1.5)
    again = bag()
    run(again, examples, workshop.context("killed"), epochs=1.5)
    assert same(weights(again), weights(whole))


@pytest.mark.usefixtures("always_saving")
@pytest.mark.parametrize("stop", [7, 13, 19])
def test_early_stopping_is_the_same_after_a_kill(examples: Examples, workshop: Any, stop: int) -> None:
    def planned(model: Bag) -> Callable[[], float]:
        # a score that depends on the weights alone; -|x - x0| rises, then falls as the head grows
        return lambda: -abs(float(model.head.weight.detach().norm()) - norm)

    norm = 0.0
    probe = bag()
    scores = Scores(probe, [0.0] * 9)
    run(probe, examples, workshop.context("probe"), scores, early_stopping=9, epochs=9)
    norm = float(scores.weights[1]["head.weight"].norm())  # so the second epoch is the best
    whole = bag()
    steps = run(whole, examples, workshop.context("whole"), planned(whole), early_stopping=2, epochs=9)
    assert steps == 24
    assert same(weights(whole), scores.weights[1])
    killed, again = bag(), bag()
    context = workshop.context("killed", progress=killed_at(stop))
    with pytest.raises(KilledError):
        run(killed, examples, context, planned(killed), early_stopping=2, epochs=9)
    assert run(again, examples, workshop.context("killed"), planned(again), early_stopping=2, epochs=9) == steps
    assert same(weights(again), weights(whole))


@pytest.mark.usefixtures("always_saving")
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_kill_while_an_epoch_is_scored_loses_no_score(examples: Examples, workshop: Any, epoch: int) -> None:
    calls: list[float] = []

    def dying() -> float:
        if len(calls) == epoch - 1:
            raise KilledError
        calls.append(0.9 - 0.1 * len(calls))
        return calls[-1]

    with pytest.raises(KilledError):
        run(bag(), examples, workshop.context("killed"), dying, early_stopping=3)
    later: list[float] = []

    def alive() -> float:
        later.append(0.9 - 0.1 * (len(calls) + len(later)))
        return later[-1]

    model = bag()
    run(model, examples, workshop.context("killed"), alive, early_stopping=3)
    assert len(calls) + len(later) == 3
    record = json.loads((workshop.folder / "killed" / "best.json").read_text())
    assert record == {"epoch": 1, "score": 0.9}


@pytest.mark.usefixtures("always_saving")
def test_a_torn_checkpoint_is_ignored_and_removed(examples: Examples, workshop: Any) -> None:
    whole = bag()
    run(whole, examples, workshop.context("whole"))
    with pytest.raises(KilledError):
        run(bag(), examples, workshop.context("killed", progress=killed_at(5)))
    folder = workshop.folder / "killed" / "checkpoints"
    newest = folder / "checkpoint-4"
    (newest / "complete").unlink()
    (newest / "model.safetensors").write_bytes(b"torn")
    (folder / "checkpoint-17").mkdir()
    steps: list[int] = []
    again = bag()
    run(again, examples, workshop.context("killed", progress=lambda what, done, total: steps.append(done)))
    assert steps[0] == 4
    assert not (folder / "checkpoint-17" / "complete").exists() or 17 in steps
    assert same(weights(again), weights(whole))


def test_nothing_is_saved_before_its_time(examples: Examples, workshop: Any) -> None:
    run(bag(), examples, workshop.context())
    assert not list((workshop.folder / "work").rglob("checkpoint-*"))


@pytest.mark.usefixtures("always_saving")
def test_it_writes_in_its_work_folder_alone_and_says_nothing(
    examples: Examples,
    workshop: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    with pytest.raises(KilledError):
        run(bag(), examples, workshop.context(progress=killed_at(4)))
    run(bag(), examples, workshop.context())
    assert os.listdir(elsewhere) == []
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "work"}
    assert capfd.readouterr() == ("", "")
