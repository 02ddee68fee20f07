"""A small training that several processes can share, as a function and as a script for torchrun.

torchrun ... tests/together.py '[["FOLDER", {"batch_size": 5, ...}], ...]'
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import test_loop

from compress import processes
from compress.context import Context

SCORES = (0.5, 0.7, 0.6, 0.6)
KILLED = 9


def training(out: Path, dies_at: int = 0, **changes: Any) -> tuple[list[float], dict[str, Any]] | None:
    """Trains the loop's own test model without chance: the loss over all rows after each step, and the weights.

    None in processes but the first. dies_at: the process ends after so many steps.
    """
    rows, model = test_loop.rows(), test_loop.bag()
    model.dropout.p = 0.0
    curve: list[float] = []
    scores = iter(SCORES)

    def after_step(what: str, done: int, total: int) -> None:
        curve.append(test_loop.loss_of(model, rows))
        if done == dies_at:
            os._exit(KILLED)  # as a kill ends it: Python's own end would wait for threads that wait for the others

    try:
        test_loop.run(model, rows, Context(13, "cpu", out, out, after_step), lambda: next(scores), **changes)
    except processes.TookPart:
        return None
    return curve, {name: tensor.tolist() for name, tensor in test_loop.weights(model).items()}


def main() -> None:
    """Each of the trainings in its folder; the first process writes down what came of it."""
    from compress.train import checkpoints

    checkpoints.SAVE_SECONDS = 0.0
    for folder, changes in json.loads(sys.argv[1]):
        result = training(Path(folder), **changes)
        assert (result is not None) == (processes.number() == 0)
        if result is not None:
            (Path(folder) / "result.json").write_text(json.dumps(result))
    processes.leave()
    if sys.platform == "linux":
        for thread in Path("/proc/self/task").glob("*/comm"):
            with suppress(OSError):  # it has just ended
                assert "gloo" not in thread.read_text()


if __name__ == "__main__":
    main()
