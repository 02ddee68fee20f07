"""How long do 2,000 resamples of 10,000 rows with 6 labels take, and the intervals made of them? By hand.

    python tests/benchmarks/resample_speed.py --output resample-speed.json
    python tests/benchmarks/resample_speed.py --rows 1000000 --resamples 200 --repeats 1

Every metric of one candidate, by label and averaged, as `compress run` judges it. Labels have Jigsaw's shares, scores
have no ties. Wanted: the median of the repeats under 2 seconds; exit code 1 where it does not come to that.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from compress.environment import environment
from compress.memory import keep_freed_memory
from eval.contract import LabelledTexts
from eval.evaluator import judge
from eval.intervals.scores import intervals

SECONDS = 2.0
SHARES = (0.1, 0.01, 0.05, 0.003, 0.05, 0.009)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the result as JSON")
    options = parser.parse_args()
    keep_freed_memory()
    rng = np.random.default_rng(0)
    targets = (rng.random((options.rows, len(SHARES))) < SHARES).astype(np.int8)
    scores = (0.3 * targets + 0.7 * rng.random(targets.shape)).astype(np.float32)
    test_set = LabelledTexts(("",) * options.rows, tuple(map(str, range(len(SHARES)))), targets)
    thresholds = np.full(len(SHARES), 0.5, np.float32)
    spent = []
    for repeat in range(options.repeats):
        started, busy = time.perf_counter(), time.process_time()
        judged = judge(scores, test_set, thresholds, resamples=options.resamples, seed=repeat)
        drawn = time.perf_counter()
        intervals(targets, judged)
        ended = time.perf_counter()
        spent.append(ended - started)
        seconds = f"{drawn - started:.2f} s of resamples, {ended - drawn:.2f} s of intervals"
        print(f"{seconds}; {time.process_time() - busy:.2f} s of processors", flush=True)
    size = f"{options.resamples:,} resamples of {options.rows:,} rows x {len(SHARES)} labels"
    print(f"{size}: {median(spent):.2f} s (median of {options.repeats})")
    if options.output is not None:
        facts = {
            "rows": options.rows,
            "labels": len(SHARES),
            "resamples": options.resamples,
            "seconds": spent,
            "median_seconds": median(spent),
            "environment": environment(),
        }
        options.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sys.exit(median(spent) >= SECONDS)


if __name__ == "__main__":
    main()
