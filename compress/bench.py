"""Latency, size and cold start of any artifacts, without labels: what `compress bench` measures and writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import sha256_text, write_whole
from compress.context import Progress
from compress.data import read_texts, synthetic
from compress.environment import environment
from compress.judge import open_artifacts
from compress.measure import measure_cost
from compress.measure.store import Store
from compress.recipe.data import Task
from compress.recipe.recipe import Evaluate
from eval.latency.conditions import Conditions
from eval.measurement import Measurement
from eval.plain import dump
from eval.report.latency import HOW_TO_READ, latency_tables
from eval.report.table import markdown_table, plain

_SEED = 13
_BUILTIN = (
    "the texts are the built-in generated comments, short ones; times of longer texts differ: give your own in --data"
)


@dataclass(frozen=True)
class Bench:
    """What was measured, of whom, on what. candidates: without quality. timing: what else the machine did meanwhile."""

    candidates: tuple[Measurement, ...]
    teacher_id: str | None
    texts: str
    notes: tuple[str, ...]
    environment: dict[str, Any]
    timing: tuple[Conditions, ...]
    command: str | None = None

    @property
    def machine(self) -> str:
        """`some CPU, 2 cores (avx2, avx512f), threads 1, 2, load 0.5–3.1`; a GPU too where it was timed."""
        facts, cores = self.environment, self.environment["cores"]
        features = ", ".join(facts["cpu_features"]) or "no vector extensions known"
        said = [str(facts["cpu"]), f"{cores} core{'s' * (cores != 1)} ({features})"]
        said.append(f"threads {', '.join(dict.fromkeys(str(it.threads) for it in self.timing))}")
        loads = [load for it in self.timing for load in (it.load_before, it.load_after) if load is not None]
        if loads:
            said.append(f"load {min(loads):.1f}–{max(loads):.1f}")
        if any(it.device == "cuda" for it in self.timing):
            said.append(str(facts["gpu"]))
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        """The document of --json and bench.json; `candidates` and `timing` as in report.json."""
        return {
            "command": self.command,
            "environment": self.environment,
            "texts": self.texts,
            "notes": list(self.notes),
            "teacher": self.teacher_id,
            "timing": [dump(it) for it in self.timing],
            "candidates": [it.to_json() for it in self.candidates],
        }


def bench_artifacts(
    folders: Sequence[Path],
    teacher: Path | None,
    data: Path | None,
    config: Evaluate,
    cache_dir: Path,
    progress: Progress,
    command: str | None = None,
) -> Bench:
    """Times the artifacts on the texts of `data`, read as the first one's task says; None: generated comments.

    Labels need not agree, and none are read. Raises ArtifactError or DataError for what cannot be opened.
    """
    artifacts = open_artifacts(folders, teacher)
    texts = _texts(data, next(iter(artifacts.values())).manifest.task)
    teacher_id = next(iter(artifacts)) if teacher else None
    store = Store(cache_dir / "measurements", config, _SEED)
    digest = sha256_text(json.dumps(texts))
    measured = measure_cost(artifacts, texts, digest, teacher_id, store, progress)
    return Bench(
        candidates=measured.measurements,
        teacher_id=teacher_id,
        texts=f"{len(texts):,} texts, {'generated' if data is None else data}",
        notes=(*((_BUILTIN,) if data is None else ()), *measured.notes, *measured.timing_notes),
        environment=environment(),
        timing=measured.timing,
        command=command,
    )


def write_bench(found: Bench, out: Path) -> None:
    """bench.json and bench.md."""
    write_whole(out / "bench.json", dump_bench(found))
    write_whole(out / "bench.md", _markdown(found))


def dump_bench(found: Bench) -> str:
    """The text of bench.json."""
    return json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _texts(data: Path | None, task: Task) -> tuple[str, ...]:
    return synthetic.generate("test", _SEED)[0] if data is None else read_texts(data, task)


def _markdown(found: Bench) -> str:
    parts = ["# Bench", *(f"> **Note:** {plain(note)}" for note in found.notes), f"On {plain(found.texts)}."]
    parts.append(f"Measured on: {plain(found.machine)}.")
    for table in latency_tables(found.candidates):
        parts += [f"## {table.title}", markdown_table(table.headings, table.rows)]
    parts += ["## How to read it", HOW_TO_READ]
    if found.command:
        parts += ["## How to reproduce it", f"    {found.command}"]
    return "\n\n".join(parts) + "\n"
