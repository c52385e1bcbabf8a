"""The catalogue in memory: read to its end at the start, then followed."""

import asyncio
from contextlib import suppress
from typing import Any

from services.ingest.catalogue_tail import catch_up, follow
from services.ingest.enrich import KnownItems
from shared import catalogue
from shared.catalogue import ItemChanged
from shared.errors import LogUnavailable
from shared.events import ItemViewed
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.waiting import eventually


def change(log: FakeLog, item: str, category: str) -> None:
    value = catalogue.encode(ItemChanged(item=item, category=category))
    log.append("catalogue", value, key=f"item:{item}".encode())


def category_of(items: KnownItems, item: str) -> str | None:
    fact = ItemViewed(event_id="e", occurred_at=1, received_at=1, customer="ada", item=item)
    items.enrich(fact)
    return fact.category


async def test_it_is_read_to_its_end_and_then_followed() -> None:
    log, items = FakeLog(), KnownItems()
    for number in range(50):
        change(log, f"item-{number}", "old")
    async with log.tail(["catalogue"]) as tail:
        reader: Any = tail
        await catch_up(reader, items)
        assert len(items) == 50
        task = asyncio.create_task(follow(reader, items))
        change(log, "item-7", "new")
        await eventually(lambda: category_of(items, "item-7") == "new")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Away:
    async def caught_up(self) -> bool:
        raise LogUnavailable("away")


async def test_ingest_starts_without_a_catalogue_it_cannot_read() -> None:
    reader: Any = _Away()
    items = KnownItems()
    await catch_up(reader, items)
    assert len(items) == 0
