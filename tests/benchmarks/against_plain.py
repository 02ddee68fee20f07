"""Is a small int8 student faster than the plain int8 of the unpruned model that other libraries' scripts make?

    python tests/benchmarks/against_plain.py --unpruned runs/s/artifacts/teacher-onnx --train DIR/train.csv \\
        --test DIR/test.csv --student runs/s/artifacts/structured-int8 --also runs/s/artifacts/structured-openvino

Plain are plain_openvino.py (NNCF's static int8) and plain_ort.py (dynamic int8), made anew of --unpruned. All are timed
in one interleaved run, text in, one thread, batch 1, texts as they come, over eight openings of all models, each time
after every model has met all those texts: OpenVINO makes its kernels when a length first comes. Then each answers the
test rows. Wanted of --student beside either of them: the interval of plain time / its time above 1, and
macro ROC-AUC no more than .003 below. --also: more artifacts for the table, as other backends' int8 of that student.
Exit code 1 where that is not so.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read by NumPy when it is imported

import numpy as np
import plain_openvino
import plain_ort

from compress.artifact import Artifact, open_artifact
from compress.data import read_labelled_with_notes
from compress.measure.candidates import candidate_of
from compress.runtime import open_predictor
from compress.telemetry import no_telemetry
from eval.contract import Candidate, Footprint
from eval.latency.intervals import paired_speedup
from eval.latency.rounds import joined, measure_latency
from eval.metrics import macro, roc_auc

OPENINGS, LOST, TEXTS = 8, 0.003, 100
PLAIN = ("OpenVINO + NNCF, plain", "ONNX Runtime dynamic, plain")


@dataclass
class Plain:
    """Logits in place of probabilities: ROC-AUC and time are the same but for a sigmoid."""

    labels: tuple[str, ...]
    logits: Callable[[Sequence[str]], np.ndarray]

    def predict_proba(self, texts: Sequence[str]) -> Any:
        return (1 / (1 + np.exp(-self.logits(texts)))).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--unpruned", "--train", "--test", "--student"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    parser.add_argument("--column", default="comment_text")
    parser.add_argument("--rounds", type=int, default=25, help="of each of eight openings")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, of each opening")
    options = parser.parse_args()
    no_telemetry()
    unpruned, student = open_artifact(options.unpruned), open_artifact(options.student)
    artifacts = {it.manifest.stage_id: it for it in (student, unpruned, *map(open_artifact, options.also))}
    rows = read_labelled_with_notes(options.test, unpruned.manifest.task, ()).rows
    with tempfile.TemporaryDirectory() as folder:
        openers = plain_models(unpruned, options, Path(folder))
        sizes = {PLAIN[0]: "plain.bin", PLAIN[1]: "plain.onnx"}
        megabytes = {name: (Path(folder) / file).stat().st_size / 1e6 for name, file in sizes.items()}
        megabytes |= {
            name: sum((it.path / file).stat().st_size for file in it.manifest.file_sha256s if file.startswith("model."))
            / 1e6
            for name, it in artifacts.items()
        }
        samples = joined([one_opening(artifacts, openers, rows.texts, number, options) for number in range(OPENINGS)])
        opened = candidates(artifacts, openers, rows.labels)
        quality = {it.id: macro(roc_auc, rows.targets, it.predict(rows.texts)) or 0.0 for it in opened}
    seconds = dict(zip(samples.candidates, samples.seconds.T, strict=True))
    name, good = student.manifest.stage_id, True
    print(f"{'model':32} {'MB':>6} {'p50 ms':>8} {'macro ROC-AUC':>14}   its time / {name}'s")
    for other, times in seconds.items():
        ratio = paired_speedup(times, seconds[name], samples.openings)
        verdict = ""
        if other in PLAIN:
            met = ratio.low is not None and ratio.low > 1 and quality[name] >= quality[other] - LOST
            good, verdict = good and met, "  met" if met else "  MISSED"
        print(
            f"{other:32} {megabytes[other]:6.1f} {1000 * np.median(times):8.2f} {quality[other]:14.4f}   "
            f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f}){verdict}"
        )
    sys.exit(0 if good else 1)


def plain_models(unpruned: Artifact, options: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Any]]:
    """Makes both, and says how each is opened."""
    tokens = unpruned.manifest.token_limit
    texts = plain_openvino.read_texts(options.train, options.column)
    plain_openvino.quantize(unpruned.path, texts, folder / "plain.xml", tokens)
    plain_ort.quantize(unpruned.path, folder / "plain.onnx")
    return {
        PLAIN[0]: lambda: plain_openvino.open_plain(unpruned.path, folder / "plain.xml", 1, tokens),
        PLAIN[1]: lambda: plain_ort.open_plain(unpruned.path, folder / "plain.onnx", 1, tokens),
    }


def candidates(
    artifacts: dict[str, Artifact], openers: dict[str, Callable[[], Any]], labels: tuple[str, ...]
) -> list[Candidate]:
    ours = [candidate_of(name, it, open_predictor(it, threads=1)) for name, it in artifacts.items()]
    nothing = Footprint(0, 0, 0, 0, 0.0)
    return ours + [
        Candidate(name, "plain", "plain", "plain", "cpu", 1, nothing, None, Plain(labels, opener()))
        for name, opener in openers.items()
    ]


def one_opening(
    artifacts: dict[str, Artifact],
    openers: dict[str, Callable[[], Any]],
    texts: Sequence[str],
    number: int,
    options: argparse.Namespace,
) -> Any:
    opened = candidates(artifacts, openers, next(iter(artifacts.values())).manifest.labels)
    places = np.random.default_rng(13 + number).permutation(len(texts))[:TEXTS]
    texts = [texts[place] for place in places]
    for candidate in opened:
        for text in texts:
            candidate.predict([text])
    limits = {"rounds": options.rounds, "max_seconds": options.seconds, "seed": 13 + number, "least": 1}
    return measure_latency(opened, texts, batch_size=1, **limits)


if __name__ == "__main__":
    main()
