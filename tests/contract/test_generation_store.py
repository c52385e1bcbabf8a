"""The generation pointer in Redis: who may move it, and what readers see meanwhile."""

import pytest
from redis.asyncio import Redis

from services.profile.identity import Identity
from services.profile.rebuild.store import GenerationFiller
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer, ItemBatch
from shared.errors import StoreUnavailable
from shared.generation import NO_GENERATION, Generation
from shared.generation_store import GenerationStore, LiveKeys, RebuildUnderWay
from shared.keys import Keys, rebuild_lease
from shared.settings import Settings
from shared.store import open_redis


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
    # They may only have slept, and have written on when they woke.
    assert await store.begin("g4") == ("g1", "g2")
    await store.swap(Generation("g4", "topic-1", 1))
    assert await store.begin("g5") == ("g3",)


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


async def test_a_generation_is_filled_as_live_ones_are_and_removed_by_name(
    redis: Redis, namespace: str
) -> None:
    keys = Keys(namespace, "g1")
    filler, store = GenerationFiller(redis, keys), ProfileStore(redis, keys, "topic-1")
    rows = {f"item-{n}": [n, 0, 0, 0, 1] for n in range(1_200)}
    await filler.fill_buckets(3, {7: rows, 8: {"lamp": [1, 2, 3, 4, 5]}})
    await store.count_items([ItemBatch(3, -1, 41, {})])
    assert await store.item_positions([3]) == {3: 41}
    assert await store.count_items([ItemBatch(3, 41, 50, {(8, "lamp"): [1, 1, 0, 0, 0]})]) == [50]
    assert await redis.hget(keys.item_bucket(3, 8), "lamp") == b"2,3,3,4,5"
    assert await redis.hlen(keys.item_bucket(3, 7)) == 1_200
    assert await redis.zrange(keys.item_buckets(3), 0, -1) == [b"7", b"8"]
    await store.schedule([DueTimer(3, "c:alice", 5)])
    await store.save([Identity("c:alice"), Identity("c:bob")])
    await filler.remove_profiles(["c:alice", "c:bob", "c:nobody"])
    await filler.remove_partition(3)
    left = [keys.profile("c:alice"), keys.profile("c:bob"), keys.item_bucket(3, 7)]
    left += [keys.item_bucket(3, 8), keys.item_buckets(3), keys.item_position(3), keys.timers(3)]
    assert [await redis.exists(key) for key in left] == [0] * len(left)


async def test_a_store_that_is_away_says_so(namespace: str) -> None:
    async with open_redis(Settings(redis="redis://127.0.0.1:1/0")) as client:
        with pytest.raises(StoreUnavailable):
            await GenerationStore(client, namespace).live_token()
