"""`attune profile` as a process on real servers: killed, restarted, verified byte for byte."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.commands.bench.workload import shop_facts
from services.local.broker import FETCH_WAIT_MS
from services.local.guard import Guarded
from services.local.ports import free_port
from services.local.servers import environment
from services.local.store import EmbeddedStore
from services.profile.verify.check import live_store, verify, wait_until_drained
from shared import events as facts
from shared import topics
from shared.bus import Producer, scan
from shared.clock import real_now_ms
from shared.profile import decode_view
from shared.settings import Settings
from shared.store import open_redis
from tests.fixtures.waiting import eventually

EVENTS = 4_000


@pytest.fixture(params=["embedded", "kafka"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return request.getfixturevalue(f"{request.param}_settings")


@asynccontextmanager
async def profile(settings: Settings, folder: Path) -> AsyncIterator[Guarded]:
    named = environment(settings)
    if settings.fetch_wait_ms > FETCH_WAIT_MS:
        # On Apache Kafka a fixed name takes its partitions back at once after a kill.
        named["ATTUNE_PROFILE_INSTANCE"] = "profile-1"
    command = [sys.executable, "-P", "-m", "services.cli", "profile", "--port", str(free_port())]
    process = await asyncio.to_thread(
        Guarded.start, command, log=folder / "profile.log", environment=named
    )
    try:
        yield process
    finally:
        await asyncio.to_thread(process.stop)


async def write(settings: Settings, *sequence: facts.Fact) -> None:
    topic = topics.EVENTS.named(settings.namespace)
    async with Producer.open(settings) as producer:
        for number, fact in enumerate(sequence):
            keys = {facts.identity_key(fact)}
            if isinstance(fact, facts.Identified) and fact.anonymous:
                keys.add(facts.anonymous_key(fact.anonymous))
            for key in sorted(keys):
                source = f"clickstream/0/{number}".encode()
                await producer.send(
                    topic, facts.encode(fact), key=key.encode(), headers=(("src", source),)
                )
        await producer.flush()


def traffic() -> list[facts.Fact]:
    """Shoppers of the benchmark, every tenth event resent, and logins throughout."""
    now = real_now_ms()
    sequence: list[facts.Fact] = []
    for number, fact in enumerate(shop_facts(EVENTS, 7, now)):
        sequence.append(fact)
        if number % 10 == 0:
            sequence.append(fact)
        if number % 40 == 0 and fact.anonymous is not None:
            sequence.append(
                facts.Identified(
                    event_id=f"login-{number}",
                    occurred_at=fact.occurred_at,
                    received_at=now,
                    customer=f"owner-{number % 7}",
                    anonymous=fact.anonymous,
                )
            )
    return sequence


async def applied(settings: Settings, least: int) -> None:
    """Waits until so many facts are in the store."""

    async def progressed() -> bool:
        store = await live_store(settings, redis)
        positions = await store.item_positions(range(settings.partitions))
        return sum(position + 1 for position in positions.values()) >= least

    async with open_redis(settings) as redis:
        await eventually(progressed, what=f"{least} facts applied")


async def test_kills_in_the_middle_lose_nothing_and_double_nothing(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    # Apache Kafka only: the embedded broker's group may take long to miss a killed member.
    settings = kafka_settings
    sequence = traffic()
    writing = asyncio.create_task(write(settings, *sequence))
    for least in (200, 1_500, 3_000):
        async with profile(settings, tmp_path) as process:
            await applied(settings, least)
            await asyncio.to_thread(process.kill)
    await writing
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
        found = await verify(settings)
    assert (found.different, found.lost, found.applied_twice) == (0, 0, 0), found
    assert found.deduplicated >= EVENTS // 10 - 1
    assert found.balanced
    log = (tmp_path / "profile.log").read_text()
    assert "shopper-" not in log
    assert "owner-" not in log


async def test_a_store_killed_and_restarted_ends_up_as_the_log_says(
    kafka_settings: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(kafka_settings, redis=own_store.url)
    writing = asyncio.create_task(write(settings, *traffic()))
    async with profile(settings, tmp_path):
        # Not before it works: without a store profile does not start.
        for least in (200, 1_500):
            await applied(settings, least)
            await asyncio.to_thread(own_store.kill)
            await asyncio.to_thread(own_store.restart)
        await writing
        assert await wait_until_drained_of_events(settings)
        found = await verify(settings)
    assert (found.different, found.lost, found.applied_twice) == (0, 0, 0), found
    assert "may have forgotten" in (tmp_path / "profile.log").read_text()


async def test_a_store_that_lost_everything_is_refused(
    kafka_settings: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(kafka_settings, redis=own_store.url)
    await write(settings, *list(shop_facts(500, 3, real_now_ms())))
    async with profile(settings, tmp_path):
        assert await wait_until_drained_of_events(settings)
    async with open_redis(settings) as redis:
        await redis.flushall()
    async with profile(settings, tmp_path) as process:
        await eventually(lambda: not process.alive(), what="refusal")
    assert "Redis has lost the profiles" in (tmp_path / "profile.log").read_text()


async def wait_until_drained_of_events(settings: Settings) -> bool:
    return await wait_until_drained(settings, 60)


async def test_an_abandoned_cart_reaches_the_channel_topic_once(
    settings: Settings, tmp_path: Path
) -> None:
    then = real_now_ms() - 2 * 3_600_000
    carted = facts.CartAdded(
        event_id="cart-1", occurred_at=then, received_at=then, customer="alice", item="lamp"
    )
    await write(settings, carted)
    topic = topics.triggers("email").named(settings.namespace)

    async def triggers() -> list:
        return [record async for records in scan(settings, topic) for record in records]

    for _ in range(2):
        async with profile(settings, tmp_path):
            found = await eventually(triggers, what="a trigger")
            assert await wait_until_drained_of_events(settings)
    assert len({dict(record.headers)["ce_id"] for record in found}) == 1
    assert json.loads(found[0].value)["payload"]["items"] == ["lamp"]
    assert (await verify(settings)).different == 0


async def test_a_graceful_stop_commits_all_that_was_applied(
    settings: Settings, tmp_path: Path
) -> None:
    sequence = list(shop_facts(2_000, 3, real_now_ms()))
    await write(settings, *sequence)
    async with open_redis(settings) as redis:
        keys = sorted({facts.identity_key(fact) for fact in sequence})

        async def applied() -> bool:
            views = await (await live_store(settings, redis)).views(keys)
            return sum(decode_view(view).events for view in views.values() if view) == len(sequence)

        async with profile(settings, tmp_path) as process:
            await eventually(applied)
            await asyncio.to_thread(process.stop)
    assert await wait_until_drained(settings, 0.0)
