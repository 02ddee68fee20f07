"""How often do the judge's 95 % intervals hold the truth, and how often is a worse model called good enough? By hand.

    python tests/benchmarks/bootstrap_coverage.py --output bootstrap-coverage.json

About 30 minutes of one core with the default 2,000 simulated test sets per setting; nothing of it is timed.

A row's labels are drawn independently of other rows', so the number of positives varies as in a natural sample. Scores
of negatives are standard normal, those of positives lie `gap` above; decisions are at a fixed threshold that lets
through `passed` times as many negatives as there are positives, or, where a row has one label, at the highest score.
Truth is the population's value, in closed form or integrated over thresholds.

Four other models are compared with that one, each truly worse in F1 by exactly the margin (0.03 of a label, 0.01 of the
mean of six; of the accuracy where a row has one label): `noisy` and `near` have lower scores for positives, which
correlate .9 and .99 with the other's; `drops` has nearly the same scores but for a share of the positives, which it
ranks below all negatives; `alarms` but for a share of the negatives, which it scores as it does positives; in two of
the settings these two err on all labels of a row at once. "Met" is what a goal would be called that allows for exactly
what the model is truly worse by: `>= teacher - 0.03` of F1, of ROC-AUC and average precision what comes of it. Then the
low end of the paired difference is not below that.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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
from eval.intervals.differences import Differences, paired_differences
from eval.intervals.resample import LABEL_METRICS
from eval.intervals.scores import intervals

Doubles: TypeAlias = NDArray[np.float64]
BOTTOM = -5.0  # where the scores of dropped positives lie


@dataclass(frozen=True)
class Setting:
    """positives: expected, by label, in `rows` rows. margin: by which the other models are worse in F1 or accuracy.

    passed: negatives let through, per positive. one_each: whether every row has one label, and one decision. together:
    correlation of what makes a row positive, label by label. by_row: whether `drops` and `alarms` err on all
    labels of a row at once.
    """

    name: str
    rows: int
    positives: tuple[int, ...]
    gap: float
    margin: float
    passed: float = 0.8
    one_each: bool = False
    together: float = 0.5
    by_row: bool = False

    @property
    def shares(self) -> Doubles:
        return np.array(self.positives) / self.rows

    @property
    def thresholds(self) -> Doubles:
        return np.asarray(norm.isf(self.passed * self.shares / (1 - self.shares)))


@dataclass(frozen=True)
class Model:
    """falls: by how much lower than `gap` its positives score; dropped: share of them; raised: of negatives, (L,)."""

    name: str
    correlation: float
    falls: Doubles
    dropped: Doubles
    raised: Doubles


def settings() -> list[Setting]:
    """One label at each support, of a middling, a good and a precise model; six labels of Jigsaw's shares; classes."""
    single = [
        Setting(f"{positives} positives, {kind}", 1000, (positives,), gap, 0.03)
        for positives in (10, 30, 60, 100)
        for kind, gap in (("middling", 2.5), ("good", 4.0))
    ]
    six = (8, 16, 50, 100, 100, 200)
    return [
        *single,
        Setting("30 positives, precise", 1000, (30,), 4.0, 0.03, passed=0.1),
        Setting("100 positives, precise", 1000, (100,), 4.0, 0.01, passed=0.1),
        Setting("six labels, middling", 2000, six, 2.5, 0.01),
        Setting("six labels, good", 2000, six, 4.0, 0.01),
        Setting("six labels, errors by row", 2000, six, 4.0, 0.01, together=0.9, by_row=True),
        Setting("six labels on the same rows", 1000, (30,) * 6, 4.0, 0.03, together=1.0, by_row=True),
        Setting("two classes", 300, (150, 150), 3.0, 0.01, one_each=True),
        Setting("three classes", 250, (125, 75, 50), 3.0, 0.01, one_each=True),
    ]


def recall(setting: Setting, model: Model, at: Doubles) -> Doubles:
    """Share of the positives that score above. at: (..., L)."""
    return (1 - model.dropped) * norm.sf(at - setting.gap + model.falls) + model.dropped * norm.sf(at - BOTTOM)


def passing(setting: Setting, model: Model, at: Doubles) -> Doubles:
    """Share of the negatives that score above."""
    return (1 - model.raised) * norm.sf(at) + model.raised * norm.sf(at - setting.gap + model.falls)


def highest(setting: Setting, model: Model) -> Doubles:
    """(L,): how often the score of a row's one class is the highest of all."""
    at = np.linspace(-10, 10 + setting.gap, 4001)[:, None]
    below = norm.cdf(at) ** (len(setting.positives) - 1)
    return np.asarray(np.trapezoid(below, -recall(setting, model, at), axis=0))


