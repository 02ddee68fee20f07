"""The training loop: transformers' Trainer with our batches, our loss and checkpoints that survive a kill.

Every training of the project is one call of `train`. Several processes share each batch's rows among them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compress import processes
from compress.batches import LengthBatches
from compress.context import Context
from compress.pieces import Pieces, Reader
from compress.recipe.long_text import WindowPooling
from compress.recipe.stages import Training
from compress.train.checkpoints import Best, Checkpoints, StepHook, last_whole
from compress.train.dropout import quick_dropout
from compress.train.precision import chosen_precision

# windows of one text that it is trained on: a book among the texts must not fill the memory
TRAINING_WINDOWS = 8

Loss = Callable[[Tensor, dict[str, Tensor]], Tensor]
"""loss(logits (B, L), batch): batch holds targets (B, L), labelled (B,) and, when distilling, teacher (B, L).

With hints also what Hinted adds: term (B,) and, where there are any, vectors and teacher_vectors (B, W).
"""


class Hinted(NamedTuple):
    """What a model that is trained by hints gives in place of logits alone, a row for each piece of a text.

    logits: (P, L). term: (P,), the hints' part of the loss that is known already. vectors: (P, W), or None.
    """

    logits: Tensor
    term: Tensor
    vectors: Tensor | None


@dataclass(frozen=True)
class Examples:
    """N training rows. targets: (N, L), zeros where labelled (N,) is 0. teacher: logits (N, L), or None.

    vectors: a teacher's pooled vectors (N, W), or None.
    """

    pieces: Pieces
    targets: NDArray[np.float32]
    labelled: NDArray[np.float32]
    teacher: NDArray[np.float32] | None = None
    vectors: NDArray[np.float16] | None = None


def train(
    model: nn.Module,
    examples: Examples,
    tokenizer: Reader,
    config: Training,
    loss: Loss,
    context: Context,
    score: Callable[[], float] | None = None,
    hook: StepHook | None = None,
    last: bool = True,
) -> int:
    """Trains `model` in place; resumes from the last whole checkpoint in context.work_dir. Returns the steps taken.

    score: validation score of the model as it is, higher is better; needed where config.early_stopping is set. last:
    the stage trains no more after this, so that of several processes that were started together it returns in the
    first alone, and ends the others' stage; else it returns in all of them, with the same weights.
    """
    torch.manual_seed(context.seed)
    folder = context.work_dir / "checkpoints"
    arguments = _arguments(config, context, folder)
    hook = hook or StepHook()
    best = Best(context.work_dir, score, config.early_stopping, hook) if score and config.early_stopping else None
    # the checkpoint comes last: it keeps what the others have decided
    callbacks = [_Show(context, config.id), _Hook(hook), *([best] if best else []), Checkpoints()]
    batches = LengthBatches(examples.pieces.lengths, config.batch_size, context.seed, config.batch_tokens)
    trainer = _Trainer(model, arguments, examples, tokenizer, batches, loss, callbacks)
    if processes.number():
        torch.manual_seed(context.seed + processes.number())  # dropout by chance of its own
    with quick_dropout(model):
        trainer.train(resume_from_checkpoint=processes.from_first(lambda: last_whole(folder)))
    if processes.number() and last:
        raise processes.TookPart
    # accelerate leaves its bf16 autocast on the model's forward; what follows is fitted on fp32, as it will be served
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if best:
        best.restore(model)
    model.eval()
    return int(trainer.state.global_step)


def _arguments(config: Training, context: Context, folder: Path) -> TrainingArguments:
    precision = processes.from_first(lambda: chosen_precision(config.precision, context.device, context.work_dir))
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        warmup_steps=config.warmup,
        weight_decay=config.weight_decay,
        lr_scheduler_type="linear",
        bf16=precision == "bf16",
        use_cpu=context.device == "cpu",
        ddp_backend="gloo" if context.device == "cpu" and processes.how_many() > 1 else None,
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


class _Loader(DataLoader):
    """Passes on the epoch's number, by which its batches are chosen."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer."""
        if isinstance(self.batch_sampler, LengthBatches):
            self.batch_sampler.set_epoch(epoch)


