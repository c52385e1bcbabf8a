"""The step of a batch that indexes who is interested in what."""

from collections.abc import Mapping
from typing import Any, cast

from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.items.indexing import InterestIndex
from shared import events as facts
from shared.clock import Clock
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.unit.profile.builders import NOW, viewed


async def test_interest_is_written_before_the_state_that_makes_its_facts_known() -> None:
    """Else a crash in between loses it: delivered again, the fact is no news any more."""
    log, store = FakeLog(), FakeProfileStore()
    log.append("events", facts.encode(viewed(1)), key=b"c:alice")
    seen: list[tuple[set[str], set[str]]] = []

    class Index:
        async def add(self, gathered: Mapping[int, Mapping[str, Any]], now: int) -> None:
            seen.append((set(store.rows), {item for items in gathered.values() for item in items}))

    still = Clock(sim_start=NOW, speed=1e-9)
    interest = InterestIndex(cast(Any, Index()), lambda: frozenset({"viewed"}), still)
    applier = Applier(cast(Any, store), None, IdentityCache(10), interest, clock=still)
    await applier.apply({("events", 0): log.records("events")})
    assert seen == [(set(), {viewed(1).item})]
    assert set(store.rows) == {"c:alice"}
