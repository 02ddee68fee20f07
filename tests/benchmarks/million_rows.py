"""How much memory do a million rows take, scored and judged by `eval` alone? By hand.

    python tests/benchmarks/million_rows.py --output million-rows.json

Texts of 8 words and 6 labels (of 10 % to 0.1 % of the rows) are generated; a model that takes no time scores them; then
quality with intervals, and all that the report tells beside it, against a second such model. Half a second to a second
of one core for each resample and model; memory does not grow with the number of resamples, which is why the default is
so few. What is printed is the most that the process has held up to then, the texts included. Ends with exit code 1
above --at-most MB.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from compress.environment import environment
from compress.memory import peak_memory_bytes
from eval.contract import Candidate, Floats, Footprint, LabelledTexts
from eval.details.slices import row_sets
from eval.evaluator import judge, predict_all, score_details, score_quality

LABELS = ("a", "b", "c", "d", "e", "f")
SHARES = (0.1, 0.05, 0.02, 0.01, 0.003, 0.001)
_WORDS = 5000
_WORDS_A_TEXT = 8


class Cheap:
    """Leans towards the truth, which stands in front of each text; other noise with another seed."""

    labels = LABELS

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(N, L)."""
        truth = np.array([[mark == "1" for mark in text[: len(LABELS)]] for text in texts])
        answers = 0.48 * truth + 0.52 * self._rng.random(truth.shape)
        return answers.astype(np.float32)


def make_rows(count: int) -> LabelledTexts:
    """Each text begins with its labels, as `010000`."""
    rng = np.random.default_rng(0)
    targets = (rng.random((count, len(LABELS))) < SHARES).astype(np.int8)
    words = [f"word{number}" for number in range(_WORDS)]
    drawn = rng.integers(_WORDS, size=(count, _WORDS_A_TEXT), dtype=np.int16)
    texts = (
        f"{''.join(map(str, own))} {' '.join(words[number] for number in numbers)}"
        for own, numbers in zip(targets.tolist(), drawn, strict=True)
    )
    return LabelledTexts(tuple(texts), LABELS, targets)


def told(what: str, started: float) -> dict[str, Any]:
    """What was done, the seconds since `started` and the peak so far, in MB; it prints them too."""
    found = {"what": what, "seconds": perf_counter() - started, "peak_mb": (peak_memory_bytes() or 0) / 1e6}
    print(f"{what}: {found['seconds']:.0f} s, at most {found['peak_mb']:.0f} MB so far", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=20)
    parser.add_argument("--at-most", type=float, default=1000, help="MB")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the result as JSON")
    asked = parser.parse_args()
    started = perf_counter()
    rows = make_rows(asked.rows)
    steps = [told(f"{len(rows):,} rows x {len(LABELS)} labels made", started)]
    thresholds = np.full(len(LABELS), 0.5, np.float32)
    judged = []
    for seed, name in ((1, "teacher"), (2, "model")):
        started = perf_counter()
        footprint = Footprint(0, 0, 0, 0, 0.0)
        candidate = Candidate(name, "", "", "", "cpu", 1, footprint, thresholds, Cheap(seed))
        answers = predict_all(candidate, rows)
        steps.append(told(f"{name} scored", started))
        started = perf_counter()
        judged.append(judge(answers, rows, thresholds, resamples=asked.resamples, seed=13))
        quality = score_quality(judged[-1], rows, thresholds)
        said = f"{name} judged in {asked.resamples} resamples, macro F1 {quality.macro_f1.value:.3f}"
        steps.append(told(said, started))
    started = perf_counter()
    teacher, model = judged
    score_details(model, {"teacher": teacher}, rows, thresholds=thresholds, teacher="teacher", sets=row_sets(rows))
    steps.append(told("differences, calibration, agreement, curves, slices, disagreements", started))
    if asked.output is not None:
        facts = {"rows": asked.rows, "labels": len(LABELS), "resamples": asked.resamples}
        facts |= {"steps": steps, "environment": environment()}
        asked.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return int(steps[-1]["peak_mb"] > asked.at_most)


if __name__ == "__main__":
    sys.exit(main())
