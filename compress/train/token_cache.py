"""Training texts as tokens on disk: cut once for a vocabulary, then mapped into memory by whatever trains on them."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from compress import processes
from compress.artifact import sha256_text
from compress.pieces import FlatTokens, Ids, Pieces, Reader

_VERSION = 1


def cached_pieces(reader: Reader, texts: Sequence[str], most: int, cache_dir: Path) -> Pieces:
    """What `reader.pieces(texts, most=most)` gives, read from `cache_dir` where these texts were cut so before.

    The ids are mapped from a file, so that they take memory only while they are used, and once for all processes.
    """
    content = sha256_text(json.dumps(list(texts)))
    key = sha256_text(f"{_VERSION}:{reader.digest}:{reader.needs_types}:{most}:{content}")[:32]
    whole = cache_dir / "tokens" / f"{key}.npz"
    with processes.first_alone():
        if not whole.exists():
            _write(whole, reader, texts, most)
    with np.load(whole, allow_pickle=False) as sizes:
        tokens, counts = sizes["tokens"], sizes["counts"]
    types = _mapped(whole.with_suffix(".types"), tokens) if reader.needs_types else None
    return Pieces(FlatTokens(_mapped(whole.with_suffix(".ids"), tokens), types, tokens), counts)


def _write(whole: Path, reader: Reader, texts: Sequence[str], most: int) -> None:
    """Writes the ids run by run, so that memory does not grow with the texts; `whole` comes last: all is there."""
    whole.parent.mkdir(parents=True, exist_ok=True)
    sizes: list[int] = []
    counts = [np.zeros(0, np.int64)]
    with ExitStack() as stack:
        ids = stack.enter_context(_written(whole.with_suffix(".ids")))
        types = stack.enter_context(_written(whole.with_suffix(".types"))) if reader.needs_types else None
        for run in reader.runs(texts, most=most):
            counts.append(run.counts)
            for item in run.tokens:
                sizes.append(len(item))
                ids.write(item.ids.tobytes())
                if types is not None:
                    types.write(item.types.tobytes())
    with _written(whole) as file:
        np.savez(file, tokens=np.array(sizes, np.int64), counts=np.concatenate(counts))


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place, whole, when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _mapped(path: Path, sizes: NDArray[np.int64]) -> Ids:
    """int32 numbers of a file; one without any cannot be mapped."""
    count = int(sizes.sum())
    return np.memmap(path, np.int32, "r", shape=(count,)) if count else np.zeros(0, np.int32)
