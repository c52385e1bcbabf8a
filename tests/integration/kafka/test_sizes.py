"""Records that the broker finds too large, with real ingest and profile: each is kept somewhere
and says why, and nothing else waits for it."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from services.profile.verify.check import wait_until_drained
from shared import bus
from shared.clock import real_now_ms
from shared.events import ProfileAbsorbed, decode
from shared.headers import find
from shared.settings import Settings
from shared.topics import CLICKSTREAM, DEAD_LETTERS, EVENTS, Topic, triggers
from tests.fixtures.kafka_faults import limit_message_bytes
from tests.fixtures.lines import Line, running_line
from tests.fixtures.systems import event, run_attune
from tests.fixtures.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

FACT_BYTES = 8_000
LETTER_BYTES = 6_000
TRIGGER_BYTES = 100
PLENTY = 1_048_576
HOURS_AGO_MS = 2 * 3_600_000

random = Random(5)


def noise(characters: int) -> str:
    """Text that does not become smaller when it is packed."""
    return random.randbytes(characters // 2).hex()


async def send(settings: Settings, *values: bytes) -> None:
    async with bus.Producer.open(settings) as producer:
        for value in values:
            await producer.send(CLICKSTREAM.named(settings.namespace), value, key=b"k")
        await producer.flush()


async def records(settings: Settings, topic: Topic) -> list[bus.Record]:
    name = topic.named(settings.namespace)
    return [record async for found in bus.scan(settings, name) for record in found]


def raw(type_: str, **fields: Any) -> bytes:
    return msgspec.json.encode(event(type_, **fields))


async def test_what_is_too_large_is_kept_and_nothing_waits_for_it(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    settings, namespace = kafka_settings, kafka_settings.namespace
    limits = {EVENTS: FACT_BYTES, DEAD_LETTERS: LETTER_BYTES, triggers("email"): TRIGGER_BYTES}
    async with running_line(settings, tmp_path, "ingest", "profile") as line:
        for topic, size in limits.items():
            await limit_message_bytes(settings, topic.named(namespace), size)
        large = raw("item_viewed", customer="bob", item="mug", note=noise(20_000))
        carted = [
            raw("cart_added", anonymous="visitor", item=noise(120), quantity=1) for _ in range(100)
        ]
        abandoned = real_now_ms() - HOURS_AGO_MS
        await send(
            settings,
            *(raw("item_viewed", customer="bob", item=f"before-{n}") for n in range(20)),
            large,
            b"{" + noise(15_000).encode(),
            *carted,
            raw("identified", customer="ada", anonymous="visitor"),
            raw("cart_added", customer="carl", item="rug", occurred_at=abandoned),
            *(raw("item_viewed", customer="bob", item=f"after-{n}") for n in range(20)),
        )
        letters = await dead_letters(settings, 3)
        assert (letters["too_large/ingest"].value or b"") == large[: len(large) // 4]
        assert find(letters["too_large/ingest"].headers, "original_bytes") == str(len(large))
        assert find(letters["malformed_json/ingest"].headers, "original_bytes") == "15001"
        trigger = letters["too_large/profile"]
        assert msgspec.json.decode(trigger.value or b"")["customer"] == "carl"
        assert await records(settings, triggers("email")) == []
        assert await wait_until_drained(settings, 60)
        report = await asyncio.to_thread(run_attune, settings, "verify", code=1)
        assert report["failed"] == ["unpublished"]
        assert (report["balanced"], report["different"], report["unpublished"]) == (True, 0, 1)
        assert report["dead_lettered"] == {"malformed_json": 1, "too_large": 1}
        assert report["applied"] == 20 + len(carted) + 2 + 20
        await the_visitor_comes_to_the_customer(line)


async def dead_letters(settings: Settings, count: int) -> dict[str, bus.Record]:
    """By reason and stage, once there are so many."""

    async def found() -> list[bus.Record] | None:
        letters = await records(settings, DEAD_LETTERS)
        return letters if len(letters) >= count else None

    letters = await eventually(found, within_s=60) or []
    return {
        f"{find(letter.headers, 'reason')}/{find(letter.headers, 'stage')}": letter
        for letter in letters
    }


async def the_visitor_comes_to_the_customer(line: Line) -> None:
    """The visitor's cart was larger than `events` takes; it waits until there is room."""
    settings = line.settings
    assert 'attune_profile_too_large_total{what="fact"}' in await line.metrics("profile")

    async def absorbed() -> int:
        found = [decode(record.value or b"") for record in await records(settings, EVENTS)]
        return sum(isinstance(fact, ProfileAbsorbed) for fact in found)

    assert await absorbed() == 0
    await limit_message_bytes(settings, EVENTS.named(settings.namespace), PLENTY)
    await send(settings, raw("item_viewed", anonymous="visitor", item="mug"))
    await eventually(absorbed, within_s=30)
    await line.verify()
