"""What only real brokers can show: absence, loss, topics and their ids."""

import asyncio
import os
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from services.local.apache import ApacheKafka
from services.local.broker import EmbeddedBroker
from services.local.ports import free_port
from shared import bus, bus_group, topics
from shared.bus_read import RangeReader
from shared.errors import LogTruncated, LogUnavailable, UnknownTopic
from shared.settings import Settings
from tests.fixtures.odd_headers import ODD_NAME, READ_AS, allow_odd_names
from tests.fixtures.waiting import eventually


@pytest.fixture
def nowhere(base_settings: Settings) -> Settings:
    return replace(base_settings, bootstrap=f"127.0.0.1:{free_port()}")


@pytest.fixture(
    params=["embedded_settings", pytest.param("kafka_settings", marks=pytest.mark.kafka)]
)
def any_settings(request: pytest.FixtureRequest) -> Settings:
    found: Settings = request.getfixturevalue(request.param)
    return found


async def _open(opening: object) -> None:
    async with opening:  # type: ignore[attr-defined]
        pytest.fail("opened without a broker")


@pytest.mark.parametrize("client", ["producer", "group", "tail", "scan", "topics", "ping"])
async def test_a_broker_that_is_not_there_is_named_after_a_bounded_wait(
    nowhere: Settings, client: str
) -> None:
    attempts = {
        "producer": lambda: _open(bus.Producer.open(nowhere, wait_s=0.5)),
        "group": lambda: _open(
            bus.GroupConsumer.open(nowhere, group="g", topics=["events"], wait_s=0.5)
        ),
        "tail": lambda: _open(bus.Tail.open(nowhere, ["events"], wait_s=0.5)),
        "scan": lambda: anext(bus.scan(nowhere, "events", wait_s=0.5)),
        "topics": lambda: bus.ensure_topics(nowhere, wait_s=0.5),
        "ping": lambda: bus.ping(nowhere, wait_s=0.5),
    }
    with pytest.raises(LogUnavailable, match=nowhere.bootstrap):
        await attempts[client]()


async def test_a_broker_that_dies_makes_sends_fail_instead_of_hang(base_settings: Settings) -> None:
    broker = EmbeddedBroker.start()
    try:
        broker.create_all(base_settings)
        settings = broker.adapt(base_settings)
        name = topics.EVENTS.named(settings.namespace)
        async with bus.Producer.open(settings) as producer:
            await (await producer.send(name, b"before"))
            await producer.check()
            broker.kill()
            began = time.monotonic()
            sent = await producer.send(name, b"after")
            with pytest.raises(LogUnavailable, match=settings.bootstrap):
                await sent
            assert time.monotonic() - began < 12
            with pytest.raises(LogUnavailable):
                await producer.check()
    finally:
        broker.stop()


async def test_a_process_that_was_stopped_has_caught_up_once_it_heard_the_broker_again(
    embedded_settings: Settings, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_group, "CURRENT_S", 1.0)
    name = topics.EVENTS.named(embedded_settings.namespace)
    opening = bus.GroupConsumer.open(embedded_settings, group=f"{namespace}.g", topics=[name])
    async with opening as consumer:

        async def caught_up() -> bool:
            await consumer.poll(max_records=10, timeout_ms=50)
            return len(consumer.caught_up()) == embedded_settings.partitions

        await eventually(caught_up)
        # Stopped: whatever was written meanwhile, nobody here has heard of it.
        time.sleep(1.1)  # noqa: ASYNC251
        assert not consumer.caught_up()
        await eventually(caught_up)


async def test_what_comes_while_a_batch_is_worked_on_puts_nobody_behind(
    embedded_settings: Settings, namespace: str
) -> None:
    name = topics.EVENTS.named(embedded_settings.namespace)
    opening = bus.GroupConsumer.open(embedded_settings, group=f"{namespace}.g", topics=[name])
    async with opening as consumer, bus.Producer.open(embedded_settings) as producer:

        async def poll() -> bool:
            await consumer.poll(max_records=10, timeout_ms=50)
            return len(consumer.caught_up()) == embedded_settings.partitions

        await eventually(poll)
        known = sum(end.offset for _, end in consumer._told_ends())
        await producer.send(name, b"{}", key=b"c:alice")
        await producer.flush()
        await eventually(lambda: sum(end.offset for _, end in consumer._told_ends()) > known)
        assert len(consumer.caught_up()) == embedded_settings.partitions
        await eventually(poll)


async def test_an_embedded_broker_that_dropped_data_is_noticed(embedded_settings: Settings) -> None:
    name = topics.EVENTS.named(embedded_settings.namespace)
    async with bus.Producer.open(embedded_settings) as producer:
        for _ in range(24):
            await (await producer.send(name, os.urandom(400_000), partition=0))
    with pytest.raises(LogTruncated, match=f"{name}/0 begins at offset"):
        await anext(bus.scan(embedded_settings, name))
    kept = [
        record
        async for records in bus.scan(embedded_settings, name, complete=False)
        for record in records
    ]
    assert 0 < len(kept) < 24
    assert kept[-1].offset == 23


