"""Members of the group ingest on Apache Kafka: one that sleeps through its session and wakes, and
a raw topic that is made anew under the group."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from services.profile.verify.check import read_log
from shared import bus
from shared.events import decode
from shared.settings import Settings
from shared.topics import CLICKSTREAM, EVENTS, INGEST_GROUP, PURCHASES, named
from tests.fixtures.ingests import ingest_process
from tests.fixtures.kafka_faults import make_anew
from tests.fixtures.lines import running_line
from tests.fixtures.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

ASLEEP_S = 8.0
"""Longer than the session of a member."""


async def fill(settings: Settings, start: int, count: int, *, topic: Any = CLICKSTREAM) -> None:
    async with bus.Producer.open(settings) as producer:
        for number in range(start, start + count):
            event = b'{"type":"item_viewed","event_id":"e%d","customer":"c%d","item":"mug"}' % (
                number,
                number % 50,
            )
            name = topic.named(settings.namespace)
            await producer.send(name, event, key=b"%d" % (number % 50))
        await producer.flush()


async def reaches(settings: Settings, numbers: range) -> bool:
    """Whether the facts of these events lie in `events`."""
    name = EVENTS.named(settings.namespace)
    found = {
        decode(record.value or b"").event_id
        async for records in bus.scan(settings, name)
        for record in records
    }
    return found >= {f"e{number}" for number in numbers}


async def test_a_member_that_sleeps_through_its_session_loses_nothing_and_doubles_nothing(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings, sent = kafka_settings, 0
    async with running_line(settings, tmp_path, "ingest-1", "ingest-2") as line:
        for name in ("ingest-1", "ingest-2"):
            # Asleep in the middle of its work: its partitions go to the other.
            await fill(settings, sent, 6_000)
            line.signal(name, signal.SIGSTOP)
            await fill(settings, sent + 6_000, 1_000)
            sent += 7_000
            await asyncio.sleep(ASLEEP_S)
            line.signal(name, signal.SIGCONT)
        await eventually(lambda: reaches(settings, range(sent)), within_s=60)
        line.processes.check()
    replay = await read_log(settings)
    balance = replay.accounts.balance()
    assert balance.balanced
    assert (balance.received, balance.applied, balance.deduplicated) == (sent, sent, 0)
    # What both of them sent lies in `events` twice, with one id and one src, and counts once.
    assert replay.facts >= sent


async def test_a_raw_topic_made_anew_while_it_is_read_ends_ingest_and_is_read_from_its_start(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings = kafka_settings
    raw = CLICKSTREAM.named(settings.namespace)
    with ingest_process(settings, tmp_path) as running:
        await eventually(running.ready, within_s=60)
        await fill(settings, 0, 50)
        await fill(settings, 50, 50, topic=PURCHASES)
        await eventually(lambda: reaches(settings, range(100)))
        await make_anew(settings, raw)
        assert await asyncio.to_thread(running.process.wait, 60) == 1
        last = running.log.read_text().splitlines()[-1]
        assert last.startswith(f"attune: the topic {raw} was made anew since the group")
    await fill(settings, 100, 200)
    # Kafka forgets a group's offsets of a topic that is deleted.
    with ingest_process(settings, tmp_path):
        await eventually(lambda: reaches(settings, range(300)))


async def test_offsets_of_another_topic_of_that_name_are_refused(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings = kafka_settings
    raw, group = CLICKSTREAM.named(settings.namespace), named(INGEST_GROUP, settings.namespace)
    async with bus.GroupConsumer.open(settings, group=group, topics=[raw]) as consumer:
        await eventually(consumer.assigned)
        await consumer.commit({(raw, 0): 7}, "the id of another")
    with ingest_process(settings, tmp_path) as running:
        assert await asyncio.to_thread(running.process.wait, 60) == 1
        [line] = running.log.read_text().splitlines()
        assert line.startswith(f"attune: the topic {raw} was made anew since the group {group}")
