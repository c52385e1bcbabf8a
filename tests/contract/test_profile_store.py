"""The profile store, fake and real: compare-and-set, item statistics, timers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.local.store import EmbeddedStore
from services.profile.identity import Delivery, Identity, OutboxEntry, apply
from services.profile.moments.waiting import Waiting
from services.profile.store import BUCKETS_KEPT, ProfileStore
from services.profile.store_keeping import Keeping
from services.profile.store_values import DueTimer, ItemBatch, RecreatedTopic
from shared.errors import StoreForgot, StoreUnavailable
from shared.keys import Keys
from shared.profile import decode_view
from shared.settings import Settings
from shared.store import ServerWatch, open_redis
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.unit.profile.builders import NOW, carted, viewed


@pytest.fixture(params=["fake", "server", "cluster"])
async def store(
    request: pytest.FixtureRequest, namespace: str
) -> AsyncIterator[ProfileStore | FakeProfileStore]:
    if request.param == "fake":
        yield FakeProfileStore()
        return
    if request.param == "cluster":
        settings = request.getfixturevalue("redis_cluster").settings()
    else:
        settings = Settings(redis=request.getfixturevalue("redis_url"))
    async with open_redis(settings) as redis:
        yield ProfileStore(redis, Keys(namespace, "g1"), "topic-1")


def identity(number: int = 1) -> Identity:
    made = Identity("c:alice")
    apply(made, Delivery(carted(number), 3, 10 + number, 777))
    return made


async def test_an_identity_comes_back_as_it_was_written(store) -> None:
    written = identity()
    assert await store.save([written]) == []
    found = (await store.load(["c:alice", "c:nobody"]))["c:alice"]
    assert found.profile == written.profile
    assert (found.counter, found.positions, found.accepted_at) == (1, {3: 11}, 777)
    assert found.window.pack() == written.window.pack()


async def test_waiting_moments_come_back_until_there_are_none(store) -> None:
    written = identity()
    written.waiting = [
        Waiting(NOW + 5, "cart_abandoned", "event-1", NOW, "", "lamp"),
        Waiting(NOW + 9, "inactive", "timer:inactive:7", NOW),
    ]
    await store.save([written])
    found = (await store.load(["c:alice"]))["c:alice"]
    assert found.waiting == written.waiting
    found.waiting = []
    await store.save([found])
    assert (await store.load(["c:alice"]))["c:alice"].waiting == []


async def test_where_nothing_waits_nothing_is_kept_of_it(redis: Redis, namespace: str) -> None:
    keys = Keys(namespace, "g1")
    store = ProfileStore(redis, keys, "topic-1")
    written = identity()
    written.waiting = [Waiting(NOW + 5, "cart_abandoned", "event-1", NOW)]
    for moments in (written.waiting, []):
        written.waiting = moments
        await store.save([written])
        assert bool(await redis.hexists(keys.profile("c:alice"), "w")) is bool(moments)


async def test_an_unknown_identity_is_empty(store) -> None:
    found = (await store.load(["c:nobody"]))["c:nobody"]
    assert (found.counter, found.positions, found.profile.component.events) == (0, {}, 0)


async def test_counters_tell_who_was_written_since(store) -> None:
    written = identity()
    for expected in (1, 2):
        await store.save([written])
        assert await store.counters(["c:alice", "c:nobody"]) == {
            "c:alice": expected,
            "c:nobody": 0,
        }


async def test_the_view_is_written_with_the_state(store) -> None:
    await store.save([identity()])
    views = await store.views(["c:alice", "c:nobody"])
    assert decode_view(views["c:alice"]).cart == ["lamp"]
    assert views["c:nobody"] == b""


async def test_a_write_after_somebody_elses_is_refused_and_changes_nothing(store) -> None:
    await store.save([identity()])
    one = (await store.load(["c:alice"]))["c:alice"]
    other = (await store.load(["c:alice"]))["c:alice"]
    apply(one, Delivery(viewed(2), 3, 20))
    assert await store.save([one]) == []
    apply(other, Delivery(viewed(3), 3, 21))
    assert await store.save([other]) == [other]
    found = (await store.load(["c:alice"]))["c:alice"]
    assert found.profile == one.profile
    assert found.positions == {3: 20}


async def test_what_lies_beside_a_state_is_written_without_it(store) -> None:
    await store.save([identity()])
    one = (await store.load(["c:alice"]))["c:alice"]
    stale = (await store.load(["c:alice"]))["c:alice"]
    one.waiting = [Waiting(NOW + 5, "cart_abandoned", "event-1", NOW, "", "lamp")]
    one.outbox = [OutboxEntry("fact-1", "c:alice", b"{}", "event-1")]
    assert await store.save_beside([one]) == []
    assert await store.save_beside([stale]) == [stale]
    found = (await store.load(["c:alice"]))["c:alice"]
    assert (found.profile, found.positions, found.accepted_at) == (one.profile, {3: 11}, 777)
    assert (found.waiting, found.outbox, found.counter) == (one.waiting, one.outbox, 2)
    assert found.window.pack() == one.window.pack()
    one.waiting, one.outbox = [], []
    assert await store.save_beside([one]) == []
    found = (await store.load(["c:alice"]))["c:alice"]
    assert (found.waiting, found.outbox, found.counter) == ([], [], 3)
    nobody = Identity("c:nobody")
    assert await store.save_beside([nobody]) == [nobody]
    assert (await store.counters(["c:nobody"])) == {"c:nobody": 0}


async def test_counters_let_the_same_identity_be_written_again(store) -> None:
    written = identity()
    for offset in range(20, 25):
        apply(written, Delivery(viewed(offset), 3, offset))
        assert await store.save([written]) == []
    assert written.counter == 5


async def test_item_counts_add_up_with_their_position(store) -> None:
    assert await store.item_positions([0, 1]) == {0: -1, 1: -1}
    added = {(5, "lamp"): [1, 0, 0, 0, 2], (6, "mug"): [0, 1, 0, 0, 0]}
    assert await store.count_items([ItemBatch(0, -1, 9, added)]) == [9]
    assert await store.count_items([ItemBatch(0, 9, 12, {(5, "lamp"): [1, 1, 0, 0, 0]})]) == [12]
    assert await store.item_positions([0]) == {0: 12}


async def test_item_counts_from_an_outdated_position_add_nothing(store) -> None:
    await store.count_items([ItemBatch(0, -1, 9, {(5, "lamp"): [1, 0, 0, 0, 0]})])
    assert await store.count_items([ItemBatch(0, -1, 9, {(5, "lamp"): [1, 0, 0, 0, 0]})]) == [9]
    assert await store.count_items([ItemBatch(0, 3, 20, {(5, "lamp"): [1, 0, 0, 0, 0]})]) == [9]


async def test_timers_come_due_by_partition_and_can_be_moved_or_dropped(store) -> None:
    await store.schedule(
        [DueTimer(0, "c:a", NOW), DueTimer(0, "c:b", NOW + 5), DueTimer(1, "c:c", NOW - 5)]
    )
    early = DueTimer(1, "c:c", NOW - 5)
    assert await store.due([0, 1], NOW, 10) == [DueTimer(0, "c:a", NOW), early]
    assert await store.due([0], NOW + 5, 1) == [DueTimer(0, "c:a", NOW)]
    await store.settle([DueTimer(0, "c:a", NOW)], {early: NOW + 100})
    assert await store.due([0, 1], NOW + 5, 10) == [DueTimer(0, "c:b", NOW + 5)]
    assert DueTimer(1, "c:c", NOW + 100) in await store.due([1], NOW + 100, 10)


async def test_counts_lie_in_redis_as_recommend_reads_them(redis: Redis, namespace: str) -> None:
    keys = Keys(namespace, "g1")
    store = ProfileStore(redis, keys, "topic-1")
    await store.count_items([ItemBatch(2, -1, 0, {(5, "lamp"): [1, 0, 0, 0, 2]})])
    await store.count_items([ItemBatch(2, 0, 1, {(5, "lamp"): [10, 3, 0, 0, 0]})])
    assert await redis.hgetall(keys.item_bucket(2, 5)) == {b"lamp": b"11,3,0,0,2"}
    assert await redis.zrange(keys.item_buckets(2), 0, -1) == [b"5"]


async def test_old_buckets_are_dropped(redis: Redis, namespace: str) -> None:
    keys = Keys(namespace, "g1")
    store = ProfileStore(redis, keys, "topic-1")
    newest = 1_000 + BUCKETS_KEPT
    row = [1, 0, 0, 0, 0]
    await store.count_items(
        [ItemBatch(0, -1, 0, {(1_000, "a"): row, (1_001, "b"): row, (newest, "c"): row})]
    )
    await store.drop_old_buckets(0)
    left = await redis.zrange(keys.item_buckets(0), 0, -1)
    assert left == [b"1001", str(newest).encode()]
    assert not await redis.exists(keys.item_bucket(0, 1_000))


async def test_state_of_a_recreated_topic_is_refused(redis: Redis, namespace: str) -> None:
    await ProfileStore(redis, Keys(namespace, "g1"), "topic-1").save([identity()])
    with pytest.raises(RecreatedTopic):
        await ProfileStore(redis, Keys(namespace, "g1"), "topic-2").load(["c:alice"])


async def test_statistics_of_a_recreated_topic_are_refused(redis: Redis, namespace: str) -> None:
    row = {(5, "lamp"): [1, 0, 0, 0, 0]}
    await ProfileStore(redis, Keys(namespace, "g1"), "topic-1").count_items(
        [ItemBatch(0, -1, 9, row)]
    )
    other = ProfileStore(redis, Keys(namespace, "g1"), "topic-2")
    with pytest.raises(RecreatedTopic):
        await other.item_positions([0])
    with pytest.raises(RecreatedTopic):
        await other.count_items([ItemBatch(0, -1, 3, row)])


async def test_what_the_store_refuses_is_told_without_naming_anybody(
    redis: Redis, namespace: str
) -> None:
    keys = Keys(namespace, "g1")
    store = ProfileStore(redis, keys, "topic-1")
    await redis.set(keys.profile("c:alice"), "no hash")
    await redis.set(keys.timers(0), "no sorted set")
    for refused in (
        store.load(["c:alice"]),
        store.views(["c:alice"]),
        store.save([identity()]),
        store.schedule([DueTimer(0, "c:alice", NOW)]),
    ):
        with pytest.raises(StoreUnavailable, match="ResponseError") as told:
            await refused
        assert "alice" not in str(told.value)


async def test_scripts_survive_a_flush_of_the_script_cache(redis: Redis, namespace: str) -> None:
    store = ProfileStore(redis, Keys(namespace, "g1"), "topic-1")
    written = identity()
    await store.save([written])
    await redis.script_flush()
    apply(written, Delivery(viewed(2), 3, 30))
    assert await store.save([written]) == []


async def test_a_store_that_is_away_says_so(namespace: str) -> None:
    async with open_redis(Settings(redis="redis://127.0.0.1:1/0")) as client:
        with pytest.raises(StoreUnavailable):
            await ProfileStore(client, Keys(namespace, "g1"), "topic-1").load(["c:alice"])


async def test_a_restarted_server_is_noticed_before_anything_is_written(
    own_store: EmbeddedStore, namespace: str
) -> None:
    watch = ServerWatch()
    async with open_redis(Settings(redis=own_store.url), watch=watch) as client:
        store, keeping = (
            ProfileStore(client, Keys(namespace, "g1"), "topic-1"),
            Keeping(client, watch),
        )
        written = identity()
        await store.save([written])
        await asyncio.to_thread(own_store.kill)
        await asyncio.to_thread(own_store.restart)
        apply(written, Delivery(viewed(2), 3, 30))
        with pytest.raises(StoreUnavailable):
            await store.save([written])
        with pytest.raises(StoreForgot):
            await store.save([written])
        with pytest.raises(StoreForgot):
            await keeping.until()
        await keeping.accept_servers()
        assert (await store.load(["c:alice"]))["c:alice"].positions.get(3) in {None, 11}
