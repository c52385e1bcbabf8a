"""Several processes behind one port: forked before the loop starts, each with a socket of its own.

One socket for all would leave it to chance who takes new connections, and who is woken first takes
most of what comes at once: with keep-alive, one process would go on doing the work of all. Each
worker is a whole recommend process with its own catalogue, live tail and metrics; a scrape reaches
one of them, so production gives each process a port of its own where it counts.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from shared.errors import AttuneError
from shared.health import bind

STOP_S: Final = 15.0
POLL_S: Final = 0.5

_logger = logging.getLogger(__name__)


def bind_for(host: str, port: int, count: int) -> list[socket.socket]:
    """A socket for each of `count` processes, of which those that listen share out connections by
    their addresses (SO_REUSEPORT, where the system does so). Raises SettingsError as `bind`."""
    first = bind(host, port)
    if count == 1 or sys.platform != "linux":
        return [first] * count
    # that bind has found the port free; one that shares it would join who listens there already
    address = first.getsockname()[:2]
    first.close()
    return [bind(*address, shared=True) for _ in range(count)]


def fork(listeners: Sequence[socket.socket], run: Callable[[socket.socket], None]) -> list[int]:
    """Start a child for each socket but the first, that runs `run` with it and ends; their process
    ids. The first is for this process."""
    children = []
    for own in listeners[1:]:
        child = os.fork()
        if child:
            children.append(child)
            continue
        status = 1
        # Linux shares out cores among sessions before processes (kernel.sched_autogroup_enabled):
        # workers in one would together have what each other service has. The parent ends them.
        os.setsid()
        try:
            _let_go(listeners, own)
            run(own)
            status = 0
        except KeyboardInterrupt:
            status = 0
        except AttuneError as error:
            _logger.error("worker: %s", error, extra={"code": error.code})  # noqa: TRY400
        except Exception:
            _logger.exception("worker failed")
        finally:
            os._exit(status)
    _let_go(listeners, listeners[0])
    return children


def _let_go(listeners: Sequence[socket.socket], own: socket.socket) -> None:
    """Close the others: a socket that a process holds and never accepts from would go on getting
    its share of the connections when its own process has ended."""
    for listener in listeners:
        if listener is not own:
            listener.close()


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
