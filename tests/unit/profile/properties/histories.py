"""Random histories of a shop: who did what, who logged in where, what was sent again.

`expected` is the oracle: it folds, in one go and in any order, the facts that belong to an
identity according to the log alone.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from services.profile.component import Component
from services.profile.fold import fold
from services.profile.identity import TIE_MASK
from services.profile.window import digest
from shared import events as facts
from tests.unit.profile.builders import (
    DAY,
    HOUR,
    NOW,
    asides,
    base,
    bought,
    carted,
    items,
    viewed,
)

VISITORS = ("v", "sam")
CUSTOMERS = ("alice", "bob", "sam")
"""`sam` is used as a visitor and as a customer."""

times = st.one_of(st.integers(NOW - 6 * HOUR, NOW), st.integers(NOW - 400 * DAY, NOW))


class Written(NamedTuple):
    """A record of `events`: its key and its fact."""

    key: str
    fact: facts.AnyFact


@st.composite
def acts(draw: st.DrawFn, number: int) -> facts.AnyFact:
    """Something that a visitor or a customer did."""
    if draw(st.booleans()):
        who = {"anonymous": draw(st.sampled_from(VISITORS))}
    else:
        who = {"customer": draw(st.sampled_from(CUSTOMERS))}
    at, item = draw(times), draw(items)
    fields = base(number, at, **who)
    purpose = {"purpose": "marketing", "channel": draw(st.sampled_from([None, "email"]))}
    return draw(
        st.sampled_from(
            [
                viewed(number, at, item, **who),
                carted(number, at, item, **who),
                facts.CartRemoved(**fields, item=item),
                bought(number, at, item, **who),
                facts.Refunded(**fields, order="o", total=number + 1, currency="EUR"),
                facts.WishlistAdded(**fields, item=item),
                facts.OfferDismissed(**fields, item=item),
                facts.OfferShown(**fields, item=item),
                facts.OfferClicked(**fields, item=item),
                facts.TraitsSet(**fields, traits={"size": item}),
                facts.ConsentChanged(**fields, **purpose, granted=True),
                facts.ConsentChanged(**fields, **purpose, granted=False),
                facts.ProfilingPaused(**fields, paused=bool(at % 2)),
                facts.PageViewed(**fields, path="/"),
                draw(st.sampled_from(asides(fields, item))),
                draw(st.sampled_from(told(fields, item))),
            ]
        )
    )


def told(fields: dict[str, Any], item: str) -> list[facts.AnyFact]:
    """What marketing tools and the system itself say; of a visitor it goes nowhere."""
    message = {"message": item, "channel": "email"}
    return [
        facts.MessageSent(**fields, **message),
        facts.MessageOpened(**fields, message=item),
        facts.MessageClicked(**fields, **message),
        facts.MessageBounced(**fields, **message),
        facts.MessageUnsubscribed(**fields, message=item),
        facts.ArmAssigned(**fields, experiment="holdout", arm=item),
        facts.SegmentEntered(**fields, segment=item),
        facts.SegmentLeft(**fields, segment=item),
        facts.StageChanged(**fields, stage=item),
    ]


@st.composite
def logins(draw: st.DrawFn, number: int) -> facts.AnyFact:
    """A verified login; it brings a trait along now and then."""
    who = {
        "customer": draw(st.sampled_from(CUSTOMERS)),
        "anonymous": draw(st.sampled_from(VISITORS)),
    }
    traits = draw(st.sampled_from([{}, {"size": f"of {number}"}]))
    return facts.Identified(**base(number, draw(times), **who), traits=traits)


@st.composite
def histories(draw: st.DrawFn, max_size: int = 20) -> list[facts.AnyFact]:
    """What a shop sends, in the order of sending; some of it twice."""
    sent: list[facts.AnyFact] = []
    for number in range(draw(st.integers(1, max_size))):
        what = draw(st.integers(0, 9))
        if what < 6 or not sent:
            sent.append(draw(acts(number)))
        elif what < 9:
            sent.append(draw(logins(number)))
        else:
            sent.append(draw(st.sampled_from(sent)))
        # Whenever it happened, it was received now: what is sent again meets the window.
        sent[-1].received_at = NOW + number
    return sent


def keys_of(fact: facts.AnyFact) -> list[str]:
    """The keys under which ingest writes a fact."""
    keys = [facts.identity_key(fact)]
    if isinstance(fact, facts.Identified) and fact.anonymous is not None:
        keys.append(facts.anonymous_key(fact.anonymous))
    return keys


def attributed(log: Iterable[Written]) -> dict[str, list[tuple[facts.AnyFact, bool]]]:
    """Identity → the facts that count for it once all is handed over, each with whether it was
    told by an authenticated customer. `log`: each identity's records in their order.
    """
    owners: dict[str, str] = {}
    counted: dict[str, list[tuple[facts.AnyFact, bool]]] = {}
    seen: set[tuple[str, str]] = set()
    for key, fact in log:
        mine = counted.setdefault(key, [])
        if isinstance(fact, facts.SystemFact) or (key, fact.event_id) in seen:
            continue
        seen.add((key, fact.event_id))
        if key.startswith("c:"):
            mine.append((fact, True))
        elif isinstance(fact, facts.Identified):
            owner = facts.customer_key(fact.customer or "")
            owners[key] = owner
            counted.setdefault(owner, []).extend(mine)
            counted[key] = []
        else:
            counted.setdefault(owners.get(key, key), []).append((fact, False))
    return counted


def expected(sequence: Iterable[tuple[facts.AnyFact, bool]]) -> Component:
    """The component of these facts; sessions, which are counted in log order, left out."""
    component = Component()
    for fact, authenticated in sequence:
        fold(component, fact, digest(fact.event_id) & TIE_MASK, authenticated=authenticated)
    component.sessions = 0
    return component
