"""How much faster is distilling the 2 x 128 student by our loop than by a plain one? Run by hand.

    python tests/benchmarks/distill_speed.py --data DIR --output distill-speed.json

DIR holds Jigsaw's files as the recipes read them. About 5 minutes on 2 cores; nothing else should run beside it.

Arms, each in a process of its own with its own model and optimizer, train the same rows of train and unlabeled:

    ours            our Trainer as the recipe has it: batches of 64 of like length, tokens mapped from the cache,
                    --precision (auto: bf16 where it pays), the process settled as the command line does it
    ours_by_tokens  the same rows in as many batches or fewer, cut by tokens instead
    plain           a plain loop: the same student in fp32, batches of 64 in random order, each padded to its longest,
                    the two cross-entropies, clipping, AdamW and linear decay as PyTorch has them
    plain_on_ours   the plain loop on the batches of `ours`: what is left when padding is taken out

In each round every arm takes the same rows, in an order of arms drawn anew, so that drift of the machine cancels;
while one arm computes, the others wait. The batches come from one epoch of LengthBatches, one from each of k strata of
padded length, so that each round looks like the epoch. Steps are driven from here, without callbacks and checkpoints,
in every arm alike. Tokenizing beforehand is not counted. The teacher's logits are random: a step's cost does not depend
on them. Epoch times are extrapolated by rows; intervals are percentile bootstraps over rounds.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from epoch_speed import SEED, TASK, WARM_UP_STEPS, Arm, Rows, Seconds, draw_rounds, quiet
from torch import Tensor, nn
from torch.nn import functional

from compress.batches import LengthBatches
from compress.context import Context
from compress.data import load_splits
from compress.encoder.tiny import build_tiny
from compress.environment import environment
from compress.memory import keep_freed_memory
from compress.pieces import Pieces
from compress.recipe.data import Data
from compress.recipe.stages import Distill
from compress.recipe.students import TinyEncoder, WordPiece
from compress.tokenizer import Tokenizer, open_pieces
from compress.train.dropout import quick_dropout
from compress.train.learning import distilling_loss
from compress.train.loop import TRAINING_WINDOWS, Examples, _arguments, _Trainer
from compress.train.token_cache import cached_pieces
from compress.vocabulary.learn import train_vocabulary

MAX_TOKENS, BATCH = 200, 64
SHAPE = TinyEncoder(layers=2, width=128, heads=4, tokenizer=WordPiece(type="wordpiece", size=8000))
CONFIG = {
    "id": "student", "type": "distill", "teacher": "teacher", "student": SHAPE, "batch_size": BATCH,
    "learning_rate": 2e-3, "hardness": 0.5, "temperature": 1.0,
}  # fmt: skip
Step = Callable[[Rows], None]


@dataclass(frozen=True)
class Corpus:
    """The transfer set, as every arm finds it in `work`."""

    tokenizer: Tokenizer
    examples: Examples

    @property
    def pieces(self) -> Pieces:
        """The tokens, mapped from the disk."""
        return self.examples.pieces


def read_corpus(data: Path, work: Path) -> Corpus:
    """Reads the texts; the first to come trains the vocabulary and cuts them."""
    splits = load_splits(Data(dir=str(data)), TASK, SEED)
    texts = (*splits.train.texts, *splits.unlabeled)
    if not (work / "tokenizer.json").exists():
        train_vocabulary(SHAPE.tokenizer, texts, work, MAX_TOKENS)
    tokenizer = open_pieces(work, MAX_TOKENS)
    targets = np.zeros((len(texts), len(TASK.labels)), np.float32)
    targets[: len(splits.train)] = splits.train.targets
    labelled = (np.arange(len(texts)) < len(splits.train)).astype(np.float32)
    teacher = np.random.default_rng(SEED).normal(-3, 2, targets.shape).astype(np.float32)
    pieces = cached_pieces(tokenizer, texts, TRAINING_WINDOWS, work)
    return Corpus(tokenizer, Examples(pieces, targets, labelled, teacher))


def student(corpus: Corpus) -> nn.Module:
    """The untrained student."""
    torch.manual_seed(SEED)
    return build_tiny(TASK, SHAPE, corpus.tokenizer.vocabulary_size, MAX_TOKENS)


def ours(corpus: Corpus, steps: int, precision: str, by_tokens: bool, work: Path) -> Arm:
    """What the recipe's student stage does."""
    tokens = round(float(corpus.pieces.lengths.mean()) * BATCH)
    config = Distill.model_validate(CONFIG | {"precision": precision, "batch_tokens": tokens if by_tokens else None})
    batches = LengthBatches(corpus.pieces.lengths, BATCH, SEED, config.batch_tokens)
    settings = _arguments(config, Context(SEED, "cpu", work, work), work)
    loss = distilling_loss(TASK, config.hardness, config.temperature)
    trainer = _Trainer(student(corpus), settings, corpus.examples, corpus.tokenizer, batches, loss, [])
    return Arm(trainer, trainer.collate, steps)