class _Trainer(Trainer):
    """Trainer over our batches and loss; everything else is the library's."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        examples: Examples,
        tokenizer: Reader,
        batches: LengthBatches,
        loss: Loss,
        callbacks: list[TrainerCallback],
    ) -> None:
        self.examples, self.tokenizer, self.row_loss, self.batches = examples, tokenizer, loss, batches
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=_Rows(len(examples.pieces.counts)),
            data_collator=self.collate,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)

    def collate(self, rows: list[int]) -> dict[str, Tensor]:
        """The batch of these rows, padded to its longest; a row's windows are neighbours, and counts says how many.

        Of several processes each has its part of the rows. weight: of the part's mean loss, where it is not 1.
        """
        data = self.examples
        rows, weight = self._part(rows)
        pieces = data.pieces.of(rows)
        batch = {name: torch.from_numpy(value) for name, value in self.tokenizer.pad(pieces.tokens).items()}
        batch["counts"] = torch.from_numpy(pieces.counts)
        batch["targets"] = torch.from_numpy(data.targets[rows])
        batch["labelled"] = torch.from_numpy(data.labelled[rows])
        if data.teacher is not None:
            batch["teacher"] = torch.from_numpy(data.teacher[rows])
        if data.vectors is not None:
            batch["teacher_vectors"] = torch.from_numpy(data.vectors[rows].astype(np.float32))
        if weight != 1:
            batch["weight"] = torch.tensor(weight)
        return batch

    def _part(self, rows: list[int]) -> tuple[list[int], float]:
        """This process's rows of a batch, and the weight of their mean loss in the mean over all processes."""
        all_of_us = processes.how_many()
        part = rows[processes.number() :: all_of_us]
        weight = self.batches.weight(rows) * len(part) * all_of_us / len(rows)
        return part or rows[:1], weight  # a process must go through every step; here with a row that counts nothing

    def get_train_dataloader(self) -> DataLoader:
        """Batches of like length in an order of our own; not accelerate's loader, which would share them out anew."""
        return _Loader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """The stage's loss at the model's logits, pooled over each text's windows; in fp32 also under autocast."""
        names = [name for name in ("targets", "labelled", "teacher", "teacher_vectors") if name in inputs]
        extra: dict[str, Tensor] = {name: inputs.pop(name) for name in names}
        counts, weight = inputs.pop("counts"), inputs.pop("weight", None)
        answer = model(**inputs)
        logits = answer.logits if isinstance(answer, Hinted) else answer
        with torch.autocast(logits.device.type, enabled=False):
            if isinstance(answer, Hinted):
                # a mean however logits are pooled: a text of many windows counts as much as one that is read whole
                extra["term"] = _of_texts(answer.term, counts, "mean")
                if answer.vectors is not None:
                    extra["vectors"] = self._pooled(answer.vectors, counts)
            loss = self.row_loss(self._pooled(logits, counts), extra)
            return loss if weight is None else loss * weight

    def _pooled(self, rows: Tensor, counts: Tensor) -> Tensor:
        """Rows of pieces (P, C) to those of their texts (B, C), as the recipe pools windows."""
        if len(rows) == len(counts):
            return rows.float()
        return _of_texts(rows, counts, self.tokenizer.long_text.window_pooling)


def _of_texts(rows: Tensor, counts: Tensor, pooling: WindowPooling) -> Tensor:
    """Rows of pieces (P, ...) pooled to those of their texts (B, ...), in fp32. counts: pieces a text (B,)."""
    return rows.float() if len(rows) == len(counts) else torch.segment_reduce(rows.float(), pooling, lengths=counts)


class _Show(TrainerCallback):
    def __init__(self, context: Context, stage: str) -> None:
        self.context, self.stage = context, stage

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.context.progress(f"{self.stage}: training steps", state.global_step, state.max_steps)


class _Hook(TrainerCallback):
    def __init__(self, hook: StepHook) -> None:
        self.hook = hook

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.hook.before_step(state.global_step, state.max_steps)
