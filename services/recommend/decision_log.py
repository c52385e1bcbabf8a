"""Decision records on their way to the topic `decisions`, without slowing an answer.

A request leaves its record in a bounded buffer; a task sends what lies there in batches and keeps
it until the log has acknowledged it. While the log is away records wait, and beyond the bound the
newest are dropped and counted: every record is in the log, in the buffer, or counted as dropped.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final, Protocol

from services.recommend.metrics import RecommendMetrics
from shared.errors import AttuneError, LogUnavailable, TooLarge

GATHER_S: Final = 0.2
"""How long records are gathered: each partition's batch has a price of its own."""
MOST_AT_ONCE: Final = 1_000
"""Records handed to the producer together; it works in slices between requests."""
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
        self._sent: list[tuple[bytes, bytes]] = []
        """Handed to the producer, and not known to be in the log."""
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Records that are not known to be in the log."""
        return len(self._waiting) + len(self._sent)

    def put(self, key: bytes, value: bytes) -> None:
        """Leave a record."""
        if len(self._waiting) + len(self._sent) >= self._size:
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
            try:
                await self._deliver()
            except AttuneError as error:
                _logger.warning("decisions not sent", extra={"code": error.code})
                self._take_back(error)
                await asyncio.sleep(RETRY_S)
            if self._waiting:
                self._wake.set()

    async def _deliver(self) -> None:
        """Send what waits now, and see all of it acknowledged."""
        left = len(self._waiting)
        while left > 0:
            left -= await self._send()
        await self._sender.flush()
        self._metrics.decisions_written.inc(len(self._sent))
        self._sent.clear()

    async def _send(self) -> int:
        """Send up to MOST_AT_ONCE records; how many."""
        records = self._waiting[:MOST_AT_ONCE]
        try:
            await self._sender.send_all(self._topic, records)
        except TooLarge:  # would be refused for ever
            self._metrics.dropped_decisions("too_large", len(records))
        else:
            self._sent += records
        del self._waiting[: len(records)]
        await asyncio.sleep(0)
        return len(records)

    def _take_back(self, error: AttuneError) -> None:
        """What was not acknowledged is sent again, so a record may be in the log twice, under one
        decision id."""
        if isinstance(error, TooLarge):
            self._metrics.dropped_decisions("too_large", len(self._sent))
        else:
            self._waiting[:0] = self._sent
        self._sent.clear()

    async def finish(self) -> None:
        """Send and flush what waits, as far as FLUSH_S allows; call after `run` has ended."""
        deadline = time.monotonic() + FLUSH_S
        try:
            async with asyncio.timeout(FLUSH_S):
                while self._waiting and time.monotonic() < deadline:
                    await self._send()
                await self._deliver()
        except (AttuneError, TimeoutError) as error:
            code = error.code if isinstance(error, AttuneError) else LogUnavailable.code
            _logger.warning("decisions not flushed", extra={"code": code})
        if len(self):
            self._metrics.dropped_decisions("stopped", len(self))
            self._waiting.clear()
            self._sent.clear()