def plain(corpus: Corpus, steps: int) -> Step:
    """What a plain script writes."""
    model, data = student(corpus).train(), corpus.examples
    ids = [torch.tensor(item.ids, dtype=torch.long) for item in corpus.pieces.tokens]
    targets, labelled, teacher = (torch.tensor(part) for part in (data.targets, data.labelled, data.teacher))
    optimizer = torch.optim.AdamW(model.parameters(), lr=CONFIG["learning_rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    bce = functional.binary_cross_entropy_with_logits

    def step(rows: Rows) -> None:
        tokens = nn.utils.rnn.pad_sequence([ids[row] for row in rows], batch_first=True)
        logits = model(tokens, (tokens != 0).long())
        hard = bce(logits, targets[rows], reduction="none").mean(dim=1)
        soft = bce(logits, torch.sigmoid(teacher[rows]), reduction="none").mean(dim=1)
        loss: Tensor = torch.where(labelled[rows] > 0, (hard + soft) / 2, soft).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return step


def recut(rows: Rows, corpus: Corpus, count: int) -> list[Rows]:
    """The rows in `count` batches by tokens, as LengthBatches cuts a pool."""
    lengths = corpus.pieces.lengths[rows]
    low, high = 1, int(lengths.max()) * len(rows)
    while low < high:
        budget = (low + high) // 2
        low, high = (low, budget) if len(LengthBatches(lengths, 1, SEED, budget)) <= count else (budget + 1, high)
    return [[rows[place] for place in batch] for batch in LengthBatches(lengths, 1, SEED, low)]


def serve(connection: Connection, name: str, arguments: argparse.Namespace, work: Path) -> None:
    """One arm's process: answers each list of batches with the seconds they took, until None comes."""
    quiet()
    corpus = read_corpus(arguments.data, work)
    steps = arguments.rounds * arguments.batches + WARM_UP_STEPS
    if name.startswith("plain"):
        answer(connection, plain(corpus, steps), "fp32")
        return
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as own:
        arm = ours(corpus, steps, arguments.precision, name == "ours_by_tokens", Path(own))
        with quick_dropout(arm.model):
            answer(connection, arm.step, "bf16" if arm.trainer.args.bf16 else "fp32")


def answer(connection: Connection, step: Step, precision: str) -> None:
    """Takes the steps it is told to."""
    connection.send(precision)
    while (batches := connection.recv()) is not None:
        start = time.perf_counter()
        for rows in batches:
            step(rows)
        connection.send(time.perf_counter() - start)


class Remote:
    """An arm in another process. Ours are settled as the command line settles itself; the plain loop is as it is."""

    def __init__(self, name: str, arguments: argparse.Namespace, work: Path) -> None:
        processes = get_context("spawn")
        self.connection, theirs = processes.Pipe()
        self.process = processes.Process(target=serve, args=(theirs, name, arguments, work), daemon=True)
        settled = {} if name.startswith("plain") else {"GOMP_SPINCOUNT": "1000"}
        before = {key: os.environ.get(key) for key in settled}
        os.environ.update(settled)
        self.process.start()
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
        theirs.close()
        self.precision = str(self.connection.recv())

    def seconds(self, batches: Sequence[Rows]) -> float:
        """Wall clock of one step on each batch."""
        self.connection.send(batches)
        return float(self.connection.recv())

    def end(self) -> None:
        """Ends the process."""
        self.connection.send(None)
        self.process.join()


def measure(corpus: Corpus, rounds: list[list[Rows]], arms: dict[str, Remote]) -> dict[str, Seconds]:
    """Seconds of each arm in each round."""
    random = np.random.default_rng(SEED)
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for arm in arms.values():
        arm.seconds(rounds[0][-WARM_UP_STEPS:])
    for number, batches in enumerate(rounds, 1):
        rows = np.concatenate(batches)
        shuffled = random.permutation(rows).reshape(len(batches), -1).tolist()
        cut = {"plain": shuffled, "ours_by_tokens": recut(rows.tolist(), corpus, len(batches))}
        for name in random.permutation(list(arms)).tolist():
            taken[name].append(arms[name].seconds(cut.get(name, batches)))
        shown = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in taken.items())
        print(f"round {number}/{len(rounds)}: {shown}", flush=True)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def ratios(taken: dict[str, Seconds]) -> dict[str, dict[str, float]]:
    """Ratios of times, with 95 % intervals (bootstrap over rounds, 4,000 draws)."""
    rounds = len(taken["plain"])
    draws = np.random.default_rng(SEED).integers(rounds, size=(4000, rounds))
    totals = {name: np.append(seconds[draws].sum(axis=1), seconds.sum()) for name, seconds in taken.items()}
    found = {
        "speedup": totals["plain"] / totals["ours"],
        "speedup_by_tokens": totals["plain"] / totals["ours_by_tokens"],
        "from_like_lengths": totals["plain"] / totals["plain_on_ours"],
        "from_all_else": totals["plain_on_ours"] / totals["ours"],
    }
    return {name: _with_interval(values) for name, values in found.items()}


def _with_interval(values: Seconds) -> dict[str, float]:
    """values: the draws, and last the value itself."""
    low, high = np.quantile(values[:-1], (0.025, 0.975))
    return {"value": round(float(values[-1]), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def result(
    corpus: Corpus, arms: dict[str, Remote], taken: dict[str, Seconds], arguments: argparse.Namespace
) -> dict[str, Any]:
    """What --output holds. tokens: of the texts themselves, without padding."""
    lengths = corpus.pieces.lengths
    rows = arguments.rounds * arguments.batches * BATCH
    epoch = {name: float(seconds.sum()) / rows * len(lengths) for name, seconds in taken.items()}
    return {
        "schema_version": 1,
        "benchmark": "distill_speed",
        "texts_in_epoch": len(lengths),
        "texts_measured": rows,
        "mean_tokens": round(float(lengths.mean()), 1),
        "batch_size": BATCH,
        "torch_threads": torch.get_num_threads(),
        "precision": {name: arm.precision for name, arm in arms.items()},
        "epoch_seconds": {name: round(seconds, 1) for name, seconds in epoch.items()},
        "tokens_a_second": {name: round(float(lengths.sum()) / seconds) for name, seconds in epoch.items()},
        "ratios": ratios(taken),
        "seconds_by_round": {name: [round(value, 3) for value in seconds] for name, seconds in taken.items()},
        "environment": environment(),
    }


def show(found: dict[str, Any]) -> None:
    """Prints the result."""
    print(f"\nan epoch of {found['texts_in_epoch']:,} texts, extrapolated from {found['texts_measured']:,}:")
    for name, seconds in found["epoch_seconds"].items():
        rate = found["tokens_a_second"][name]
        print(f"  {name:<18} {seconds:8.1f} s   {rate:8,} tokens a second   {found['precision'][name]}")
    for name, value in found["ratios"].items():
        print(f"  {name:<18} {value['value']:8.2f}     95 % interval {value['low']:.2f} to {value['high']:.2f}")


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with Jigsaw's files")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the result as JSON")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--batches", type=int, default=20, help="steps of an arm in a round; default: %(default)s")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="default: %(default)s")
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        corpus = read_corpus(arguments.data, work)
        whole = [batch for batch in LengthBatches(corpus.pieces.lengths, BATCH, SEED) if len(batch) == BATCH]
        rounds = draw_rounds(whole, corpus.pieces.lengths, arguments.rounds, arguments.batches)
        names = ("ours", "ours_by_tokens", "plain", "plain_on_ours")
        arms = {name: Remote(name, arguments, work) for name in names}
        taken = measure(corpus, rounds, arms)
        for arm in arms.values():
            arm.end()
    found = result(corpus, arms, taken, arguments)
    show(found)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
