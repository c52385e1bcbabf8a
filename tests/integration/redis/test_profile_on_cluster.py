"""A real profile process on six nodes: slots move, a master is killed, profiles are rebuilt."""

import asyncio
from dataclasses import replace
from pathlib import Path

from redis.crc import key_slot

from services.profile.verify.check import live_generation
from shared.settings import Settings
from tests.fixtures.redis_cluster import Node, RedisCluster
from tests.fixtures.systems import run_attune
from tests.integration.redis.folding import folding


async def test_slots_move_and_a_master_dies_while_facts_are_folded(
    kafka_settings: Settings, healing_cluster: RedisCluster, tmp_path: Path
) -> None:
    cluster = healing_cluster
    settings = replace(kafka_settings, redis=cluster.url, redis_cluster=True)
    async with folding(settings, tmp_path) as run:
        await run.write(500)
        await run.await_applied(500)
        stop = asyncio.Event()
        writing = asyncio.create_task(run.keep_writing(stop))
        moved = await asyncio.to_thread(move_slots, cluster, settings.namespace)
        assert moved >= 30
        assert "may have forgotten" not in run.log()
        # What was moved lay in the last second of its new node's log for so long.
        await asyncio.sleep(1.5)
        dying = cluster.masters()[0]
        replica = cluster.replica_of(dying)
        dying.kill()
        await asyncio.to_thread(cluster.await_promoted, replica)
        await run.await_retried()
        await run.await_applied(await run.applied() + 200)
        stop.set()
        await writing
        await run.write(500)
        await run.ends_as_the_log_says()
        assert "may have forgotten" in run.log()


async def test_profiles_are_rebuilt_while_facts_are_folded(
    kafka_settings: Settings, redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    settings = replace(kafka_settings, redis=redis_cluster.url, redis_cluster=True)
    async with folding(settings, tmp_path) as run:
        await run.write(500)
        await run.await_applied(500)
        stop = asyncio.Event()
        writing = asyncio.create_task(run.keep_writing(stop))
        report = await asyncio.to_thread(run_attune, settings, "rebuild")
        stop.set()
        await writing
        live = await live_generation(settings)
        assert live is not None
        assert report["generation"] == live.token
        await run.ends_as_the_log_says()
    keys = await asyncio.to_thread(all_keys, redis_cluster, settings.namespace)
    # The pointer, and of the generations the live one alone, on whichever node.
    assert {key.split(":")[2] for key in keys} == {live.token, "{deployment}"}


def all_keys(cluster: RedisCluster, namespace: str) -> set[str]:
    found: set[str] = set()
    for node in cluster.masters():
        with node.client as client:
            found |= {key.decode() for key in client.scan_iter(f"{namespace}:*", count=1_000)}
    return found


def move_slots(cluster: RedisCluster, namespace: str) -> int:
    """Moves slots of each master to the next one, and says how many keys went with them."""
    masters = cluster.masters()
    moves = [
        (slot, masters[(number + 1) % len(masters)])
        for number, source in enumerate(masters)
        for slot in slots_with_keys(source, namespace)[:15]
    ]
    return sum(cluster.move(slot, target) for slot, target in moves)


def slots_with_keys(node: Node, namespace: str) -> list[int]:
    with node.client as client:
        keys = client.scan_iter(match=f"{namespace}:*", count=1_000)
        return sorted({key_slot(key) for key in keys})
