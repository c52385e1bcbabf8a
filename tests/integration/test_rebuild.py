"""`attune rebuild` on real servers: killed half way, twice at once, on an emptied store, from the
archive, and what workers and rebuild refuse."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from services.local.servers import environment
from services.local.store import EmbeddedStore
from services.profile.identity import Identity
from services.profile.store import ProfileStore
from services.profile.verify.check import live_generation, verify
from shared import events as facts
from shared.archive_table import ArchiveTable
from shared.bus import scan, topic_id
from shared.generation_store import GenerationStore
from shared.keys import Keys, generation_pointer
from shared.settings import Settings
from shared.store import open_redis
from shared.topics import EVENTS
from tests.fixtures.systems import run_attune
from tests.fixtures.waiting import eventually
from tests.integration.test_profile_process import (
    profile,
    traffic,
    wait_until_drained_of_events,
    write,
)

SOME = 1_000


@pytest.fixture(params=["embedded", "kafka"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return request.getfixturevalue(f"{request.param}_settings")


async def rebuild(settings: Settings, *options: str, code: int = 0) -> dict[str, Any]:
    return await asyncio.to_thread(
        run_attune, settings, "rebuild", "--grace", "0", *options, code=code
    )


async def names(redis: Redis, settings: Settings) -> set[str]:
    """The generations of which any key is left."""
    found = [key.decode() async for key in redis.scan_iter(f"{settings.namespace}:attune:*")]
    return {part for key in found if "{" not in (part := key.split(":")[2])}


def children_of(process: int) -> list[Path]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [Path("/proc", child) for child in found]


async def equal(settings: Settings) -> None:
    found = await verify(settings)
    assert found.customers > 0
    assert (found.different, found.lost, found.applied_twice) == (0, 0, 0), found
    assert found.unpublished == 0


async def test_an_emptied_store_is_refused_and_then_rebuilt(
    kafka_settings: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(kafka_settings, redis=own_store.url)
    await write(settings, *traffic()[:SOME])
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    async with open_redis(settings) as redis:
        await redis.flushall()
        async with profile(settings, tmp_path) as process:
            await eventually(lambda: not process.alive(), what="refusal")
        assert "run `attune rebuild`" in (tmp_path / "profile.log").read_text()
        report = await rebuild(settings)
        assert report["events"] > report["customers"] > 0
        await equal(settings)
        assert await names(redis, settings) == {report["generation"]}
    async with profile(settings, tmp_path):
        await write(settings, facts.ItemViewed(**late(), item="lamp"))
        assert await wait_until_drained_of_events(settings)
        await equal(settings)


def late() -> dict[str, Any]:
    now = 1_800_000_000_000
    return {"event_id": "late", "occurred_at": now, "received_at": now, "customer": "shopper-1"}


async def test_a_log_that_no_worker_ever_folded(settings: Settings, tmp_path: Path) -> None:
    await write(settings, *traffic()[:SOME])
    report = await rebuild(settings)
    assert report["events_per_second"] > 0
    live = await live_generation(settings)
    assert live is not None
    async with open_redis(settings) as redis:
        profiles = f"{settings.namespace}:attune:{live.token}:*:profile"
        written = [await redis.hget(key, "n") async for key in redis.scan_iter(profiles)]
        assert written == [b"1"] * report["customers"]
    async with profile(settings, tmp_path):
        # What the logins hand over is in no log yet: the live worker publishes it.
        assert await wait_until_drained_of_events(settings)
        await equal(settings)
    again = await rebuild(settings)
    assert again["generation"] != live.token
    await equal(settings)
    async with open_redis(settings) as redis:
        assert await names(redis, settings) == {again["generation"]}


async def test_a_rebuild_killed_half_way_changes_nothing_and_leaves_nothing_for_long(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings = kafka_settings
    await write(settings, *traffic())
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    before = await live_generation(settings)
    assert before is not None
    async with open_redis(settings) as redis:
        generations = GenerationStore(redis, settings.namespace)
        killed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "rebuild"),
            env={**os.environ, **environment(settings)},
        )

        async def half_way() -> bool:
            shadow = (await generations.read()).shadow
            return shadow in await names(redis, settings)

        await eventually(half_way, what="keys of the new generation")
        children = children_of(killed.pid)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
        assert await live_generation(settings) == before
        await equal(settings)
        await eventually(lambda: not any(child.exists() for child in children))
        await generations.release_lease((await generations.read()).shadow)
        report = await rebuild(settings)
        assert await names(redis, settings) == {report["generation"]}
    await equal(settings)


async def test_a_rebuild_that_slept_while_another_one_ran_ends_loudly_and_leaves_nothing_for_long(
    kafka_settings: Settings,
) -> None:
    settings = kafka_settings
    await write(settings, *traffic())
    async with open_redis(settings) as redis:
        generations = GenerationStore(redis, settings.namespace)
        asleep = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "rebuild", "--json"),
            env={**os.environ, **environment(settings)},
            stdout=asyncio.subprocess.PIPE,
        )

        async def begun() -> str:
            return (await generations.read()).shadow

        token = await eventually(begun, what="a new generation")
        asleep.send_signal(signal.SIGSTOP)
        children = children_of(asleep.pid)
        # As when it has slept for longer than its lease.
        await generations.release_lease(token)
        await rebuild(settings)
        live = await live_generation(settings)
        await generations.hold_lease("another")
        asleep.send_signal(signal.SIGCONT)
        output, _ = await asyncio.wait_for(asleep.communicate(), 30)
        assert asleep.returncode == 1
        assert json.loads(output)["failed"] == ["rebuild_under_way"]
        await eventually(lambda: not any(child.exists() for child in children))
        assert await live_generation(settings) == live
        assert (await verify(settings)).different == 0
        # What it may have written behind the one that removed its keys.
        behind = ProfileStore(redis, Keys(settings.namespace, token), "topic-1")
        await behind.save([Identity("c:shopper-1")])
        await generations.release_lease("another")
        report = await rebuild(settings)
        assert await names(redis, settings) == {report["generation"]}


async def test_a_second_rebuild_is_refused(kafka_settings: Settings) -> None:
    async with open_redis(kafka_settings) as redis:
        generations = GenerationStore(redis, kafka_settings.namespace)

        async def hold() -> None:
            while True:
                await generations.hold_lease("another")
                await asyncio.sleep(1)

        holding = asyncio.create_task(hold())
        refused = await rebuild(kafka_settings, code=1)
        holding.cancel()
        await asyncio.wait([holding])
    assert refused["failed"] == ["rebuild_under_way"]


async def test_partitions_that_were_added_end_the_worker_and_refuse_a_rebuild(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

    settings = kafka_settings
    await write(settings, *traffic()[:50])
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        topic = EVENTS.named(settings.namespace)
        await admin.create_partitions({topic: NewPartitions(settings.partitions + 1)})
    finally:
        await admin.close()
    async with profile(settings, tmp_path) as process:
        await eventually(lambda: not process.alive(), what="refusal")
    assert "has 5 partitions" in (tmp_path / "profile.log").read_text()
    assert (await rebuild(settings, code=1))["failed"] == ["partitions_changed"]


async def test_a_topic_that_was_made_anew_is_refused_until_it_is_rebuilt(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    from shared.bus import ensure_topics
    from shared.errors import UnknownTopic

    settings = kafka_settings
    await write(settings, *traffic()[:50])
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    topic = EVENTS.named(settings.namespace)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()

    async def gone() -> bool:
        try:
            await topic_id(settings, topic)
        except UnknownTopic:
            return True
        return False

    await eventually(gone)
    await ensure_topics(settings)
    await write(settings, *traffic()[:20])
    async with profile(settings, tmp_path) as process:
        await eventually(lambda: not process.alive(), what="refusal")
    assert "another incarnation" in (tmp_path / "profile.log").read_text()
    await rebuild(settings)
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
        await equal(settings)


async def test_a_log_whose_start_is_gone_is_rebuilt_from_the_archive(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
    from aiokafka.structs import TopicPartition

    settings = replace(kafka_settings, archive=str(tmp_path / "archive"))
    await write(settings, *traffic()[:SOME])
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    topic = EVENTS.named(settings.namespace)
    table = ArchiveTable.open(
        settings, EVENTS, incarnation=await topic_id(settings, topic), partitions=4
    )
    table.append([record async for records in scan(settings, topic) for record in records])
    await write(settings, *traffic()[:100])
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        cut = {TopicPartition(topic, n): RecordsToDelete(before_offset=5) for n in range(4)}
        await admin.delete_records(cut)
    finally:
        await admin.close()
    assert (await rebuild(settings, "--from", "log", code=1))["failed"] == ["log_truncated"]
    report = await rebuild(settings)
    assert report["source"] == "archive and log"
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
        await equal(settings)
    async with open_redis(settings) as redis:
        await redis.delete(generation_pointer(settings.namespace))
        async with profile(settings, tmp_path) as process:
            await eventually(lambda: not process.alive(), what="refusal")
    await rebuild(settings, "--from", "archive")
    await equal(settings)
