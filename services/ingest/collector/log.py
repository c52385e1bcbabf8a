"""Fourth step of a request: its records into the log, and back only when they are acknowledged.

The producer is opened beside the server, so that a broker that is down keeps nobody from asking
/health/ready what is wrong.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from services.ingest.collector.judge import RawRecord
from shared.bus import Producer
from shared.errors import AttuneError, LogUnavailable
from shared.settings import Settings
from shared.topics import RAW

_logger = logging.getLogger(__name__)


class RawLog:
    """The raw topics, for writing. Open with `open`."""

    def __init__(self, settings: Settings, *, ack_timeout_s: float) -> None:
        self._settings = settings
        self._ack_timeout_s = ack_timeout_s
        self._producer: Producer | None = None
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
        task = asyncio.create_task(log._serve(start_timeout_s, give_up), name="raw-log")
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
            raise LogUnavailable(
                f"the log did not acknowledge within {self._ack_timeout_s:g} s"
            ) from None

    async def check(self) -> None:
        """Raises LogUnavailable unless a broker answers now and has the raw topics."""
        if self._producer is None:
            raise LogUnavailable(f"the log at {self._settings.bootstrap} is not reachable yet")
        await self._producer.check()
        for name in self._names.values():
            await self._producer.partitions_of(name)

    async def _serve(self, start_timeout_s: float, give_up: Callable[[AttuneError], None]) -> None:
        try:
            async with Producer.open(self._settings, wait_s=start_timeout_s) as producer:
                self._producer = producer
                _logger.info("log reached")
                await asyncio.Event().wait()
        except AttuneError as error:
            give_up(error)
        finally:
            self._producer = None
