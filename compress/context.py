"""What a stage is given besides its config and its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""progress(what, done, total): called as work goes on; the command line draws it."""


def silent(what: str, done: int, total: int) -> None:
    """A Progress that shows nothing."""


@dataclass(frozen=True)
class Context:
    """seed: of every random choice. device: "cpu" or "cuda". work_dir: the stage's own scratch (checkpoints), which
    outlives a kill and goes when the stage is done. cache_dir: files named by content, shared by the stages of a run.
    """

    seed: int
    device: str
    work_dir: Path
    cache_dir: Path
    progress: Progress = silent
