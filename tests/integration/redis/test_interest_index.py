"""The index of interested customers comes with the batches that showed their interest."""

import pytest

from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.items.indexing import InterestIndex
from services.profile.items.interest import NO_KINDS, Kinds
from services.profile.items.interest_store import InterestStore
from services.profile.store import ProfileStore
from shared import events as facts
from shared.clock import Clock
from shared.errors import StoreUnavailable
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis
from tests.fixtures.fake_bus import FakeRecord
from tests.unit.profile.builders import NOW, carted, viewed

EVENTS = ("events", 3)


def record(offset: int, fact: facts.Fact) -> FakeRecord:
    key = facts.identity_key(fact).encode()
    return FakeRecord("events", 3, offset, key, facts.encode(fact), (), NOW)


BATCH = [
    record(0, viewed(1, item="lamp")),
    record(1, carted(2, item="mug")),
    record(2, viewed(3, item="lamp", anonymous="visitor")),
]


async def indexed(redis_url: str, namespace: str, wanted: Kinds) -> list[list[str]]:
    async with open_redis(Settings(redis=redis_url)) as redis:
        keys = Keys(namespace, "g1")
        store, index = ProfileStore(redis, keys, "events-1"), InterestStore(redis, keys)
        applier = Applier(
            store, None, IdentityCache(10), InterestIndex(index, lambda: wanted, Clock())
        )
        await applier.apply({EVENTS: BATCH})
        found = await index.interested(3, ["lamp", "mug"], NOW)
    return [[customer for customer, _ in customers] for customers in found]


async def test_it_has_the_kinds_that_scenarios_name(redis_url: str, namespace: str) -> None:
    both = frozenset({"viewed", "carted"})
    assert await indexed(redis_url, namespace, both) == [["alice"], ["alice"]]


async def test_it_has_no_others(redis_url: str, namespace: str) -> None:
    assert await indexed(redis_url, namespace, frozenset({"carted"})) == [[], ["alice"]]


async def test_it_is_empty_without_such_scenarios(redis_url: str, namespace: str) -> None:
    assert await indexed(redis_url, namespace, NO_KINDS) == [[], []]


async def test_it_is_written_before_the_states(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(self: ProfileStore, identities: object) -> None:
        raise StoreUnavailable("crash")

    monkeypatch.setattr(ProfileStore, "save", crash)
    with pytest.raises(StoreUnavailable):
        await indexed(redis_url, namespace, frozenset({"viewed"}))
    async with open_redis(Settings(redis=redis_url)) as redis:
        index = InterestStore(redis, Keys(namespace, "g1"))
        ((found, _),) = (await index.interested(3, ["lamp"], NOW))[0]
    assert found == "alice"
