"""`attune archive` on Apache Kafka: each record once and as it was, whatever dies when."""

import asyncio
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.local.apache import ApacheKafka
from shared.bus import Producer, ensure_topics
from shared.events import ItemViewed, encode
from shared.settings import Settings
from shared.topics import DECISIONS, EVENTS, Topic
from tests.fixtures.archives import archive_process, archived, logged, rows
from tests.fixtures.ingests import RunningIngest
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.kafka

QUICK = {"max_rows": 300, "max_wait_s": 0.1}
PATIENT = {"max_rows": 100_000, "max_wait_s": 3_600.0}


@pytest.fixture
def settings(kafka_settings: Settings, tmp_path: Path) -> Settings:
    return replace(kafka_settings, archive=str(tmp_path / "archive"))


def value_of(number: int, dice: random.Random) -> bytes | None:
    """Mostly facts; now and then nothing, or bytes that are no text."""
    if number % 50 == 0:
        return None
    if number % 50 == 1:
        return dice.randbytes(30)
    customer = f"c{number % 97}"
    return encode(
        ItemViewed(event_id=f"e{number}", customer=customer, occurred_at=1, received_at=1, item="i")
    )


async def produce(settings: Settings, topic: Topic, numbers: range, seed: int = 1) -> None:
    dice = random.Random(seed)
    async with Producer.open(settings) as producer:
        for number in numbers:
            key = b"\xfe\xff" if number % 61 == 0 else b"c:%d" % (number % 97)
            headers = (("src", b"clickstream/0/%d" % number), ("at", dice.randbytes(5)))
            value = value_of(number, dice)
            await producer.send(
                topic.named(settings.namespace), value, key=key, headers=headers[: number % 3]
            )
        await producer.flush()


async def has_archived(settings: Settings, topic: Topic, count: int, within_s: float = 60) -> None:
    async def enough() -> bool:
        return await asyncio.to_thread(rows, settings, topic) >= count

    await eventually(enough, within_s=within_s, what=f"{count} rows of {topic.name}")


async def same_as_the_log(settings: Settings, topic: Topic) -> None:
    kept = await asyncio.to_thread(archived, settings, topic)
    assert kept == await logged(settings, topic)


async def metric(running: RunningIngest, name: str) -> float:
    """The sum of a series over its labels; 0 where there is none yet."""
    answer = await asyncio.to_thread(running.answer, "metrics")
    lines = answer.text.splitlines() if answer else []
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_kill_9_at_any_point_loses_nothing_and_doubles_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    dice = random.Random(4)
    await produce(settings, EVENTS, range(20_000))
    await produce(settings, DECISIONS, range(3_000))
    more = asyncio.create_task(produce(settings, EVENTS, range(20_000, 24_000), seed=2))
    for _ in range(5):
        # It joins files meanwhile, so that it also dies in the middle of that.
        quick = QUICK | {"compact_every_s": 0.2}
        with archive_process(settings, tmp_path, member="one", **quick) as running:
            before = rows(settings, EVENTS)
            await has_archived(settings, EVENTS, before + dice.randrange(1, 1_500))
            await asyncio.sleep(dice.uniform(0, 0.2))
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait(10)
    assert rows(settings, EVENTS) < 24_000, "it was killed in the middle of its work"
    await more
    with archive_process(settings, tmp_path, member="one", **QUICK) as running:
        await has_archived(settings, EVENTS, 24_000)
        await has_archived(settings, DECISIONS, 3_000)
        assert running.stop() == 0
    await same_as_the_log(settings, EVENTS)
    await same_as_the_log(settings, DECISIONS)


async def test_a_stopped_service_has_written_what_it_held(
    settings: Settings, tmp_path: Path
) -> None:
    await produce(settings, EVENTS, range(500))
    with archive_process(settings, tmp_path, **PATIENT) as running:

        async def lag() -> float:
            return await metric(running, "attune_archive_lag{")

        await eventually(running.ready, within_s=60)

        async def read_all() -> bool:
            return await lag() == 500

        await eventually(read_all, within_s=60, what="all records in memory")
        assert rows(settings, EVENTS) == 0
        assert running.stop() == 0
    await same_as_the_log(settings, EVENTS)


