"""Asks Linux to keep this process's memory in pages of 2 MB instead of 4 KB.

A request touches objects all over some hundred megabytes, and the processor's cache of page
addresses holds a fraction of them; on a virtual machine each look-up is dear. Where the system
cannot, nothing changes.
"""

import ctypes
import logging
from pathlib import Path
from typing import Final

SMALLEST: Final = 2 << 20
HUGEPAGE: Final = 14
"""MADV_HUGEPAGE: from now on, as memory is touched."""
COLLAPSE: Final = 25
"""MADV_COLLAPSE: what is in memory already, at once (Linux 6.1)."""

_logger = logging.getLogger(__name__)


def use_huge_pages() -> None:
    """Ask for all private writable memory that is mapped now. Takes some ten milliseconds, and
    blocks for that long."""
    try:
        advise = ctypes.CDLL(None).madvise
        maps = Path("/proc/self/maps").read_text()
    except (OSError, AttributeError):
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    asked = 0
    for start, size in _writable(maps):
        if advise(start, size, HUGEPAGE) == 0:
            asked += size
            advise(start, size, COLLAPSE)
    _logger.info("huge pages asked for", extra={"megabytes": asked >> 20})


def _writable(maps: str) -> list[tuple[int, int]]:
    """Start and size of the anonymous mappings that hold data, whole huge pages of them."""
    found = []
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        named = fields[5] if len(fields) > 5 else "[heap]"
        if not fields[1].startswith("rw-p") or named != "[heap]":
            continue
        start, end = (int(bound, 16) for bound in fields[0].split("-"))
        first = -(-start // SMALLEST) * SMALLEST
        if end - first >= SMALLEST:
            found.append((first, (end - first) // SMALLEST * SMALLEST))
    return found
