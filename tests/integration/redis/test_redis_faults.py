"""A real profile process while its Redis is slow, cut off, full, amnesic, demoted or gone.

After each fault: every profile as the reference replay has it, nothing lost, nothing twice.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.local.store import EmbeddedStore, embedded_store
from shared import topics
from shared.bus import group_lag
from shared.settings import Settings
from shared.store import open_redis
from tests.fixtures.faulty_proxy import FaultyProxy, faulty_proxy
from tests.fixtures.waiting import eventually
from tests.integration.redis.folding import Folding, folding


@pytest.fixture
def direct(kafka_settings: Settings, own_store: EmbeddedStore) -> Settings:
    """The way to Redis that has no faults."""
    return replace(kafka_settings, redis=own_store.url)


@pytest.fixture
async def admin(direct: Settings) -> AsyncIterator[Redis]:
    async with open_redis(direct) as client:
        yield client


@asynccontextmanager
async def behind_proxy(
    direct: Settings, store: EmbeddedStore, folder: Path
) -> AsyncIterator[tuple[Folding, FaultyProxy]]:
    async with faulty_proxy(store.port) as proxy:
        settings = replace(direct, redis=proxy.url())
        async with folding(settings, folder) as run:
            await run.write(500)
            await run.await_applied(500)
            yield run, proxy


async def lag(settings: Settings) -> int:
    group = topics.named(topics.PROFILE_GROUP, settings.namespace)
    found = await group_lag(settings, group, [topics.EVENTS.named(settings.namespace)])
    return sum(found.values())


@pytest.mark.long
async def test_slow_then_stalled_for_longer_than_a_client_waits(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    async with behind_proxy(direct, own_store, tmp_path) as (run, proxy):
        for latency_s in (0.05, 0.25):
            proxy.latency_s = latency_s
            await run.write(500, over_s=1)
        proxy.latency_s = 0.0
        assert await run.retries() == 0
        proxy.stall()
        await run.write(500)
        await run.await_check("store", "timeout", "StoreUnavailable")
        await run.await_retried()
        proxy.resume()
        await run.await_check("store", "ok")
        await run.ends_as_the_log_says(direct)


async def test_connections_cut_in_the_middle_of_replies(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    async with behind_proxy(direct, own_store, tmp_path) as (run, proxy):
        draw = random.Random(5)
        stop = asyncio.Event()
        writing = asyncio.create_task(run.keep_writing(stop))
        while proxy.cuts < 10 or await run.retries() < 5:
            proxy.cut_replies(draw.choice((1, 5, 40, 200)))
            await asyncio.sleep(0.1)
            if draw.random() < 0.2:
                proxy.reset()
        stop.set()
        await writing
        await run.ends_as_the_log_says(direct)


async def test_out_of_memory_until_there_is_room_again(
    direct: Settings, own_store: EmbeddedStore, admin: Redis, tmp_path: Path
) -> None:
    async with folding(direct, tmp_path) as run:
        await run.write(500)
        await run.await_applied(500)
        await admin.config_set("maxmemory", 1)
        before = await run.applied()
        await run.write(1_500)
        await run.await_retried(2)
        assert await run.applied() == before
        await admin.config_set("maxmemory", 0)
        await run.write(500)
        await run.ends_as_the_log_says()
        assert "OutOfMemoryError" in run.log()


@pytest.mark.long
async def test_scripts_flushed_again_and_again(
    direct: Settings, own_store: EmbeddedStore, admin: Redis, tmp_path: Path
) -> None:
    async with folding(direct, tmp_path) as run:
        stop = asyncio.Event()
        writing = asyncio.create_task(run.keep_writing(stop))
        for _ in range(40):
            await admin.script_flush()
            await asyncio.sleep(0.05)
        stop.set()
        await writing
        await run.ends_as_the_log_says()


async def test_the_last_second_of_the_append_only_file_gone(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    async with folding(direct, tmp_path) as run:
        stop = asyncio.Event()
        writing = asyncio.create_task(run.keep_writing(stop))
        for _ in range(2):
            await run.await_applied(await run.applied() + 300)
            sizes = own_aof_sizes(own_store)
            await asyncio.sleep(0.9)
            lost = await asyncio.to_thread(kill_and_truncate, own_store, sizes)
            assert lost > 0
            await asyncio.to_thread(own_store.restart)
        stop.set()
        await writing
        await run.ends_as_the_log_says()
        assert "may have forgotten" in run.log()


def own_aof_sizes(store: EmbeddedStore) -> dict[Path, int]:
    return {path: path.stat().st_size for path in store.directory.glob("appendonlydir/*.incr.aof")}


def kill_and_truncate(store: EmbeddedStore, sizes: dict[Path, int]) -> int:
    """Loses what was appended since the sizes were taken, as a machine that lost power would."""
    store.kill()
    lost = 0
    for path, size in sizes.items():
        lost += path.stat().st_size - size
        with path.open("r+b") as file:
            file.truncate(size)
    return lost


async def test_a_replica_that_lags_takes_over_first_read_only_then_promoted(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    with embedded_store(tmp_path / "replica", prefer="system") as replica:
        async with (
            faulty_proxy(own_store.port) as link,
            open_redis(replace(direct, redis=replica.url)) as other,
            open_redis(direct) as first,
        ):
            await other.config_set("repl-timeout", 3_600)
            await first.config_set("repl-timeout", 3_600)
            await other.replicaof("127.0.0.1", link.port)
            await eventually(lambda: linked(other), what="replication")
            async with behind_proxy(direct, own_store, tmp_path) as (run, proxy):
                await eventually(lambda: drained(direct), what="all committed")
                link.stall()
                await run.write(1_500)
                await run.await_applied(2_000)
                # Two seconds old and synced to disk, and yet not kept: no replica has it.
                await asyncio.sleep(3)
                assert await lag(direct) >= 1_500
                proxy.lead_to(replica.port)
                await run.await_retried()
                await asyncio.sleep(0.5)
                await other.replicaof("NO", "ONE")
                await run.write(500)
                await run.ends_as_the_log_says(replace(direct, redis=replica.url))
                assert "may have forgotten" in run.log()


async def linked(replica: Redis) -> bool:
    return (await replica.info("replication")).get("master_link_status") == "up"


async def drained(settings: Settings) -> bool:
    return await lag(settings) == 0


@pytest.mark.long
async def test_gone_for_a_while_with_a_backlog_that_grows(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    async with folding(direct, tmp_path) as run:
        await run.write(3_000)
        await run.await_applied(3_000)
        await asyncio.to_thread(own_store.stop)
        before = run.resident_mb()
        await run.write(8_000)
        await run.await_check("store", "StoreUnavailable")
        await run.await_retried(4)
        assert run.resident_mb() < before + 40
        assert run.process.alive()
        await asyncio.to_thread(own_store.restart)
        await run.await_check("store", "ok")
        await run.ends_as_the_log_says()


async def test_without_an_append_only_file_nothing_is_committed_and_all_is_told(
    direct: Settings, own_store: EmbeddedStore, admin: Redis, tmp_path: Path
) -> None:
    async with folding(direct, tmp_path) as run:
        await run.await_check("store", "ok")
        assert await run.metric("attune_profile_store_keeps_writes") == 1
        await admin.config_set("appendonly", "no")
        await run.await_check("store", "StoreNotKeeping")
        await run.write(500)
        await run.await_applied(500)
        await asyncio.sleep(2.5)
        assert await lag(direct) >= 500
        assert await run.metric("attune_profile_store_keeps_writes") == 0
        assert "Redis does not keep what it is told: it has no append-only file" in run.log()
        await admin.config_set("appendonly", "yes")
        await run.await_check("store", "ok")
        await admin.config_set("maxmemory-policy", "allkeys-lru")
        await admin.config_set("maxmemory", "1gb")
        await run.await_check("store", "StoreNotKeeping")
        await admin.config_set("maxmemory-policy", "noeviction")
        await run.await_check("store", "ok")
        await run.ends_as_the_log_says()


async def test_a_store_declared_volatile_is_refused_once_it_has_restarted(
    direct: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    async with folding(replace(direct, store_durability="volatile"), tmp_path) as run:
        await run.write(500)
        await run.await_applied(500)
        await eventually(lambda: drained(direct), within_s=5, what="committed without waiting")
        await asyncio.to_thread(own_store.kill)
        await asyncio.to_thread(own_store.restart)
        await run.write(10)
        await eventually(lambda: not run.process.alive(), what="refusal")
        assert "run `attune rebuild`" in run.log()
