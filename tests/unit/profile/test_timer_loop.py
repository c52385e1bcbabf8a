"""The timer loop on fakes: what is due is stated, whoever writes meanwhile."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from services.profile import timer_loop
from services.profile.applying import Applier
from services.profile.batch import fold_identity
from services.profile.cache import IdentityCache
from services.profile.identity import Delivery, Identity
from services.profile.moments.around import Around
from services.profile.moments.rules import Rules
from services.profile.publisher import Publisher
from services.profile.scenarios.book import OnFact
from services.profile.store_values import DueTimer
from services.profile.timer_loop import TimerLoop
from shared import events as facts
from shared.clock import Clock, real_now_ms
from shared.errors import LogUnavailable
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.unit.profile.builders import MINUTE, NOW, bought, carted, viewed
from tests.unit.profile.moments.books import (
    CART,
    DELAY_MS,
    RULES,
    book,
    cart_rules,
    scenario,
)

STILL = Clock(sim_start=NOW, speed=1e-9)
"""Business time that stands, a second or two after NOW."""


class Shop:
    """A store, a log, and whoever folds facts of one partition beside the loop."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.store = FakeProfileStore()
        self.log = FakeLog(partitions=1)
        self.cache = IdentityCache(10)
        self._offset = 0

    async def fold(
        self, fact: facts.AnyFact, *, schedule: bool = True, elsewhere: bool = False
    ) -> None:
        key = facts.identity_key(fact)
        if not elsewhere:
            self.cache.take([key])
        identity = (await self.store.load([key]))[key]
        effects = fold_identity(identity, [Delivery(fact, 0, self._offset)], self.rules)
        self._offset += 1
        assert await self.store.save([identity]) == []
        if schedule and effects.due is not None:
            await self.store.schedule([DueTimer(0, key, effects.due)])

    @asynccontextmanager
    async def loop(self, clock: Clock = STILL) -> AsyncIterator[TimerLoop]:
        async with self.log.producer() as producer:
            publisher = Publisher(producer, "", clock)  # type: ignore[arg-type]
            store = cast(Any, self.store)
            yield TimerLoop(store, publisher, self.cache, clock, lambda: self.rules)

    def stated(self) -> list[str]:
        return [facts.decode(record.value or b"").event_id for record in self.log.records("events")]

    async def alice(self) -> Identity:
        return (await self.store.load(["c:alice"]))["c:alice"]


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_loop, "TICK_S", 0.0)
    monkeypatch.setattr(timer_loop, "REPUBLISH_S", 0.0)


async def test_a_decision_whose_publication_was_lost_is_stated_again_whatever_was_bought() -> None:
    shop = Shop()
    await shop.fold(carted(1, NOW - DELAY_MS))
    async with shop.loop() as loop:
        await loop.tick([0])
        (stated,) = shop.stated()
        # The log loses nothing; what it has here stands for what never arrived.
        await shop.fold(bought(2, NOW))
        await loop.tick([0])
        assert shop.stated() == [stated, stated]
        await shop.fold(facts.decode(shop.log.records("events")[0].value or b""))
        await loop.tick([0])
    assert (await shop.alice()).outbox == []
    assert shop.stated() == [stated, stated]
    assert not any(shop.store.timers.values())


@pytest.mark.parametrize("schedule", [True, False])
async def test_a_timer_set_while_a_stale_one_is_dropped_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, schedule: bool
) -> None:
    """Another process writes the cart, and perhaps its timer, between the look and the removal."""
    shop = Shop()
    await shop.store.schedule([DueTimer(0, "c:alice", NOW)])
    real = shop.store.settle

    async def settle(stale: Iterable[DueTimer], later: Mapping[DueTimer, int]) -> None:
        monkeypatch.setattr(shop.store, "settle", real)
        await shop.fold(carted(1, NOW - DELAY_MS), schedule=schedule)
        await real(stale, later)

    monkeypatch.setattr(shop.store, "settle", settle)
    async with shop.loop() as loop:
        await loop.tick([0])
        assert shop.stated() == []
        await loop.tick([0])
    assert len(shop.stated()) == 1


async def test_a_timer_moved_earlier_while_it_is_put_off_keeps_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browse = scenario("browse", OnFact(fact="item_viewed"), after_ms=MINUTE)
    shop = Shop(Rules(book(CART, browse), Around()))
    await shop.fold(carted(2, NOW - 2, "mug"))
    await shop.store.schedule([DueTimer(0, "c:alice", NOW)])
    real = shop.store.settle

    async def settle(stale: Iterable[DueTimer], later: Mapping[DueTimer, int]) -> None:
        monkeypatch.setattr(shop.store, "settle", real)
        await shop.fold(viewed(3, NOW, "mug"))
        await real(stale, later)

    monkeypatch.setattr(shop.store, "settle", settle)
    async with shop.loop() as loop:
        await loop.tick([0])
    assert shop.store.timers == {0: {"c:alice": NOW + MINUTE}}


