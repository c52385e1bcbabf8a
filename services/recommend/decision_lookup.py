"""Finds the record of a past decision by its id: in the topic `decisions`, else in the archive.

A decision's id is also its record's key, so it says in which partition the record lies and, being
a UUID of version 7, about when it was written: nothing is scanned (docs/adr/0013).
"""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from shared import bus
from shared.archive import ArchiveReader
from shared.bus_read import RangeReader
from shared.decisions import Decision, decode_decision
from shared.errors import Busy, InvalidInput, NotFound, Unavailable
from shared.settings import Settings
from shared.topics import DECISIONS

MOST_AT_ONCE: Final = 4
DEADLINE_S: Final = 15.0
CONNECT_S: Final = 5.0
SKEW_MS: Final = 5_000
"""How far the clocks of processes that write records may lie apart."""
LATEST_MS: Final = 60_000
"""A record is in the log that long after its decision; where the log was away for longer, it is
found in the archive."""
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def decided_ms(decision_id: str) -> int:
    """The real epoch ms in an id. Raises InvalidInput where it is none of ours."""
    if not _ID.fullmatch(decision_id):
        raise InvalidInput("decision_id: a UUID of version 7 in lower case is expected")
    return int(decision_id.replace("-", "")[:12], 16)


class DecisionLookup:
    """Looks decisions up, a few at a time: each reads some of the log, or of the archive."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = 0

    async def find(self, decision_id: str) -> Decision:
        """Raises InvalidInput, NotFound, Busy while too many look, LogUnavailable,
        ArchiveUnavailable, Unavailable where it takes too long."""
        at = decided_ms(decision_id)
        if self._running >= MOST_AT_ONCE:
            raise Busy("too many decisions are being looked up")
        self._running += 1
        try:
            async with asyncio.timeout(DEADLINE_S):
                value = await self._in_log(decision_id.encode(), at)
                if value is None:
                    value = await asyncio.to_thread(self._in_archive, decision_id, at)
        except TimeoutError:
            raise Unavailable("the decision was not found in time") from None
        finally:
            self._running -= 1
        if value is None:
            raise NotFound("there is no such decision, or it was dropped long ago")
        try:
            return decode_decision(value)
        except msgspec.MsgspecError:
            raise NotFound("the decision's record cannot be read") from None

    async def _in_log(self, key: bytes, at: int) -> bytes | None:
        topic = DECISIONS.named(self._settings.namespace)
        async with RangeReader.open(self._settings, wait_s=CONNECT_S) as reader:
            bounds = await reader.bounds(topic)
            number = bus.partition_of(key, len(bounds))
            begin, end = bounds[number]
            begin = await reader.since((topic, number), at - SKEW_MS, begin, end)
            async for records in reader.read((topic, number), begin, end):
                for record in records:
                    if record.key == key:
                        return record.value
                if records[-1].timestamp > at + LATEST_MS + SKEW_MS:
                    return None
        return None

    def _in_archive(self, decision_id: str, at: int) -> bytes | None:
        day = datetime.fromtimestamp(at / 1_000, UTC).date()
        try:
            archive = ArchiveReader.open(self._settings, DECISIONS)
        except NotFound:
            return None
        # a record may have been sent on the day after, the log having been away
        found = archive.having("decision_id", decision_id, day, day + timedelta(days=1))
        return found[0].value if found else None
