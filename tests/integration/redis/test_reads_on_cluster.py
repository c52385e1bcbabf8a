"""What recommend reads, gathered over six nodes, while a slot moves and a master dies."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.crc import key_slot

from services.recommend.metrics import RecommendMetrics
from services.recommend.store import Answer, ProfileReader, Seen, open_redis
from shared.generation_store import LiveKeys
from shared.keys import Keys
from shared.profile import View, encode_view
from shared.settings import Settings
from tests.fixtures.redis_cluster import RedisCluster
from tests.fixtures.waiting import eventually

SHOPPERS = [f"c:{number}" for number in range(200)]
DEADLINE_MS = 50


def reader_of(client: Any, settings: Settings, keys: Keys) -> ProfileReader:
    live = LiveKeys(client, settings.namespace)
    live.keys = keys
    return ProfileReader(client, live, RecommendMetrics(CollectorRegistry()), DEADLINE_MS)


async def read_all(reader: ProfileReader) -> list[Answer]:
    return list(await asyncio.gather(*(reader.read(name) for name in SHOPPERS)))


def all_seen(answers: list[Answer]) -> bool:
    return [one.view.events for one in answers if isinstance(one, Seen)] == list(range(200))


@pytest.mark.long
async def test_every_shopper_is_read_whatever_moves_and_nobody_waits_for_a_dead_master(
    base_settings: Settings, healing_cluster: RedisCluster
) -> None:
    cluster = healing_cluster
    settings = replace(base_settings, redis=cluster.url, redis_cluster=True)
    keys = Keys(settings.namespace, "g1")
    async with open_redis(settings) as client:
        for number, name in enumerate(SHOPPERS):
            fields = {"v": encode_view(View(events=number)), "t": "77"}
            await client.hset(keys.profile(name), mapping=fields)
        reader = reader_of(client, settings, keys)
        assert all_seen(await read_all(reader))
        moving = asyncio.create_task(asyncio.to_thread(move_some, cluster, keys))
        rounds = [await read_all(reader)]
        while not moving.done():
            rounds.append(await read_all(reader))
            await asyncio.sleep(0.01)
        await moving
        assert sum(map(all_seen, rounds)) >= len(rounds) * 0.9
        dying = cluster.masters()[0]
        replica = cluster.replica_of(dying)
        dying.kill()
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            await read_all(reader)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        await asyncio.to_thread(cluster.await_promoted, replica)

        async def whole() -> bool:
            return all_seen(await read_all(reader))

        await eventually(whole, what="every shopper read from the replica that took over")
        await reader.close()


def move_some(cluster: RedisCluster, keys: Keys) -> None:
    for name in SHOPPERS[:20]:
        slot = key_slot(keys.profile(name).encode())
        home = cluster.owner(slot)
        cluster.move(slot, next(node for node in cluster.masters() if node is not home))
