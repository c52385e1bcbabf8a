"""The generation pointer in Redis: who may move it, and what readers see meanwhile."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.errors import StoreUnavailable
from shared.generation import NO_GENERATION, Generation
from shared.generation_store import GenerationStore, LiveKeys, RebuildUnderWay
from shared.keys import rebuild_lease
from shared.settings import Settings
from shared.store import open_redis


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(Settings(redis=redis_url)) as client:
        yield client


@pytest.fixture
def store(redis: Redis, namespace: str) -> GenerationStore:
    return GenerationStore(redis, namespace)


async def test_the_first_to_mint_wins(store: GenerationStore) -> None:
    assert (await store.read()).live is None
    assert await store.live_token() == ""
    first = await store.mint("topic-1", 4)
    assert await store.mint("topic-1", 4) == first
    assert await store.live_token() == first.token
    assert (first.incarnation, first.partitions, dict(first.starts)) == ("topic-1", 4, {})


async def test_a_swap_replaces_the_live_one_whole(store: GenerationStore) -> None:
    old = await store.mint("topic-1", 4)
    await store.begin("g2")
    await store.swap(Generation("g2", "topic-1", 4, {0: 5, 3: 7}))
    await store.begin("g3")
    new = Generation("g3", "topic-2", 2, {1: 9})
    await store.swap(new)
    pointer = await store.read()
    assert (pointer.live, pointer.shadow, pointer.retired) == (new, "", ("g2",))
    assert old.token != "g3"


async def test_what_runs_that_died_had_begun_is_told_to_the_next(store: GenerationStore) -> None:
    assert await store.begin("g1") == ()
    assert await store.begin("g2") == ("g1",)
    assert await store.begin("g3") == ("g1", "g2")
    with pytest.raises(RebuildUnderWay):
        await store.swap(Generation("g2", "topic-1", 1))
    assert await store.live_token() == ""
    await store.swap(Generation("g3", "topic-1", 1))
    assert await store.begin("g4") == ()


async def test_one_rebuild_at_a_time(store: GenerationStore, redis: Redis, namespace: str) -> None:
    await store.hold_lease("g1")
    await store.hold_lease("g1")
    with pytest.raises(RebuildUnderWay):
        await store.hold_lease("g2")
    await store.release_lease("g2")
    assert 0 < await redis.pttl(rebuild_lease(namespace)) <= 10_000
    await store.release_lease("g1")
    await store.hold_lease("g2")


async def test_readers_follow_the_live_generation(
    store: GenerationStore, redis: Redis, namespace: str
) -> None:
    live = LiveKeys(redis, namespace)
    await live.refresh()
    assert live.keys.generation == NO_GENERATION
    made = await store.mint("topic-1", 4)
    await live.refresh()
    assert live.keys.generation == made.token
    await redis.delete(f"{namespace}:attune:{{deployment}}:generation")
    await live.refresh()
    assert live.keys.generation == made.token


async def test_a_store_that_is_away_says_so(namespace: str) -> None:
    async with open_redis(Settings(redis="redis://127.0.0.1:1/0")) as client:
        with pytest.raises(StoreUnavailable):
            await GenerationStore(client, namespace).live_token()
