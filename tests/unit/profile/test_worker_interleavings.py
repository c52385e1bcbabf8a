"""The loop where things happen at the worst moment: rebalances, amnesia, swaps, zombies."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.identity import Identity
from services.profile.rebuild.catching_up import CatchingUp
from services.profile.rebuild.filling import Filled, Part
from services.profile.rebuild.folding import PartitionFold
from services.profile.store import BUCKETS_KEPT
from services.profile.store_values import StoreEmptied
from shared import events as facts
from shared.bus_offsets import Commit
from shared.errors import LogTruncated
from tests.fixtures.fake_readers import FakeGroupConsumer
from tests.fixtures.waiting import eventually
from tests.unit.profile.builders import NOW, base, carted, viewed
from tests.unit.profile.moments.books import DELAY_MS
from tests.unit.profile.worker_system import STILL, System, story

LATE_S = 3_600.0
"""A store that keeps nothing for now, so nothing is committed."""


def shoppers(first: int, count: int) -> list[facts.Fact]:
    return [viewed(first + n, NOW + n, customer=f"shopper-{n % 5}") for n in range(count)]


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, list[int]]]:
    """Offsets by partition of each batch that was folded."""
    batches: list[dict[int, list[int]]] = []
    real = Applier.apply

    async def apply(self: Applier, records: Any, *rest: Any) -> Any:
        batches.append(
            {n: [record.offset for record in batch] for (_, n), batch in records.items()}
        )
        return await real(self, records, *rest)

    monkeypatch.setattr(Applier, "apply", apply)
    return batches


async def test_what_a_store_forgot_is_folded_before_what_comes_after_it() -> None:
    system = System()
    system.write(*shoppers(1, 6))
    async with system.worker(delay_s=LATE_S):
        await eventually(lambda: len(system.store.rows) == 5, what="everything applied")
        system.store.rows.clear()
        system.store.positions.clear()
        system.store.forgot = True
        system.write(*shoppers(20, 6))
        await eventually(lambda: system.store.rows.keys() >= {"c:shopper-0", "c:shopper-4"})
        system.keeping.delay_s = 0.0
        await eventually(system.drained)
    await system.check()


async def test_a_store_put_back_to_an_older_state_is_refused() -> None:
    system = System()
    system.write(*shoppers(1, 6))
    await system.settle()
    backup, positions = dict(system.store.rows), dict(system.store.positions)
    system.write(*shoppers(20, 6))
    # Nothing to count: the positions move all the same.
    system.write(*shoppers(20, 6))
    await system.settle()
    await system.settle()
    system.store.rows, system.store.positions = backup, positions

    async def run() -> None:
        async with system.worker():
            for _ in range(20):
                await asyncio.sleep(0)

    with pytest.raises(StoreEmptied, match="run `attune rebuild`"):
        await run()


async def test_records_polled_before_a_rebalance_are_not_folded_after_it(
    monkeypatch: pytest.MonkeyPatch, applied: list[dict[int, list[int]]]
) -> None:
    system = System()
    system.write(*shoppers(1, 6))
    real, taken = FakeGroupConsumer.poll, asyncio.Event()

    async def poll(self: FakeGroupConsumer, **kwargs: Any) -> Any:
        records = await real(self, **kwargs)
        if records and len(system.store.rows) == 5 and not taken.is_set():
            # Taken away and given back, while nothing of it is committed.
            mine = list(self.positions)
            await self.revoke()
            await self.assign(mine)
            applied.clear()
            taken.set()
        return records

    monkeypatch.setattr(FakeGroupConsumer, "poll", poll)
    async with system.worker(delay_s=LATE_S):
        await eventually(lambda: len(system.store.rows) == 5, what="everything applied")
        system.write(*shoppers(20, 6))
        await eventually(taken.is_set)
        system.keeping.delay_s = 0.0
        await eventually(system.drained)
    for partition in range(2):
        offsets = [offset for batch in applied for offset in batch.get(partition, [])]
        assert offsets[:1] in ([], [0]), "folded on before going back to what is committed"
    await system.check()


async def test_a_zombie_that_wakes_after_its_partitions_went_changes_nothing() -> None:
    system = System()
    system.write(*story())
    polled = {("events", n): system.log.read(("events", n), 0, 100) for n in range(2)}
    await system.settle()
    before = {key: replace(row, counter=0) for key, row in system.store.rows.items()}
    counted = str(system.store.buckets)
    zombie = Applier(cast(Any, system.store), None, IdentityCache(100))
    await zombie.apply(cast(Any, polled))
    after = {key: replace(row, counter=0) for key, row in system.store.rows.items()}
    assert (after, str(system.store.buckets)) == (before, counted)
    await system.check()


async def test_a_zombie_in_mid_batch_is_refused_by_the_write_counter() -> None:
    system = System()
    system.write(*story())
    zombie = Applier(cast(Any, system.store), None, IdentityCache(100))
    real, other = system.store.save, asyncio.Event()

    async def save(identities: Sequence[Identity]) -> list[Identity]:
        if not other.is_set():
            # It held its identities in memory while the new owner folded everything.
            other.set()
            await system.settle()
        return await real(identities)

    system.store.save = save  # type: ignore[method-assign]
    polled = {("events", n): system.log.read(("events", n), 0, 100) for n in range(2)}
    await zombie.apply(cast(Any, polled))
    await system.check()


async def test_a_timer_is_set_also_where_the_first_write_was_refused() -> None:
    system = System()
    system.write(viewed(1))
    async with system.worker():
        await eventually(system.drained)
        # Another process bought and emptied in between: this one's copy in memory is stale.
        identity = (await system.store.load(["c:alice"]))["c:alice"]
        identity.profile.component.cart.clear()
        await system.store.save([identity])
        system.write(carted(2, NOW, "lamp"))
        await eventually(system.drained)
        assert any("c:alice" in due for due in system.store.timers.values())


def rebuild(system: System, upto: dict[int, int] | None = None) -> dict[int, int]:
    """Fills g2 as `attune rebuild` does; returns where live workers begin."""
    commits = system.log._groups["profile"].committed if "profile" in system.log._groups else {}
    known = {n: commits.get(("events", n), Commit(0, "")) for n in range(2)}
    parts, filled = [], []
    old = system.store.generation
    system.store.use("g2")
    for n in range(2):
        end = (upto or {}).get(n, system.log.end(("events", n)))
        fold = PartitionFold(known[n].offset, BUCKETS_KEPT)
        fold.feed(cast(Any, system.log.read(("events", n), 0, end)))
        system.store.fill(n, end, fold)
        waiting = tuple(key for key, one in fold.identities.items() if one.outbox)
        parts.append(Part(n, 0, end, known[n].offset))
        filled.append(Filled(n, fold.facts, 0, 0, fold.first_unpublished, waiting))
    system.store.use(old)
    catching_up = CatchingUp(cast(Any, None), cast(Any, None), cast(Any, None), cast(Any, None))
    catching_up.begin(parts, filled)
    return catching_up.starts(catching_up.ends, known)


async def test_a_worker_goes_over_to_another_generation_and_loses_nothing() -> None:
    system = System()
    system.write(*story())
    async with system.worker():
        await eventually(system.drained)
        starts = rebuild(system, {0: 3, 1: 2})
        system.write(*shoppers(200, 9))
        await eventually(system.drained)
        system.generations.swap("g2", starts)
        system.write(*shoppers(300, 9))
        await eventually(system.drained, what="committed for the new generation")
        assert system.store.generation == "g2"
    await system.check()
    commits = system.log._groups["profile"].committed.values()
    assert {commit.metadata for commit in commits} == {"g2"}


async def test_what_was_stated_and_not_published_is_published_after_the_swap() -> None:
    system = System()
    system.write(*story())
    published = len(system.log.records("events"))
    async with system.worker(delay_s=LATE_S):
        # The worker dies as it publishes the hand-over of the login.
        await eventually(lambda: len(system.store.rows) == 7, what="everything applied")
        system.keeping.delay_s = 0.0
    system.log._groups["profile"].committed.clear()
    kept = {n: system.log.end(("events", n)) for n in range(2)}
    for n in range(2):
        system.log._records["events", n] = [
            record
            for record in system.log._records["events", n]
            if not isinstance(facts.decode(record.value or b""), facts.ProfileAbsorbed)
        ]
    assert {n: system.log.end(("events", n)) for n in range(2)} != kept
    assert len(system.log.records("events")) == published
    starts = rebuild(system)
    assert starts != {n: system.log.end(("events", n)) for n in range(2)}
    system.generations.swap("g2", starts)
    await system.settle()
    absorbed = [
        fact
        for record in system.log.records("events")
        if isinstance(fact := facts.decode(record.value or b""), facts.ProfileAbsorbed)
    ]
    assert len(absorbed) >= 2
    await system.check()


@pytest.mark.parametrize("pause", range(0, 30, 3))
async def test_killed_anywhere_around_a_swap(pause: int) -> None:
    system = System()
    system.write(*story())
    await system.settle()
    starts = rebuild(system, {0: 4, 1: 3})
    system.write(*shoppers(200, 9))
    system.write(facts.Identified(**base(60, NOW + 40, customer="bob", anonymous="w")))
    system.write(viewed(61, NOW + 41, "mug", anonymous="w"))
    task = asyncio.create_task(system.settle())
    for turn in range(pause):
        if turn == pause // 2:
            system.generations.swap("g2", starts)
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if pause == 0:
        system.generations.swap("g2", starts)
    await system.settle()
    await system.check()


async def test_a_batch_that_outlives_its_generation_says_nothing() -> None:
    system = System()
    system.write(carted(1, NOW, "lamp", anonymous="v"), viewed(2, NOW + 1, "mug", anonymous="v"))
    await system.settle()
    real = system.store.load

    async def load(identities: Sequence[str]) -> dict[str, Identity]:
        if system.store.generation == "g1":
            # The worker sleeps here, through the swap and the removal of the old keys.
            system.generations.swap("g2", rebuild(system))
            system.store.rows.clear()
        return await real(identities)

    system.store.load = load  # type: ignore[method-assign]
    system.write(
        viewed(3, NOW + 2, "rug", anonymous="v"),
        facts.Identified(**base(50, NOW + 10, customer="alice", anonymous="v")),
    )
    await system.settle()
    assert system.store.generation == "g2"
    alice = (await real(["c:alice"]))["c:alice"]
    assert alice.profile.component.events == 4, "the visitor's three and the login"
    await system.check()


async def test_a_gap_in_the_log_ends_the_worker() -> None:
    system = System()
    system.write(*story())
    await system.settle()
    system.log._groups["profile"].committed.clear()
    system.log.drop(("events", 0), before=2)
    system.log.drop(("events", 1), before=2)

    async def run() -> None:
        async with system.worker():
            for _ in range(20):
                await asyncio.sleep(0)

    with pytest.raises(LogTruncated, match="facts are gone"):
        await run()


async def test_an_abandoned_cart_speaks_once_although_the_generation_changed() -> None:
    system = System()
    system.write(carted(1, NOW - DELAY_MS, "lamp"))
    async with system.worker(STILL):
        await eventually(lambda: system.log.records("triggers.email"))
        await eventually(system.drained)
        system.generations.swap("g2", rebuild(system))
        system.write(viewed(2, NOW))
        await eventually(system.drained)
        await eventually(lambda: system.store.generation == "g2")
        await eventually(lambda: not any(system.store.timers.values()), what="timers settled")
    assert len(system.log.records("triggers.email")) == 1
    await system.check()
