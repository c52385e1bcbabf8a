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
    found = await compare(replay, store.load, store.views)
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
