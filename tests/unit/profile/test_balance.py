"""The balance: every raw event is exactly one of applied, deduplicated, dead-lettered, pending."""

from hypothesis import given
from hypothesis import strategies as st

from services.profile.verify.balance import Accounts

sources = st.sampled_from([f"clickstream/0/{n}" for n in range(8)])


@given(
    st.sets(sources),
    st.lists(st.tuples(sources, st.booleans())),
    st.dictionaries(sources, st.sampled_from(["unknown_type", "malformed_json"])),
)
def test_the_parts_always_add_up_to_what_was_received(raw, folded, dead) -> None:
    accounts = Accounts()
    for source in raw:
        accounts.received(source)
    for source, applied in folded:
        accounts.folded(source, applied=applied)
    for source, reason in dead.items():
        accounts.refused(source, reason)
    balance = accounts.balance()
    parts = balance.applied + balance.deduplicated + balance.dead_lettered + balance.pending
    assert parts == balance.received
    assert balance.balanced is (balance.pending == 0)
    assert sum(accounts.dead_by_reason().values()) == balance.dead_lettered


def test_a_replayed_dead_letter_counts_as_what_it_became() -> None:
    accounts = Accounts()
    accounts.received("clickstream/0/1")
    accounts.refused("clickstream/0/1", "unknown_type")
    accounts.received("clickstream/0/1")
    accounts.folded("clickstream/0/1", applied=True)
    balance = accounts.balance()
    assert (balance.received, balance.applied, balance.dead_lettered) == (1, 1, 0)
    assert accounts.dead_by_reason() == {}


def test_a_copy_that_applied_makes_its_event_applied() -> None:
    accounts = Accounts()
    accounts.received("s")
    accounts.folded("s", applied=True)
    accounts.folded("s", applied=False)
    assert accounts.balance().applied == 1
    assert accounts.balance().deduplicated == 0


def test_a_balance_may_be_taken_of_some_events_only() -> None:
    accounts = Accounts()
    for source in ("mine", "theirs"):
        accounts.received(source)
    accounts.folded("mine", applied=True)
    assert accounts.balance({"mine"}).balanced
    assert not accounts.balance().balanced
