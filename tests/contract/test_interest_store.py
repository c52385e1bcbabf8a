"""The index of interested customers, on one server and on a cluster."""

import pytest
from redis.asyncio import Redis

from services.profile.items import interest_store
from services.profile.items.interest import mark_of
from services.profile.items.interest_store import InterestStore
from shared.keys import Keys
from tests.unit.profile.builders import DAY, NOW

VIEWED, WISHED = 1, 3


@pytest.fixture
def store(redis: Redis, namespace: str) -> InterestStore:
    return InterestStore(redis, Keys(namespace, "g1"))


async def customers(store: InterestStore, partition: int, item: str, now: int = NOW) -> list[str]:
    (found,) = await store.interested(partition, [item], now)
    return [customer for customer, _ in found]


async def test_interested_customers_are_found_by_item_and_partition(store: InterestStore) -> None:
    viewed, wished = mark_of(VIEWED, NOW), mark_of(WISHED, NOW)
    await store.add(
        {3: {"lamp": {"alice": viewed, "bob": wished}, "mug": {"alice": viewed}}, 1: {}}, NOW
    )
    await store.add({1: {"lamp": {"carol": viewed}}}, NOW)
    assert await store.interested(3, ["lamp", "sofa", "mug"], NOW) == [
        [("alice", viewed), ("bob", wished)],
        [],
        [("alice", viewed)],
    ]
    assert await customers(store, 1, "lamp") == ["carol"]


async def test_the_interest_that_counts_longest_stands(store: InterestStore) -> None:
    await store.add({3: {"lamp": {"alice": mark_of(WISHED, NOW)}}}, NOW)
    await store.add({3: {"lamp": {"alice": mark_of(VIEWED, NOW + DAY)}}}, NOW)
    assert await store.interested(3, ["lamp"], NOW) == [[("alice", mark_of(WISHED, NOW))]]


async def test_views_are_forgotten_after_30_days(store: InterestStore) -> None:
    marks = {"alice": mark_of(VIEWED, NOW), "bob": mark_of(WISHED, NOW)}
    await store.add({3: {"lamp": marks}}, NOW)
    assert await customers(store, 3, "lamp", NOW + 29 * DAY) == ["alice", "bob"]
    assert await customers(store, 3, "lamp", NOW + 31 * DAY) == ["bob"]


async def test_an_item_keeps_so_many_customers_and_no_dead_ones(
    store: InterestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest_store, "CUSTOMERS_KEPT", 3)
    monkeypatch.setattr(interest_store, "SLACK", 0)
    old = {"old": mark_of(WISHED, NOW - 366 * DAY)}
    await store.add({3: {"lamp": old}}, NOW - 366 * DAY)
    for number in range(5):
        marks = {f"customer-{number}": mark_of(VIEWED, NOW + number * DAY)}
        await store.add({3: {"lamp": marks}}, NOW)
    assert await customers(store, 3, "lamp") == ["customer-2", "customer-3", "customer-4"]
    assert "old" not in await customers(store, 3, "lamp", NOW - 366 * DAY)


async def test_a_batch_may_be_large(store: InterestStore) -> None:
    mark = mark_of(VIEWED, NOW)
    popular = {f"customer-{number}": mark for number in range(4_500)}
    await store.add({3: {"lamp": popular, **{f"i{n}": {"a": mark} for n in range(1_200)}}}, NOW)
    assert len(await customers(store, 3, "lamp")) == 4_500
    assert await customers(store, 3, "i1199") == ["a"]


async def test_positions_are_of_one_topic(store: InterestStore) -> None:
    assert await store.positions([1, 2], "topic-1") == {}
    await store.move({1: 10, 2: 0}, "topic-1")
    assert await store.positions([1, 2, 3], "topic-1") == {1: 10, 2: 0}
    assert await store.positions([1, 2], "topic-2") == {}


async def test_a_partition_is_removed_with_all_its_keys(
    store: InterestStore, redis: Redis, namespace: str
) -> None:
    mark = mark_of(VIEWED, NOW)
    await store.add({3: {"lamp": {"alice": mark}}, 4: {"lamp": {"bob": mark}}}, NOW)
    await store.move({3: 10}, "topic-1")
    await store.remove_partition(3)
    keys = Keys(namespace, "g1")
    left = [keys.interested(3, "lamp"), keys.interest_items(3), keys.catalogue_position(3)]
    assert [await redis.exists(key) for key in left] == [0, 0, 0]
    assert await customers(store, 4, "lamp") == ["bob"]


async def test_generations_stand_side_by_side(store: InterestStore) -> None:
    await store.add({3: {"lamp": {"alice": mark_of(VIEWED, NOW)}}}, NOW)
    store.use("g2")
    assert await customers(store, 3, "lamp") == []
