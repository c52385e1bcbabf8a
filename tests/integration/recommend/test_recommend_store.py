"""Reads of the profile store: gathered, within the deadline, and never somebody else's reply."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.local.store import EmbeddedStore
from services.recommend.metrics import RecommendMetrics
from services.recommend.store import NO_PROFILE, ProfileReader, Seen, open_redis
from shared.generation_store import LiveKeys
from shared.keys import Keys
from shared.profile import View, encode_view
from shared.settings import Settings

READERS = 200
GENERATION = "g1"


@pytest.fixture
async def client(base_settings: Settings) -> AsyncIterator[Any]:
    async with open_redis(base_settings) as client:
        yield client


def reader_of(client: Any, settings: Settings, deadline_ms: int = 5_000) -> ProfileReader:
    metrics = RecommendMetrics(CollectorRegistry())
    live = LiveKeys(client, settings.namespace)
    live.keys = Keys(settings.namespace, GENERATION)
    return ProfileReader(client, live, metrics, deadline_ms)


async def write(client: Any, settings: Settings, name: str, events: int) -> None:
    key = Keys(settings.namespace, GENERATION).profile(name)
    await client.hset(key, mapping={"v": encode_view(View(events=events)), "t": "77"})


async def test_a_view_its_age_and_what_is_not_there(client: Any, base_settings: Settings) -> None:
    await write(client, base_settings, "c:1", 5)
    reader = reader_of(client, base_settings)
    one, none = await asyncio.gather(reader.read("c:1"), reader.read("c:2"))
    assert isinstance(one, Seen)
    assert (one.view.events, one.at) == (5, 77)
    assert none is NO_PROFILE


async def test_an_unreadable_view_is_a_failed_read(client: Any, base_settings: Settings) -> None:
    keys = Keys(base_settings.namespace, GENERATION)
    await client.hset(keys.profile("c:1"), "v", b"\xc1")
    await client.set(keys.profile("c:2"), "a string")
    reader = reader_of(client, base_settings)
    assert await asyncio.gather(reader.read("c:1"), reader.read("c:2")) == [None, None]


async def test_cancelled_requests_leave_the_others_their_own_replies(
    client: Any, base_settings: Settings
) -> None:
    for number in range(READERS):
        await write(client, base_settings, f"c:{number}", number)
    reader = reader_of(client, base_settings)

    async def ask(number: int) -> int:
        answer = await reader.read(f"c:{number}")
        assert isinstance(answer, Seen)
        return answer.view.events

    for turn in range(10):
        tasks = [asyncio.create_task(ask(number)) for number in range(READERS)]
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        for number in range(turn, READERS, 3):
            tasks[number].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(answers):
            if isinstance(answer, asyncio.CancelledError):
                assert number % 3 == turn % 3
            else:
                assert answer == number
    await reader.close()


async def test_a_store_that_hangs_costs_the_deadline_and_no_more(
    own_store: EmbeddedStore, base_settings: Settings
) -> None:
    import signal
    from dataclasses import replace

    settings = replace(base_settings, redis=own_store.url)
    async with open_redis(settings) as client:
        await write(client, settings, "c:1", 1)
        reader = reader_of(client, settings, deadline_ms=50)
        assert isinstance(await reader.read("c:1"), Seen)
        own_store.process._signal(signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            assert await reader.read("c:1") is None
            assert loop.time() - started < 2.0
        finally:
            own_store.process._signal(signal.SIGCONT)
        deadline = loop.time() + 20
        while not isinstance(await reader.read("c:1"), Seen):
            assert loop.time() < deadline
        await reader.close()


async def test_a_store_that_is_down_is_none_at_once_and_found_again(
    own_store: EmbeddedStore, base_settings: Settings
) -> None:
    from dataclasses import replace

    settings = replace(base_settings, redis=own_store.url)
    async with open_redis(settings) as client:
        reader = reader_of(client, settings)
        await write(client, settings, "c:1", 1)
        own_store.kill()
        assert await reader.read("c:1") is None
        own_store.restart()
        deadline = asyncio.get_running_loop().time() + 20
        while await reader.read("c:1") is None:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)
        await reader.close()
