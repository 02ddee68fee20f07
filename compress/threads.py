"""How many threads this process may use. Standard library alone."""

import os
from collections.abc import Iterable


def all_threads() -> int:
    """Cores this process may use: its CPU affinity, and OMP_NUM_THREADS where that is set lower."""
    cores, asked = _cores(), os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


def beyond(counts: Iterable[int | str]) -> tuple[int, ...]:
    """Those of the numbers that are more than all_threads."""
    return tuple(count for count in counts if isinstance(count, int) and count > all_threads())


def thread_limit() -> str:
    """How many there are and why, for a message: `only 1 may be used here (OMP_NUM_THREADS=1)`."""
    if all_threads() < _cores():
        why = f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"
    else:
        why = "the process is held to these cores" if _cores() < (os.cpu_count() or 1) else "the machine's cores"
    return f"only {all_threads()} may be used here ({why})"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
