"""The life of a moment in `attune profile` as a process, on Apache Kafka and Redis: held and
released, killed in the middle, taken back, by other scenarios, about items that change.

Where hours pass, one process ends and the next one starts at a later business time.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from services.local.guard import Guarded
from services.local.ports import HOST, free_port
from services.local.servers import environment
from services.profile.identity import Identity
from services.profile.items.interest_store import InterestStore
from services.profile.verify.check import live_generation, live_store, verify
from shared import events as facts
from shared.bus import Producer, Record, scan, topic_id
from shared.catalogue import ItemChanged, item_key
from shared.clock import Clock, real_now_ms
from shared.headers import find
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis
from shared.topics import CATALOGUE, EVENTS, SUPPRESSIONS, triggers
from tests.fixtures.waiting import eventually
from tests.integration.test_profile_process import wait_until_drained_of_events, write

ROOT = Path(__file__).parents[2]
EMAIL = triggers("email")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ADA = "c:ada"
POLICY = """
policy:
  budgets: [{messages: 1, window: 24h}]
  purposes: {marketing: {basis: consent}, service: {basis: contract, transactional: true}}
"""
ORDER = "{name: order_delayed, on: order_delayed, purpose: service, channels: [email], life: 7d}"
CART = "{name: cart, on: cart_added, after: 1h, purpose: marketing, channels: [email], life: 7d}"
WISH = "{name: wish, on: wishlist_added, purpose: marketing, channels: [email], life: 7d}"


def book(*scenarios: str, version: str = "one", policy: str = POLICY, rest: str = "") -> str:
    listed = "\n".join(f"  - {each}" for each in scenarios)
    return f"version: {version}\n{policy}\n{rest}\nscenarios:\n{listed}\n"


@dataclass
class Shop:
    """A log and a store with a namespace of their own; `now` is the business time of processes that
    start, epoch ms."""

    settings: Settings
    folder: Path
    now: int
    address: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "scenarios.yaml"

    def rules(self, text: str) -> None:
        """As an editor does: the file is replaced."""
        written = self.folder / "written.yaml"
        written.write_text(text)
        written.replace(self.file)

    @asynccontextmanager
    async def profile(self, *, crash: str = "") -> AsyncIterator[Guarded]:
        """A process; with `crash` it dies at that point, like a kill -9 (`tests/faults`)."""
        port = free_port()
        self.address = f"http://{HOST}:{port}"
        clock = Clock(real_start=real_now_ms(), sim_start=self.now)
        settings = replace(self.settings, scenarios=str(self.file), clock=clock)
        named = environment(settings) | {
            "PYTHONPATH": str(ROOT),
            "ATTUNE_PROFILE_INSTANCE": "profile-1",
        }
        words = ["services.cli"]
        if crash:
            words = ["tests.faults.broken", "--crash", crash, "--"]
        command = [sys.executable, "-P", "-m", *words, "profile", "--port", str(port)]
        process = await asyncio.to_thread(
            Guarded.start, command, log=self.folder / "profile.log", environment=named
        )
        try:
            yield process
        finally:
            await asyncio.to_thread(process.stop)

    async def dies(self, crash: str) -> None:
        async with self.profile(crash=crash) as process:
            await eventually(lambda: not process.alive(), what=f"death {crash}")

    async def said(self, topic: Any = EMAIL) -> dict[str, dict[str, Any]]:
        """CloudEvents id → data, as a consumer that dedupes sees the topic."""
        contents: dict[str, dict[bytes, None]] = {}
        for record in await self.records(topic):
            ident = find(record.headers, "ce_id") or ""
            contents.setdefault(ident, {})[record.value or b""] = None
        assert all(len(each) == 1 for each in contents.values())
        return {ident: json.loads(next(iter(each))) for ident, each in contents.items()}

    async def records(self, topic: Any) -> list[Record]:
        name = topic.named(self.settings.namespace)
        return [record async for found in scan(self.settings, name) for record in found]

    async def facts_of(self, *kinds: type[facts.Fact]) -> list[facts.AnyFact]:
        found = [facts.decode(record.value or b"") for record in await self.records(EVENTS)]
        return [fact for fact in found if isinstance(fact, kinds)]

    async def say(self, count: int, topic: Any = EMAIL) -> dict[str, dict[str, Any]]:
        """What is said, once there are so many; no more come until all facts are folded."""

        async def enough() -> dict[str, dict[str, Any]]:
            found = await self.said(topic)
            return found if len(found) >= count else {}

        await eventually(enough, what=f"{count} in {topic.name}")
        assert await wait_until_drained_of_events(self.settings)
        found = await self.said(topic)
        assert len(found) == count, found
        return found

    async def identity(self, key: str = ADA) -> Identity:
        async with open_redis(self.settings) as redis:
            return (await (await live_store(self.settings, redis)).load([key]))[key]

    async def until(self, holds: Callable[[Identity], object], what: str) -> None:
        async def probe() -> object:
            return holds(await self.identity())

        await eventually(probe, what=what)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(self.address + path)

    async def metric(self, name: str) -> float:
        found = [
            line.rpartition(" ")[2]
            for line in (await self.get("/metrics")).text.splitlines()
            if line.startswith(f"{name} ")
        ]
        return float(found[0])

    async def change(self, item: str, **fields: Any) -> None:
        """What an administrator's change of an item writes."""
        changed = ItemChanged(item=item, changed_at=self.now, **fields)
        async with Producer.open(self.settings) as producer:
            name = CATALOGUE.named(self.settings.namespace)
            await producer.send(name, msgspec.json.encode(changed), key=item_key(item).encode())
            await producer.flush()

    async def follows_the_catalogue(self) -> None:
        """Waits until its place in the catalogue survives a crash, in each partition."""
        name = CATALOGUE.named(self.settings.namespace)
        incarnation, live = await topic_id(self.settings, name), await self._live()
        every = range(self.settings.partitions)
        async with open_redis(self.settings) as redis:
            index = InterestStore(redis, Keys(self.settings.namespace, live))

            async def placed() -> bool:
                return len(await index.positions(every, incarnation)) == len(every)

            await eventually(placed, what="a place in the catalogue")

    async def _live(self) -> str:
        async def made() -> str:
            found = await live_generation(self.settings)
            return "" if found is None else found.token

        return await eventually(made, what="a generation")

    async def verify(self) -> None:
        found = await verify(self.settings)
        assert (found.different, found.lost, found.applied_twice) == (0, 0, 0), found
        assert found.unpublished == 0


