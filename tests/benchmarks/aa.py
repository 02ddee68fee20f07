"""A/A: is the speedup of a model over a copy of itself 1, and is a planted slowdown of a tenth found?

    python tests/benchmarks/aa.py --output aa.json
    python tests/benchmarks/aa.py --runs 4 --seconds 5 --artifact runs/a/artifacts/student-int8

Each run times three in one interleaved measurement, the way `compress run` and `compress bench` do: the model, a copy
of its folder, and another copy behind a wrapper that spins a tenth longer than each real call took. Every second run
has a neighbour that works in spells of about a second, on one core. A recipe's default is 250 rounds, that of `compress
bench` 1,000; here as many are taken as fit into the run's seconds. Wanted of 40 runs: the 95 % interval of the copy's
speedup holds 1 in 35 at least, that of the slowed copy lies below 1 in 32 at least, and every run keeps within its
seconds. Exit code 1 where it does not come to that.

Without --artifact a small transformer is made, exported and quantized (generated comments, no network, about a minute):
speed does not depend on what it has learnt.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import compress
from compress.artifact import Artifact, open_artifact
from compress.context import silent
from compress.data import synthetic
from compress.environment import environment
from compress.measure.rounds import Setting, Workload, time_setting
from compress.measure.store import Store
from compress.recipe.recipe import Evaluate
from compress.runtime import open_predictor
from eval.contract import Interval
from eval.plain import dump

HELD, FOUND = 35 / 40, 32 / 40
SLOWER = 0.1
_TIMED = 0.8  # of a run's seconds; the rest is for imports, the neighbour's start and the last rounds
_RECIPE = """\
version: 1
name: aa
task: {type: multi_label, text: comment_text, labels: [toxic, severe_toxic, obscene, threat, insult, identity_hate]}
data: {builtin: comments}
stages:
  - id: model
    type: finetune
    encoder: {layers: 2, width: 128, heads: 4, tokenizer: {type: wordpiece, size: 4000}}
    max_tokens: 128
    epochs: 0.02
    precision: fp32
  - {id: onnx, type: export}
  - {id: int8, type: quantize, scheme: int8_dynamic}
evaluate: {batch_sizes: [1], threads: [1], rounds: 5, max_seconds: 1, resamples: 100, devices: cpu}
"""
# numpy's product would take every core
_ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_NEIGHBOUR = """\
import random, time
import numpy as np
a = np.random.rand(700, 700)
while True:
    until = time.monotonic() + random.uniform(0.2, 2)
    while time.monotonic() < until:
        a @ a
    time.sleep(random.uniform(0.2, 2))
"""


class Slowed:
    """A predictor whose every call lasts a tenth longer."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.inner.labels)

    def judged(self) -> "Slowed":
        return self

    def predict_proba(self, texts: Sequence[str]) -> Any:
        started = time.perf_counter()
        answer = self.inner.predict_proba(texts)
        until = started + (1 + SLOWER) * (time.perf_counter() - started)
        while time.perf_counter() < until:
            pass
        return answer


@contextmanager
def neighbour(there: bool) -> Iterator[None]:
    """A process that keeps one core busy now and then."""
    if not there:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _NEIGHBOUR], env=os.environ | _ONE_CORE) as process:
        try:
            yield
        finally:
            process.kill()


def one_run(artifacts: dict[str, Artifact], number: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Both speedups over the model, and what the machine did meanwhile."""

    def opened(artifact: Artifact, *how: Any) -> Any:
        predictor = open_predictor(artifact, *how)
        return Slowed(predictor) if artifact is artifacts["slowed"] else predictor

    config = Evaluate(batch_sizes=(1,), threads=(1,), rounds=1_000_000, max_seconds=_TIMED * seconds, devices="cpu")
    texts = synthetic.generate("test", 13)[0]
    started = time.monotonic()
    with neighbour(number % 2 == 1), mock.patch("compress.measure.rounds.open_predictor", opened):
        found = time_setting(
            artifacts, [Workload(1, None, texts)], Setting("cpu", 1), "model", {}, Store(folder, config, number), silent
        )
    rows, took = {name: found.rows[name][0] for name in artifacts}, time.monotonic() - started
    return {
        "neighbour": number % 2 == 1,
        "seconds": took,
        "in_time": took <= seconds,
        "rounds": rows["model"].samples,
        "p50_ms": rows["model"].p50_ms,
        "copy": dump(rows["copy"].speedup_vs_teacher),
        "slowed": dump(rows["slowed"].speedup_vs_teacher),
        "others_busy": found.conditions[0].others_busy,
    }


def holds_one(speedup: dict[str, float]) -> bool:
    """Whether the copy is seen to be one."""
    return speedup["low"] <= 1 <= speedup["high"]


def is_slower(speedup: dict[str, float]) -> bool:
    """Whether the slowdown is found."""
    return speedup["high"] < 1


def shown(speedup: dict[str, float]) -> str:
    found = Interval(**speedup)
    return f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f})"


def make_model(folder: Path) -> Path:
    """A small int8 ONNX artifact."""
    recipe = folder / "aa.yaml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    compress.run(compress.load_recipe(recipe), folder / "run")
    return folder / "run" / "artifacts" / "int8"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60, help="of a run, at most, opening the models included")
    parser.add_argument("--artifact", type=Path, help="by default one is made")
    parser.add_argument("--output", type=Path, help="JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = asked.artifact or make_model(folder)
        artifacts = {"model": open_artifact(source)}
        for name in ("copy", "slowed"):
            artifacts[name] = open_artifact(Path(shutil.copytree(source, folder / name)))
        runs = []
        for number in range(asked.runs):
            runs.append(one_run(artifacts, number, asked.seconds, folder))
            said = "copy {}, slowed {}".format(*(shown(runs[-1][name]) for name in ("copy", "slowed")))
            print(
                f"{number + 1}/{asked.runs}: {runs[-1]['rounds']} rounds in {runs[-1]['seconds']:.1f} s, {said}",
                flush=True,
            )
    held, found = sum(holds_one(run["copy"]) for run in runs), sum(is_slower(run["slowed"]) for run in runs)
    in_time = sum(run["in_time"] for run in runs)
    print(f"the copy's interval holds 1 in {held} of {asked.runs}; the slowdown is found in {found} of {asked.runs}")
    print(f"{in_time} of {asked.runs} runs kept within {asked.seconds:g} seconds")
    if asked.output:
        facts = {
            "held": held,
            "found": found,
            "in_time": in_time,
            "seconds": asked.seconds,
            "environment": environment(),
            "runs": runs,
        }
        asked.output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return int(held < HELD * asked.runs or found < FOUND * asked.runs or in_time < asked.runs)


if __name__ == "__main__":
    sys.exit(main())