async def test_a_zombie_writes_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    await produce(settings, EVENTS, range(500))
    with archive_process(settings, tmp_path, **PATIENT) as zombie:

        async def full() -> bool:
            return await metric(zombie, "attune_archive_lag{") == 500

        await eventually(full, within_s=60, what="all records in the memory of the first")
        os.kill(zombie.process.pid, signal.SIGSTOP)
        with archive_process(settings, tmp_path, **QUICK) as second:
            await has_archived(settings, EVENTS, 500)
            # It wakes, and is at once asked to write what it holds.
            os.kill(zombie.process.pid, signal.SIGTERM)
            os.kill(zombie.process.pid, signal.SIGCONT)
            assert await asyncio.to_thread(zombie.process.wait, 60) == 0
            await produce(settings, EVENTS, range(500, 700))
            await has_archived(settings, EVENTS, 700)
            assert second.stop() == 0
    await same_as_the_log(settings, EVENTS)


async def admin(settings: Settings) -> AIOKafkaAdminClient:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await client.start()
    return client


async def test_a_topic_made_anew_is_refused(settings: Settings, tmp_path: Path) -> None:
    await produce(settings, EVENTS, range(100))
    with archive_process(settings, tmp_path, member="one", **QUICK) as running:
        await has_archived(settings, EVENTS, 100)
        assert running.stop() == 0
    before = await asyncio.to_thread(archived, settings, EVENTS)
    client = await admin(settings)
    await client.delete_topics([EVENTS.named(settings.namespace)])
    await client.close()

    async def made_anew() -> bool:
        return EVENTS.named(settings.namespace) in (await ensure_topics(settings)).created

    await eventually(made_anew, what="the topic again")
    await produce(settings, EVENTS, range(200))
    with archive_process(settings, tmp_path, member="one", **QUICK) as running:
        assert await asyncio.to_thread(running.process.wait, 60) == 1
        assert "made anew" in running.log.read_text()
    assert await asyncio.to_thread(archived, settings, EVENTS) == before


async def test_records_the_log_has_dropped_are_told(settings: Settings, tmp_path: Path) -> None:
    name = EVENTS.named(settings.namespace)
    await produce(settings, EVENTS, range(400))
    before = {number: len(found) for number, found in (await logged(settings, EVENTS)).items()}
    client = await admin(settings)
    partition = TopicPartition(name, max(before))
    await client.delete_records({partition: RecordsToDelete(before_offset=7)})
    await client.close()
    with archive_process(settings, tmp_path, **QUICK) as running:
        await has_archived(settings, EVENTS, 400)
        assert await metric(running, "attune_archive_lost_records_total{") == 7
        assert running.stop() == 0
        assert "dropped records before they were archived" in running.log.read_text()


async def test_an_archive_that_is_away_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    os.close(os.open(settings.archive, os.O_CREAT))  # a file where its folder is to be
    await produce(settings, EVENTS, range(100))
    with archive_process(settings, tmp_path, **QUICK) as running:

        async def failing() -> bool:
            return await metric(running, "attune_archive_failures_total{") >= 2

        await eventually(failing, within_s=60, what="failures in the metrics")
        answer = await asyncio.to_thread(running.answer, "health/ready")
        assert answer is not None
        assert answer.json()["checks"] == {"log": "ok", "archive": "ArchiveUnavailable"}
        os.unlink(settings.archive)
        await has_archived(settings, EVENTS, 100)
        await eventually(running.ready)
        assert running.stop() == 0
    await same_as_the_log(settings, EVENTS)


@pytest.mark.long  # half a minute alone, and more than two on a busy machine
@pytest.mark.timeout(300)
async def test_a_broker_that_restarts_is_waited_for(
    own_kafka: ApacheKafka, settings: Settings, tmp_path: Path
) -> None:
    own = replace(settings, bootstrap=own_kafka.bootstrap)
    await ensure_topics(own)
    await produce(own, EVENTS, range(2_000))
    with archive_process(own, tmp_path, **QUICK) as running:
        await has_archived(own, EVENTS, 300)
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.to_thread(own_kafka.restart)
        await produce(own, EVENTS, range(2_000, 2_500))
        await has_archived(own, EVENTS, 2_500, within_s=200)
        assert running.stop() == 0
    await same_as_the_log(own, EVENTS)


async def test_small_files_are_joined_while_rows_come(settings: Settings, tmp_path: Path) -> None:
    started = time.monotonic()
    with archive_process(settings, tmp_path, **QUICK, compact_every_s=1.0) as running:
        number = 0
        while await metric(running, "attune_archive_compacted_files_total{") < 4:
            assert time.monotonic() < started + 60
            await produce(settings, EVENTS, range(number, number + 50), seed=number)
            number += 50
        await has_archived(settings, EVENTS, number)
        assert running.stop() == 0
    await same_as_the_log(settings, EVENTS)
