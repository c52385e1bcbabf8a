"""Keeps the catalogue in memory level with the topic: read from its beginning, then followed.

Runs as a task of each recommend process. While the log does not answer, what is in memory stays
in force, and the topic is read from its beginning again once it does.
"""

import asyncio
import logging
from typing import Final

from services.recommend.catalogue.index import Catalogue
from shared.bus import Record, Tail
from shared.errors import AttuneError
from shared.settings import Settings
from shared.topics import CATALOGUE

POLL_MS: Final = 200
MAX_RECORDS: Final = 500
RETRY_S: Final = 1.0

_logger = logging.getLogger(__name__)


class Follower:
    """Feeds a catalogue. `caught_up` is set once all that the topic held at start is in memory:
    before that a process is not ready."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.caught_up = asyncio.Event()
        self._settings = settings

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        while True:
            try:
                await self._follow()
            except AttuneError as error:
                _logger.warning("catalogue not followed", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
            except Exception:  # a task that ended would let the catalogue grow old for good
                _logger.exception("catalogue not followed")
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        topic = CATALOGUE.named(self._settings.namespace)
        async with Tail.open(self._settings, [topic]) as tail:
            while True:
                batches = await tail.poll(max_records=MAX_RECORDS, timeout_ms=POLL_MS)
                for records in batches.values():
                    self._apply(records)
                # A large catalogue arrives in many batches: requests get their turn in between.
                await asyncio.sleep(0)
                if not self.caught_up.is_set() and await tail.caught_up():
                    _logger.info("catalogue read", extra={"items": len(self.catalogue)})
                    self.caught_up.set()

    def _apply(self, records: list[Record]) -> None:
        for record in records:
            if not self.catalogue.apply(record.key, record.value):
                _logger.warning("catalogue record refused", extra={"offset": record.offset})
