"""All partitions folded at once, in as many processes as there are cores.

Invariant: when `fill_all` has ended, however it did, none of its processes writes any more.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from services.profile.rebuild import filling
from services.profile.rebuild.filling import Filled, Part, Shadow
from shared.errors import AttuneError

Progress = Callable[[int], object]
"""Called with the number of facts just folded."""


class RebuildFailed(AttuneError):
    """A process of the rebuild failed; the live generation is as it was."""

    code = "rebuild_failed"


async def fill_all(shadow: Shadow, parts: Sequence[Part], progress: Progress) -> list[Filled]:
    """Fills the generation from each of these. Raises RebuildFailed."""
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(
        processes(len(parts)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=filling.begin,
        initargs=(shadow,),
    )
    running = [loop.run_in_executor(pool, filling.fill, part) for part in parts]
    filled = []
    try:
        for done in asyncio.as_completed(running):
            found = await done
            if isinstance(found, str):
                raise RebuildFailed(found)
            progress(found.facts)
            filled.append(found)
    except BrokenProcessPool as error:
        raise RebuildFailed("a process of the rebuild has ended") from error
    except asyncio.CancelledError:
        _end_children(running)
        raise
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
    return filled


def processes(partitions: int) -> int:
    """One for each core, as far as there are partitions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, partitions))


def _end_children(running: "Sequence[asyncio.Future[Any]]") -> None:
    """Whoever calls this off waits for nobody to fold on."""
    for result in running:
        result.cancel()
    for child in multiprocessing.active_children():
        child.terminate()
