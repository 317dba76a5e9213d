"""Make glibc keep its pages: given back to the kernel, faulting them in again is up to a third of a training step."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEPT_BYTES = (1 << 31) - 1
PAD_BYTES = 64 << 20


def keep_pages() -> bool:
    """Tell malloc never to shrink the heap, nor to map large blocks apart. False where there is no glibc."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_TOP_PAD, PAD_BYTES), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
