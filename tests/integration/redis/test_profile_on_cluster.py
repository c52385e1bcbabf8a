"""A real profile process on six nodes, while slots move and a master is killed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import redis
from redis.crc import key_slot

from shared.settings import Settings
from tests.fixtures.redis_cluster import MASTERS, Node, RedisCluster
from tests.integration.redis.folding import folding


async def test_slots_move_and_a_master_dies_while_facts_are_folded(
    kafka_settings: Settings, own_redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    cluster = own_redis_cluster
    settings = replace(kafka_settings, redis=cluster.url, redis_cluster=True)
    async with folding(settings, tmp_path) as run:
        await run.write(500)
        await run.await_applied(500)
        writing = asyncio.create_task(run.write(8_000, over_s=16))
        moved = await asyncio.to_thread(move_slots_with_keys, cluster)
        assert moved >= 60
        assert "may have forgotten" not in run.log()
        # What was moved lay in the last second of its new node's log for so long.
        await asyncio.sleep(1.5)
        dying = cluster.nodes[0]
        assert not writing.done()
        dying.kill()
        await asyncio.to_thread(cluster.await_promoted, cluster.nodes[MASTERS])
        await run.await_retried()
        await writing
        await run.write(500)
        await run.ends_as_the_log_says()
        assert "may have forgotten" in run.log()


def move_slots_with_keys(cluster: RedisCluster) -> int:
    """Moves slots of each master to the next one, and says how many keys went with them."""
    masters = cluster.nodes[:MASTERS]
    moves = [
        (slot, masters[(number + 1) % MASTERS])
        for number, source in enumerate(masters)
        for slot in slots_with_keys(source)[:30]
    ]
    return sum(cluster.move(slot, target) for slot, target in moves)


def slots_with_keys(node: Node) -> list[int]:
    with redis.Redis(host="127.0.0.1", port=node.port) as client:
        return sorted({key_slot(key) for key in client.scan_iter(count=1_000)})
