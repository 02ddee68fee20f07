"""A teacher's logits and pooled vectors over the transfer set, computed once and kept by content."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compress import processes
from compress.artifact import sha256_text, write_whole

_CHUNK = 2048
_VERSION = 1

Ask = Callable[[Sequence[str]], NDArray[np.float32]]
Progress = Callable[[int, int], None]


def teacher_logits(
    teacher_digest: str,
    open_teacher: Callable[[], Ask],
    texts: Sequence[str],
    outputs: int,
    cache_dir: Path,
    progress: Progress,
) -> NDArray[np.float32]:
    """Logits (N, L) of N texts: read from `cache_dir` where this teacher has answered these texts, else computed.

    open_teacher: gives its predict_logits; called only where there is something to compute. Work is kept in chunks, so
    that a killed pass goes on where it stopped.
    """
    return _kept(f"{_VERSION}:{teacher_digest}", open_teacher, texts, outputs, np.float32, cache_dir, progress)


def teacher_vectors(
    teacher_digest: str,
    open_teacher: Callable[[], Ask],
    texts: Sequence[str],
    width: int,
    cache_dir: Path,
    progress: Progress,
) -> NDArray[np.float16]:
    """Pooled vectors (N, W) of N texts, kept as the logits are, in half precision: there are hundreds of numbers."""
    key = f"{_VERSION}:vectors:{teacher_digest}"
    return _kept(key, open_teacher, texts, width, np.float16, cache_dir, progress)


def _kept(
    of: str,
    open_teacher: Callable[[], Ask],
    texts: Sequence[str],
    columns: int,
    dtype: DTypeLike,
    cache_dir: Path,
    progress: Progress,
) -> NDArray[Any]:
    content = sha256_text(json.dumps(list(texts)))
    key = sha256_text(f"{of}:{content}")[:32]
    whole = cache_dir / "teacher_outputs" / f"{key}.npy"
    with processes.first_alone():
        if not whole.exists():
            _answer(whole, open_teacher, texts, columns, dtype, progress)
    return np.load(whole, mmap_mode="c", allow_pickle=False)


def _answer(
    whole: Path,
    open_teacher: Callable[[], Ask],
    texts: Sequence[str],
    columns: int,
    dtype: DTypeLike,
    progress: Progress,
) -> None:
    """Writes the answers into `whole`, by way of files of a chunk each."""
    parts = []
    ask: Ask | None = None
    for start in range(0, len(texts), _CHUNK):
        part = whole.with_name(f"{whole.stem}.{start}.npy")
        if not part.exists():
            ask = ask or open_teacher()
            write_whole(part, _to_bytes(ask(texts[start : start + _CHUNK]).astype(dtype)))
        parts.append(part)
        progress(min(start + _CHUNK, len(texts)), len(texts))
    answers = [np.load(part, allow_pickle=False) for part in parts]
    write_whole(whole, _to_bytes(np.concatenate(answers) if answers else np.zeros((0, columns), dtype)))
    for part in parts:
        part.unlink()


def _to_bytes(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
