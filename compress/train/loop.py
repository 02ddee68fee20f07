"""The training loop: transformers' Trainer with our batches, our loss and checkpoints that survive a kill.

Every training of the project is one call of `train`.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compress.artifact import write_whole
from compress.batches import LengthBatches
from compress.context import Context
from compress.pieces import Pieces
from compress.recipe.stages import Training
from compress.tokenizer import Tokenizer
from compress.train.dropout import quick_dropout
from compress.train.precision import chosen_precision

SAVE_SECONDS = 60.0
# windows of one text that it is trained on: a book among the texts must not fill the memory
TRAINING_WINDOWS = 8
_COMPLETE = "complete"

Loss = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""loss(logits (B, L), batch): batch holds targets (B, L), labelled (B,) and, when distilling, teacher (B, L)."""


@dataclass(frozen=True)
class Examples:
    """N training rows. targets: (N, L), zeros where labelled (N,) is 0. teacher: logits (N, L), or None."""

    pieces: Pieces
    targets: NDArray[np.float32]
    labelled: NDArray[np.float32]
    teacher: NDArray[np.float32] | None = None


class StepHook:
    """Called around optimizer steps; the pruner sets its masks so."""

    def before_step(self, step: int, total: int) -> None:
        """Before optimizer step number `step` (from 0) of `total`."""

    def settled(self, steps: int, total: int) -> bool:
        """Whether the model has its final form after so many steps, so that its weights may be kept as the best."""
        return True


def train(
    model: nn.Module,
    examples: Examples,
    tokenizer: Tokenizer,
    config: Training,
    loss: Loss,
    context: Context,
    score: Callable[[], float] | None = None,
    hook: StepHook | None = None,
) -> int:
    """Trains `model` in place; resumes from the last whole checkpoint in context.work_dir. Returns the steps taken.

    score: validation score of the model as it is, higher is better; needed where config.early_stopping is set.
    """
    torch.manual_seed(context.seed)
    folder = context.work_dir / "checkpoints"
    arguments = _arguments(config, context, folder)
    hook = hook or StepHook()
    best = _Best(context.work_dir, score, config.early_stopping, hook) if score and config.early_stopping else None
    # the checkpoint comes last: it keeps what the others have decided
    callbacks = [_Show(context, config.id), _Hook(hook), *([best] if best else []), _Checkpoint()]
    trainer = _Trainer(model, arguments, examples, tokenizer, config.batch_size, loss, callbacks)
    with quick_dropout(model):
        trainer.train(resume_from_checkpoint=_last_whole(folder))
    # accelerate leaves its bf16 autocast on the model's forward; what follows is fitted on fp32, as it will be served
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if best:
        best.restore(model)
    model.eval()
    return int(trainer.state.global_step)


