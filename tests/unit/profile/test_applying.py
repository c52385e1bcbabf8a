"""One batch, applied: what must be so before anything of it is said."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.identity import OutboxEntry
from services.profile.store_values import GenerationMoved
from shared import events as facts
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.unit.profile.builders import NOW, base, carted


async def test_nothing_is_published_from_profiles_that_another_generation_replaced() -> None:
    """They may be removed while they are read, and nobody takes back what is in the log."""
    log, published = FakeLog(), list[str]()
    login = facts.Identified(**base(2, NOW + 1, customer="alice", anonymous="v"))
    for fact in (carted(1, NOW, anonymous="v"), login):
        log.append("events", facts.encode(fact), key=b"a:v")

    class Publisher:
        async def publish(self, entries: Sequence[OutboxEntry], messages: object) -> set[str]:
            published.extend(entry.key for entry in entries)
            return set()

    async def replaced() -> None:
        raise GenerationMoved("another generation went live")

    async def live() -> None:
        pass

    applier = Applier(cast(Any, FakeProfileStore()), cast(Any, Publisher()), IdentityCache(10))
    records = {("events", 0): log.records("events")}
    with pytest.raises(GenerationMoved):
        await applier.apply(records, replaced)
    assert published == []
    applier.forget()
    await applier.apply(records, live)
    assert published == ["c:alice"]
