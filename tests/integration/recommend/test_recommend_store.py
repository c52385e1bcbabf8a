"""Reads of the profile store: gathered, within the deadline, and never somebody else's reply."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.local.store import EmbeddedStore
from services.recommend.metrics import RecommendMetrics
from services.recommend.store import NO_PROFILE, ProfileReader, Seen, open_redis
from services.recommend.store_wire import Wire, target_of
from shared.generation_store import LiveKeys
from shared.keys import Keys
from shared.profile import View, encode_view
from shared.settings import Settings
from tests.fixtures.waiting import eventually

READERS = 200
GENERATION = "g1"
OPENED: list[Wire | None] = []
"""Connections of the readers made; None says that they are to have none."""


@pytest.fixture
async def client(base_settings: Settings) -> AsyncIterator[Any]:
    async with open_redis(base_settings) as client:
        yield client


@pytest.fixture(params=["wire", "pipelines"], autouse=True)
async def wires(request: pytest.FixtureRequest) -> AsyncIterator[list[Wire | None]]:
    """The same reads by the reader's own connection, and by the client's pipelines."""
    OPENED[:] = [] if request.param == "wire" else [None]
    yield OPENED
    for wire in OPENED:
        if wire is not None:
            await wire.close()


def reader_of(client: Any, settings: Settings, deadline_ms: int = 5_000) -> ProfileReader:
    target = target_of(client)
    assert target is not None
    wire = None if None in OPENED else Wire(target)
    OPENED.append(wire)
    metrics = RecommendMetrics(CollectorRegistry())
    live = LiveKeys(client, settings.namespace)
    live.keys = Keys(settings.namespace, GENERATION)
    return ProfileReader(client, live, metrics, deadline_ms, wire)


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


async def test_a_connection_that_is_cut_gives_nobody_anothers_reply(
    client: Any, base_settings: Settings
) -> None:
    for number in range(READERS):
        await write(client, base_settings, f"c:{number}", number)
    reader = reader_of(client, base_settings)
    for _ in range(10):
        asked = [reader.read(f"c:{number}") for number in range(READERS)]
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for number, answer in enumerate(await asyncio.gather(*asked)):
            assert answer is None or isinstance(answer, Seen)
            assert answer is None or answer.view.events == number

    async def found_again() -> bool:
        return isinstance(await reader.read("c:7"), Seen)

    await eventually(found_again, what="the store is found again")
    await reader.close()


async def test_a_password_and_a_database_of_its_own(
    own_store: EmbeddedStore, base_settings: Settings
) -> None:
    from dataclasses import replace

    async with open_redis(replace(base_settings, redis=own_store.url)) as administrator:
        await administrator.config_set("requirepass", "secret")
        address = own_store.url.removeprefix("redis://").partition("/")[0]
        for credentials, good in ((":secret@", True), (":wrong@", False), ("", False)):
            settings = replace(base_settings, redis=f"redis://{credentials}{address}/3")
            async with open_redis(settings) as client:
                if good:
                    await write(client, settings, "c:1", 4)
                reader = reader_of(client, settings)
                assert isinstance(await reader.read("c:1"), Seen) is good
                await reader.close()
        await administrator.config_set("requirepass", "")


def test_what_takes_more_than_tcp_is_left_to_the_client() -> None:
    from redis.asyncio import Redis

    for address in ("rediss://127.0.0.1:1", "unix:///nowhere.sock"):
        assert target_of(Redis.from_url(address)) is None
    assert target_of(object()) is None
    target = target_of(Redis.from_url("redis://anna:secret@host:1/2"))
    assert target == ("host", 1, [("AUTH", "anna", "secret"), ("SELECT", "2")])
