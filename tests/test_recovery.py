"""Recovery in parts: as many steps as in one, each part with an order and a folder of its own; and none at all."""

import dataclasses
from typing import Any

import pytest
import torch

from compress.encoder.files import load_classifier
from compress.recipe.pruning import Recovering, TrimVocabulary
from compress.runtime import open_predictor
from compress.tokenizer import open_tokenizer
from compress.train import recovery as module
from compress.train.recovery import Part, Recovery


def recovery(workshop: Any, teacher: Any, **changes: Any) -> Recovery:
    given = {"id": "r", "type": "trim_vocabulary", "from": "teacher"} | changes
    config: Recovering = TrimVocabulary.model_validate(given)
    tokenizer = open_tokenizer(teacher.path, 32)
    return Recovery(config, workshop.inputs(teacher), workshop.context("work"), tokenizer, open_predictor)


def test_parts_take_as_many_steps_together_and_read_the_rows_in_another_order(
    workshop: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str, float, bool]] = []

    def train(*args: Any, last: bool) -> int:
        config, context = args[3], args[5]
        seen.append((context.seed, context.work_dir.name, config.epochs, last))
        return 0

    monkeypatch.setattr(module, "train", train)
    whole = recovery(workshop, teacher, epochs=3)
    model = load_classifier(teacher.path)
    whole.train(model)
    for number in range(3):
        whole.train(model, Part(number, 3))
    assert seen[0] == (13, "work", 3, True)
    assert [entry[1:] for entry in seen[1:]] == [("part-0", 1, False), ("part-1", 1, False), ("part-2", 1, True)]
    assert len({entry[0] for entry in seen}) == 4
    # the same in another process
    again = len(seen)
    recovery(workshop, teacher, epochs=3).train(model, Part(1, 3))
    assert seen[again] == seen[2]


def test_a_part_changes_the_weights_and_no_epochs_read_no_rows(workshop: Any, teacher: Any) -> None:
    model = load_classifier(teacher.path)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def unread() -> Any:
        raise AssertionError

    idle = recovery(workshop, teacher)
    idle = dataclasses.replace(idle, inputs=dataclasses.replace(idle.inputs, splits=unread))
    assert idle.train(model) == 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    learning = {"epochs": 1, "batch_size": 8, "precision": "fp32", "learning_rate": 1e-3}
    assert recovery(workshop, teacher, **learning).train(model, Part(0, 3)) == 5
    assert not torch.equal(before["head.weight"], model.state_dict()["head.weight"])
