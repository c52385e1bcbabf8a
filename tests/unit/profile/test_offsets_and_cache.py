"""What may be committed when, and which identities stay in memory."""

from services.profile.cache import IdentityCache
from services.profile.identity import Identity
from services.profile.offsets import MOST_BATCHES, PendingOffsets


def test_offsets_wait_until_their_writes_are_kept() -> None:
    pending = PendingOffsets()
    pending.applied({("events", 0): 5}, 10.0)
    pending.applied({("events", 0): 9, ("events", 1): 3}, 11.0)
    assert pending.durable(9.9) == {}
    assert pending.durable(10.0) == {("events", 0): 5}
    assert not pending.empty
    assert pending.durable(11.0) == {("events", 0): 9, ("events", 1): 3}
    assert pending.empty


def test_offsets_that_could_not_be_committed_come_first_next_time() -> None:
    pending = PendingOffsets()
    pending.applied({("events", 0): 5, ("events", 1): 3}, 10.0)
    pending.applied({("events", 0): 9}, 11.0)
    pending.failed(pending.durable(10.0))
    assert pending.durable(10.0) == {("events", 0): 5, ("events", 1): 3}
    pending.failed({("events", 0): 5, ("events", 1): 3})
    assert pending.durable(11.0) == {("events", 0): 9, ("events", 1): 3}


def test_a_store_that_keeps_nothing_for_hours_costs_no_memory() -> None:
    pending = PendingOffsets()
    for number in range(MOST_BATCHES * 3):
        pending.applied({("events", number % 4): number}, float(number))
    assert len(pending._batches) == MOST_BATCHES
    middle = MOST_BATCHES * 2.5
    assert pending.durable(middle)["events", 0] == middle
    assert max(pending.durable(float("inf")).values()) == MOST_BATCHES * 3 - 1


def test_a_partition_that_was_taken_away_is_not_committed() -> None:
    pending = PendingOffsets()
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
