"""Ingest on real brokers: bad events become dead letters, mended ones apply, crashes lose nothing.

Each test runs on the embedded broker and on Apache Kafka.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.ingest.enrich import KnownItems
from services.ingest.main import build_pipeline, catch_up
from services.ingest.pipeline import Pipeline
from services.ingest.replay import raw_topics, replay
from services.ingest.replay_plan import Plan, read_repaired
from services.ingest.settings import IngestSettings
from services.profile.verify.check import read_log
from shared import catalogue
from shared.bus import GroupConsumer, Producer, Record, TopicPartition, scan
from shared.catalogue import ItemChanged
from shared.catalogue_tail import CatalogueTail
from shared.events import decode
from shared.headers import find
from shared.settings import Settings
from shared.topics import CATALOGUE, CLICKSTREAM, DEAD_LETTERS, EVENTS, PURCHASES, RAW, Topic
from tests.fixtures.odd_headers import ODD_NAME, READ_AS, allow_odd_names
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(
    params=["embedded_settings", pytest.param("kafka_settings", marks=pytest.mark.kafka)]
)
def settings(request: pytest.FixtureRequest) -> Settings:
    found: Settings = request.getfixturevalue(request.param)
    return found


def view(event_id: str, **fields: Any) -> bytes:
    event = {"type": "item_viewed", "event_id": event_id, "customer": "ada", "item": "mug"}
    return msgspec.json.encode(event | fields)


@asynccontextmanager
async def pipeline_of(
    settings: Settings,
    change: Callable[[GroupConsumer], None] = lambda _: None,
) -> AsyncIterator[tuple[Pipeline, GroupConsumer]]:
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(Producer.open(settings))
        items = KnownItems()
        tail = CatalogueTail(settings, items)
        following = asyncio.create_task(tail.run())
        stack.callback(following.cancel)
        await catch_up(tail)
        pipeline = build_pipeline(settings, IngestSettings(), producer, items)
        consumer = await stack.enter_async_context(
            GroupConsumer.open(
                settings,
                group=f"{settings.namespace}.ingest",
                topics=[topic.named(settings.namespace) for topic in RAW],
                on_revoked=pipeline.drain,
            )
        )
        change(consumer)
        yield pipeline, consumer


@asynccontextmanager
async def ingest(settings: Settings) -> AsyncIterator[None]:
    async with pipeline_of(settings) as (pipeline, consumer):
        task = asyncio.create_task(pipeline.run(consumer))
        try:
            yield
        finally:
            pipeline.stop()
            await task


async def read(settings: Settings, topic: Topic) -> list[Record]:
    name = topic.named(settings.namespace)
    return [record async for records in scan(settings, name) for record in records]


async def at_least(settings: Settings, topic: Topic, number: int) -> list[Record]:
    async def enough() -> list[Record] | None:
        found = await read(settings, topic)
        return found if len(found) >= number else None

    return await eventually(enough, within_s=60, what=f"{number} records in {topic.name}")


async def send(settings: Settings, topic: Topic, *values: bytes | None, keys: int = 1) -> list[str]:
    """Sends raw records under that many keys; their positions, as `src` names them."""
    async with Producer.open(settings) as producer:
        name = topic.named(settings.namespace)
        waiting: list[Awaitable[Any]] = [
            await producer.send(name, value, key=b"key %d" % (number % keys))
            for number, value in enumerate(values)
        ]
        positions = [await entry for entry in waiting]
    return [f"{place.topic}/{place.partition}/{place.offset}" for place in positions]


async def test_bad_events_are_kept_and_good_ones_go_on(settings: Settings) -> None:
    bad = [b"{", b'{"a":"\xff"}', b"[" * 9000, b"null", None, b"x" * 900_000, view("e", price=-1)]
    sent: list[bytes | None] = []
    for number, value in enumerate(bad):
        sent += [value, view(f"good-{number}")]
    sources = await send(settings, CLICKSTREAM, *sent)
    order = {"type": "purchased", "event_id": "o", "customer": "ada", "order": "o", "total": 100}
    order |= {"currency": "EUR", "lines": [{"item": "mug"}] * 1_500}
    sources += await send(settings, PURCHASES, msgspec.json.encode(order))
    async with ingest(settings):
        letters = await at_least(settings, DEAD_LETTERS, len(bad))
        facts = await at_least(settings, EVENTS, len(bad) + 1)

    kept = {find(letter.headers, "src"): letter for letter in letters}
    assert [kept[src].value for src in sources[:-1:2]] == bad
    assert {letter.key for letter in letters} == {b"key 0"}
    assert [find(kept[src].headers, "reason") for src in sources[:-1:2]] == [
        "malformed_json", "bad_utf8", "too_deep", "not_an_object", "null_value", "too_large",
        "negative_price",
    ]  # fmt: skip
    applied = {find(fact.headers, "src") for fact in facts}
    assert applied == set(sources) - set(kept)
    assert {fact.key for fact in facts} == {b"c:ada"}


async def test_a_header_name_that_is_not_utf_8_stops_nothing_and_the_balance_is_exact(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_odd_names(monkeypatch)
    name = CLICKSTREAM.named(settings.namespace)
    async with Producer.open(settings) as producer:
        for number in range(12):
            value = b"{" if number % 4 == 1 else view(f"e-{number}")
            headers = ((ODD_NAME, b"x"),) if number % 3 == 1 else ()
            await producer.send(name, value, key=b"key", headers=headers)
        await producer.flush()
    async with ingest(settings):
        letters = await at_least(settings, DEAD_LETTERS, 3)
        facts = await at_least(settings, EVENTS, 9)
    assert {decode(fact.value or b"").event_id for fact in facts} == {
        f"e-{number}" for number in range(12) if number % 4 != 1
    }
    assert {(find(letter.headers, "reason"), letter.value) for letter in letters} == {
        ("malformed_json", b"{")
    }
    assert [find(letter.headers, READ_AS) for letter in letters] == ["x", None, None]
    balance = (await read_log(settings)).accounts.balance()
    assert balance.balanced
    assert (balance.received, balance.applied) == (12, 9)


async def test_a_mended_event_applies_with_its_original_position(
    settings: Settings, tmp_path: Path
) -> None:
    [src, other] = await send(settings, CLICKSTREAM, view("e", price=-5), b"{")
    file = tmp_path / "repaired.jsonl"
    file.write_text(json.dumps({"src": src, "value": json.loads(view("e", price=5))}))

    def plan() -> Plan:
        with file.open("rb") as lines:
            return Plan(raw_topics(settings), mended=read_repaired(lines))

    async with ingest(settings):
        await at_least(settings, DEAD_LETTERS, 2)
        _, sent = await replay(settings, plan(), dry_run=True)
        assert sent == 0
        choice, sent = await replay(settings, plan())
        assert (list(choice.letters.values()), sent) == ([src], 1)
        [fact] = await at_least(settings, EVENTS, 1)
        again, sent = await replay(settings, plan())
        assert (dict(again.skipped), sent) == ({"already_replayed": 1, "not_repaired": 1}, 0)
        _, sent = await replay(
            settings, Plan(raw_topics(settings), reasons=frozenset({"malformed_json"}))
        )
        assert sent == 1
        letters = await at_least(settings, DEAD_LETTERS, 3)

    assert find(fact.headers, "src") == src
    assert fact.value is not None
    assert decode(fact.value).event_id == "e"
    twice = [letter for letter in letters if find(letter.headers, "src") == other]
    assert {find(letter.headers, "attempt") for letter in twice} == {"1", "2"}
    assert len({find(letter.headers, "first_seen") for letter in twice}) == 1


class _DiesBeforeCommit(GroupConsumer):
    async def commit(self, offsets: Mapping[TopicPartition, int], metadata: str = "") -> None:
        raise RuntimeError("killed")


async def test_a_crash_between_produce_and_commit_sends_the_same_again(settings: Settings) -> None:
    [src] = await send(settings, CLICKSTREAM, view("e"))

    def doomed(consumer: GroupConsumer) -> None:
        consumer.__class__ = _DiesBeforeCommit

    async with pipeline_of(settings, doomed) as (pipeline, consumer):
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(pipeline.run(consumer), 60)
    assert len(await read(settings, EVENTS)) == 1
    async with ingest(settings):
        facts = await at_least(settings, EVENTS, 2)
    assert {find(fact.headers, "src") for fact in facts} == {src}
    assert {decode(fact.value or b"").event_id for fact in facts} == {"e"}


async def test_a_stopped_ingest_repeats_nothing(settings: Settings) -> None:
    await send(settings, CLICKSTREAM, view("one"))
    async with ingest(settings):
        await at_least(settings, EVENTS, 1)
    await send(settings, CLICKSTREAM, view("two"))
    async with ingest(settings):
        facts = await at_least(settings, EVENTS, 2)
    assert sorted(decode(fact.value or b"").event_id for fact in facts) == ["one", "two"]


@pytest.mark.kafka
async def test_members_that_come_and_go_lose_nothing(kafka_settings: Settings) -> None:
    settings = kafka_settings
    sources: list[str] = []

    async def more(start: int) -> None:
        numbers = range(start, start + 300)
        values = [view(f"e{number}", customer=f"c{number}") for number in numbers]
        sources.extend(await send(settings, CLICKSTREAM, *values, keys=20))
        sources.extend(await send(settings, PURCHASES, b"{"))

    await more(0)
    async with ingest(settings):
        await more(300)
        async with ingest(settings):
            await more(600)
            await at_least(settings, EVENTS, 900)
        await more(900)
        await at_least(settings, EVENTS, 1200)
    facts = await read(settings, EVENTS)
    letters = await at_least(settings, DEAD_LETTERS, 4)
    assert {find(record.headers, "src") for record in facts + letters} == set(sources)
    assert len({decode(fact.value or b"").event_id for fact in facts}) == 1200


async def test_facts_are_enriched_from_the_catalogue(settings: Settings) -> None:
    mug = ItemChanged(item="mug", category="kitchen", price=1250, currency="EUR")
    async with Producer.open(settings) as producer:
        name = CATALOGUE.named(settings.namespace)
        await producer.send(name, catalogue.encode(mug), key=b"item:mug")
        await producer.flush()
    await send(settings, CLICKSTREAM, view("e"))
    async with ingest(settings):
        [record] = await at_least(settings, EVENTS, 1)
    fact: Any = decode(record.value or b"")
    assert (fact.category, fact.price, fact.currency) == ("kitchen", 1250, "EUR")
