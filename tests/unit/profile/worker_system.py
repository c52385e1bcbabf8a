"""A log and a store on fakes, workers on them, and a story to fold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

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
from shared.events import encode, identity_key
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_generations import FakeGenerations
from tests.fixtures.fake_profile_store import FakeKeeping, FakeProfileStore
from tests.fixtures.waiting import eventually
from tests.unit.profile.builders import NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import cart_rules

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
