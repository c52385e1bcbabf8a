"""Keeps KnownItems at the end of the topic `catalogue`, for as long as ingest runs."""

import asyncio
import logging

from services.ingest.enrich import KnownItems
from shared.bus import Tail
from shared.errors import LogUnavailable

log = logging.getLogger(__name__)

_CATCH_UP_S = 20.0
_RETRY_S = 1.0


async def catch_up(tail: Tail, items: KnownItems) -> None:
    """Reads what stood in the topic at the start, for at most 20 s.

    Ingest can do without: facts are then enriched as far as the catalogue has been read.
    """
    try:
        async with asyncio.timeout(_CATCH_UP_S):
            while not await tail.caught_up():
                await _read(tail, items, timeout_ms=100)
    except (TimeoutError, LogUnavailable):
        log.warning("the catalogue is not read to its end yet", extra={"items": len(items)})


async def follow(tail: Tail, items: KnownItems) -> None:
    """Applies changes as they come, until cancelled; a log that is away is waited for."""
    while True:
        try:
            await _read(tail, items, timeout_ms=1000)
        except LogUnavailable:
            await asyncio.sleep(_RETRY_S)


async def _read(tail: Tail, items: KnownItems, *, timeout_ms: int) -> None:
    for records in (await tail.poll(max_records=5000, timeout_ms=timeout_ms)).values():
        for record in records:
            items.apply(record.key, record.value)