def rates(setting: Setting, model: Model) -> tuple[Doubles, Doubles]:
    """Of its decisions: share of the positives, and of the negatives, that are decided positive, each (L,)."""
    if not setting.one_each:
        return recall(setting, model, setting.thresholds), passing(setting, model, setting.thresholds)
    right = highest(setting, model)
    return right, (1 - right) / (len(right) - 1)


def f1_of(shares: Doubles, hits: Doubles, alarms: Doubles) -> Doubles:
    """All as shares of the rows."""
    return np.asarray(2 * hits / (shares + hits + alarms))


def truths(setting: Setting, model: Model) -> dict[str, Doubles]:
    """metric -> by label, then macro and micro, (L + 2,)."""
    right, wrong = rates(setting, model)
    shares = setting.shares
    hits, alarms = shares * right, (1 - shares) * wrong
    decided = {
        "f1": lambda share, hit, alarm: f1_of(share, hit, alarm),
        "precision": lambda _, hit, alarm: hit / (hit + alarm),
        "recall": lambda share, hit, _: hit / share,
    }
    counts = (shares, hits, alarms)
    found = {name: _averaged(of(*counts), of(*(it.sum() for it in counts))) for name, of in decided.items()}
    at = np.linspace(-12, 12 + setting.gap, 20_001)[:, None]
    above = shares * recall(setting, model, at), (1 - shares) * passing(setting, model, at)
    pooled = [it.sum(axis=1, keepdims=True) for it in above]
    found["roc_auc"] = _averaged(area(*above), area(*pooled)[0])
    found["average_precision"] = _averaged(mean_precision(*above), mean_precision(*pooled)[0])
    return found


def area(positives: Doubles, negatives: Doubles) -> Doubles:
    """(K, L) shares of rows above each threshold, from the lowest -> ROC-AUC, (L,)."""
    return np.asarray(np.trapezoid(positives, -negatives, axis=0) / (positives[0] * negatives[0]))


def mean_precision(positives: Doubles, negatives: Doubles) -> Doubles:
    """The same -> average precision, (L,)."""
    precision = positives / np.maximum(positives + negatives, 1e-300)
    return np.asarray(np.trapezoid(precision, -positives, axis=0) / positives[0])


def _averaged(by_label: Doubles, micro: float) -> Doubles:
    return np.array([*by_label, by_label.mean(), float(micro)])


def first_of(setting: Setting) -> Model:
    nothing = np.zeros(len(setting.positives))
    return Model("first", 1, nothing, nothing, nothing)


def others(setting: Setting) -> list[Model]:
    """Worse in every label's F1 by the margin, or in accuracy, in ways that differ."""
    first = first_of(setting)

    def quality(model: Model) -> Doubles:
        right, wrong = rates(setting, model)
        return (
            right if setting.one_each else f1_of(setting.shares, setting.shares * right, (1 - setting.shares) * wrong)
        )

    def solved(name: str, most: float) -> Doubles:
        def short(x: float, place: int) -> float:
            worse = replace(first, **{name: np.full(len(setting.positives), x)})
            return float((quality(first) - quality(worse))[place] - setting.margin)

        return np.array([brentq(short, 0, most, args=(place,)) for place in range(len(setting.positives))])

    falls = solved("falls", setting.gap)
    found = [
        replace(first, name="noisy", correlation=0.9, falls=falls),
        replace(first, name="near", correlation=0.99, falls=falls),
        # at 1 it would be an exact copy wherever it happens to drop none
        replace(first, name="drops", correlation=0.99999, dropped=solved("dropped", 1)),
    ]
    if setting.one_each:  # each of its false alarms is a lost row of another class, as those of `drops` are
        return found
    return [*found, replace(first, name="alarms", correlation=0.99999, raised=solved("raised", 1))]


