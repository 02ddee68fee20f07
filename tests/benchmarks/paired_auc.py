"""How far apart are two artifacts in macro ROC-AUC on the same rows, by a plain paired bootstrap? Run by hand.

    python tests/benchmarks/paired_auc.py --data DIR --artifacts runs/jigsaw-ladder/artifacts \
        tiny:labels-tiny embedding_bag:labels-embedding_bag linear:labels-linear linear:tfidf_chars

DIR holds Jigsaw's test.csv and test_rare.csv; both together are the rows. Resamples are stratified by the combination
of labels, 95 % percentiles (Efron and Tibshirani 1993). The report's own intervals are wider: they allow for
disagreements too rare to have been seen in these rows.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np

from compress.artifact import open_artifact
from compress.data.load import read_labelled
from compress.runtime import open_predictor
from eval.metrics import macro, roc_auc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--artifacts", type=Path, required=True, metavar="DIR")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("pairs", nargs="+", metavar="ONE:OTHER")
    options = parser.parse_args()
    artifacts = {name: open_artifact(options.artifacts / name) for pair in options.pairs for name in pair.split(":")}
    task = next(iter(artifacts.values())).manifest.task
    files = [read_labelled(options.data / name, task) for name in ("test.csv", "test_rare.csv")]
    texts = [text for file in files for text in file.texts]
    targets = np.concatenate([file.targets for file in files])
    draws = list(resamples(targets, options.resamples))

    @cache
    def answers(name: str) -> np.ndarray:
        return open_predictor(artifacts[name]).predict_proba(texts)

    for pair in options.pairs:
        one, other = map(answers, pair.split(":"))

        def lead(rows: np.ndarray, one: np.ndarray = one, other: np.ndarray = other) -> float:
            return macro(roc_auc, targets[rows], one[rows]) - macro(roc_auc, targets[rows], other[rows])

        low, high = np.percentile([lead(rows) for rows in draws], (2.5, 97.5))
        print(f"{pair}: {lead(np.arange(len(targets))):+.4f} ({low:+.4f} to {high:+.4f}), {len(targets)} rows")


def resamples(targets: np.ndarray, count: int) -> list[np.ndarray]:
    """Rows drawn anew within each group of rows that have the same labels."""
    random = np.random.default_rng(13)
    kinds = np.unique(targets, axis=0, return_inverse=True)[1].ravel()
    groups = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    return [np.concatenate([random.choice(group, len(group)) for group in groups]) for _ in range(count)]


if __name__ == "__main__":
    main()
