"""Where a scenario plays: a namespace and a Redis of its own, and what it may do and ask."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.profile.identity import Identity
from services.profile.verify.check import (
    live_store,
    read_log,
    verify,
    wait_until_drained,
)
from shared import events as facts
from shared import topics
from shared.bus import Producer, Record, group_lag, scan
from shared.clock import real_now_ms
from shared.headers import SRC, find
from shared.store import open_redis
from tests.faults.evidence import read_items
from tests.faults.system import System, Wrong

PATIENCE_S: Final = 40.0
HOUR: Final = 3_600_000


class Stalled(Exception):
    """What a scenario waited for did not come: it has shown nothing."""


@dataclass(slots=True)
class Stage:
    """One play of a scenario; `guard` is the one taken away in every process, if any."""

    system: System
    guard: str = ""
    written: int = 0

    def wrong(self, *, crash: str = "", trouble: str = "") -> Wrong:
        """What is wrong with a process: the guard that is missing, and what else is asked for."""
        return Wrong(crash, trouble, self.guard)

    async def start(self, member: str, *, crash: str = "", trouble: str = "") -> None:
        """Starts a member; ready when this returns, unless it is to die or to sleep."""
        ready = not crash and not trouble.startswith(("dies", "sleeps"))
        wrong = self.wrong(crash=crash, trouble=trouble)
        await self.system.start(member, wrong=wrong, ready=ready)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Runs `attune ARGUMENTS` without the guard; its exit code and what it said."""
        return await self.system.command(*arguments, wrong=self.wrong())

    async def dies(self, member: str) -> None:
        """Waits until a member has died by itself."""
        if not await self.system.dead(member, PATIENCE_S):
            raise Stalled(f"{member} lives on")

    async def stop(self, *members: str) -> None:
        """Stops members gracefully."""
        await self.system.processes.stop(*members)

    async def write(self, *sequence: facts.Fact) -> None:
        """Facts into `events`, as ingest writes them."""
        topic = topics.EVENTS.named(self.system.settings.namespace)
        async with Producer.open(self.system.settings) as producer:
            for fact in sequence:
                keys = {facts.identity_key(fact)}
                if isinstance(fact, facts.Identified) and fact.anonymous:
                    keys.add(facts.anonymous_key(fact.anonymous))
                source = b"clickstream/0/%d" % self.written
                self.written += 1
                for key in sorted(keys):
                    headers = (("src", source),)
                    value = facts.encode(fact)
                    await producer.send(topic, value, key=key.encode(), headers=headers)
            await producer.flush()

    async def write_bytes(self, topic: topics.Topic, *records: tuple[str, bytes]) -> None:
        """Records (key, value) into any topic."""
        name = topic.named(self.system.settings.namespace)
        async with Producer.open(self.system.settings) as producer:
            for key, value in records:
                await producer.send(name, value, key=key.encode())
            await producer.flush()

    async def records(self, topic: topics.Topic) -> list[Record]:
        """All records of a topic."""
        name = topic.named(self.system.settings.namespace)
        return [record async for found in scan(self.system.settings, name) for record in found]

    async def drained(self) -> None:
        """Waits until ingest and profile have committed all there is."""
        if not await wait_until_drained(self.system.settings, PATIENCE_S):
            raise Stalled("not drained in time")

    async def ingested(self) -> None:
        """Waits until ingest has committed all there is."""
        settings = self.system.settings
        group = topics.named(topics.INGEST_GROUP, settings.namespace)
        raw = [topic.named(settings.namespace) for topic in topics.RAW]

        async def done() -> bool:
            return not any((await group_lag(settings, group, raw)).values())

        await self.until(done, "all raw events committed")

    async def has_facts(self, least: int) -> bool:
        """Whether `events` holds the facts of at least so many raw events."""
        records = await self.records(topics.EVENTS)
        return len({find(record.headers, SRC) for record in records}) >= least

    async def item_views(self) -> int:
        """Views of all items together, as recommend reads them."""
        return sum(row[0] for row in (await read_items(self.system.settings)).values())

    async def until(self, probe: Callable[[], Awaitable[object]], what: str) -> None:
        """Waits until `probe` says so."""
        deadline = time.monotonic() + PATIENCE_S
        while not await probe():
            if time.monotonic() > deadline:
                raise Stalled(f"never {what}")
            await asyncio.sleep(0.05)

    async def identity(self, key: str) -> Identity:
        """What the store holds of an identity."""
        async with open_redis(self.system.settings) as redis:
            store = await live_store(self.system.settings, redis)
            return (await store.load([key]))[key]

    async def holds(self, key: str, events: int) -> bool:
        """Whether an identity holds at least so many events."""
        return (await self.identity(key)).profile.component.events >= events

    async def is_stopped(self, member: str) -> bool:
        """Whether the process sleeps by a signal."""
        status = Path(f"/proc/{self.system.processes.pid(member)}/stat")
        text = await asyncio.to_thread(status.read_text)
        return text.rpartition(")")[2].split()[0] == "T"

    def signal(self, member: str, number: int) -> None:
        """Sends a signal to a member."""
        os.kill(self.system.processes.pid(member), number)

    async def profiles(self) -> list[str]:
        """How the profiles differ from a replay of the log."""
        found = await verify(self.system.settings)
        counts = {
            "lost": found.lost,
            "applied twice": found.applied_twice,
            "different": found.different,
        }
        return [f"{name}: {count}" for name, count in counts.items() if count]

    async def events_of(self, key: str, due: int) -> list[str]:
        """Whether an identity holds exactly so many events, whatever the log says."""
        held = (await self.identity(key)).profile.component.events
        return [] if held == due else [f"{key} holds {held} events instead of {due}"]

    async def balance(self) -> list[str]:
        """Whether every raw event was accounted for."""
        found = (await read_log(self.system.settings)).accounts.balance()
        return [] if found.balanced else [f"not balanced: {found}"]

    async def messages(self) -> dict[str, set[bytes]]:
        """Message id → its different contents, on the e-mail channel."""
        contents: dict[str, set[bytes]] = {}
        for record in await self.records(topics.triggers("email")):
            ident = dict(record.headers)["ce_id"].decode()
            contents.setdefault(ident, set()).add(record.value or b"")
        return contents

    async def decisions(self) -> Counter[str]:
        """Customer → different decisions in the log."""
        ids: set[tuple[str, str]] = set()
        for record in await self.records(topics.EVENTS):
            fact = facts.decode(record.value or b"")
            if isinstance(fact, facts.MessageDecided):
                ids.add((fact.customer or "", fact.trigger_id))
        return Counter(customer for customer, _ in ids)


def viewed(number: int, customer: str = "ada", **fields: Any) -> facts.ItemViewed:
    """A view of an item, now."""
    now = real_now_ms()
    who = {"customer": customer} if "anonymous" not in fields else {}
    given: dict[str, Any] = {"event_id": f"view-{number}", "item": f"item-{number % 7}"}
    return facts.ItemViewed(occurred_at=now, received_at=now, **given, **who, **fields)


def carted(event: str, customer: str = "ada", **fields: Any) -> facts.CartAdded:
    """A cart that was left two hours ago."""
    then = real_now_ms() - 2 * HOUR
    return facts.CartAdded(
        event_id=event, occurred_at=then, received_at=then, customer=customer, item="lamp", **fields
    )


def login(event: str, customer: str, anonymous: str) -> facts.Identified:
    """A verified login, now."""
    now = real_now_ms()
    return facts.Identified(
        event_id=event, occurred_at=now, received_at=now, customer=customer, anonymous=anonymous
    )
