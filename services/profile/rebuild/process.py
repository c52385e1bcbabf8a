"""A process of a pool that folds partitions, one after another: of a rebuild, or of a dry run."""

import asyncio
import gc
import multiprocessing
import os
import threading
import time
from typing import Final

import uvloop

WATCH_PARENT_S: Final = 0.5


def begun() -> asyncio.Runner:
    """Settles this process, which ends with the one that started it; the runner of its work."""
    # Not getppid: the parent may have died while this one was starting.
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.pid,), daemon=True).start()
    # Identities are no cycles, and there will be many: looking for cycles would cost a tenth.
    gc.disable()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_PARENT_S)
    os._exit(1)
