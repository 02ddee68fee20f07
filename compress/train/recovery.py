"""Recovery: the training of a model that something was taken out of, on its teachers' answers or on the labels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from compress import processes
from compress.context import Context
from compress.encoder.files import Model
from compress.inputs import Inputs
from compress.pieces import Reader
from compress.recipe.pruning import Recovering
from compress.train.checkpoints import StepHook
from compress.train.finish import validation_score
from compress.train.learning import distilling_loss, labelled_examples, labelling_loss, transfer_examples
from compress.train.loop import Examples, Loss, train
from compress.train.transfer import OpenTeacher, transfer_set


@dataclass(frozen=True)
class Part:
    """Part `number`, from 0, of `of` equal parts of a recovery, for a stage that takes things out in between."""

    number: int = 0
    of: int = 1

    @property
    def is_last(self) -> bool:
        """Whether nothing is trained after it."""
        return self.number == self.of - 1


WHOLE = Part()


@dataclass(frozen=True)
class Recovery:
    """What a stage trains on after it took something out. open_teacher: e.g. open_predictor.

    The examples are made when they are first asked for and serve every part.
    """

    config: Recovering
    inputs: Inputs
    context: Context
    tokenizer: Reader
    open_teacher: OpenTeacher

    def train(self, model: Model, part: Part = WHOLE, hook: StepHook | None = None) -> int:
        """Trains `model` in place for this part of config.epochs and returns the steps taken; 0 of no epochs.

        It resumes a part that was cut off; whoever calls it keeps what came of those before. Each part has a warm-up
        and a decay of the learning rate, an order of the rows and a dropout of its own. After the last one, of several
        processes only the first returns.
        """
        if not self.config.epochs:
            if part.is_last and processes.number():
                raise processes.TookPart
            return 0
        config = self.config.model_copy(update={"epochs": self.config.epochs / part.of})
        score = validation_score(model, self.tokenizer, self.inputs, self.context.device, self.config)
        context = _context(self.context, part)
        return train(model, self.examples, self.tokenizer, config, self.loss, context, score, hook, last=part.is_last)

    @cached_property
    def examples(self) -> Examples:
        """The transfer set with the teachers' answers where one is named, else the training rows with their labels."""
        if not self.inputs.teachers:
            return labelled_examples(self.tokenizer, self.inputs, self.context)
        transfer = transfer_set(self.inputs, self.open_teacher, self.context, self.config.id)
        return transfer_examples(self.tokenizer, transfer, self.context)

    @property
    def loss(self) -> Loss:
        """Mean loss as a function of logits (B, L) and a batch of the examples."""
        if not self.inputs.teachers:
            return labelling_loss(self.inputs.task)
        return distilling_loss(self.inputs.task, self.config.hardness, self.config.temperature)


def _context(context: Context, part: Part) -> Context:
    """Checkpoints in a folder of the part's own, and its own chance: else every part would read the same rows first."""
    if part.of == 1:
        return context
    folder = context.work_dir / f"part-{part.number}"
    folder.mkdir(exist_ok=True)
    seed = int(np.random.SeedSequence([context.seed, part.number]).generate_state(1)[0] % 2**31)
    return replace(context, seed=seed, work_dir=folder)
