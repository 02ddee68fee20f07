"""From the start of a process to its first answer, and the memory that takes: what a fresh container is like."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from compress.artifact import Artifact
from compress.errors import CompressError
from eval.contract import Interval

STARTS = 5
BATCH = 32
_PROGRAM = """\
import json, sys
from pathlib import Path
from compress import open_predictor
from compress.memory import peak_memory_bytes

texts = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
predictor = open_predictor(sys.argv[1])
predictor.predict_logits(texts[:1])
print(peak_memory_bytes(), flush=True)
predictor.predict_logits(texts)
print(peak_memory_bytes())
"""


@dataclass(frozen=True)
class ColdStart:
    """start_ms: the median of five starts, and the fastest and slowest of them (a 94 % interval of the median).

    peak_memory_mb: the most memory that the process held up to its first answer, in millions of bytes;
    peak_memory_batch_mb: and after a batch of 32 texts. None where the system does not say.
    """

    start_ms: Interval
    peak_memory_mb: float | None
    peak_memory_batch_mb: float | None


def cold_start(artifact: Artifact, texts: Sequence[str]) -> ColdStart:
    """Opens the artifact in fresh processes, its sha256s checked as always, on the CPU with every core.

    texts: 32 are taken, one of them is the first answer. Files lie in the system's cache from the second start on.
    Raises CompressError with what a process said that ended before its answer.
    """
    batch = [texts[place % len(texts)] for place in range(BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(batch), encoding="utf-8")
        starts = [_start(artifact.path, file, Path(folder) / "errors.txt") for _ in range(STARTS)]
    times = [start.seconds * 1000 for start in starts]
    return ColdStart(
        start_ms=Interval(statistics.median(times), min(times), max(times)),
        peak_memory_mb=_middle([start.peaks[0] for start in starts]),
        peak_memory_batch_mb=_middle([start.peaks[1] for start in starts]),
    )


@dataclass(frozen=True)
class _Start:
    """seconds: to the first answer. peaks: bytes after it and after the batch."""

    seconds: float
    peaks: tuple[int | None, int | None]


def _start(artifact: Path, texts: Path, errors: Path) -> _Start:
    # what lies in the current folder must not be imported in place of a library
    command = [sys.executable, "-P", "-c", _PROGRAM, str(artifact.resolve()), str(texts)]
    home = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])}
    with errors.open("wb") as said:
        started = perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment) as process:
            first = process.stdout.readline() if process.stdout else ""
            seconds = perf_counter() - started
            second = process.stdout.read() if process.stdout else ""
    if process.returncode:
        last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise CompressError(f"{artifact}: a fresh process ended before its first answer: {''.join(last)}")
    return _Start(seconds, (_bytes(first), _bytes(second)))


def _bytes(line: str) -> int | None:
    return int(line) if line.strip().isdigit() else None


def _middle(peaks: Sequence[int | None]) -> float | None:
    known = [peak for peak in peaks if peak is not None]
    return statistics.median(known) / 1e6 if known else None
