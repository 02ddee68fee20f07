"""How often do the judge's 95 % intervals hold the truth, and how often is a worse model called good enough? By hand.

    python tests/benchmarks/bootstrap_coverage.py --output bootstrap-coverage.json

About 15 minutes of one core with the default 2,000 simulated test sets per setting; nothing of it is timed.

A row's labels are drawn independently of other rows', so the number of positives varies as in a natural sample. Scores
of negatives are standard normal, those of positives lie `gap` above; decisions are at a fixed threshold that lets
through 80 % as many negatives as there are positives. Truth is the population's value, in closed form (average
precision, and ROC-AUC and average precision over pooled labels: from 2 million rows).

Three other models are compared with that one, each truly worse in F1 by exactly the margin (0.03 of a label, 0.01 of
the mean of six): `noisy` and `near` have lower scores for positives, which correlate .9 and .99 with the other's;
`drops` has nearly the same scores but for a share of the positives, which it ranks below all negatives. "Met" is what a
goal `>= teacher - margin` would be called: the low end of the paired difference is not below -margin.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from compress.memory import keep_freed_memory
from eval.contract import Interval, LabelledTexts
from eval.evaluator import judge
from eval.intervals.differences import paired_differences
from eval.intervals.resample import LABEL_METRICS
from eval.intervals.scores import intervals
from eval.metrics import average_precision, macro, micro, per_label, roc_auc

Doubles: TypeAlias = NDArray[np.float64]
PASSED = 0.8  # negatives let through, per positive
TOGETHER = 0.5  # correlation of what makes a row positive, label by label
POPULATION = 2_000_000


@dataclass(frozen=True)
class Setting:
    """positives: expected, by label, in `rows` rows. margin: by which the other models are worse in macro F1."""

    name: str
    rows: int
    positives: tuple[int, ...]
    gap: float
    margin: float

    @property
    def shares(self) -> Doubles:
        return np.array(self.positives) / self.rows

    @property
    def thresholds(self) -> Doubles:
        return np.asarray(norm.isf(PASSED * self.shares / (1 - self.shares)))


@dataclass(frozen=True)
class Other:
    """A model compared with the first. falls: by how much lower its positives score, dropped: share of them, (L,)."""

    name: str
    correlation: float
    falls: Doubles
    dropped: Doubles


def settings() -> list[Setting]:
    """One label at each support, of a middling and of a good model; and six labels of Jigsaw's shares."""
    single = [
        Setting(f"{positives} positives, {kind}", 1000, (positives,), gap, 0.03)
        for positives in (10, 30, 60, 100)
        for kind, gap in (("middling", 2.5), ("good", 4.0))
    ]
    six = (8, 16, 50, 100, 100, 200)
    return [
        *single,
        Setting("six labels, middling", 2000, six, 2.5, 0.01),
        Setting("six labels, good", 2000, six, 4.0, 0.01),
    ]


def recall_of(setting: Setting, falls: Doubles, dropped: Doubles) -> Doubles:
    return np.asarray(norm.sf(setting.thresholds - setting.gap + falls) * (1 - dropped))


def f1_of(recall: Doubles) -> Doubles:
    return 2 * recall / (1 + recall + PASSED)


def others(setting: Setting) -> list[Other]:
    """Worse in every label's F1 by the margin, in ways that differ."""
    nothing = np.zeros(len(setting.positives))
    fine = f1_of(recall_of(setting, nothing, nothing))

    def solved(worse: Callable[[float], Doubles], most: float) -> Doubles:
        return np.array(
            [brentq(lambda x, i=i: fine[i] - worse(x)[i] - setting.margin, 0, most) for i in range(len(fine))]
        )

    falls = solved(lambda x: f1_of(recall_of(setting, nothing + x, nothing)), setting.gap)
    dropped = solved(lambda x: f1_of(recall_of(setting, nothing, nothing + x)), 1)
    return [
        Other("noisy", 0.9, falls, nothing),
        Other("near", 0.99, falls, nothing),
        Other("drops", 0.99999, nothing, dropped),  # at 1 it would be an exact copy wherever it happens to drop none
    ]


