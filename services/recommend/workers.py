"""Several processes behind one port: forked before the loop starts, sharing the bound socket.

Each worker is a whole recommend process with its own catalogue, live tail and metrics; a scrape
reaches one of them, so production gives each process a port of its own where it counts.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from shared.errors import AttuneError

STOP_S: Final = 15.0
POLL_S: Final = 0.5

_logger = logging.getLogger(__name__)


def fork(count: int, run: Callable[[], None]) -> list[int]:
    """Start `count` children that run `run` and end; their process ids."""
    children = []
    for _ in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        status = 1
        try:
            run()
            status = 0
        except KeyboardInterrupt:
            status = 0
        except AttuneError as error:
            _logger.error("worker: %s", error, extra={"code": error.code})  # noqa: TRY400
        except Exception:
            _logger.exception("worker failed")
        finally:
            os._exit(status)
    return children


def end(children: list[int]) -> None:
    """Ask the children to stop, wait, and kill who does not."""
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    left = set(children)
    while left:
        for child in list(left):
            with suppress(ChildProcessError):
                if os.waitpid(child, os.WNOHANG)[0] == 0:
                    continue
            left.discard(child)
        if left and time.monotonic() > deadline:
            for child in left:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            deadline += STOP_S
        time.sleep(0.02)


async def stop_after(children: Sequence[int], stop: Callable[[], None]) -> None:
    """Stop all once one of the children has ended, as far as nobody asked it to: whoever watches
    over this process starts them anew, and fewer than asked for would pass unseen."""
    while not any(map(_ended, children)):  # noqa: ASYNC110  (as below)
        await asyncio.sleep(POLL_S)
    _logger.error("a worker has ended; all stop")
    stop()


def _ended(child: int) -> bool:
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


async def stop_without(parent: int, stop: Callable[[], None]) -> None:
    """Stop this worker once its parent is gone, so that none outlives it."""
    while os.getppid() == parent:  # noqa: ASYNC110  (nobody tells a process that its parent died)
        await asyncio.sleep(POLL_S)
    stop()
