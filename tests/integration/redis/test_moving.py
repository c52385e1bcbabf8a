"""Changes of items reach everybody who is interested, wherever a crash comes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.profile.cache import IdentityCache
from services.profile.identity import Delivery, Identity, OutboxEntry, apply
from services.profile.items import catalogue
from services.profile.items import moving as module
from services.profile.items.catalogue import Items, Move
from services.profile.items.interest import Kinds, mark_of
from services.profile.items.interest_store import InterestStore
from services.profile.items.moving import Moving
from services.profile.store import ProfileStore
from services.profile.store_keeping import Keeping
from shared.clock import Clock
from shared.errors import StoreUnavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store import ServerWatch, open_redis
from tests.fixtures.waiting import eventually
from tests.unit.profile.builders import NOW, viewed
from tests.unit.profile.items.changes import changed

PARTITION = 3


@dataclass
class Noting:
    """Notes by an entry in the outbox, which is saved with the identity."""

    kinds: Kinds = frozenset({"viewed"})
    asked: list[tuple[str, int]] = field(default_factory=list)

    def wanted(self) -> Kinds:
        return self.kinds

    def note(self, identity: Identity, move: Move, kinds: Kinds) -> bool:
        cause = f"item:{move.item.item}@{move.offset}"
        self.asked.append((identity.key, move.offset))
        if any(entry.cause == cause for entry in identity.outbox):
            return False
        identity.outbox.append(OutboxEntry(cause, identity.key, b"", cause))
        return True

    def next_due(self, identity: Identity) -> int | None:
        return 17 if identity.outbox else None


class FixedClock(Clock):
    def now_ms(self) -> int:
        return NOW


@dataclass
class Rig:
    """A process: what it holds in memory is made anew, what lies in Redis stays."""

    redis: Redis
    namespace: str
    items: Items
    noting: Noting
    moving: Moving
    store: ProfileStore
    index: InterestStore
    cache: IdentityCache

    async def customers(self, count: int, item: str = "lamp") -> list[str]:
        """Customers who viewed the item."""
        names = [f"c{number}" for number in range(count)]
        identities = []
        for number, name in enumerate(names):
            identity = Identity(f"c:{name}")
            apply(identity, Delivery(viewed(number, NOW - 60_000, item, customer=name), 3, number))
            identities.append(identity)
        await self.store.save(identities)
        marks = {name: mark_of(1, NOW - 60_000) for name in names}
        await self.index.add({PARTITION: {item: marks}}, NOW)
        return names

    async def work(self) -> None:
        while await self.moving.tick([PARTITION]):
            pass

    async def noted(self, names: list[str]) -> dict[str, list[str]]:
        found = await self.store.load([f"c:{name}" for name in names])
        return {key[2:]: [entry.cause for entry in one.outbox] for key, one in found.items()}

    async def position(self) -> int | None:
        return (await self.index.positions([PARTITION], "topic-1")).get(PARTITION)

    async def keeps(self, position: int) -> None:
        """Goes on until that position is kept: once the notes before it are durable."""

        async def kept() -> bool:
            await self.work()
            return await self.position() == position

        await eventually(kept)

    def again(self) -> "Rig":
        """Another process."""
        return rig_of(self.redis, self.namespace, self.items)


def rig_of(redis: Redis, namespace: str, items: Items) -> Rig:
    keys = Keys(namespace, "g1")
    store, index = ProfileStore(redis, keys, "events-1"), InterestStore(redis, keys)
    cache, noting = IdentityCache(100), Noting()
    keeping = Keeping(redis, ServerWatch(), volatile=True)
    moving = Moving(items, index, store, cache, keeping, noting, FixedClock())
    return Rig(redis, namespace, items, noting, moving, store, index, cache)


@pytest.fixture
async def rig(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    monkeypatch.setattr(module, "KEEP_S", 0.0)
    items = Items()
    items.begin("topic-1")
    items.take([changed(0, "lamp", price=1000), changed(1, "mug", price=500)])
    async with open_redis(Settings(redis=redis_url)) as redis:
        yield rig_of(redis, namespace, items)


async def test_a_first_start_begins_at_the_end(rig: Rig) -> None:
    names = await rig.customers(1)
    rig.items.take([changed(2, "lamp", price=900)])
    await rig.work()
    assert await rig.noted(names) == {"c0": []}
    assert rig.noting.asked == []
    await rig.keeps(3)


def all_noted(names: list[str]) -> dict[str, list[str]]:
    return {name: ["item:lamp@2"] for name in names}


def lost() -> float:
    return REGISTRY.get_sample_value("attune_profile_item_changes_lost_total") or 0.0


async def started(rig: Rig) -> None:
    """The position is in Redis."""
    await rig.keeps(rig.items.end)


async def test_changes_that_are_dropped_before_their_turn_are_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "MOVES_KEPT", 2)
    names = await rig.customers(1)
    await started(rig)
    before = lost()
    rig.items.take([changed(offset, "lamp", price=offset) for offset in range(2, 6)])
    await rig.keeps(6)
    assert await rig.noted(names) == {"c0": ["item:lamp@4", "item:lamp@5"]}
    assert lost() == before + 1
    rig.items.take([changed(6, "lamp", price=6)])
    await rig.keeps(7)
    assert lost() == before + 1


async def test_a_change_is_noted_for_who_is_interested(rig: Rig) -> None:
    names = await rig.customers(3)
    others = Identity("c:other")
    await rig.store.save([others])
    await started(rig)
    rig.items.take([changed(2, "lamp", price=900), changed(3, "mug", price=400)])
    await rig.work()
    assert await rig.noted([*names, "other"]) == {
        **all_noted(names),
        "other": [],
    }
    due = await rig.store.due([PARTITION], 17, 10)
    assert {timer.key for timer in due} == {f"c:{name}" for name in names}
    await rig.keeps(4)


async def test_for_whom_the_index_alone_knows_nothing_begins(rig: Rig) -> None:
    """Such as who was erased: no profile comes to life again."""
    names = await rig.customers(1)
    await rig.index.add({PARTITION: {"lamp": {"gone": mark_of(1, NOW - 60_000)}}}, NOW)
    await started(rig)
    rig.items.take([changed(2, "lamp", price=900)])
    await rig.work()
    assert await rig.noted(names) == all_noted(names)
    assert await rig.store.counters(["c:gone"]) == {"c:gone": 0}
    assert [timer.key for timer in await rig.store.due([PARTITION], 17, 10)] == ["c:c0"]


async def test_many_are_noted_in_slices_and_the_position_waits_for_the_last(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.0)
    monkeypatch.setattr(module, "CUSTOMERS_AT_ONCE", 2)
    names = await rig.customers(5)
    await started(rig)
    rig.items.take([changed(2, "lamp", price=900)])
    slices = 0
    while await rig.moving.tick([PARTITION]):
        slices += 1
        assert await rig.position() == 2
    assert slices >= 2
    assert all((await rig.noted(names)).values())


async def until_it_breaks(rig: Rig) -> None:
    for _ in range(10):
        await rig.work()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6])
async def test_a_crash_anywhere_only_notes_again(
    rig: Rig, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CUSTOMERS_AT_ONCE", 2)
    names = await rig.customers(5)
    await started(rig)
    rig.items.take([changed(2, "lamp", price=900)])
    left = steps

    def breaking(real: Callable) -> Callable:
        async def call(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left <= 0:
                raise StoreUnavailable("crash")
            return await real(*arguments)

        return call

    for owner, name in ((rig.store, "save"), (rig.store, "schedule"), (rig.index, "move")):
        monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    with pytest.raises(StoreUnavailable):
        await until_it_breaks(rig)
    after = rig.again()
    await after.work()
    await after.work()
    assert await after.noted(names) == all_noted(names)
    assert len(await after.store.due([PARTITION], 17, 10)) == 5
    assert await after.position() == 3


async def test_who_was_written_in_between_is_noted_in_another_turn(rig: Rig) -> None:
    names = await rig.customers(2)
    await started(rig)
    loaded = await rig.store.load(["c:c0"])
    rig.cache.put(loaded.values())
    (stale,) = (await rig.store.load(["c:c0"])).values()
    await rig.store.save([stale])
    rig.items.take([changed(2, "lamp", price=900)])
    await rig.work()
    assert await rig.noted(names) == all_noted(names)


async def test_without_scenarios_on_items_nobody_is_asked(rig: Rig) -> None:
    names = await rig.customers(1)
    await started(rig)
    rig.noting.kinds = frozenset()
    rig.items.take([changed(2, "lamp", price=900)])
    await rig.work()
    assert (rig.noting.asked, await rig.noted(names)) == ([], {"c0": []})
    await rig.keeps(3)


async def test_another_topic_begins_at_its_end(rig: Rig) -> None:
    await rig.customers(1)
    await started(rig)
    rig.items.begin("topic-2")
    rig.items.take([changed(0, "lamp", price=1), changed(1, "lamp", price=2)])
    await rig.work()
    assert rig.noting.asked == []


async def test_what_is_too_old_to_be_held_is_passed_over(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = await rig.customers(1)
    await started(rig)
    monkeypatch.setattr("services.profile.items.catalogue.MOVES_KEPT", 1)
    rig.items.take([changed(offset, "lamp", price=offset) for offset in range(2, 6)])
    after = rig.again()
    await after.work()
    assert await after.noted(names) == {"c0": ["item:lamp@5"]}
