"""How the C library keeps the memory that this process has used.

By default each thread that reads from S3 gets a heap of its own, and what a large list needed for a
moment stays with the process: some 15% of its peak.
"""

import ctypes

_SETTINGS = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads, of which only one runs Python at a time
    -3: 131_072,  # M_MMAP_THRESHOLD: what is larger is given back as soon as it is free
    -1: 131_072,  # M_TRIM_THRESHOLD: so is what is free at the end of the heap
}
"""The numbers are of glibc's malloc.h."""


def keep_little() -> bool:
    """Have memory given back; return whether the C library is one that can be told so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(name, value) for name, value in _SETTINGS.items())
