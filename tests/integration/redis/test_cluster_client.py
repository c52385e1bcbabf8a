"""The cluster client on six real nodes: redirects, nodes that fail, nothing sent twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError, RedisError

from shared.settings import Settings
from shared.store import AnotherServer, ServerWatch, look, open_redis
from shared.store_cluster import ClusterRedis
from tests.fixtures.redis_cluster import RedisCluster

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1]) + redis.call('INCRBY', KEYS[2], 0)"


@pytest.fixture
async def redis(redis_cluster: RedisCluster) -> AsyncIterator[Redis]:
    async with open_redis(redis_cluster.settings()) as client:
        yield client


async def gathered(redis: Redis, keys: list[str]) -> list[bytes | None]:
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        pipeline.get(key)
    return await pipeline.execute()


async def test_keys_of_all_nodes_go_out_together_and_come_back_in_order(
    redis: Redis, namespace: str
) -> None:
    keys = [f"{namespace}:{number}" for number in range(300)]
    pipeline = redis.pipeline(transaction=False)
    for number, key in enumerate(keys):
        pipeline.set(key, number)
    assert await pipeline.execute() == [True] * 300
    assert await gathered(redis, keys) == [str(number).encode() for number in range(300)]


async def test_a_moved_slot_is_followed(
    redis: Redis, redis_cluster: RedisCluster, namespace: str
) -> None:
    key = f"{{{namespace}}}:moved"
    slot = key_slot(key.encode())
    await redis.set(key, "here")
    home = redis_cluster.owner(slot)
    away = next(node for node in redis_cluster.masters() if node is not home)
    for target in (away, home):
        await asyncio.to_thread(redis_cluster.move, slot, target)
        assert await redis.get(key) == b"here"
        assert await redis.set(key, "here")


async def test_a_slot_under_way_is_asked_for_where_each_key_lies_however_many_connections(
    redis: Redis, redis_cluster: RedisCluster, namespace: str
) -> None:
    keys = [f"{{{namespace}}}:{number}" for number in range(20)]
    slot = key_slot(keys[0].encode())
    for key in keys:
        await redis.set(key, key)
    target = next(node for node in redis_cluster.masters() if node is not redis_cluster.owner(slot))
    # Connections to every node, so that a word said on one of them is not heard on another.
    await asyncio.gather(*(gathered(redis, [f"{n}" for n in range(50)]) for _ in range(5)))
    home = redis_cluster.begin_move(slot, target)
    try:
        redis_cluster.move_keys(slot, home, target, most=10)
        found = await asyncio.gather(*(gathered(redis, keys) for _ in range(5)))
        assert found == [[key.encode() for key in keys]] * 5
        new = f"{{{namespace}}}:new"
        assert await redis.set(new, 1)
        assert target.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 11
    finally:
        for _ in range(2):
            redis_cluster.move_keys(slot, home, target)
        redis_cluster.end_move(slot, target)
        redis_cluster.move(slot, home)
    assert await gathered(redis, keys) == [key.encode() for key in keys]


async def test_a_script_waits_for_keys_that_lie_on_two_nodes(
    redis: Redis, redis_cluster: RedisCluster, namespace: str
) -> None:
    one, other = f"{{{namespace}}}:1", f"{{{namespace}}}:2"
    slot = key_slot(one.encode())
    await redis.set(one, 1)
    await redis.set(other, 10)
    target = next(node for node in redis_cluster.masters() if node is not redis_cluster.owner(slot))
    home = redis_cluster.begin_move(slot, target)
    redis_cluster.move_keys(slot, home, target, most=1)
    waiting = asyncio.create_task(redis.eval(ADD, 2, one, other, 5))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await asyncio.to_thread(redis_cluster.move_keys, slot, home, target)
    await asyncio.to_thread(redis_cluster.end_move, slot, target)
    assert await waiting == 16
    await asyncio.to_thread(redis_cluster.move, slot, home)
    assert await redis.get(one) == b"6"


@pytest.mark.parametrize("kind", ["server", "cluster"])
async def test_a_caller_who_gives_up_never_leaves_his_answer_to_another(
    kind: str, request: pytest.FixtureRequest, redis_url: str, namespace: str
) -> None:
    settings = Settings(redis=redis_url)
    if kind == "cluster":
        settings = request.getfixturevalue("redis_cluster").settings()
    keys = [f"{namespace}:{number}" for number in range(200)]
    async with open_redis(settings) as redis:
        for key in keys:
            await redis.set(key, key)
        await asyncio.gather(*(ask_and_give_up(redis, keys, turn) for turn in range(40)))


async def ask_and_give_up(redis: Redis, keys: list[str], turn: int) -> None:
    for step in range(25):
        mine = keys[(turn * 7 + step) % 150 :][: 1 + step]
        task = asyncio.create_task(gathered(redis, mine))
        for _ in range((turn + step) % 6):
            await asyncio.sleep(0)
        if (turn + step) % 2:
            task.cancel()
        answers = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(answers[0], asyncio.CancelledError | RedisError):
            assert answers[0] == [key.encode() for key in mine]


async def test_a_master_that_dies_is_replaced_and_its_replica_is_another_server(
    healing_cluster: RedisCluster,
) -> None:
    cluster, watch = healing_cluster, ServerWatch()
    async with open_redis(cluster.settings(), watch=watch) as redis:
        assert isinstance(redis, ClusterRedis)
        keys = [f"{number}" for number in range(60)]
        for key in keys:
            await redis.set(key, key)
        _, told = await look(redis, watch)
        assert all(one.aof and len(one.acknowledged) == 1 for one in told.values())
        dying = cluster.masters()[0]
        replica = cluster.replica_of(dying)
        dying.kill()
        with pytest.raises(ConnectionError):
            await look(redis, watch)
        await asyncio.to_thread(cluster.await_promoted, replica)
        # Whoever only looks learns of the new map too.
        with pytest.raises(AnotherServer):
            await until_looked(redis, watch)
        watch.accept()
        await redis.disconnect()
        assert await until_gathered(redis, keys) == [key.encode() for key in keys]


async def until_gathered(redis: Redis, keys: list[str]) -> list[bytes | None]:
    """As callers do, again where the first read still met the node that is gone."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await gathered(redis, keys)
            except RedisError:
                await asyncio.sleep(0.05)


async def until_looked(redis: Redis, watch: ServerWatch) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await look(redis, watch)
            except AnotherServer:
                raise
            except RedisError:
                await asyncio.sleep(0.1)
            else:
                return
