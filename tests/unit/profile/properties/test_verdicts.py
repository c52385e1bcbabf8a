"""Verdicts that are stated again, with other contents, in any order, and read again: one stands."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from services.profile.batch import fold_identity
from services.profile.contact import HOLDS_KEPT
from services.profile.identity import Delivery, Identity, stable_id
from services.profile.state import canonical
from services.profile.state_format import pack_profile, unpack_profile
from shared import events as facts
from tests.unit.profile.builders import HOUR, NOW, base

verdicts = st.tuples(
    st.sampled_from(["one", "two", "three"]),
    st.integers(1, 3),
    st.sampled_from(["send", "hold", "suppress"]),
)


def stated(place: int, trigger: str, attempt: int, verdict: str) -> facts.MessageDecided:
    """What a process stated: its id follows from trigger and attempt, its content from when."""
    fields = base(place, NOW + place) | {"event_id": stable_id(trigger, str(attempt))}
    return facts.MessageDecided(
        **fields,
        trigger_id=trigger,
        scenario=f"about {trigger}",
        channel="email",
        verdict=verdict,
        reason="cooldown" if verdict == "suppress" else "allowed",
        attempt=attempt,
        retry_at=NOW + HOUR,
        expires_at=NOW + 2 * HOUR,
        trigger=b"%d" % place,
    )


@given(st.lists(verdicts, max_size=30), st.integers(0, 30), st.integers(1, 4))
def test_the_first_verdict_with_an_id_stands_and_alone_speaks(drawn, again, capacity) -> None:
    """capacity: of the event-id window, which forgets nearly all of them."""
    log = [Delivery(stated(place, *one), 0, place) for place, one in enumerate(drawn)]
    first: dict[str, facts.MessageDecided] = {}
    for fact, *_ in log:
        first.setdefault(fact.event_id, fact)  # type: ignore[arg-type]
    with patch("services.profile.window.CAPACITY", capacity):
        identity = Identity("c:alice")
        said = fold_identity(identity, log).messages
        before = canonical(identity.profile)
        identity.profile, identity.window = unpack_profile(
            pack_profile(identity.profile, identity.window)
        )
        said_again = fold_identity(identity, log[again:]).messages
    assert canonical(identity.profile) == before
    assert len(said) == len({fact.event_id for fact in said})
    assert all(first[fact.event_id] is fact for fact in said)
    assert said_again == [fact for fact in said if fact.occurred_at - NOW >= again]
    sends = [fact.trigger_id for fact in said if fact.verdict == "send"]
    contact = identity.profile.contact
    assert sorted(sends) == sorted(sent.message for sent in contact.sent)
    assert len(sends) == len(set(sends))
    assert not contact.holds.keys() & set(sends)
    assert len(contact.holds) <= HOLDS_KEPT
