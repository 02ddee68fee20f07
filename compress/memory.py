"""How this process holds its memory. Standard library alone."""

import ctypes
import sys

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