async def test_the_embedded_broker_makes_no_topics_itself(
    embedded_broker: EmbeddedBroker, base_settings: Settings
) -> None:
    settings = embedded_broker.adapt(base_settings)
    with pytest.raises(UnknownTopic, match="clickstream"):
        await bus.ensure_topics(settings)
    embedded_broker.create_all(settings)
    report = await bus.ensure_topics(settings)
    assert (report.created, report.differences) == ([], {})


async def test_the_lag_of_a_group_is_seen_without_joining_it(embedded_settings: Settings) -> None:
    name, group = topics.EVENTS.named(embedded_settings.namespace), embedded_settings.namespace
    async with bus.Producer.open(embedded_settings) as producer:
        for _ in range(10):
            await producer.send(name, b"x", partition=1)
        await producer.flush()
    assert (await bus.group_lag(embedded_settings, group, [name]))[name, 1] == 10
    async with bus.GroupConsumer.open(embedded_settings, group=group, topics=[name]) as consumer:
        await eventually(partial(consumer.poll, max_records=4, timeout_ms=100))
        await consumer.commit({(name, 1): 4})
    lag = await bus.group_lag(embedded_settings, group, [name])
    assert lag == {(name, 0): 0, (name, 1): 6, (name, 2): 0, (name, 3): 0}


async def test_ids_tell_topics_apart(embedded_settings: Settings) -> None:
    named = [topic.named(embedded_settings.namespace) for topic in topics.RAW]
    ids = [await bus.topic_id(embedded_settings, name) for name in named]
    assert ids == [await bus.topic_id(embedded_settings, name) for name in named]
    assert len(set(ids)) == 2
    with pytest.raises(UnknownTopic):
        await bus.topic_id(embedded_settings, "nothing-of-that-name")


@pytest.mark.kafka
class TestApache:
    async def test_topics_are_made_once_and_differences_reported(
        self, base_settings: Settings, kafka_bootstrap: str
    ) -> None:
        settings = replace(base_settings, bootstrap=kafka_bootstrap)
        report = await bus.ensure_topics(settings)
        assert report.created == [topic.named(settings.namespace) for topic in topics.ALL]
        again = await bus.ensure_topics(replace(settings, partitions=8))
        assert again.created == []
        events = topics.EVENTS.named(settings.namespace)
        assert again.differences[events] == ["partitions is 4, wanted 8"]
        assert topics.CATALOGUE.named(settings.namespace) not in again.differences
        assert await bus.partitions_of(settings, events) == 4

    async def test_ids_tell_topics_apart(self, kafka_settings: Settings) -> None:
        named = [topic.named(kafka_settings.namespace) for topic in topics.ALL]
        ids = {await bus.topic_id(kafka_settings, name) for name in named}
        assert len(ids) == len(named)

    async def test_a_broker_that_comes_back_goes_on_where_it_was(
        self, base_settings: Settings, own_kafka: ApacheKafka
    ) -> None:
        settings = replace(base_settings, bootstrap=own_kafka.bootstrap)
        await bus.ensure_topics(settings)
        name = topics.EVENTS.named(settings.namespace)
        async with bus.Producer.open(settings) as producer:
            await (await producer.send(name, b"before", partition=0))
        own_kafka.kill()
        with pytest.raises(LogUnavailable):
            await bus.ping(settings, wait_s=0.5)
        await asyncio.to_thread(own_kafka.restart)
        async with bus.Producer.open(settings) as producer:
            position = await (await producer.send(name, b"after", partition=0))
        assert position.offset == 1


@pytest.mark.parametrize("compression", ["lz4", "zstd", None])
async def test_a_header_name_that_is_not_utf_8_keeps_no_reader_from_any_record(
    any_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    namespace: str,
    compression: str | None,
) -> None:
    allow_odd_names(monkeypatch)
    settings = any_settings
    name = topics.EVENTS.named(settings.namespace)
    sent = []
    async with bus.Producer.open(settings, compression=compression) as producer:
        for number in range(60):
            headers = ((ODD_NAME, b"odd"), ("src", b"a/0/1")) if number % 20 in (0, 7, 8) else ()
            value = b"%d" % number
            await producer.send(name, value, key=b"k", headers=headers, partition=number % 2)
            read_as = ((READ_AS, b"odd"), ("src", b"a/0/1")) if headers else ()
            sent.append((number % 2, number // 2, b"k", value, read_as))
            if number % 10 == 9:
                await producer.flush()
    sent.sort()

    def told(records: list[bus.Record]) -> list[object]:
        return sorted((r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in records)

    assert told([r async for records in bus.scan(settings, name) for r in records]) == sent
    for opening in (
        bus.Tail.open(settings, [name]),
        bus.GroupConsumer.open(settings, group=f"{namespace}.g", topics=[name]),
    ):
        async with opening as reader:
            found: list[bus.Record] = []

            async def all_read(reader: Any = reader, found: list[bus.Record] = found) -> bool:
                for records in (await reader.poll(max_records=4, timeout_ms=100)).values():
                    found += records
                return len(found) >= len(sent)

            await eventually(all_read, what="all records")
            assert told(found) == sent
    async with RangeReader.open(settings) as ranges:
        part = [r async for records in ranges.read((name, 0), 5, 25) for r in records]
    assert told(part) == [one for one in sent if one[0] == 0 and 5 <= one[1] < 25]
