"""The producer on Apache Kafka after what an idempotent client does not survive by itself."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from services.local.apache import ApacheKafka
from shared import bus, bus_connection, bus_renewal
from shared.errors import LogUnavailable, TooLarge
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.kafka_faults import limit_message_bytes
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.kafka


async def values(settings: Settings, topic: str) -> list[bytes]:
    found = [record async for records in bus.scan(settings, topic) for record in records]
    return [record.value or b"" for record in sorted(found, key=lambda record: record.offset)]


async def test_after_a_record_the_broker_refuses_the_partition_takes_others(
    kafka_settings: Settings,
) -> None:
    topic = EVENTS.named(kafka_settings.namespace)
    await limit_message_bytes(kafka_settings, topic, 20_000)
    async with bus.Producer.open(kafka_settings, compression="lz4") as producer:
        await (await producer.send(topic, b"before", partition=1))
        large = await producer.send(topic, _incompressible(60_000), partition=1)
        with pytest.raises(TooLarge):
            await producer.flush()
        assert producer.failed is False
        assert large.arrived is False
        for number in range(3):
            position = await (await producer.send(topic, b"after %d" % number, partition=1))
            assert position.offset == number + 1
        await producer.flush()
    assert await values(kafka_settings, topic) == [b"before", b"after 0", b"after 1", b"after 2"]


async def test_lost_sequence_numbers_fail_what_is_open_and_the_next_record_passes(
    kafka_settings: Settings,
) -> None:
    topic = EVENTS.named(kafka_settings.namespace)
    async with bus.Producer.open(kafka_settings) as producer:
        await (await producer.send(topic, b"one", partition=2))
        numbers = producer._renewing.current._txn_manager._sequence_numbers
        for partition in numbers:
            numbers[partition] += 7
        lost = [await producer.send(topic, b"lost", partition=2) for _ in range(3)]
        with pytest.raises(LogUnavailable):
            await producer.flush()
        assert not any(sent.arrived for sent in lost)
        await (await producer.send(topic, b"two", partition=2))
        await producer.flush()
    assert await values(kafka_settings, topic) == [b"one", b"two"]


async def test_a_sender_that_died_is_replaced(kafka_settings: Settings) -> None:
    topic = EVENTS.named(kafka_settings.namespace)
    async with bus.Producer.open(kafka_settings) as producer:
        await (await producer.send(topic, b"one", partition=0))
        client = producer._renewing.current
        client._message_accumulator.fail_all(bus_connection.kafka.ProducerFenced())
        with pytest.raises(LogUnavailable):
            await producer.send(topic, b"refused", partition=0)
        await (await producer.send(topic, b"two", partition=0))
        assert producer._renewing.current is not client
    assert await values(kafka_settings, topic) == [b"one", b"two"]


async def test_what_flush_reported_as_failed_is_not_sent_later_and_the_rest_survives_restarts(
    base_settings: Settings, own_kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "REQUEST_S", 1.0)
    monkeypatch.setattr(bus_renewal, "RENEW_S", 0.5)
    settings = replace(base_settings, bootstrap=own_kafka.bootstrap)
    await bus.ensure_topics(settings)
    topic = EVENTS.named(settings.namespace)
    async with bus.Producer.open(settings) as producer:
        await (await producer.send(topic, b"before", partition=0))
        own_kafka.kill()
        # What it knew of producers is gone as well.
        for state in (own_kafka.directory / "logs").glob(f"{topic}-*/*.snapshot"):
            state.unlink()
        lost = await producer.send(topic, b"lost", partition=0)
        with pytest.raises(LogUnavailable):
            await producer.flush()
        with pytest.raises(LogUnavailable):
            await lost
        with pytest.raises(LogUnavailable):
            await producer.send(topic, b"refused", partition=0)
        await asyncio.to_thread(own_kafka.restart)
        await (await producer.send(topic, b"after", partition=0))
        own_kafka.kill()
        sent = await producer.send(topic, b"meanwhile", partition=0)
        await asyncio.to_thread(own_kafka.restart)
        await eventually(lambda: sent.arrived)
        await producer.flush()
    assert await values(settings, topic) == [b"before", b"after", b"meanwhile"]


async def test_a_client_that_hangs_is_given_up(
    kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "HUNG_S", 0.5)
    topic = EVENTS.named(kafka_settings.namespace)
    async with bus.Producer.open(kafka_settings) as producer:
        client = producer._renewing.current
        client._sender._muted_partitions = _All()
        waiting = await producer.send(topic, b"stuck", partition=0)
        await asyncio.sleep(0.7)
        await (await producer.send(topic, b"after", partition=0))
        assert producer._renewing.current is not client
        with pytest.raises(LogUnavailable):
            await waiting
        with pytest.raises(LogUnavailable):
            await producer.flush()
    assert await values(kafka_settings, topic) == [b"after"]


class _All(set[Any]):
    """Every partition: a sender that takes each for muted sends nothing and says nothing."""

    def __contains__(self, _: object) -> bool:
        return True


def _incompressible(size: int) -> bytes:
    return Random(size).randbytes(size)
