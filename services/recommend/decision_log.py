"""Decision records on their way to the topic `decisions`, without slowing an answer.

A request leaves its record in a bounded buffer; a task sends what lies there in batches. While
the log is away records wait, and beyond the bound the newest are dropped and counted.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final, Protocol

from services.recommend.metrics import RecommendMetrics
from shared.errors import AttuneError, LogUnavailable

GATHER_S: Final = 0.1
"""How long records are gathered: a batch costs the same compression for one as for ten."""
MOST_AT_ONCE: Final = 256
"""Records handed to the producer before requests get their turn: about 2 ms."""
FLUSH_S: Final = 5.0
RETRY_S: Final = 0.5

_logger = logging.getLogger(__name__)


class Sender(Protocol):
    """What a producer does (shared.bus.Producer)."""

    async def send_all(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None: ...

    async def flush(self) -> None: ...


class DecisionLog:
    """The buffer and its task. `put` never waits."""

    def __init__(self, sender: Sender, topic: str, size: int, metrics: RecommendMetrics) -> None:
        self._sender = sender
        self._topic = topic
        self._size = size
        self._metrics = metrics
        self._waiting: list[tuple[bytes, bytes]] = []
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Records that wait."""
        return len(self._waiting)

    def put(self, key: bytes, value: bytes) -> None:
        """Leave a record."""
        if len(self._waiting) >= self._size:
            self._metrics.dropped_decisions("buffer_full")
            return
        self._waiting.append((key, value))
        if len(self._waiting) == 1:
            self._wake.set()

    async def run(self) -> None:
        """Send what is left, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_S)
            while len(self):
                try:
                    await self._send()
                except AttuneError as error:
                    _logger.warning("decisions not sent", extra={"code": error.code})
                    await asyncio.sleep(RETRY_S)

    async def _send(self) -> None:
        """Send up to MOST_AT_ONCE records. After a failure they are sent again, so a record may be
        in the log twice, under one decision id."""
        records = self._waiting[:MOST_AT_ONCE]
        await self._sender.send_all(self._topic, records)
        del self._waiting[: len(records)]
        self._metrics.decisions_written.inc(len(records))
        await asyncio.sleep(0)

    async def finish(self) -> None:
        """Send and flush what waits, as far as FLUSH_S allows; call after `run` has ended."""
        deadline = time.monotonic() + FLUSH_S
        try:
            async with asyncio.timeout(FLUSH_S):
                while len(self) and time.monotonic() < deadline:
                    await self._send()
                await self._sender.flush()
        except (AttuneError, TimeoutError) as error:
            code = error.code if isinstance(error, AttuneError) else LogUnavailable.code
            _logger.warning("decisions not flushed", extra={"code": code})
        if len(self):
            self._metrics.dropped_decisions("stopped", len(self))
            self._waiting.clear()
