"""How many threads this process may use. Standard library alone."""

import os


def all_threads() -> int:
    """Cores this process may use: its CPU affinity, and OMP_NUM_THREADS where that is set lower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores
