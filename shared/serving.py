"""uvicorn as collector and recommend run it: on a socket bound before, until a signal."""

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from shared.direct_http import DirectProtocol

BACKLOG: Final = 2_048
KEEP_ALIVE_S: Final = 30
YIELD_S: Final = 0.000_2
"""How long the event loop waits for the interpreter while a thread works; usually it is 5 ms."""


class Server(uvicorn.Server):
    """uvicorn that ends with the caller's exit status, not with the signal it was stopped by."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server gracefully for as long as the context is open."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def server_of(
    app: Any,
    *,
    stop_timeout_s: int,
    date_header: bool = True,
    protocol: type[DirectProtocol] | None = None,
) -> Server:
    """A server of the application; `serve(sockets=[...])` runs it. Once it stops it takes no new
    request, and what is in flight has `stop_timeout_s`. protocol: a shorter way for some paths."""
    return Server(
        uvicorn.Config(
            app,
            http=protocol or "httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=date_header,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=stop_timeout_s,
        )
    )


def settle() -> None:
    """What lives as long as the process is never looked at again by the garbage collector, and
    requests wait no longer than YIELD_S for a thread that works beside them.

    The collector stops everything for 4 ms per 10,000 objects that it looks at: so it looks at
    1,000 new ones at a time, at 4,000 of those that were left then, and hardly ever at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 4, 5_000)
    sys.setswitchinterval(YIELD_S)