@pytest.fixture
def shop(kafka_settings: Settings, tmp_path: Path) -> Shop:
    # Ten in the morning, so that the tests know when it is night.
    return Shop(kafka_settings, tmp_path, real_now_ms() // DAY * DAY - 10 * DAY + 10 * HOUR)


def told(kind: type[facts.Fact], name: str, at: int, **fields: Any) -> Any:
    given = {"customer": "ada", **fields}
    return kind(event_id=name, occurred_at=at, received_at=at, **given)


async def held(shop: Shop) -> str:
    """A message that went out, and one that is held for it; the trigger of the latter."""
    await write(shop.settings, told(facts.WishlistAdded, "wish-1", shop.now - MINUTE, item="lamp"))
    async with shop.profile() as process:
        await shop.say(1)
        cart = told(facts.CartAdded, "cart-1", shop.now - 2 * HOUR, item="mug")
        await write(shop.settings, cart)
        ((_, hold),) = (await shop.say(1, SUPPRESSIONS)).items()
        await shop.until(lambda ada: ada.profile.contact.holds, "held")
        await asyncio.to_thread(process.kill)
    assert hold["suppressed_by"] == "budget"
    assert hold["retry_at"] == (await shop.identity()).profile.contact.sent[0].at + DAY
    shop.now = hold["retry_at"]
    return str(hold["decision_id"])


async def test_what_a_cap_held_is_released_after_a_kill_once_under_the_id_it_was_held_by(
    shop: Shop,
) -> None:
    shop.rules(book(WISH, CART))
    trigger = await held(shop)
    shop.now -= HOUR
    async with shop.profile():
        # Another customer's message shows that timers were looked at.
        other = told(facts.WishlistAdded, "wish-2", shop.now - 1, item="lamp", customer="bob")
        await write(shop.settings, other)
        assert trigger not in await shop.say(2)
    shop.now += HOUR
    for _ in range(2):
        async with shop.profile():
            released = (await shop.say(3))[trigger]
            assert released["dedupe_key"] == trigger
            assert released["payload"]["items"] == ["mug"]
            await shop.until(lambda ada: not ada.profile.contact.holds, "released")
    decided = [
        (fact.verdict, fact.attempt, fact.reason)
        for fact in await shop.facts_of(facts.MessageDecided)
        if isinstance(fact, facts.MessageDecided) and fact.trigger_id == trigger
    ]
    assert list(dict.fromkeys(decided)) == [("hold", 1, "budget"), ("send", 2, "allowed")]
    await shop.verify()


async def test_what_the_night_held_is_released_in_the_customers_morning(shop: Shop) -> None:
    night = "quiet_hours: {from: '21:00', to: '08:00'}"
    purposes = "purposes: {marketing: {basis: consent}}"
    shop.rules(book(CART, policy=f"policy:\n  {night}\n  {purposes}\n"))
    shop.now += 13 * HOUR
    carted = told(facts.CartAdded, "cart-1", shop.now - 2 * HOUR, item="mug")
    zone = told(facts.TraitsSet, "zone-1", shop.now - DAY, traits={"timezone": "Asia/Tokyo"})
    other = told(facts.CartAdded, "cart-2", shop.now - 2 * HOUR, item="mug", customer="bob")
    await write(shop.settings, zone, carted, other)
    async with shop.profile():
        # 23:00 in UTC, where bob sleeps, is 8 in the morning in Tokyo.
        (said,) = (await shop.say(1)).values()
        (hold,) = (await shop.say(1, SUPPRESSIONS)).values()
    assert (said["customer"], hold["customer"]) == ("ada", "bob")
    assert (hold["suppressed_by"], hold["retry_at"]) == ("quiet_hours", shop.now + 9 * HOUR)
    shop.now += 9 * HOUR
    async with shop.profile():
        assert hold["decision_id"] in await shop.say(2)
    await shop.verify()


@pytest.mark.parametrize(
    "taken_back",
    [
        (facts.MessageUnsubscribed, {"message": "newsletter-1", "channel": "email"}),
        (facts.ConsentChanged, {"purpose": "marketing", "granted": False}),
    ],
    ids=["unsubscribed", "denied"],
)
async def test_who_unsubscribes_before_a_release_hears_nothing_and_a_suppression_says_why(
    shop: Shop, taken_back: tuple[type[facts.Fact], dict[str, Any]]
) -> None:
    shop.rules(book(WISH, CART))
    trigger = await held(shop)
    kind, fields = taken_back
    await write(shop.settings, told(kind, "no-1", shop.now - 1, **fields))
    async with shop.profile():
        await shop.until(lambda ada: not ada.profile.contact.holds, "decided")
        suppressed = await shop.say(2, SUPPRESSIONS)
        assert trigger not in await shop.say(1)
    reasons = [each["suppressed_by"] for each in suppressed.values()]
    assert sorted(reasons) == ["budget", "consent"]
    assert {each["decision_id"] for each in suppressed.values()} == {trigger}
    await shop.verify()


@pytest.mark.parametrize("crash", ["before_publish:1", "after_publish:1", "before_publish:2"])
async def test_killed_between_saving_and_publishing_it_says_the_same_once(
    shop: Shop, crash: str
) -> None:
    """Before or after the verdict is in the log, or before its trigger is in its topic."""
    shop.rules(book(CART))
    cart = told(facts.CartAdded, "cart-1", shop.now - 2 * HOUR, item="mug")
    await write(shop.settings, cart)
    await shop.dies(crash)
    assert await shop.said() == {}
    ada = await shop.identity()
    stated = [entry.fact_id for entry in ada.outbox]
    folded = crash == "before_publish:2"
    assert (len(stated), len(ada.profile.contact.sent)) == ((0, 1) if folded else (1, 0))
    async with shop.profile():
        ((ident, said),) = (await shop.say(1)).items()
        await shop.until(lambda ada: not ada.outbox, "folded")
    verdicts = await shop.facts_of(facts.MessageDecided)
    assert len({fact.event_id for fact in verdicts}) == 1
    if not folded:
        assert {fact.event_id for fact in verdicts} == set(stated)
    assert ident == said["decision_id"] == said["dedupe_key"]
    await shop.verify()


async def test_scenarios_changed_on_disk_are_in_force_and_bad_ones_change_nothing(
    shop: Shop,
) -> None:
    shop.rules(book(ORDER))

    async def delayed(number: int) -> dict[str, Any]:
        fact = told(facts.OrderDelayed, f"late-{number}", shop.now, order=f"o-{number}")
        await write(shop.settings, fact)
        found = await shop.say(number)
        (said,) = [each for each in found.values() if each["about"]["order"] == f"o-{number}"]
        return said

    async def refused(value: float) -> None:
        async def probe() -> bool:
            return await shop.metric("attune_profile_scenarios_refused") == value

        await eventually(probe, what=f"refused {value}")

    async def version(name: str) -> None:
        async def probe() -> bool:
            metrics = (await shop.get("/metrics")).text
            return f'attune_profile_scenarios_info{{version="{name}"}}' in metrics

        await eventually(probe, what=f"version {name}")

    async with shop.profile():
        assert (await delayed(1))["version"] == "one"
        shop.rules(book(ORDER.replace("life: 7d", "life: 7d, style: plain"), version="two"))
        await version("two")
        second = await delayed(2)
        assert (second["version"], second["style"]) == ("two", "plain")
        shop.rules(book(ORDER.replace("on: order_delayed", "on: order_lost"), version="three"))
        await refused(1)
        health = await shop.get("/health/ready")
        assert (health.status_code, health.json()["status"]) == (200, "ready")
        assert health.json()["checks"]["scenarios"].startswith("ok: version two stays")
        assert (await delayed(3))["version"] == "two"
        shop.rules(book(ORDER, version="four"))
        await version("four")
        await refused(0)
        assert (await shop.get("/health/ready")).json()["checks"]["scenarios"] == "ok"
        assert (await delayed(4))["version"] == "four"
    await shop.verify()


@pytest.mark.parametrize("crash", ["after_save:1", "before_publish:1"])
async def test_a_change_of_membership_is_one_fact_in_the_log(shop: Shop, crash: str) -> None:
    rules = "segments:\n  - {name: buyers, when: profile.orders >= 2}\n"
    rules += "stages:\n  - {name: buying, when: profile.orders >= 2}\n"
    on = "{name: welcome, on: segment_entered, purpose: service, channels: [email], life: 7d}"
    shop.rules(book(on, rest=rules))
    line = facts.Line(item="mug")
    orders = [
        told(
            facts.Purchased,
            f"order-{number}",
            shop.now - MINUTE + number,
            order=f"o-{number}",
            lines=[line],
            total=1,
            currency="EUR",
        )
        for number in range(4)
    ]
    await write(shop.settings, *orders[:2])
    await shop.dies(crash)
    changes = facts.SegmentEntered, facts.SegmentLeft, facts.StageChanged
    async with shop.profile():
        await shop.say(1)
        await write(shop.settings, *orders[2:])
        await shop.until(lambda ada: ada.profile.component.orders == 4, "folded")
        assert await wait_until_drained_of_events(shop.settings)
        ada = await shop.identity()
    assert (list(ada.profile.contact.segments), ada.profile.contact.stage) == (["buyers"], "buying")
    found = {fact.event_id: type(fact) for fact in await shop.facts_of(*changes)}
    assert sorted(kind.__name__ for kind in found.values()) == ["SegmentEntered", "StageChanged"]
    shop.rules(book(on, version="two", rest=rules.replace(">= 2", ">= 9")))
    async with shop.profile():
        await write(shop.settings, told(facts.ItemViewed, "view-1", shop.now, item="mug"))
        await shop.until(lambda ada: not ada.profile.contact.segments, "left")
        assert await wait_until_drained_of_events(shop.settings)
    left = [fact for fact in await shop.facts_of(*changes) if fact.event_id not in found]
    assert [type(fact) for fact in left] == [facts.SegmentLeft]
    assert len(await shop.said()) == 1
    await shop.verify()


@pytest.mark.parametrize("crash", ["before_save:1", "after_save:1"])
async def test_a_change_of_an_item_is_told_once_to_who_wants_it_whatever_dies(
    shop: Shop, crash: str
) -> None:
    on = "{name: %s, on: {item_changed: [viewed, wished]}, when: %s, purpose: service, "
    on += "channels: [email], life: 7d}"
    back, drop = on % ("back", "item.back_in_stock"), on % ("drop", "item.drop_percent >= 10")
    shop.rules(book(back, drop))
    await shop.change("lamp", price=1_000, currency="EUR", stock=0)
    await shop.change("mug", price=1_000, currency="EUR", stock=5)
    shown = [
        told(facts.WishlistAdded, "wish-1", shop.now - HOUR, item="lamp"),
        told(facts.ItemViewed, "view-1", shop.now - HOUR, item="mug", customer="bob"),
    ]
    async with shop.profile() as process:
        await shop.follows_the_catalogue()
        await write(shop.settings, *shown)
        assert await wait_until_drained_of_events(shop.settings)
        await asyncio.to_thread(process.kill)

    # With nothing to fold, the first save is that of a change.
    async with shop.profile(crash=crash) as process:
        await eventually(lambda: shop_answers(shop), what="a process that is up")
        await shop.change("lamp", price=1_000, currency="EUR", stock=3)
        await shop.change("mug", price=800, currency="EUR", stock=5)
        await eventually(lambda: not process.alive(), what=f"death {crash}")
    for _ in range(2):
        async with shop.profile():
            said = await shop.say(2)
    found = {
        (each["customer"], each["scenario"], *each["payload"]["items"]) for each in said.values()
    }
    assert found == {("ada", "back", "lamp"), ("bob", "drop", "mug")}
    assert await shop.said(SUPPRESSIONS) == {}
    await shop.verify()


async def shop_answers(shop: Shop) -> bool:
    try:
        return (await shop.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_pending_timers_survive_a_restart_and_fire_once(shop: Shop) -> None:
    shop.rules(book(CART))
    many = [
        told(
            facts.CartAdded,
            f"cart-{number}",
            shop.now - 30 * MINUTE + number,
            item="mug",
            customer=f"customer-{number}",
        )
        for number in range(600)
    ]
    await write(shop.settings, *many)
    async with shop.profile() as process:
        assert await wait_until_drained_of_events(shop.settings)
        assert await shop.said() == {}
        await asyncio.to_thread(process.kill)
    shop.now += HOUR
    async with shop.profile() as process:

        async def some() -> bool:
            return len(await shop.said()) > 100

        await eventually(some, what="the first of them")
        await asyncio.to_thread(process.kill)
    async with shop.profile():
        said = await shop.say(len(many))
    assert {each["customer"] for each in said.values()} == {fact.customer for fact in many}
    await shop.verify()
