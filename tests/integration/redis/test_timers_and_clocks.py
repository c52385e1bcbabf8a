"""The timer loop on a real Redis while its machine's clock is set back and forth, and it crashes.

What is promised: each moment speaks once, none before its time by the clock that it was decided by,
and none is lost, whatever the clock does within the life of a message; a leap that is taken back
within a minute never was.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from services.profile import timer_loop
from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.moments.around import Around
from services.profile.moments.rules import Rules
from services.profile.publisher import Publisher
from services.profile.scenarios.book import OnTimer
from services.profile.steady_clock import SteadyClock
from services.profile.store import ProfileStore
from services.profile.timer_loop import TimerLoop
from shared import events as facts
from shared.clock import Clock
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis
from tests.fixtures.fake_bus import FakeLog, FakeProducer
from tests.unit.profile.builders import DAY, HOUR, MINUTE, NOW, base, carted
from tests.unit.profile.moments.books import CART, DELAY_MS, book, scenario

CUSTOMERS = 120
BIRTHDAY = scenario("birthday", OnTimer(timer="birthday", at_minute=0), after_ms=0)
RULES = Rules(book(CART, BIRTHDAY), Around())


class Machine:
    """A machine's clocks: one that is set by hand, and one that only goes on."""

    speed = 1.0

    def __init__(self) -> None:
        self.real, self.steady = NOW, 0.0

    def wait(self, ms: int) -> None:
        self.real += ms
        self.steady += ms / 1_000

    def now_ms(self) -> int:
        return self.real


class Shop:
    """A log, a store, and one process after another that folds and fires."""

    def __init__(self, redis: Redis, namespace: str, clock: Any, producer: FakeProducer) -> None:
        self.store = ProfileStore(redis, Keys(namespace, "g1"), "topic-1")
        self.clock = clock
        self._producer = producer
        self.folded = 0
        self.start()

    def start(self) -> None:
        """A process that knows nothing but what Redis has, and reads again what may be folded."""
        publisher = Publisher(cast(Any, self._producer), "", self.clock)
        cache = IdentityCache(1_000)
        rules = lambda: RULES  # noqa: E731
        self.applier = Applier(self.store, publisher, cache, rules=rules, clock=self.clock)
        self.loop = TimerLoop(self.store, publisher, cache, self.clock, rules)
        self.folded = max(0, self.folded - 7)

    async def fold(self, log: FakeLog) -> None:
        records = log.records("events")[self.folded :]
        if records:
            await self.applier.apply({("events", 0): cast(Any, records)})
            self.folded += len(records)

    async def turn(self, log: FakeLog) -> None:
        await self.fold(log)
        await self.loop.tick([0])


@asynccontextmanager
async def opened(url: str, namespace: str, clock: Any, log: FakeLog) -> AsyncIterator[Shop]:
    async with open_redis(Settings(redis=url)) as redis, log.producer() as producer:
        yield Shop(redis, namespace, clock, producer)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_loop, "TICK_S", 0.0)
    monkeypatch.setattr(timer_loop, "REPUBLISH_S", 0.0)


def put(log: FakeLog, fact: facts.AnyFact) -> None:
    log.append("events", facts.encode(fact), key=f"c:{fact.customer}".encode())


def begin(log: FakeLog) -> dict[tuple[str, str], int]:
    """Carts left alone over three hours, and birthdays of the next day; when each is due."""
    due = {}
    for number in range(CUSTOMERS):
        customer, at = f"customer-{number}", NOW - DELAY_MS + number * 90_000
        put(log, carted(number, at, customer=customer))
        due[customer, "cart_abandoned"] = at + DELAY_MS
    midnight = (NOW // DAY + 1) * DAY
    put(log, facts.TraitsSet(**base(900, customer="born"), traits={"birthday": day(midnight)}))
    due["born", "birthday"] = midnight
    return due


def day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):--%m-%d}"


def spoken(log: FakeLog) -> dict[tuple[str, str], set[str]]:
    """Ids of what was published, by customer and scenario."""
    found: dict[tuple[str, str], set[str]] = {}
    for record in log.records("triggers.email"):
        trigger = msgspec.json.decode(record.value or b"")
        key = trigger["customer"], trigger["scenario"]
        found.setdefault(key, set()).add(dict(record.headers)["ce_id"].decode())
    return found


def decided(log: FakeLog) -> list[facts.MessageDecided]:
    found = [facts.decode(record.value or b"") for record in log.records("events")]
    return [fact for fact in found if isinstance(fact, facts.MessageDecided)]


@pytest.mark.parametrize("seed", range(6))
async def test_a_clock_set_back_and_forth_neither_loses_nor_repeats_a_moment(
    redis_url: str, namespace: str, seed: int
) -> None:
    """The leaps are believed here, and the process ends at any time; messages live for a day."""
    chance, machine, log = random.Random(seed), Machine(), FakeLog(partitions=1)
    due = begin(log)
    last = max(due.values())
    async with opened(redis_url, namespace, machine, log) as shop:
        await shop.fold(log)
        for _ in range(80):
            machine.real = min(last, max(NOW, machine.real + chance.randint(-2 * HOUR, 3 * HOUR)))
            if chance.random() < 0.3:
                await shop.loop.tick([0])
                shop.start()
            await shop.turn(log)
        machine.real = last + MINUTE
        for _ in range(8):
            await shop.turn(log)
        left = await shop.store.load([f"c:{customer}" for customer, _ in due])
    assert {key: len(ids) for key, ids in spoken(log).items()} == dict.fromkeys(due, 1)
    assert all(fact.occurred_at >= (fact.due or 0) for fact in decided(log))
    assert not any(identity.outbox for identity in left.values())
    # the birthday waits for the next one
    waiting = [each for identity in left.values() for each in identity.waiting]
    assert [(each.scenario, each.due > last + 300 * DAY) for each in waiting] == [
        ("birthday", True)
    ]


async def test_a_leap_of_a_year_that_is_taken_back_costs_nothing(
    redis_url: str, namespace: str
) -> None:
    machine, log = Machine(), FakeLog(partitions=1)
    clock = SteadyClock(Clock(), machine.now_ms, lambda: machine.steady)
    due = begin(log)
    async with opened(redis_url, namespace, clock, log) as shop:
        await shop.turn(log)
        for leap in (366 * DAY, -30 * DAY):
            machine.real += leap
            for _ in range(5):
                machine.wait(10_000)
                await shop.turn(log)
            machine.real -= leap
            await shop.turn(log)
        early = {key for key, at in due.items() if at <= machine.real}
        assert spoken(log).keys() == early
        while machine.real < max(due.values()):
            machine.wait(10 * MINUTE)
            await shop.turn(log)
        await shop.turn(log)
    assert Counter(map(len, spoken(log).values())) == {1: len(due)}
    late = [fact.occurred_at - (fact.due or 0) for fact in decided(log)]
    assert max(late) <= 10 * MINUTE
