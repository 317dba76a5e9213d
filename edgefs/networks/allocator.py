"""Memory pages of glibc: mapping returned pages again costs up to a third of a training step."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEPT_BYTES = (1 << 31) - 1
PAD_BYTES = 64 << 20


def keep_pages() -> bool:
    """Tell malloc to keep freed pages and to take large blocks from the heap. Returns False without glibc."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_TOP_PAD, PAD_BYTES), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
