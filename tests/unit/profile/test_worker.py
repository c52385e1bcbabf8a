"""The loop on fakes: whatever fails, and whenever, the profiles end up as the log says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from services.profile import metrics
from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.following import Following, begin_generation
from services.profile.identity import Identity
from services.profile.offsets import PendingOffsets
from services.profile.publisher import Publisher
from services.profile.state import canonical
from services.profile.timer_loop import TimerLoop
from services.profile.verify.replay import Replay
from services.profile.worker import Worker
from shared import events as facts
from shared.bus_offsets import TopicShape
from shared.clock import Clock
from shared.errors import LogUnavailable
from shared.events import encode, identity_key
from shared.triggers import decode
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_generations import FakeGenerations
from tests.fixtures.fake_profile_store import FakeKeeping, FakeProfileStore
from tests.fixtures.fake_readers import FakeGroupConsumer
from tests.fixtures.waiting import eventually
from tests.unit.profile.builders import NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import DELAY_MS, LIFETIME_MS, cart_rules

STILL = Clock(sim_start=NOW, speed=1e-9)
"""Business time that stands at NOW."""


class System:
    """A log and a store that outlive the workers on them."""

    def __init__(self) -> None:
        self.log = FakeLog(partitions=2)
        self.store = FakeProfileStore()
        self.generations = FakeGenerations()
        self.keeping = FakeKeeping(self.store)

    async def shape(self) -> TopicShape:
        return TopicShape("topic-1", self.log.partitions("events"))

    def write(self, *sequence: facts.Fact) -> None:
        for fact in sequence:
            keys = {identity_key(fact)}
            if isinstance(fact, facts.Identified) and fact.anonymous:
                keys.add(facts.anonymous_key(fact.anonymous))
            for key in sorted(keys):
                self.log.append("events", encode(fact), key=key.encode())

    @asynccontextmanager
    async def worker(
        self, clock: Clock = STILL, delay_s: float = 0.0
    ) -> AsyncIterator[asyncio.Event]:
        async with self.log.producer() as producer:
            publisher = Publisher(producer, "", clock)  # type: ignore[arg-type]
            cache = IdentityCache(100)
            timers = TimerLoop(cast(Any, self.store), publisher, cache, clock, cart_rules)
            self.keeping.delay_s = delay_s
            store, generations = cast(Any, self.store), cast(Any, self.generations)
            group = self.log._groups.get("profile")
            commits = group.committed.values() if group else []
            generation = await begin_generation(generations, await self.shape(), list(commits))
            worker = Worker(
                store,
                Applier(store, publisher, cache, rules=cart_rules, clock=clock),
                timers,
                Following(generations, store, generation, self.shape),
                PendingOffsets(),
                cast(Any, self.keeping),
                max_records=3,
            )
            stop = asyncio.Event()
            async with self.log.group(
                group="profile",
                topics=["events"],
                on_assigned=worker.assigned,
                on_revoked=worker.revoked,
                complete=True,
            ) as consumer:
                task = asyncio.create_task(worker.run(consumer, stop))
                try:
                    yield stop
                    stop.set()
                    await task
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    def drained(self) -> bool:
        committed = self.log._groups["profile"].committed
        live = self.generations.pointer.live
        return all(
            live is not None
            and self.log.end(("events", n)) == live.start(n, committed.get(("events", n)))
            for n in range(2)
        )

    async def settle(self, clock: Clock = STILL) -> None:
        async with self.worker(clock):
            await eventually(self.drained, what="all facts committed")

    def reference(self) -> dict[str, Identity]:
        replay = Replay()
        replay.feed(self.log.records("events"))
        return replay.identities

    async def check(self) -> None:
        reference = self.reference()
        live = await self.store.load(list(reference))
        for key, identity in reference.items():
            assert canonical(live[key].profile) == canonical(identity.profile), key
        assert all(not identity.outbox for identity in live.values())


def story() -> list[facts.Fact]:
    login = facts.Identified(**base(50, NOW + 10, customer="alice", anonymous="v"))
    return [
        carted(1, NOW, "lamp", anonymous="v"),
        viewed(2, NOW + 1, "mug", anonymous="v"),
        viewed(3, NOW + 2, "rug"),
        login,
        viewed(4, NOW + 20, "sofa", anonymous="v"),
        bought(5, NOW + 30, "mug"),
        viewed(3, NOW + 2, "rug"),
        *(viewed(100 + n, NOW + n, customer=f"shopper-{n % 5}") for n in range(12)),
    ]


async def test_facts_end_up_in_profiles_and_are_committed() -> None:
    system = System()
    system.write(*story())
    await system.settle()
    await system.check()
    alice = (await system.store.load(["c:alice"]))["c:alice"].profile.component
    assert (alice.events, alice.orders) == (6, 1)


async def calls_of_a_quiet_run() -> int:
    system = System()
    system.write(*story())
    await system.settle()
    return system.store.calls


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_store_that_fails_at_any_call_loses_and_doubles_nothing(after_effect: bool) -> None:
    for call in range(1, await calls_of_a_quiet_run() + 1):
        system = System()
        system.store.fail_at, system.store.fail_after_effect = call, after_effect
        system.write(*story())
        await system.settle()
        await system.check()
        counted = sum(
            amounts[0]
            for partition in system.store.buckets.values()
            for bucket in partition.values()
            for amounts in bucket.values()
        )
        assert counted == 15, f"item views after a failure at call {call}"


async def test_a_worker_killed_anywhere_and_started_again_changes_nothing() -> None:
    system = System()
    system.write(*story())
    for pause in range(1, 12):
        async with system.log.producer():
            task = asyncio.create_task(system.settle())
            for _ in range(pause * 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await system.settle()
    await system.check()


async def test_a_full_replay_from_offset_zero_changes_nothing() -> None:
    system = System()
    system.write(*story())
    await system.settle()
    before = {key: row.packed.state for key, row in system.store.rows.items()}
    system.log._groups["profile"].committed.clear()
    await system.settle()
    assert {key: row.packed.state for key, row in system.store.rows.items()} == before


async def test_a_replay_says_the_same_again_and_nothing_of_the_past() -> None:
    system = System()
    system.write(carted(1, NOW - DELAY_MS, "lamp"))
    async with system.worker():
        await eventually(lambda: system.log.records("triggers.email"))
        await eventually(system.drained)
    system.log._groups["profile"].committed.clear()
    await system.settle()
    first, again = system.log.records("triggers.email")
    assert (first.value, first.headers) == (again.value, again.headers)
    system.log._groups["profile"].committed.clear()
    await system.settle(Clock(sim_start=NOW + LIFETIME_MS, speed=1e-9))
    assert len(system.log.records("triggers.email")) == 2
    await system.check()


async def test_a_log_that_is_down_is_waited_for() -> None:
    system = System()
    system.write(*story())
    async with system.worker():
        system.log.down = True
        await asyncio.sleep(0.1)
        system.log.down = False
        await eventually(system.drained)
    await system.check()


async def test_somebody_elses_write_in_between_is_folded_upon() -> None:
    system = System()
    system.write(viewed(1))
    async with system.worker():
        await eventually(system.drained)
        system.store.rows["c:alice"].counter += 1
        system.write(viewed(2))
        await eventually(system.drained)
    await system.check()


async def test_an_abandoned_cart_becomes_one_trigger_and_one_fact() -> None:
    system = System()
    system.write(carted(1, NOW - DELAY_MS, "lamp"))
    async with system.worker():
        await eventually(lambda: system.log.records("triggers.email"))
        await eventually(system.drained)
        await eventually(lambda: not any(system.store.timers.values()), what="timers settled")
    (trigger,) = system.log.records("triggers.email")
    assert decode(trigger.value or b"").payload.items == ["lamp"]
    assert trigger.key == b"alice"
    assert dict(trigger.headers)["ce_type"] == b"attune.trigger.cart_abandoned"
    decided = [facts.decode(record.value or b"") for record in system.log.records("events")]
    assert sum(isinstance(fact, facts.MessageDecided) for fact in decided) == 1
    await system.check()


async def test_an_imported_cart_starts_no_timer() -> None:
    system = System()
    system.write(facts.CartAdded(**base(1, NOW - DELAY_MS), item="lamp", source="import:shop"))
    await system.settle()
    assert system.store.timers == {}


async def test_two_members_share_the_partitions_without_counting_twice() -> None:
    system = System()
    system.write(*story())
    async with system.worker():
        await asyncio.sleep(0)
        async with system.worker():
            system.write(*(viewed(200 + n, NOW, customer=f"shopper-{n % 5}") for n in range(20)))
            await eventually(system.drained)
        await eventually(system.drained)
    await system.check()


def failing_once(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The consumer's method of that name does not answer the first time; what was called after."""
    calls: list[str] = []
    real = getattr(FakeGroupConsumer, name)

    async def method(self: FakeGroupConsumer, *args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise LogUnavailable("the log at fake does not answer")
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(FakeGroupConsumer, name, method)
    return calls


async def test_offsets_whose_commit_failed_are_committed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = failing_once(monkeypatch, "commit")
    system = System()
    system.write(viewed(1))
    async with system.worker(delay_s=0.05):
        await eventually(system.drained)
    assert len(calls) > 1
    await system.check()


async def test_a_poll_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failing_once(monkeypatch, "poll")
    system = System()
    system.write(*story())
    await system.settle()
    await system.check()


async def test_partitions_are_let_go_even_where_their_last_commit_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System()
    system.write(*story())
    async with system.worker(delay_s=0.3):
        await eventually(lambda: len(system.store.rows) == 7, what="everything applied")
        await asyncio.sleep(0.35)
        calls = failing_once(monkeypatch, "commit")
        async with system.worker():
            system.write(*(viewed(200 + n, NOW, customer=f"shopper-{n % 5}") for n in range(20)))
            await eventually(system.drained)
        await eventually(system.drained)
    assert len(calls) > 1
    await system.check()


async def test_a_stop_while_the_log_is_away_ends_quietly() -> None:
    system = System()
    system.write(*story())
    async with system.worker(delay_s=0.3):
        await eventually(lambda: len(system.store.rows) == 7, what="everything applied")
        system.log.down = True
    system.log.down = False
    await system.settle()
    await system.check()


async def test_timers_wait_until_the_log_has_been_read_to_its_end() -> None:
    system = System()
    system.write(carted(1, NOW - 2 * DELAY_MS, "lamp"))
    system.write(*(viewed(10 + n, NOW - DELAY_MS + n) for n in range(10)))
    system.write(bought(2, NOW - 5, "lamp"))
    await system.settle()
    async with system.worker():
        await eventually(lambda: not any(system.store.timers.values()), what="timers settled")
    assert system.log.records("triggers.email") == []
    await system.check()


async def test_the_lag_of_partitions_that_went_is_told_no_longer() -> None:
    store = FakeProfileStore()
    applier = Applier(store, None, IdentityCache(1))  # type: ignore[arg-type]
    keeping = cast(Any, FakeKeeping(store))
    worker = Worker(store, applier, None, None, PendingOffsets(), keeping)  # type: ignore[arg-type]
    metrics.LAG.labels(0).set(5)
    await worker.revoked([("events", 0)])
    assert REGISTRY.get_sample_value("attune_profile_lag", {"partition": "0"}) is None


async def test_a_store_that_forgot_is_folded_again_from_what_is_committed() -> None:
    system = System()
    system.write(*story())
    async with system.worker():
        await eventually(system.drained)
        # Written and acknowledged, not yet committed, and then lost with a restart.
        pending = dict(system.store.rows)
        system.log._groups["profile"].committed.clear()
        system.store.rows = {key: row for key, row in pending.items() if key != "c:alice"}
        system.store.forgot = True
        system.write(viewed(900, customer="shopper-1"))
        await eventually(system.drained)
    await system.check()


def test_nothing_is_committed_on_a_server_that_restarted() -> None:
    pending = PendingOffsets()
    pending.applied({("events", 0): 5}, 1.0)
    assert pending.durable(0.9) == {}
    pending.forget({("events", 0)})
    assert pending.durable(1.0) == {}
    assert pending.empty
