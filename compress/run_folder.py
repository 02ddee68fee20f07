"""The folder that a command writes into: whose it is, who works in it now, and what a killed run left there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from compress.artifact import read_json, recover, run_lock, write_whole
from compress.errors import UserError

Kind = Literal["run", "evaluate", "data", "bench"]
_MARKER = ".compress-run"
_FRESH = ".fresh.json"
# older runs have no marker, but one of these
_SIGNS = ("recipe.lock", ".lock")


@contextmanager
def run_folder(out: Path, kind: Kind) -> Iterator[None]:
    """Holds `out` for this process, marked as ours and cleared of what a killed one left half-written.

    Raises UserError, with nothing touched, if the folder is somebody's own or another command's; BusyError if another
    process holds it.
    """
    _check_owner(out, kind)
    with run_lock(out):
        if not (out / _MARKER).is_file():
            write_whole(out / _MARKER, f"{kind}\n")
        _sweep(out)
        yield


@contextmanager
def working_folder(out: Path | None, kind: Kind) -> Iterator[Path]:
    """Where a command may keep what it has to write while it works: in `out`, held as above, or gone afterwards."""
    if out is None:
        with TemporaryDirectory() as scratch:
            yield Path(scratch)
    else:
        with run_folder(out, kind):
            yield out / "cache"


def _check_owner(out: Path, kind: Kind) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file; --out names a folder.")
    owner = _owner(out)
    if owner is None and any(out.iterdir()):
        raise UserError(
            f"{out} holds files that compress did not write, and a run replaces and deletes files in its folder. "
            "Give --out a new or an empty folder."
        )
    if owner not in {None, kind}:
        said = "a run" if owner == "run" else f"compress {owner}"
        raise UserError(f"{out} is the folder of {said}, whose report would be lost; give --out another one.")


def _owner(out: Path) -> str | None:
    marker = out / _MARKER
    if marker.is_file():
        return marker.read_text(encoding="utf-8", errors="replace").strip()
    return "run" if any((out / name).is_file() for name in _SIGNS) else None


def _sweep(out: Path) -> None:
    """Under the lock nobody else writes here, so whatever is half-written is a killed run's."""
    artifacts = out / "artifacts"
    for left in [*artifacts.glob(".*.writing"), *artifacts.glob(".*.old")]:
        recover(artifacts / left.stem.removeprefix("."))
    for file in [*out.glob(".*.writing"), *(out / "cache").rglob(".*.writing")]:
        file.unlink()


class Pending:
    """The stages that `--fresh` has still to run, kept in the run's folder: a run cut short goes on with them."""

    def __init__(self, out: Path) -> None:
        self.file = out / _FRESH
        known = read_json(self.file)
        self.begun = isinstance(known, list)
        self.stages: tuple[str, ...] = tuple(map(str, known)) if isinstance(known, list) else ()

    def begin(self, stages: tuple[str, ...]) -> None:
        """Wipes caches and checkpoints and lists every stage, unless a fresh run was begun before and cut short."""
        if self.begun:
            return
        for name in ("cache", "work"):
            shutil.rmtree(self.file.parent / name, ignore_errors=True)
        self._write(stages)

    def done(self, stage: str) -> None:
        """The stage's new artifact is whole."""
        if stage in self.stages:
            self._write(tuple(name for name in self.stages if name != stage))

    def end(self) -> None:
        """Everything is new, the report too."""
        self.file.unlink(missing_ok=True)

    def _write(self, stages: tuple[str, ...]) -> None:
        self.begun, self.stages = True, stages
        write_whole(self.file, json.dumps(stages) + "\n")