def _arguments(config: Training, context: Context, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        warmup_steps=config.warmup,
        weight_decay=config.weight_decay,
        lr_scheduler_type="linear",
        bf16=chosen_precision(config.precision, context.device, context.work_dir) == "bf16",
        use_cpu=context.device == "cpu",
        seed=context.seed,
        data_seed=context.seed,
        disable_tqdm=True,
        report_to=[],
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        save_total_limit=2,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


class _Rows(Dataset):
    """Row numbers; the collator reads the rows, so that nothing is copied."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class _Trainer(Trainer):
    """Trainer over our batches and loss; everything else is the library's."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        examples: Examples,
        tokenizer: Tokenizer,
        batch_size: int,
        loss: Loss,
        callbacks: list[TrainerCallback],
    ) -> None:
        self.examples, self.tokenizer, self.row_loss = examples, tokenizer, loss
        self.batches = LengthBatches(examples.pieces.lengths.tolist(), batch_size, arguments.seed)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=_Rows(len(examples.pieces.counts)),
            data_collator=self.collate,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)

    def collate(self, rows: list[int]) -> dict[str, Tensor]:
        """The batch of these rows, padded to its longest; a row's windows are neighbours, and counts says how many."""
        data = self.examples
        pieces = data.pieces.of(rows)
        batch = {name: torch.from_numpy(value) for name, value in self.tokenizer.pad(pieces.tokens).items()}
        batch["counts"] = torch.from_numpy(pieces.counts)
        batch["targets"] = torch.from_numpy(data.targets[rows])
        batch["labelled"] = torch.from_numpy(data.labelled[rows])
        if data.teacher is not None:
            batch["teacher"] = torch.from_numpy(data.teacher[rows])
        return batch

    def get_train_dataloader(self) -> DataLoader:
        """Batches of like length in an order of our own."""
        loader = DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """The stage's loss at the model's logits, pooled over each text's windows; in fp32 also under autocast."""
        names = [name for name in ("targets", "labelled", "teacher") if name in inputs]
        extra: dict[str, Tensor] = {name: inputs.pop(name) for name in names}
        counts = inputs.pop("counts")
        logits = model(**inputs)
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.float()
            if len(logits) > len(counts):
                logits = torch.segment_reduce(logits, self.tokenizer.long_text.window_pooling, lengths=counts)
            return self.row_loss(logits, extra)


class _Show(TrainerCallback):
    def __init__(self, context: Context, stage: str) -> None:
        self.context, self.stage = context, stage

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.context.progress(f"{self.stage}: training steps", state.global_step, state.max_steps)


class _Checkpoint(TrainerCallback):
    """Saves every SAVE_SECONDS. The Trainer's checkpoints are not atomic, so a mark is set when one is whole.

    An epoch's last step waits for on_epoch_end: a run resumed from there would go on without the epoch's score.
    """

    def __init__(self) -> None:
        self.last = time.monotonic()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not float(state.epoch or 0).is_integer():
            self._save_if_due(state, control)

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._save_if_due(state, control)

    def _save_if_due(self, state: TrainerState, control: TrainerControl) -> None:
        # not after the last step, nor an early stop: a run resumed from there would train on
        going_on = state.global_step < state.max_steps and not control.should_training_stop
        if going_on and time.monotonic() - self.last > SAVE_SECONDS:
            control.should_save = True

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()
        self.last = time.monotonic()


class _Hook(TrainerCallback):
    def __init__(self, hook: StepHook) -> None:
        self.hook = hook

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.hook.before_step(state.global_step, state.max_steps)


class _Best(TrainerCallback):
    """Keeps the weights of the epoch with the best validation score; stops after `patience` epochs without a better.

    Epochs before the hook calls the model settled do not count.
    """

    def __init__(self, folder: Path, score: Callable[[], float], patience: int, hook: StepHook) -> None:
        self.score, self.patience, self.hook = score, patience, hook
        self.weights, self.record = folder / "best.safetensors", folder / "best.json"

    def on_epoch_end(
        self, args: Any, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        from safetensors.torch import save

        if not self.hook.settled(state.global_step, state.max_steps):
            return
        epoch = round(state.epoch or 0)
        was_training = model.training
        model.eval()
        value = self.score()
        model.train(was_training)
        best = json.loads(self.record.read_text()) if self.record.exists() else {"epoch": 0, "score": float("-inf")}
        if value > best["score"]:
            best = {"epoch": epoch, "score": value}
            write_whole(self.weights, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))
            write_whole(self.record, json.dumps(best))
        if epoch - best["epoch"] >= self.patience:
            control.should_training_stop = True

    def restore(self, model: nn.Module) -> None:
        """Puts the best epoch's weights back."""
        from safetensors.torch import load_file

        if self.record.exists():
            model.load_state_dict(load_file(str(self.weights)))


def _last_whole(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; torn ones are removed."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in checkpoints:
        if not (path / _COMPLETE).exists():
            shutil.rmtree(path)
    whole = [path for path in checkpoints if path.exists()]
    return str(whole[-1]) if whole else None
