"""A profile that an older Attune wrote, in a real Redis: read, folded on, written anew."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from services.profile.identity import Delivery, apply, stable_id
from services.profile.store import ProfileStore
from services.profile.verify.check import compare
from services.profile.verify.replay import Replay
from services.profile.window import Verdict, digest
from shared.keys import Keys
from shared.packed import NewerVersion
from shared.profile import decode_view
from shared.settings import Settings
from shared.store import open_redis
from tests.unit.profile.builders import NOW, carted

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"
KEY = "c:alice"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(Settings(redis=redis_url)) as client:
        yield client


@pytest.fixture(params=[1, 2, 3])
async def old_hash(redis: Redis, namespace: str, request: pytest.FixtureRequest) -> str:
    """The hash of a customer as an older version left it."""
    golden = GOLDEN / f"profiles_v{request.param}.json"
    entry = json.loads(golden.read_text())["customer"]
    hash_key = Keys(namespace, "g1").profile(KEY)
    fields = {
        "n": 7,
        "v": bytes.fromhex(entry["view"]),
        "s": bytes.fromhex(entry["state"]),
        "p": msgspec.msgpack.encode((stable_id("topic-1")[:8], {3: 10_000_002})),
        "d": bytes.fromhex(entry["window"]),
        "o": b"",
        "t": 777,
    }
    await redis.hset(hash_key, mapping=fields)
    return hash_key


async def test_a_profile_of_an_older_version_is_folded_on_and_written_as_version_4(
    redis: Redis, namespace: str, old_hash: str
) -> None:
    store = ProfileStore(redis, Keys(namespace, "g1"), "topic-1")
    found = (await store.load([KEY]))[KEY]
    events, marks = found.profile.component.events, len(found.window)
    assert (found.counter, found.accepted_at) == (7, 777)
    assert (events, marks) == (151, 153)
    resent = carted(1)
    assert apply(found, Delivery(resent, 3, 10_000_003)) is Verdict.NEW
    assert apply(found, Delivery(resent, 3, 10_000_004)) is Verdict.DUPLICATE
    assert found.window.judge(digest("login"), 10_000_000) is Verdict.REDELIVERED
    assert await store.save([found]) == []
    written = await redis.hgetall(old_hash)
    assert (written[b"s"][0], written[b"v"][0], written[b"n"]) == (4, 3, b"8")
    again = (await store.load([KEY]))[KEY]
    assert again.profile == found.profile
    assert again.profile.component.events == events + 1
    assert again.profile.component.cart["lamp"].at == NOW
    assert again.window.pack() == found.window.pack()
    assert decode_view(written[b"v"]).cart[0] == "lamp"


async def test_verify_compares_what_is_unpacked(
    redis: Redis, namespace: str, old_hash: str
) -> None:
    store = ProfileStore(redis, Keys(namespace, "g1"), "topic-1")
    replay = Replay()
    replay.identities[KEY] = (await store.load([KEY]))[KEY]
    assert (await compare(replay, store.load, store.views, set())).different == 0
    replay.identities[KEY].profile.component.cart.clear()
    assert (await compare(replay, store.load, store.views, set())).different == 1
    await store.save([replay.identities[KEY]])
    assert (await compare(replay, store.load, store.views, set())).different == 0


async def test_a_profile_of_a_newer_version_is_refused(
    redis: Redis, namespace: str, old_hash: str
) -> None:
    store = ProfileStore(redis, Keys(namespace, "g1"), "topic-1")
    await store.save(list((await store.load([KEY])).values()))
    state = await redis.hget(old_hash, "s")
    await redis.hset(old_hash, "s", b"\x05" + state[1:])
    with pytest.raises(NewerVersion, match="version 05"):
        await store.load([KEY])
