"""Keeps what a service knows of the catalogue level with the topic `catalogue`.

Reads it from its beginning, then follows it, as a task beside the service's own work. While the
log does not answer, what is known stays in force; then it goes on where it was.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from shared.bus import Record, Tail, topic_id
from shared.errors import AttuneError, LogUnavailable
from shared.settings import Settings
from shared.topics import CATALOGUE

MAX_RECORDS: Final = 500
RETRY_S: Final = 1.0
LOOK_S: Final = 5.0
STUCK_S: Final = 30.0

log = logging.getLogger(__name__)


class Reader(Protocol):
    """What is fed with the topic."""

    def begin(self, incarnation: str) -> None:
        """The topic, of that id, is read from its beginning: at the start, and where it was made
        anew."""

    def take(self, records: Sequence[Record]) -> None:
        """The next records, in their order, each once."""


class CatalogueTail:
    """Feeds one reader. `caught_up` is set once all that the topic held at the start was read;
    following: whether the log answers now."""

    def __init__(self, settings: Settings, reader: Reader) -> None:
        self.caught_up = asyncio.Event()
        self.following = False
        self._settings = settings
        self._reader = reader
        self._topic = CATALOGUE.named(settings.namespace)
        self._incarnation = ""
        self._next = 0
        self._level_at: float | None = None

    async def run(self) -> None:
        """Follows the topic until cancelled."""
        while True:
            try:
                await self._follow()
            except AttuneError as error:
                log.warning("catalogue not followed", extra={"error": str(error)})
            except Exception:  # a task that ended would let the catalogue grow old for good
                log.exception("catalogue not followed")
            self.following = False
            await asyncio.sleep(RETRY_S)

    async def check(self) -> None:
        """Raises LogUnavailable until the topic was read, and while its end is out of reach."""
        if not self.caught_up.is_set():
            raise LogUnavailable("the catalogue is not read to its end yet")
        since = asyncio.get_running_loop().time() - (self._level_at or 0.0)
        if since > STUCK_S:
            raise LogUnavailable(
                f"the catalogue has not been level with its topic for {since:.0f} s"
            )

    async def _follow(self) -> None:
        incarnation = await topic_id(self._settings, self._topic)
        if incarnation != self._incarnation:
            self._incarnation, self._next = incarnation, 0
            self._reader.begin(incarnation)
        async with Tail.open(
            self._settings,
            [self._topic],
            {(self._topic, 0): self._next} if self._next else "earliest",
            wait_ms=self._settings.fetch_wait_ms,
        ) as tail:
            await self._read(tail)

    async def _read(self, tail: Tail) -> None:
        clock = asyncio.get_running_loop().time
        level, look_at = False, clock() + LOOK_S
        self.following = True
        while True:
            for records in (await tail.poll(max_records=MAX_RECORDS, timeout_ms=200)).values():
                self._reader.take(records)
                self._next = records[-1].offset + 1
            # A large catalogue comes in many batches: other work gets its turn in between.
            await asyncio.sleep(0)
            if not level and await tail.caught_up():
                level, self._level_at = True, clock()
                self.caught_up.set()
            elif level and clock() >= look_at:
                look_at = clock() + LOOK_S
                if not await tail.lag():
                    self._level_at = clock()
