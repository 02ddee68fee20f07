"""fp32 or bf16: what a training computes in."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import torch

from compress.artifact import write_whole
from compress.environment import cpu_features

Precision = Literal["fp32", "bf16"]
_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}
# the shapes of a small encoder's feed-forward layer over a batch; a handful of products take some tens of milliseconds
_ROWS, _INNER, _OUTER, _REPEATS = 2048, 384, 1536, 5
_WORTH = 1.2


def chosen_precision(wanted: Literal["auto", "fp32", "bf16"], device: str, work_dir: Path) -> Precision:
    """The recipe's word, or under `auto` bf16 where it is faster: on CUDA from Ampere on, on CPUs by a short trial.

    CPUs with AMX gain two to four times. avx512_bf16 alone may well lose, so its flag does not decide. The choice is
    kept in work_dir: a training that is resumed goes on as it began.
    """
    if wanted != "auto":
        return wanted
    kept = work_dir / "precision"
    if not kept.exists():
        write_whole(kept, "bf16" if _pays(device) else "fp32")
    return cast(Precision, kept.read_text(encoding="utf-8"))


def _pays(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not _FEATURES & set(cpu_features()):
        return False
    times = {dtype: _best_seconds(_product(dtype)) for dtype in (torch.float32, torch.bfloat16)}
    return times[torch.float32] / times[torch.bfloat16] >= _WORTH


def _product(dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    left, right = torch.ones(_ROWS, _INNER, dtype=dtype), torch.ones(_INNER, _OUTER, dtype=dtype)
    return lambda: left @ right


def _best_seconds(work: Callable[[], object]) -> float:
    """The fastest of a few calls, the first not counted: what the machine can do when nothing disturbs it."""
    work()
    seconds = []
    for _ in range(_REPEATS):
        before = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - before)
    return min(seconds)
