"""Decision records on their way to the topic `decisions`, without slowing an answer.

A request leaves its record in a bounded buffer; a task encodes and sends what lies there. While
the log is away records wait, and beyond the bound the newest are dropped and counted.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from services.recommend.metrics import RecommendMetrics
from shared.errors import AttuneError, LogUnavailable
from shared.headers import Headers

SLICE: Final = 32
"""Records sent before requests get their turn."""
FLUSH_S: Final = 5.0
RETRY_S: Final = 0.5

_logger = logging.getLogger(__name__)
Waiting = Callable[[], tuple[bytes, bytes]]


class Sender(Protocol):
    """What a producer does (shared.bus.Producer)."""

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()
    ) -> Any: ...

    async def flush(self) -> None: ...


class DecisionLog:
    """The buffer and its task. `put` never waits."""

    def __init__(self, sender: Sender, topic: str, size: int, metrics: RecommendMetrics) -> None:
        self._sender = sender
        self._topic = topic
        self._size = size
        self._metrics = metrics
        self._waiting: deque[Waiting] = deque()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Records that wait."""
        return len(self._waiting)

    def put(self, make: Waiting) -> None:
        """Leave a record; `make` builds it (key and value) when its turn comes."""
        if len(self._waiting) >= self._size:
            self._metrics.dropped_decisions("buffer_full")
            return
        self._waiting.append(make)
        self._wake.set()

    async def run(self) -> None:
        """Send what is left, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                try:
                    await self._send(min(SLICE, len(self._waiting)))
                except AttuneError as error:
                    _logger.warning("decisions not sent", extra={"code": error.code})
                    await asyncio.sleep(RETRY_S)
                await asyncio.sleep(0)

    async def _send(self, count: int) -> None:
        for _ in range(count):
            key, value = self._waiting[0]()
            await self._sender.send(self._topic, value, key=key)
            self._waiting.popleft()
        self._metrics.decisions_written.inc(count)

    async def finish(self) -> None:
        """Send and flush what waits, as far as FLUSH_S allows; call after `run` has ended."""
        deadline = time.monotonic() + FLUSH_S
        try:
            async with asyncio.timeout(FLUSH_S):
                while self._waiting and time.monotonic() < deadline:
                    await self._send(min(SLICE, len(self._waiting)))
                await self._sender.flush()
        except (AttuneError, TimeoutError) as error:
            code = error.code if isinstance(error, AttuneError) else LogUnavailable.code
            _logger.warning("decisions not flushed", extra={"code": code})
        if self._waiting:
            self._metrics.dropped_decisions("stopped", len(self._waiting))
            self._waiting.clear()
