"""Facts and strategies for tests of the fold."""

from typing import Any

from hypothesis import strategies as st

from services.profile.component import Component
from services.profile.fold import fold
from services.profile.identity import TIE_MASK
from services.profile.window import digest
from shared import events as facts

NOW = 1_760_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def base(number: int = 0, at: int = NOW, **who: str) -> dict[str, Any]:
    """The fields every fact needs; event ids count up."""
    return {
        "event_id": f"event-{number}",
        "occurred_at": at,
        "received_at": at + 5,
        **(who or {"customer": "alice"}),
    }


def viewed(number: int = 0, at: int = NOW, item: str = "lamp", **who: str) -> facts.ItemViewed:
    return facts.ItemViewed(
        **base(number, at, **who), item=item, category="light", brand="acme", price=1999
    )


def carted(number: int = 0, at: int = NOW, item: str = "lamp", **who: str) -> facts.CartAdded:
    return facts.CartAdded(**base(number, at, **who), item=item)


def bought(number: int = 0, at: int = NOW, item: str = "lamp", **who: str) -> facts.Purchased:
    return facts.Purchased(
        **base(number, at, **who),
        order=f"order-{number}",
        lines=[facts.Line(item=item, price=1999)],
        total=1999,
        currency="GBP",
    )


def folded(*sequence: facts.Fact, authenticated: bool = True) -> Component:
    """A component made of these facts, in this order."""
    component = Component()
    for fact in sequence:
        fold(component, fact, digest(fact.event_id) & TIE_MASK, authenticated=authenticated)
    return component


def asides(fields: dict[str, Any], item: str) -> list[facts.Fact]:
    """Facts that say little beside shopping, and leave one register each."""
    at = fields["occurred_at"]
    return [
        facts.CheckoutStarted(**fields, total=at % 1_000, currency="GBP"),
        facts.OccasionSaved(**fields, name=item, month=1 + at % 12, day=1 + at % 28),
        facts.FeedbackGiven(**fields, kind="nps", score=float(at % 11)),
        facts.OrderShipped(**fields, order=item),
        facts.OrderDelayed(**fields, order=item),
        facts.OrderDelivered(**fields, order=item),
        facts.ItemRated(**fields, item=item, rating=5),
        facts.SupportContacted(**fields),
    ]


items = st.sampled_from(["lamp", "sofa", "mug", "rug"])
times = st.one_of(st.integers(NOW - 60 * DAY, NOW), st.integers(NOW - 400 * DAY, NOW))


@st.composite
def fact_lists(draw: st.DrawFn, max_size: int = 12) -> list[facts.Fact]:
    """Facts of one identity with distinct ids, in any order of time."""
    made: list[facts.Fact] = []
    for number in range(draw(st.integers(0, max_size))):
        at, item = draw(times), draw(items)
        fields = base(number, at)
        made.append(
            draw(
                st.sampled_from(
                    [
                        viewed(number, at, item),
                        carted(number, at, item),
                        facts.CartRemoved(**fields, item=item),
                        bought(number, at, item),
                        facts.Refunded(**fields, order="o", total=500, currency="GBP"),
                        facts.WishlistAdded(**fields, item=item),
                        facts.WishlistRemoved(**fields, item=item),
                        facts.OfferDismissed(**fields, item=item),
                        facts.OfferShown(**fields, item=item),
                        facts.OfferClicked(**fields, item=item),
                        facts.TraitsSet(**fields, traits={"size": item}),
                        facts.ConsentChanged(**fields, purpose="marketing", granted=bool(at % 2)),
                        facts.ProfilingPaused(**fields, paused=bool(at % 3)),
                        facts.PageViewed(**fields, path="/"),
                        *asides(fields, item),
                    ]
                )
            )
        )
    return made
