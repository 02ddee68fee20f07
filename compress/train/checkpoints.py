"""What a training keeps on disk while it runs: checkpoints that survive a kill, and the best epoch's weights."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState

from compress import processes
from compress.artifact import write_whole

SAVE_SECONDS = 60.0
_COMPLETE = "complete"


class StepHook:
    """Called around optimizer steps; the pruner sets its masks so."""

    def before_step(self, step: int, total: int) -> None:
        """Before optimizer step number `step` (from 0) of `total`."""

    def settled(self, steps: int, total: int) -> bool:
        """Whether the model has its final form after so many steps, so that its weights may be kept as the best."""
        return True


class Checkpoints(TrainerCallback):
    """Saves every SAVE_SECONDS. The Trainer's checkpoints are not atomic, so a mark is set when one is whole.

    An epoch's last step waits for on_epoch_end: a run resumed from there would go on without the epoch's score.
    """

    def __init__(self) -> None:
        self.last = time.monotonic()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Within an epoch."""
        if not float(state.epoch or 0).is_integer():
            self._save_if_due(state, control)

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After the epoch's last step and its score."""
        self._save_if_due(state, control)

    def _save_if_due(self, state: TrainerState, control: TrainerControl) -> None:
        # not after the last step, nor an early stop: a run resumed from there would train on
        going_on = state.global_step < state.max_steps and not control.should_training_stop
        if going_on and processes.from_first(lambda: time.monotonic() - self.last > SAVE_SECONDS):
            control.should_save = True

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Once the files are written."""
        processes.meet()  # each has written the state of its random numbers
        if processes.number() == 0:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()
        self.last = time.monotonic()


class Best(TrainerCallback):
    """Keeps the weights of the epoch with the best validation score; stops after `patience` epochs without a better.

    Epochs before the hook calls the model settled do not count.
    """

    def __init__(self, folder: Path, score: Callable[[], float], patience: int, hook: StepHook) -> None:
        self.score, self.patience, self.hook = score, patience, hook
        self.weights, self.record = folder / "best.safetensors", folder / "best.json"

    def on_epoch_end(
        self, args: Any, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        """Scores the epoch, in the first process for all."""
        if not self.hook.settled(state.global_step, state.max_steps):
            return
        if processes.from_first(lambda: self._is_last(model, round(state.epoch or 0))):
            control.should_training_stop = True

    def _is_last(self, model: nn.Module, epoch: int) -> bool:
        """Scores the epoch and keeps the model if it is the best; whether it is time to stop."""
        from safetensors.torch import save

        was_training = model.training
        model.eval()
        value = self.score()
        model.train(was_training)
        best = json.loads(self.record.read_text()) if self.record.exists() else {"epoch": 0, "score": float("-inf")}
        if value > best["score"]:
            best = {"epoch": epoch, "score": value}
            write_whole(self.weights, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))
            write_whole(self.record, json.dumps(best))
        return bool(epoch - best["epoch"] >= self.patience)

    def restore(self, model: nn.Module) -> None:
        """Puts the best epoch's weights back."""
        from safetensors.torch import load_file

        if self.record.exists():
            model.load_state_dict(load_file(str(self.weights)))


def last_whole(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; torn ones are removed."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in checkpoints:
        if not (path / _COMPLETE).exists():
            shutil.rmtree(path)
    whole = [path for path in checkpoints if path.exists()]
    return str(whole[-1]) if whole else None
