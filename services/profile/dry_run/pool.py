"""All partitions replayed at once, in as many processes as there are cores."""

import asyncio
import ctypes
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from services.profile.dry_run import replaying
from services.profile.dry_run.playing import Replayed
from services.profile.dry_run.replaying import Setup
from services.profile.rebuild.pool import Progress, processes
from shared.errors import AttuneError

POLL_S: Final = 0.2


class DryRunFailed(AttuneError):
    """A process of the dry run failed."""

    code = "dry_run_failed"


async def replay_all(setup: Setup, progress: Progress) -> list[Replayed]:
    """Each partition of the history, in their order. Raises DryRunFailed."""
    context = multiprocessing.get_context("spawn")
    # Each process adds to it under its lock: so the bar moves within a partition too.
    counter = context.Value(ctypes.c_longlong, 0)
    ends = setup.history.ends
    largest_first = sorted(ends, key=lambda partition: (-ends[partition], partition))
    pool = ProcessPoolExecutor(
        processes(len(ends)),
        mp_context=context,
        initializer=replaying.begin,
        initargs=(setup, counter),
    )
    loop = asyncio.get_running_loop()
    running = [loop.run_in_executor(pool, replaying.replay, number) for number in largest_first]
    try:
        found = await _results(running, counter, progress)
    except BrokenProcessPool as error:
        raise DryRunFailed("a process of the dry run has ended") from error
    except BaseException:
        # They write nothing anywhere: nobody waits for what is not wanted any more.
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
    return sorted(found, key=lambda one: one.partition)


async def _results(
    running: "Sequence[asyncio.Future[Replayed | str]]", counter: Any, progress: Progress
) -> list[Replayed]:
    shown, found = 0, []
    pending = set(running)
    while pending:
        done, pending = await asyncio.wait(
            pending, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
        )
        now = counter.value
        progress(now - shown)
        shown = now
        for one in done:
            result = one.result()
            if isinstance(result, str):
                raise DryRunFailed(result)
            found.append(result)
    return found
