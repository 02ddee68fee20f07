"""How this process holds its memory. Standard library alone."""

import ctypes
import sys
from pathlib import Path

# names and numbers of glibc's mallopt(3)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_SETTINGS = ((_M_MMAP_THRESHOLD, 256 * 2**20), (_M_TRIM_THRESHOLD, 2**31 - 1))


def keep_freed_memory() -> bool:
    """Has glibc keep freed blocks of up to 256 MB for the next use; whether it could (only glibc has the switch).

    By default it gives an activation's memory back to the system after each training step and takes a page fault
    for every 4 KB of the next one: about a tenth of a step on CPUs. The process holds on to its peak instead.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return all(mallopt(ctypes.c_int(name), ctypes.c_int(value)) for name, value in _SETTINGS)


def peak_memory_bytes() -> int | None:
    """The most memory (resident set) that this process has held so far; None where the system does not say.

    Linux's own figure of the address space: getrusage's would begin at what the parent held when it started us.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
