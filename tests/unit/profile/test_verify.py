"""What `attune verify` says of profiles that are not what the log says."""

from typing import Any

import pytest

from services.profile.identity import Delivery, Identity, apply
from services.profile.verify import check
from services.profile.verify.check import compare, verify
from services.profile.verify.replay import Replay
from shared import events as facts
from shared.settings import Settings
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.unit.profile.builders import NOW, carted, viewed


def folded(key: str, *sequence: facts.Fact) -> Identity:
    identity = Identity(key)
    for offset, fact in enumerate(sequence):
        apply(identity, Delivery(fact, 0, offset))
    return identity


async def test_what_is_lost_and_what_counts_twice_is_told_by_customer() -> None:
    story = [viewed(1), viewed(2, NOW + 1, "mug"), carted(3, NOW + 2)]
    keys = ("c:good", "c:short", "c:long", "c:other", "c:none")
    replay = Replay()
    replay.identities.update({key: folded(key, *story) for key in keys})
    store = FakeProfileStore()
    live = [
        folded("c:good", *story),
        folded("c:short", *story[1:]),
        folded("c:long", *story, viewed(4), viewed(5)),
        folded("c:other", *story[:2], carted(3, NOW + 2, "rug")),
    ]
    assert await store.save(live) == []
    found = await compare(replay, store.load, store.views, set())
    assert (found.customers, found.equal, found.different) == (5, 1, 4)
    assert (found.lost, found.applied_twice) == (1 + len(story), 2)
    assert found.first_differences == [
        {"customer": "c:short", "what": "state"},
        {"customer": "c:long", "what": "state"},
        {"customer": "c:other", "what": "state"},
        {"customer": "c:none", "what": "not in the store"},
    ]


async def test_a_rebuild_that_ends_while_the_log_is_read_makes_no_difference(
    base_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = Replay()
    replay.identities["c:good"] = folded("c:good", viewed(1))
    removed, live = FakeProfileStore(), FakeProfileStore()
    await live.save([folded("c:good", viewed(1))])
    stores = [removed]

    async def read_log(*_: Any) -> Replay:
        stores[:] = [live]
        return replay

    async def live_store(*_: Any) -> FakeProfileStore:
        return stores[0]

    monkeypatch.setattr(check, "read_log", read_log)
    monkeypatch.setattr(check, "live_store", live_store)
    assert (await verify(base_settings)).different == 0


async def test_who_moves_on_between_the_log_and_the_store_is_compared_again(
    base_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else at each reading: nobody differs at all of them but who is short of a fact."""
    store = FakeProfileStore()
    keys = [f"c:{number}" for number in range(check.ATTEMPTS + 2)]
    await store.save([folded("c:short"), *(folded(key, viewed(1)) for key in keys)])
    read = 0

    async def read_log(*_: Any) -> Replay:
        nonlocal read
        replay = Replay()
        replay.identities |= {key: folded(key, viewed(1)) for key in ["c:short", *keys]}
        replay.facts = read
        replay.identities[keys[read]] = folded(keys[read])
        read += 1
        return replay

    async def live_store(*_: Any) -> FakeProfileStore:
        return store

    monkeypatch.setattr(check, "read_log", read_log)
    monkeypatch.setattr(check, "live_store", live_store)
    found = await verify(base_settings)
    assert [each["customer"] for each in found.first_differences] == ["c:short"]
    assert (found.customers, found.different, found.applied_twice) == (len(keys) + 1, 1, 0)
    assert read == check.ATTEMPTS
