"""Up to when writes count as kept, look by look."""

from typing import Any

from shared.store_durability import LOOKS_KEPT, REPLICA_S, Durability, Told

NEVER = float("-inf")


def told(offset: int = 0, *acknowledged: int, **others: Any) -> dict[str, Told]:
    calm = {"evicts": False, "aof": True, "aof_written": True}
    calm |= {"rewriting": False, "rewrite_failed": False, "syncing": False}
    fields = calm | others
    return {"one": Told(("run", "replication"), offset=offset, acknowledged=acknowledged, **fields)}


def test_writes_are_kept_two_seconds_later() -> None:
    durability = Durability()
    assert durability.looked(10.0, told()) == NEVER
    assert durability.looked(11.0, told()) == NEVER
    assert durability.looked(12.0, told()) == 10.0
    assert durability.looked(13.5, told()) == 11.0


def test_a_sync_under_way_is_waited_for() -> None:
    durability = Durability()
    durability.looked(10.0, told())
    assert durability.looked(13.0, told(syncing=True)) == NEVER
    assert durability.looked(13.2, told()) == 10.0


def test_every_replica_must_have_what_was_written() -> None:
    durability = Durability()
    durability.looked(10.0, told(100, 90, 100))
    durability.looked(11.0, told(200, 100, 200))
    assert durability.looked(13.0, told(300, 99, 300)) == NEVER
    assert durability.looked(13.2, told(300, 150, 300)) == 10.0
    assert durability.looked(13.4, told(300, 200, 300)) == 11.0


def test_a_replica_that_went_may_still_take_over_for_a_while() -> None:
    durability = Durability()
    durability.looked(10.0, told(100, 100))
    assert durability.looked(12.0, told(200, 200)) == 10.0
    durability.looked(13.0, told(300))
    assert durability.looked(16.0, told(300)) == 10.0
    assert durability.looked(17.0, told(300, 250)) == 12.0
    assert durability.looked(18.0, told(400)) == 12.0
    assert durability.looked(17.0 + REPLICA_S, told(500)) == 18.0


def test_all_servers_of_a_cluster_count() -> None:
    durability = Durability()
    both = told(5) | {"two": told(5, 0)["one"]}
    durability.looked(10.0, both)
    assert durability.looked(13.0, both) == NEVER


def test_a_file_that_may_never_become_whole_is_named() -> None:
    durability = Durability()
    for at in range(10, 20):
        assert durability.looked(at, told(rewrite_failed=True)) == NEVER
    assert "the last rewrite of it failed" in durability.failing
    assert durability.looked(20.0, told()) == 18.0
    assert not durability.failing
    # A file that was whole stays so: what is written goes on behind it.
    assert durability.looked(24.0, told(rewrite_failed=True)) == 20.0
    assert not durability.failing


def test_what_keeps_nothing_is_named_and_holds() -> None:
    for fault, words in (
        ({"aof": False}, "no append-only file"),
        ({"aof_written": False}, "could not write"),
        ({"evicts": True}, "evicts"),
    ):
        durability = Durability()
        durability.looked(10.0, told(**fault))
        assert durability.looked(20.0, told(**fault)) == NEVER
        assert words in durability.failing
        assert durability.looked(20.1, told()) == 10.0
        assert durability.failing == ""


def test_a_file_that_was_just_switched_on_is_waited_for_and_a_later_rewrite_is_not() -> None:
    durability = Durability()
    durability.looked(10.0, told(aof=False))
    assert durability.looked(20.0, told(rewriting=True)) == NEVER
    assert durability.looked(21.0, told()) == 10.0
    assert durability.looked(24.0, told(rewriting=True)) == 21.0


def test_a_volatile_store_is_believed() -> None:
    durability = Durability(0.0, volatile=True)
    assert durability.looked(10.0, told(aof=False)) == 10.0
    assert durability.failing == ""


def test_other_servers_begin_anew_and_a_long_hold_costs_no_memory() -> None:
    durability = Durability()
    for number in range(3 * LOOKS_KEPT):
        durability.looked(float(number), told(syncing=True))
    assert len(durability._looks) == LOOKS_KEPT
    durability.forget()
    assert durability.looked(1e6, told()) == NEVER