async def test_whom_a_decision_was_written_for_is_held_for_its_fold() -> None:
    shop = Shop()
    await shop.fold(carted(1, NOW - DELAY_MS))
    async with shop.loop() as loop:
        await loop.tick([0])
    held = shop.cache.take(["c:alice"])["c:alice"]
    stored = await shop.alice()
    assert (held.counter, held.profile, held.waiting) == (
        stored.counter,
        stored.profile,
        stored.waiting,
    )
    assert [entry.fact_id for entry in held.outbox] == shop.stated()


async def test_what_is_held_but_outdated_is_neither_decided_nor_dropped() -> None:
    """Another process has taken the cart back, and this one does not know it yet."""
    shop = Shop()
    await shop.fold(carted(1, NOW - DELAY_MS))
    shop.cache.put([await shop.alice()])
    await shop.fold(bought(2, NOW - 1), elsewhere=True)
    await shop.fold(carted(3, NOW), elsewhere=True)
    await shop.store.schedule([DueTimer(0, "c:alice", NOW - 1)])
    async with shop.loop() as loop:
        await loop.tick([0])
        assert shop.stated() == []
        await loop.tick([0])
    assert shop.stated() == []
    assert shop.store.timers == {0: {"c:alice": NOW + DELAY_MS}}


async def test_what_is_held_of_an_outbox_that_another_process_emptied_is_given_up() -> None:
    shop = Shop()
    await shop.fold(carted(1, NOW - DELAY_MS))
    async with shop.loop() as loop:
        await loop.tick([0])
        decided = facts.decode(shop.log.records("events")[0].value or b"")
        await shop.fold(decided, elsewhere=True)
        for _ in range(4):
            await loop.tick([0])
    assert len(shop.stated()) == 2
    assert not any(shop.store.timers.values())


async def test_many_due_at_one_time_are_decided_without_waiting_for_folds_or_ticks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was decided just now stands in nobody's way; should it be lost, it is stated again."""
    for name, value in {"TICK_S": 60.0, "REPUBLISH_S": 5.0, "LIMIT": 2, "LEAST": 2}.items():
        monkeypatch.setattr(timer_loop, name, value)
    shop = Shop()
    for number in range(5):
        await shop.fold(carted(number, NOW - DELAY_MS, customer=f"customer-{number}"))
    going = Clock(real_start=real_now_ms(), sim_start=NOW)
    async with shop.loop(going) as loop:
        assert [await loop.tick([0]) for _ in range(4)] == [True, True, False, False]
    assert len(set(shop.stated())) == len(shop.stated()) == 5
    again = shop.store.timers[0].values()
    assert len(again) == 5
    assert all(NOW + 5_000 <= due <= going.now_ms() + 5_000 for due in again)


async def test_who_dies_before_publishing_leaves_the_entry_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timer_loop, "REPUBLISH_S", 5.0)
    shop = Shop()
    await shop.fold(carted(1, NOW - DELAY_MS))
    entry = dict(shop.store.timers[0])

    async def publish(*_: object) -> None:
        raise LogUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "publish", publish)
        async with shop.loop() as loop:
            with pytest.raises(LogUnavailable):
                await loop.tick([0])
    assert (shop.store.timers[0], shop.stated()) == (entry, [])
    async with shop.loop() as loop:
        await loop.tick([0])
    assert [each.fact_id for each in (await shop.alice()).outbox] == shop.stated()


async def test_a_state_is_written_before_its_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a process that looks in between finds no reason for the timer, and drops it."""
    shop = Shop()
    shop.log.append("events", facts.encode(carted(1, NOW)), key=b"c:alice")
    real = shop.store.schedule
    written: list[bool] = []

    async def schedule(timers: Iterable[DueTimer]) -> None:
        written.append("c:alice" in shop.store.rows)
        await real(timers)

    monkeypatch.setattr(shop.store, "schedule", schedule)
    applier = Applier(cast(Any, shop.store), None, IdentityCache(10), rules=cart_rules, clock=STILL)
    await applier.apply({("events", 0): shop.log.records("events")})
    assert written == [True]
    assert shop.store.timers == {0: {"c:alice": NOW + DELAY_MS}}