def draw(setting: Setting, rows: int, models: list[Other], rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """Targets (N, L) and the probabilities of the first model and the others, each (N, L)."""
    shape = rows, len(setting.positives)
    causes = np.sqrt(TOGETHER) * rng.standard_normal((rows, 1)) + np.sqrt(1 - TOGETHER) * rng.standard_normal(shape)
    targets = (causes > norm.isf(setting.shares)).astype(np.int8)
    noise = rng.standard_normal(shape)
    scores = [noise + setting.gap * targets]
    for model in models:
        own = model.correlation * noise + np.sqrt(1 - model.correlation**2) * rng.standard_normal(shape)
        own = own + (setting.gap - model.falls) * targets
        lost = (targets == 1) & (rng.random(shape) < model.dropped)
        scores.append(np.where(lost, -5 + rng.standard_normal(shape), own))
    return targets, [probability(it) for it in scores]


def probability(scores: Doubles) -> Any:
    return (1 / (1 + np.exp(-scores))).astype(np.float32)


def truths(setting: Setting) -> dict[str, Doubles]:
    """The first model's: metric -> by label, then macro and micro, (L + 2,)."""
    recall = recall_of(setting, np.zeros(1), np.zeros(1))
    shares = setting.shares
    by_label = {"f1": f1_of(recall), "precision": recall / (recall + PASSED), "recall": recall}
    pooled = float((shares * recall).sum() / shares.sum())
    micros = {"f1": f1_of(np.array(pooled)), "precision": pooled / (pooled + PASSED), "recall": pooled}
    found = {name: np.array([*values, values.mean(), float(micros[name])]) for name, values in by_label.items()}
    targets, (scores,) = draw(setting, POPULATION, [], np.random.default_rng(99))
    for name, metric in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        averages = [macro(metric, targets, scores), micro(metric, targets, scores)]
        found[name] = np.array([*per_label(metric, targets, scores), *averages], dtype=np.float64)
    return found


def counted(setting: Setting, trial: int, resamples: int, truth: dict[str, Doubles], models: list[Other]) -> Any:
    """One simulated test set: name -> [covered or met, 1, width], nothing where undefined."""
    rng = np.random.default_rng((trial, setting.rows, *setting.positives, int(10 * setting.gap)))
    targets, answers = draw(setting, setting.rows, models, rng)
    labels = tuple(map(str, range(len(setting.positives))))
    test_set = LabelledTexts(("",) * setting.rows, labels, targets)
    thresholds = probability(setting.thresholds)
    first, *rest = (judge(it, test_set, thresholds, resamples=resamples, seed=trial) for it in answers)
    found: dict[str, list[float]] = {}

    def add(name: str, interval: Interval, holds: Callable[[float, float], bool]) -> None:
        if interval.low is not None and interval.high is not None:
            found[name] = [holds(interval.low, interval.high), 1, interval.high - interval.low]

    measured = intervals(targets, first)
    titles = [*labels, "macro", "micro"] if len(labels) > 1 else labels
    for name in LABEL_METRICS:
        pieces = [*measured.labels[name], measured.averages[f"macro_{name}"], measured.averages[f"micro_{name}"]]
        for title, piece, true in zip(titles, pieces, truth[name], strict=False):  # of one label no average
            add(f"{name} {title}", piece, lambda low, high, true=true: low <= true <= high)
    for model, other in zip(models, rest, strict=True):
        less = paired_differences(targets, labels, other, first)
        for title, piece in zip(titles, (*less.label_f1.values(), less.macro_f1), strict=False):
            add(f"difference {model.name} {title}", piece, lambda low, high: low <= -setting.margin <= high)
            add(f"met {model.name} {title}", piece, lambda low, _: low >= -setting.margin)
    return found


def measured(arguments: tuple[Setting, int, int]) -> dict[str, Any]:
    """One setting as a row of the JSON: each share in percent."""
    setting, trials, resamples = arguments
    truth, models = truths(setting), others(setting)
    sums: dict[str, Doubles] = {}
    for trial in range(trials):
        for name, one in counted(setting, trial, resamples, truth, models).items():
            sums[name] = sums.get(name, np.zeros(3)) + one
    results = {
        name: {"percent": round(100 * hits / of, 1), "of": int(of), "mean_width": round(width / of, 4)}
        for name, (hits, of, width) in sums.items()
    }
    return {
        "setting": setting.name,
        "rows": setting.rows,
        "expected_positives": setting.positives,
        "margin": setting.margin,
        "true_f1": [round(float(it), 3) for it in truth["f1"][: len(setting.positives)]],
        "true_roc_auc": [round(float(it), 4) for it in truth["roc_auc"][: len(setting.positives)]],
        "results": results,
    }


def lines(row: dict[str, Any]) -> Iterator[str]:
    """A row as text."""
    yield f"\n{row['setting']}: {row['rows']} rows, F1 {row['true_f1']}, ROC-AUC {row['true_roc_auc']}"
    for name, it in row["results"].items():
        kind = "of 'met', truly worse" if name.startswith("met") else "covered"
        yield f"  {name:28s} {it['percent']:5.1f} % {kind}, mean width {it['mean_width']:.4f}, of {it['of']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    with Pool(options.processes, initializer=keep_freed_memory) as pool:
        work = [(setting, options.trials, options.resamples) for setting in settings()]
        for row in pool.imap(measured, reversed(work)):  # the long ones first
            rows.append(row)
            print("\n".join(lines(row)), flush=True)
    if options.output is not None:
        written = {"trials": options.trials, "resamples": options.resamples, "settings": rows[::-1]}
        options.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
