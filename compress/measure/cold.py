"""From the start of a process to its first answer, and the memory that takes: what a fresh container is like."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from compress.artifact import Artifact
from compress.context import Progress
from compress.errors import CompressError
from eval.contract import Interval

# of how starts are timed: raised when they would come out otherwise
METHOD = 3
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


@dataclass(frozen=True)
class ColdStarts:
    """By candidate id. Like times, they compare within one interleaved measurement only."""

    by_id: dict[str, ColdStart]


def cold_starts(artifacts: Mapping[str, Artifact], texts: Sequence[str], progress: Progress) -> ColdStarts:
    """Opens each artifact in fresh processes, its sha256s checked as always, on the CPU with every core.

    One start of each in every round, and the order turned round in the next: a slow minute of the machine slows all.
    texts: 32 are taken, one of them is the first answer. Files lie in the system's cache from the second start on.
    Raises CompressError with how a process ended that did not give its answers, and the last that it said.
    """
    batch = [texts[place % len(texts)] for place in range(BATCH)]
    starts: dict[str, list[_Start]] = {name: [] for name in artifacts}
    order, total = list(artifacts), STARTS * len(artifacts)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(batch), encoding="utf-8")
        for number in range(STARTS):
            for place, name in enumerate(order):
                progress("starting fresh processes", number * len(order) + place, total)
                starts[name].append(_start(artifacts[name].path, file, Path(folder) / "errors.txt"))
            order.reverse()
    progress("starting fresh processes", total, total)
    return ColdStarts({name: _summed_up(its) for name, its in starts.items()})


def _summed_up(starts: "Sequence[_Start]") -> ColdStart:
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
        when = f"after its first answer, at a batch of {BATCH} texts" if first else "before its first answer"
        why = "".join(last) or "it said nothing"
        raise CompressError(f"{artifact}: a fresh process ended {when} ({_ending(process.returncode)}): {why}")
    return _Start(seconds, (_bytes(first), _bytes(second)))


def _ending(code: int) -> str:
    """How a process ended, of its return code: below 0 by a signal of that number."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"killed by {name}" + ", as the system does when memory runs out" * (name == "SIGKILL")


def _bytes(line: str) -> int | None:
    return int(line) if line.strip().isdigit() else None


def _middle(peaks: Sequence[int | None]) -> float | None:
    known = [peak for peak in peaks if peak is not None]
    return statistics.median(known) / 1e6 if known else None
