"""The loop on fakes: whatever fails, and whenever, the profiles end up as the log says."""

import asyncio
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from services.profile import metrics
from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.offsets import PendingOffsets
from services.profile.worker import Worker
from shared import events as facts
from shared.clock import Clock
from shared.errors import LogUnavailable
from shared.triggers import decode
from tests.fixtures.fake_profile_store import FakeKeeping, FakeProfileStore
from tests.fixtures.fake_readers import FakeGroupConsumer
from tests.fixtures.waiting import eventually
from tests.unit.profile.builders import NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import DELAY_MS, LIFETIME_MS
from tests.unit.profile.worker_system import System, story


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
