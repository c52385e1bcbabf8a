"""From SQL to the topic, whatever fails in between, on SQLite and on PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from services.recommend.catalogue.index import Catalogue
from services.recommend.catalogue.kinds import ITEMS, KINDS
from services.recommend.catalogue.publisher import BATCH, Publisher
from services.recommend.catalogue.repository import CatalogueRepository, Pending
from shared.catalogue import (
    ItemChanged,
    OfferChanged,
    PlacementChanged,
    decode,
    encode,
    item_key,
    key_of,
)
from shared.errors import LogUnavailable, NotFound
from tests.fixtures.fake_bus import FakeLog, FakeProducer

TOPIC = "catalogue"


@pytest.fixture
def log() -> FakeLog:
    return FakeLog(partitions=1)


@pytest.fixture
async def publisher(repository: CatalogueRepository, log: FakeLog) -> AsyncIterator[Publisher]:
    async with log.producer() as producer:
        yield publisher_of(repository, producer)


def publisher_of(repository: CatalogueRepository, sender: Any) -> Publisher:
    return Publisher(repository, sender, TOPIC)


def told(log: FakeLog) -> Catalogue:
    """What a reader of the whole topic holds."""
    catalogue = Catalogue()
    for record in log.records(TOPIC):
        assert catalogue.apply(record.key, record.value)
    return catalogue


async def drained(publisher: Publisher) -> int:
    total = 0
    while count := await publisher.drain():
        total += count
    return total


async def test_a_change_is_published_once(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    item = ItemChanged(item="a", price=5, currency="EUR", fields={"x": [1]}, changed_at=3)
    await repository.put([item, OfferChanged(offer="o", items=["a"])])
    assert await drained(publisher) == 2
    assert await drained(publisher) == 0
    assert [record.key for record in log.records(TOPIC)] == [b"item:a", b"offer:o"]
    value = log.records(TOPIC)[0].value
    assert value is not None
    assert decode(value) == item


async def test_a_deletion_is_published_as_a_tombstone(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    await repository.put([PlacementChanged(placement="home")])
    await drained(publisher)
    await repository.delete(KINDS[2], "home")
    await drained(publisher)
    assert [record.value for record in log.records(TOPIC)][1:] == [None]
    assert told(log).placement("home") is None


async def test_more_than_a_batch(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    count = 2 * BATCH + 7
    await repository.put(ItemChanged(item=f"i{number}") for number in range(count))
    assert await drained(publisher) == count
    assert len(told(log)) == count


async def test_what_was_committed_before_a_crash_is_published_after_it(
    repository: CatalogueRepository, log: FakeLog
) -> None:
    await repository.put([ItemChanged(item="a", changed_at=1)])
    # Nobody published before the process died; the next one finds the mark.
    async with log.producer() as producer:
        assert await publisher_of(repository, producer).drain() == 1
    assert told(log).changed_at() == {"item:a": 1}


async def test_a_log_that_does_not_acknowledge_loses_nothing(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    await repository.put([ItemChanged(item="a")])
    log.down = True
    with pytest.raises(LogUnavailable):
        await publisher.drain()
    assert log.records(TOPIC) == []
    log.down = False
    assert await drained(publisher) == 1
    assert "a" in told(log)


class DiesAfterSending(CatalogueRepository):
    """The process ends when the log has acknowledged and the marks are still there."""

    async def published(self, done: Any) -> None:
        raise SystemExit(f"killed with {len(done)} marks left")


async def test_a_crash_after_sending_publishes_the_same_once_more(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    await repository.put([ItemChanged(item="a", changed_at=1)])
    async with log.producer() as producer:
        with pytest.raises(SystemExit):
            await publisher_of(DiesAfterSending(repository.database), producer).drain()
    assert await drained(publisher) == 1
    first, second = log.records(TOPIC)
    assert (first.key, first.value) == (second.key, second.value)


class ChangesMeanwhile:
    """A sender during whose first send an administrator changes the item again."""

    def __init__(self, producer: FakeProducer, repository: CatalogueRepository) -> None:
        self._producer = producer
        self._repository = repository
        self._changes = [ItemChanged(item="a", price=2, changed_at=2)]

    async def send(self, topic: str, value: bytes | None, *, key: bytes | None = None) -> Any:
        while self._changes:
            await self._repository.put([self._changes.pop()])
        return await self._producer.send(topic, value, key=key)


async def test_a_change_while_publishing_is_published_too(
    repository: CatalogueRepository, log: FakeLog
) -> None:
    await repository.put([ItemChanged(item="a", price=1, changed_at=1)])
    async with log.producer() as producer:
        publisher = publisher_of(repository, ChangesMeanwhile(producer, repository))
        assert await publisher.drain() == 1
        assert await publisher.drain() == 1
    item = told(log).item("a")
    assert item is not None
    assert item.price == 2


async def test_an_empty_topic_is_filled_again_and_strangers_stay(
    repository: CatalogueRepository, publisher: Publisher, log: FakeLog
) -> None:
    await repository.put(
        [ItemChanged(item="same", changed_at=1), ItemChanged(item="newer", changed_at=2)]
    )
    await repository.put([ItemChanged(item="missing", changed_at=3)])
    await repository.published(await repository.pending(10))
    for item, changed_at in (("same", 1), ("newer", 1), ("only in the topic", 1)):
        change = ItemChanged(item=item, changed_at=changed_at)
        log.append(TOPIC, encode(change), key=item_key(item).encode())
    assert await publisher.repair(told(log)) == 2
    await drained(publisher)
    assert told(log).changed_at() == {
        "item:same": 1,
        "item:newer": 2,
        "item:missing": 3,
        "item:only in the topic": 1,
    }
    assert await publisher.repair(told(log)) == 0


class Unreliable:
    """A sender that fails before or after the record arrived, as a network does."""

    def __init__(self, producer: FakeProducer, dice: random.Random) -> None:
        self._producer = producer
        self._dice = dice

    async def send(self, topic: str, value: bytes | None, *, key: bytes | None = None) -> Any:
        if self._dice.random() < 0.1:
            raise LogUnavailable("before it arrived")
        acknowledgement = await self._producer.send(topic, value, key=key)
        if self._dice.random() < 0.1:
            raise LogUnavailable("after it arrived")
        return acknowledgement


@pytest.mark.parametrize("seed", range(3))
async def test_topic_and_sql_agree_in_the_end(
    repository: CatalogueRepository, log: FakeLog, seed: int
) -> None:
    dice = random.Random(seed)

    async def administer() -> None:
        for step in range(60):
            name = f"i{dice.randrange(8)}"
            if dice.random() < 0.3:
                with pytest.raises(NotFound) if not await exists(name) else nullcontext():
                    await repository.delete(ITEMS, name)
            else:
                await repository.put([ItemChanged(item=name, changed_at=step + 1)])

    async def exists(name: str) -> bool:
        return key_of(ItemChanged(item=name)) in await repository.changed_at()

    async with log.producer() as producer:
        publisher = publisher_of(repository, Unreliable(producer, dice))
        work = asyncio.create_task(administer())
        while not work.done() or await repository.pending(1):
            with suppress(LogUnavailable):
                await publisher.drain()
            await asyncio.sleep(0)
        await work
    assert told(log).changed_at() == await repository.changed_at()


async def test_marks_name_the_present_state(repository: CatalogueRepository) -> None:
    await repository.put([ItemChanged(item="a", changed_at=1)])
    await repository.put([ItemChanged(item="a", changed_at=2)])
    await repository.mark(["item:a", "item:never"])
    change = ItemChanged(item="a", changed_at=2)
    assert await repository.pending(10) == [
        Pending("item:a", 3, encode(change)),
        Pending("item:never", 1, None),
    ]
