"""What may be committed when, and which identities stay in memory."""

from services.profile.cache import IdentityCache
from services.profile.identity import Identity
from services.profile.offsets import PendingOffsets


def test_offsets_wait_until_their_writes_are_durable() -> None:
    pending = PendingOffsets(2.0)
    pending.applied({("events", 0): 5}, 10.0)
    pending.applied({("events", 0): 9, ("events", 1): 3}, 11.0)
    assert pending.durable(11.9) == {}
    assert pending.durable(12.0) == {("events", 0): 5}
    assert pending.last_due() == 13.0
    assert pending.durable(13.0) == {("events", 0): 9, ("events", 1): 3}
    assert pending.last_due() is None


def test_offsets_that_could_not_be_committed_come_first_next_time() -> None:
    pending = PendingOffsets(2.0)
    pending.applied({("events", 0): 5, ("events", 1): 3}, 10.0)
    pending.applied({("events", 0): 9}, 11.0)
    pending.failed(pending.durable(12.0))
    assert pending.durable(12.0) == {("events", 0): 5, ("events", 1): 3}
    pending.failed({("events", 0): 5, ("events", 1): 3})
    assert pending.durable(13.0) == {("events", 0): 9, ("events", 1): 3}


def test_a_partition_that_was_taken_away_is_not_committed() -> None:
    pending = PendingOffsets(0.0)
    pending.applied({("events", 0): 5, ("events", 1): 3}, 1.0)
    pending.forget({("events", 0)})
    assert pending.durable(1.0) == {("events", 1): 3}


def test_the_cache_drops_the_least_recently_used() -> None:
    cache = IdentityCache(2)
    cache.put([Identity("a"), Identity("b")])
    cache.put(cache.take(["a"]).values())
    cache.put([Identity("c")])
    assert set(cache.take(["a", "b", "c"])) == {"a", "c"}
    assert len(cache) == 0
