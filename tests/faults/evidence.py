"""What a run left behind: raw topics, facts, dead letters, messages, and what profiles hold.

Read through the project's own clients; judged by `witness`, which knows nothing of them.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from services.profile.verify.check import live_generation, live_store
from services.recommend.store import StatisticsReader
from shared import topics
from shared.bus import Record, scan
from shared.generation import NO_GENERATION
from shared.headers import REASON, SRC, find, find_int
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis
from tests.faults.findings import Evidence
from tests.faults.truth import COUNTERS, Account, Raw
from tests.faults.wire import PLAN

MESSAGES: Final = (
    *(topics.triggers(channel) for channel in topics.CHANNELS),
    topics.SUPPRESSIONS,
)
"""What a marketing tool may subscribe to."""


def message_topics(settings: Settings) -> list[str]:
    """Their names in a deployment."""
    return [topic.named(settings.namespace) for topic in MESSAGES]


async def read_evidence(settings: Settings, *, decisions_only: bool = False) -> Evidence:
    """Everything, or what is needed to tell which decisions are there."""
    evidence = Evidence()
    async for record in _records(settings, topics.EVENTS):
        _take_fact(evidence, record)
    if decisions_only:
        return evidence
    for topic in topics.RAW:
        async for record in _records(settings, topic):
            number = find_int(record.headers, PLAN)
            if number is not None:
                evidence.raw.append(Raw(record.topic, record.partition, record.offset, number))
    async for record in _records(settings, topics.DEAD_LETTERS):
        source = find(record.headers, SRC) or "none"
        evidence.dead.setdefault(source, set()).add(find(record.headers, REASON) or "none")
    for topic in MESSAGES:
        found = evidence.messages.setdefault(topic.name, [])
        async for record in _records(settings, topic):
            found.append((find(record.headers, "ce_id") or "none", record.value or b""))
    evidence.items = await read_items(settings)
    evidence.accounts = await read_accounts(
        settings, {k for ks in evidence.facts.values() for k in ks}
    )
    return evidence


async def _records(settings: Settings, topic: topics.Topic) -> AsyncIterator[Record]:
    async for records in scan(settings, topic.named(settings.namespace)):
        for record in records:
            yield record


def _take_fact(evidence: Evidence, record: Record) -> None:
    fact = json.loads(record.value or b"null")
    source = find(record.headers, SRC)
    if source is not None:
        evidence.facts.setdefault(source, set()).add((record.key or b"").decode())
        evidence.ids.setdefault(source, set()).add(fact["event_id"])
    elif fact["type"] == "message_decided":
        evidence.decided.append(fact)


async def read_items(settings: Settings) -> dict[str, list[int]]:
    """Counts by item, all hours together, as recommend reads them."""
    items: dict[str, list[int]] = {}
    live = await live_generation(settings)
    async with open_redis(settings) as redis:
        keys = _LiveKeys(Keys(settings.namespace, live.token if live else NO_GENERATION))
        reader = StatisticsReader(redis, keys)  # type: ignore[arg-type]
        for partition in range(settings.partitions):
            for hour in await reader.hours(partition):
                for item, packed in (await reader.bucket(partition, hour)).items():
                    row = items.setdefault(item.decode(), [0] * len(COUNTERS))
                    for place, count in enumerate(packed.split(b",")):
                        row[place] += int(count)
    return items


@dataclass(frozen=True, slots=True)
class _LiveKeys:
    """What recommend's readers are handed."""

    keys: Keys


async def read_accounts(settings: Settings, identities: set[str]) -> dict[str, Account]:
    """What the store holds of these identities."""
    accounts: dict[str, Account] = {}
    async with open_redis(settings) as redis:
        store = await live_store(settings, redis)
        names = sorted(identities)
        for begin in range(0, len(names), 500):
            for key, identity in (await store.load(names[begin : begin + 500])).items():
                held = identity.profile.component
                account = accounts[key] = Account(held.events, held.orders)
                account.revenue.update(held.revenue)
                account.refunded.update(held.refunded)
                account.totals.update(held.totals)
    return accounts
