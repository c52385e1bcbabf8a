"""Fourth step of a request: its records into the log, and back only when they are acknowledged.

The producer is opened beside the server, so that a broker that is down keeps nobody from asking
/health/ready what is wrong, and opened anew when it has failed for long (an idempotent producer
that lost its sequence stays broken although the broker is back).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.ingest.collector.judge import RawRecord
from shared.bus import Producer
from shared.errors import AttuneError, LogUnavailable
from shared.settings import Settings
from shared.topics import RAW

REOPEN_AFTER_S: Final = 15.0
WATCH_S: Final = 0.5

_logger = logging.getLogger(__name__)


class RawLog:
    """The raw topics, for writing. Open with `open`."""

    def __init__(self, settings: Settings, *, ack_timeout_s: float) -> None:
        self._settings = settings
        self._ack_timeout_s = ack_timeout_s
        self._producer: Producer | None = None
        self._failing_since: float | None = None
        self._names = {topic.name: topic.named(settings.namespace) for topic in RAW}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        ack_timeout_s: float,
        start_timeout_s: float,
        give_up: Callable[[AttuneError], None],
    ) -> AsyncIterator["RawLog"]:
        """Returns at once; the producer comes when the broker does. `give_up` is called where no
        broker answered in `start_timeout_s`."""
        log = cls(settings, ack_timeout_s=ack_timeout_s)
        task = asyncio.create_task(log._keep_open(start_timeout_s, give_up), name="raw-log")
        try:
            yield log
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def append(self, records: Sequence[RawRecord]) -> None:
        """Returns once every in-sync replica has all records.

        Raises LogUnavailable otherwise; some may then have arrived, and sending them again is
        harmless: an event id applies once.
        """
        if self._producer is None:
            raise LogUnavailable("the log is not reachable yet")
        try:
            async with asyncio.timeout(self._ack_timeout_s):
                sent = [
                    await self._producer.send(
                        self._names[record.topic.name],
                        record.value,
                        key=record.key,
                        headers=record.headers,
                    )
                    for record in records
                ]
                for acknowledgement in sent:
                    await acknowledgement
        except TimeoutError:
            self._failed()
            raise LogUnavailable(
                f"the log did not acknowledge within {self._ack_timeout_s:g} s"
            ) from None
        except LogUnavailable:
            self._failed()
            raise
        self._failing_since = None

    async def check(self) -> None:
        """Raises LogUnavailable unless a broker answers now and has the raw topics."""
        if self._producer is None:
            raise LogUnavailable(f"the log at {self._settings.bootstrap} is not reachable yet")
        await self._producer.check()
        for name in self._names.values():
            await self._producer.partitions_of(name)

    def _failed(self) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    async def _keep_open(
        self, start_timeout_s: float, give_up: Callable[[AttuneError], None]
    ) -> None:
        wait_s = start_timeout_s
        while True:
            try:
                async with Producer.open(self._settings, wait_s=wait_s) as producer:
                    wait_s = float("inf")  # from here on the broker was there: wait for it
                    self._producer, self._failing_since = producer, None
                    _logger.info("log reached")
                    try:
                        await self._until_broken()
                    finally:
                        self._producer = None
            except AttuneError as error:
                if wait_s == start_timeout_s:
                    give_up(error)
                    return
                _logger.warning("log lost", extra={"code": error.code})
                await asyncio.sleep(WATCH_S)

    async def _until_broken(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            since = self._failing_since
            if since is not None and time.monotonic() - since > REOPEN_AFTER_S:
                _logger.warning("log does not acknowledge; its producer is opened anew")
                return
