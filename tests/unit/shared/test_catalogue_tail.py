"""The topic `catalogue`, followed: read to its end at the start, gone on with after a failure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared import catalogue_tail
from shared.bus import Record
from shared.catalogue_tail import CatalogueTail
from shared.errors import LogUnavailable
from shared.settings import Settings
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.waiting import eventually


@dataclass
class Taken:
    """A reader that keeps what it is told."""

    begun: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def begin(self, incarnation: str) -> None:
        self.begun.append(incarnation)
        self.offsets.clear()

    def take(self, records: Sequence[Record]) -> None:
        self.offsets += [record.offset for record in records]


class Topic:
    """The fake log, with the id of its topic and the starts that were asked for."""

    def __init__(self) -> None:
        self.log = FakeLog(catalogue=1)
        self.id = "topic-1"
        self.starts: list[Any] = []

    async def topic_id(self, settings: Settings, topic: str) -> str:
        self.log.require()
        return self.id

    @asynccontextmanager
    async def open(
        self, settings: Settings, topics: Sequence[str], start: Any, *, wait_ms: int
    ) -> AsyncIterator[Any]:
        self.starts.append(start)
        async with self.log.tail(topics, start) as tail:
            yield tail

    def append(self, count: int) -> None:
        for number in range(count):
            self.log.append("catalogue", b"{}", key=b"item:%d" % number)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    found = Topic()
    monkeypatch.setattr(catalogue_tail, "topic_id", found.topic_id)
    monkeypatch.setattr(catalogue_tail.Tail, "open", found.open)
    monkeypatch.setattr(catalogue_tail, "RETRY_S", 0.01)
    monkeypatch.setattr(catalogue_tail, "LOOK_S", 0.01)
    return found


@pytest.fixture
async def taken() -> Taken:
    return Taken()


@pytest.fixture
async def tail(topic: Topic, taken: Taken) -> AsyncIterator[CatalogueTail]:
    made = CatalogueTail(Settings(), taken)
    topic.append(1_200)
    task = asyncio.create_task(made.run())
    await asyncio.wait_for(made.caught_up.wait(), 30)
    yield made
    task.cancel()
    await asyncio.wait([task])


async def test_it_is_read_to_its_end_and_then_followed(
    topic: Topic, taken: Taken, tail: CatalogueTail
) -> None:
    assert (taken.begun, taken.offsets) == (["topic-1"], list(range(1_200)))
    await tail.check()
    topic.append(2)
    await eventually(lambda: taken.offsets[-1] == 1_201)


async def test_after_a_failure_it_goes_on_where_it_was(
    topic: Topic, taken: Taken, tail: CatalogueTail
) -> None:
    topic.log.down = True
    await eventually(lambda: not tail.following)
    topic.append(1)
    topic.log.down = False
    await eventually(lambda: taken.offsets[-1] == 1_200)
    assert taken.begun == ["topic-1"]
    assert taken.offsets == list(range(1_201))


async def test_a_topic_made_anew_is_read_from_its_beginning(
    topic: Topic, taken: Taken, tail: CatalogueTail
) -> None:
    topic.id = "topic-2"
    topic.log.down = True
    await eventually(lambda: not tail.following)
    topic.log.down = False
    await eventually(lambda: taken.begun == ["topic-1", "topic-2"])
    await eventually(lambda: len(taken.offsets) == 1_200)
    assert topic.starts[-1] == "earliest"


async def test_health_tells_of_a_catalogue_that_is_not_followed(
    topic: Topic, tail: CatalogueTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_tail, "STUCK_S", 0.0)
    topic.log.down = True
    with pytest.raises(LogUnavailable, match="not been level"):
        await tail.check()


async def test_health_waits_for_the_first_reading(topic: Topic, taken: Taken) -> None:
    with pytest.raises(LogUnavailable, match="not read to its end"):
        await CatalogueTail(Settings(), taken).check()