def draw(setting: Setting, models: list[Model], rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """Targets (N, L) and the probabilities of the first model and the others, each (N, L)."""
    targets = drawn_targets(setting, rng)
    noise = rng.standard_normal(targets.shape)
    scores = [noise + setting.gap * targets]
    for model in models:
        own = model.correlation * noise + np.sqrt(1 - model.correlation**2) * rng.standard_normal(targets.shape)
        moved = rng.random((len(targets), 1) if setting.by_row else targets.shape)
        raised = (targets == 0) & (moved < model.raised)
        own = own + (setting.gap - model.falls) * (targets | raised)
        lost = (targets == 1) & (moved < model.dropped)
        scores.append(np.where(lost, BOTTOM + rng.standard_normal(targets.shape), own))
    return targets, [probability(it) for it in scores]


def drawn_targets(setting: Setting, rng: np.random.Generator) -> Any:
    shape = setting.rows, len(setting.positives)
    if setting.one_each:
        return np.eye(shape[1], dtype=np.int8)[rng.choice(shape[1], size=shape[0], p=setting.shares)]
    shared, own = rng.standard_normal((shape[0], 1)), rng.standard_normal(shape)
    causes = np.sqrt(setting.together) * shared + np.sqrt(1 - setting.together) * own
    return (causes > norm.isf(setting.shares)).astype(np.int8)


def probability(scores: Doubles) -> Any:
    return (1 / (1 + np.exp(-scores))).astype(np.float32)


Tally: TypeAlias = dict[str, list[float]]


def counted(
    setting: Setting, trial: int, resamples: int, models: list[Model], known: list[dict[str, Doubles]]
) -> Tally:
    """One simulated test set: name -> [covered or met, 1, width], nothing where undefined.

    known: the truths of the first model and of each other.
    """
    rng = np.random.default_rng((trial, setting.rows, *setting.positives, int(10 * setting.gap)))
    targets, answers = draw(setting, models, rng)
    labels = tuple(map(str, range(len(setting.positives))))
    test_set = LabelledTexts(("",) * setting.rows, labels, targets)
    thresholds = None if setting.one_each else probability(setting.thresholds)
    first, *rest = (judge(it, test_set, thresholds, resamples=resamples, seed=trial) for it in answers)
    found: Tally = {}

    def add(name: str, interval: Interval, holds: Callable[[float, float], bool]) -> None:
        if interval.low is not None and interval.high is not None:
            found[name] = [holds(interval.low, interval.high), 1, interval.high - interval.low]

    measured = intervals(targets, first)
    titles = [*labels, "macro", "micro"] if len(labels) > 1 else [*labels]  # of one label no average
    for name in LABEL_METRICS:
        pieces = [*measured.labels[name], measured.averages[f"macro_{name}"], measured.averages[f"micro_{name}"]]
        true_values = known[0][name]
        for title, piece, true in zip(titles, pieces[: len(titles)], true_values[: len(titles)], strict=True):
            add(f"{name} {title}", piece, lambda low, high, true=true: low <= true <= high)
    for model, other, its in zip(models, rest, known[1:], strict=True):
        less = paired_differences(targets, labels, other, first)
        for name, pieces in compared(less).items():
            true_values = its[name] - known[0][name]
            shown = [*labels, "macro", "micro"][: len(pieces)] if len(labels) > 1 else [*labels]
            about = model.name if name == "f1" else f"{model.name} {name}"
            for title, piece, true in zip(shown, pieces[: len(shown)], true_values[: len(shown)], strict=True):
                add(f"difference {about} {title}", piece, lambda low, high, true=true: low <= true <= high)
                add(f"met {about} {title}", piece, lambda low, _, true=true: low >= true)
    return found


def compared(less: Differences) -> dict[str, list[Interval]]:
    """metric -> differences by label, macro, and of F1 micro."""
    return {
        "f1": [*less.label_f1.values(), less.macro_f1, less.micro_f1],
        "roc_auc": [*less.label_roc_auc.values(), less.macro_roc_auc],
        "average_precision": [*less.label_average_precision.values(), less.macro_average_precision],
    }


def measured(arguments: tuple[Setting, int, int]) -> dict[str, Any]:
    """One setting as a row of the JSON: each share in percent."""
    setting, trials, resamples = arguments
    models = others(setting)
    known = [truths(setting, model) for model in (first_of(setting), *models)]
    sums: dict[str, Doubles] = {}
    for trial in range(trials):
        for name, one in counted(setting, trial, resamples, models, known).items():
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
        "true_f1": [round(float(it), 3) for it in known[0]["f1"][: len(setting.positives)]],
        "true_roc_auc": [round(float(it), 4) for it in known[0]["roc_auc"][: len(setting.positives)]],
        "results": results,
    }


def lines(row: dict[str, Any]) -> Iterator[str]:
    """A row as text."""
    yield f"\n{row['setting']}: {row['rows']} rows, F1 {row['true_f1']}, ROC-AUC {row['true_roc_auc']}"
    for name, it in row["results"].items():
        kind = "of 'met', truly worse" if name.startswith("met") else "covered"
        yield f"  {name:42s} {it['percent']:5.1f} % {kind}, mean width {it['mean_width']:.4f}, of {it['of']}"


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
