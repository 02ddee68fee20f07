"""A teacher's logits over the transfer set, computed once and kept by content."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.artifact import sha256_text, write_whole

_CHUNK = 2048
_VERSION = 1


def teacher_logits(
    teacher_digest: str,
    predict_logits: Callable[[Sequence[str]], NDArray[np.float32]],
    texts: Sequence[str],
    outputs: int,
    cache_dir: Path,
    progress: Callable[[int, int], None],
) -> NDArray[np.float32]:
    """Logits (N, L) of N texts: read from `cache_dir` where this teacher has answered these texts, else computed.

    Work is kept in chunks, so that a killed pass goes on where it stopped.
    """
    content = sha256_text(json.dumps(list(texts)))
    key = sha256_text(f"{_VERSION}:{teacher_digest}:{content}")[:32]
    whole = cache_dir / "teacher_outputs" / f"{key}.npy"
    if whole.exists():
        return np.load(whole, mmap_mode="c", allow_pickle=False)
    parts = []
    for start in range(0, len(texts), _CHUNK):
        part = whole.with_name(f"{key}.{start}.npy")
        if not part.exists():
            write_whole(part, _to_bytes(predict_logits(texts[start : start + _CHUNK])))
        parts.append(part)
        progress(min(start + _CHUNK, len(texts)), len(texts))
    logits = [np.load(part, allow_pickle=False) for part in parts]
    write_whole(whole, _to_bytes(np.concatenate(logits) if logits else np.zeros((0, outputs), np.float32)))
    for part in parts:
        part.unlink()
    return np.load(whole, mmap_mode="c", allow_pickle=False)


def _to_bytes(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()
