"""Fold: one fact into one component. Pure: no clock, no draw, no call; one small function a type.

Its only clock is the greatest event time that the component has seen.
"""

from collections.abc import Callable
from typing import Any, Final

from services.profile.component import (
    DAY_MS,
    DAYS_KEPT,
    FEEDBACK_KEPT,
    OCCASIONS_KEPT,
    ORDERS_KEPT,
    TRAITS_KEPT,
    WEEKS_KEPT,
    Component,
    add,
    advance,
    earliest,
    newest_values,
    settle_bought,
    settle_cart,
    write_bought,
    write_checkout,
    write_consent,
    write_shown,
)
from services.profile.fold_kinds import CODES, LATEST, PROGRESS, TOLD
from services.profile.registers import (
    CartMark,
    Checkout,
    Consent,
    Feedback,
    Mark,
    Occasion,
    Touch,
    Trait,
    insert_touch,
    write_latest,
    write_mark,
)
from shared import events as facts
from shared.profile import BOUGHT, CARTED, CLICKED, KIND_WEIGHTS, VIEWED, WISHED, price_band

SESSION_IDLE_MS: Final = 30 * 60_000
MAX_TRAIT_CHARS: Final = 512
MAX_TRAIT_NAME_CHARS: Final = 128
# What a packed state can hold; the fact in the log keeps the number as it came.
_LEAST_TRAIT: Final = -(2**63)
_GREATEST_TRAIT: Final = 2**64 - 1
MARKETING: Final = "marketing"
ANY_PURPOSE: Final = "*"


def fold(component: Component, fact: facts.Fact, tie: int, *, authenticated: bool) -> None:
    """Adds one fact to a component, in place.

    tie: 32 bits of the event id's digest; authenticated: the identity is a known customer, which
    decides what a consent is worth.
    """
    at = fact.occurred_at
    idle = not component.last_at or at > component.last_at + SESSION_IDLE_MS
    # A login goes on with the visitor's session, which the absorbed component brings along.
    if idle and not (isinstance(fact, facts.Identified) and fact.anonymous is not None):
        component.sessions += 1
    advance(component, at)
    component.events += 1
    if at > component.seen_at and type(fact) not in TOLD:
        component.seen_at = at
    code = CODES.get(type(fact))
    if code is not None:
        add(component.totals, code, 1)
        day = at // DAY_MS
        if day > component.last_at // DAY_MS - DAYS_KEPT:
            add(component.days.setdefault(day, {}), code, 1)
    if isinstance(fact, facts.ConsentChanged):
        _consent(component, fact.purpose, fact.channel, at, fact.granted, authenticated)
        return
    handler = _HANDLERS.get(type(fact))
    if handler is not None:
        handler(component, fact, at, tie)


def consent_key(purpose: str, channel: str | None) -> str:
    """The register of a purpose on a channel, or on all channels."""
    return f"{purpose}|{channel or '*'}"


def _interest(component: Component, fact: Any, at: int, tie: int, kind: int) -> None:
    insert_touch(component.recent, Touch(at, tie, kind, fact.item))
    _affinity(component, fact, at, KIND_WEIGHTS[kind])


def _affinity(component: Component, fact: Any, at: int, weight: int) -> None:
    week = at // DAY_MS // 7
    if week <= component.last_at // DAY_MS // 7 - WEEKS_KEPT:
        return
    band = None if fact.price is None else price_band(fact.price)
    for index, value in enumerate((fact.category, fact.brand, band)):
        if value:
            values = component.affinities.setdefault(index, {})
            weeks = values.get(value)
            if weeks is not None:
                add(weeks, week, weight)
            else:
                values[value] = {week: weight}
                newest_values(values)


def _viewed(component: Component, fact: facts.ItemViewed, at: int, tie: int) -> None:
    _interest(component, fact, at, tie, VIEWED)


def _clicked(component: Component, fact: facts.OfferClicked, at: int, tie: int) -> None:
    _interest(component, fact, at, tie, CLICKED)
    write_shown(component, fact.item, at // DAY_MS, 0)


def _shown(component: Component, fact: facts.OfferShown, at: int, tie: int) -> None:
    write_shown(component, fact.item, at // DAY_MS, 1)


def _dismissed(component: Component, fact: facts.OfferDismissed, at: int, tie: int) -> None:
    write_mark(component.dismissed, fact.item, Mark(at, tie, 1))


def _carted(component: Component, fact: facts.CartAdded, at: int, tie: int) -> None:
    _cart(component, fact.item, CartMark(at, fact.event_id, fact.quantity))
    _interest(component, fact, at, tie, CARTED)


def _uncarted(component: Component, fact: facts.CartRemoved, at: int, tie: int) -> None:
    _cart(component, fact.item, CartMark(at, fact.event_id, 0))


def _cart(component: Component, item: str, mark: CartMark) -> None:
    write_mark(component.cart, item, mark)
    settle_cart(component)


def _wished(component: Component, fact: facts.WishlistAdded, at: int, tie: int) -> None:
    write_mark(component.wishes, fact.item, Mark(at, tie, 1))
    _interest(component, fact, at, tie, WISHED)


def _unwished(component: Component, fact: facts.WishlistRemoved, at: int, tie: int) -> None:
    write_mark(component.wishes, fact.item, Mark(at, tie, 0))


def _purchased(component: Component, fact: facts.Purchased, at: int, tie: int) -> None:
    component.orders += 1
    component.first_order_at = earliest(component.first_order_at, at)
    component.last_order_at = max(component.last_order_at, at)
    add(component.revenue, fact.currency, fact.total)
    if fact.country:
        write_latest(component.traits, "country", Trait(at, tie, fact.country), TRAITS_KEPT)
    # not a set: the same log is to give the same bytes
    for item in dict.fromkeys(line.item for line in fact.lines):
        write_bought(component, item, at)
    for line in fact.lines:
        _affinity(component, line, at, KIND_WEIGHTS[BOUGHT])
    settle_bought(component)
    write_checkout(component, None)
    for line in fact.lines[:5]:
        insert_touch(component.recent, Touch(at, tie, BOUGHT, line.item))


def _refunded(component: Component, fact: facts.Refunded, at: int, tie: int) -> None:
    add(component.refunded, fact.currency, fact.total)
    _progress(component, fact, at, tie)


def _progress(component: Component, fact: facts.OrderFact, at: int, tie: int) -> None:
    write_mark(component.progress, fact.order, Mark(at, tie, PROGRESS[type(fact)]), ORDERS_KEPT)


def _checkout(component: Component, fact: facts.CheckoutStarted, at: int, tie: int) -> None:
    write_checkout(component, Checkout(at, fact.event_id, fact.total, fact.currency or ""))


def _occasion(component: Component, fact: facts.OccasionSaved, at: int, tie: int) -> None:
    occasion = Occasion(at, tie, fact.month, fact.day, fact.relation or "")
    write_latest(component.occasions, fact.name, occasion, OCCASIONS_KEPT)


def _feedback(component: Component, fact: facts.FeedbackGiven, at: int, tie: int) -> None:
    feedback = Feedback(at, tie, fact.score)
    write_latest(component.feedback, fact.kind, feedback, FEEDBACK_KEPT)


def _latest(component: Component, fact: facts.Fact, at: int, tie: int) -> None:
    kind = LATEST[type(fact)]
    component.latest[kind] = max(component.latest.get(kind, 0), at)


def _traits(
    component: Component, fact: facts.TraitsSet | facts.Identified, at: int, tie: int
) -> None:
    for name, value in sorted(fact.traits.items()):
        if len(name) <= MAX_TRAIT_NAME_CHARS and _fits(value):
            write_latest(component.traits, name, Trait(at, tie, value), TRAITS_KEPT)


def _fits(value: Any) -> bool:
    if isinstance(value, int):
        return _LEAST_TRAIT <= value <= _GREATEST_TRAIT
    return isinstance(value, str | float) and len(str(value)) <= MAX_TRAIT_CHARS


def _paused(component: Component, fact: facts.ProfilingPaused, at: int, tie: int) -> None:
    component.paused = max(component.paused, Mark(at, tie, int(fact.paused)))


def _unsubscribed(component: Component, fact: facts.MessageUnsubscribed, at: int, tie: int) -> None:
    # Nothing says of what purpose the message was: who leaves is not written to for another one.
    for purpose in (MARKETING, ANY_PURPOSE):
        _consent(component, purpose, fact.channel, at, granted=False, authenticated=True)


def _consent(
    component: Component,
    purpose: str,
    channel: str | None,
    at: int,
    granted: bool,
    authenticated: bool,
) -> None:
    if not granted:
        change = Consent(denied=at)
    elif authenticated:
        change = Consent(granted=at)
    else:
        change = Consent(anonymous_granted=at)
    write_consent(component, consent_key(purpose, channel), change)


_HANDLERS: Final[dict[type[facts.Fact], Callable[[Component, Any, int, int], None]]] = {
    facts.ItemViewed: _viewed,
    facts.OfferClicked: _clicked,
    facts.OfferShown: _shown,
    facts.OfferDismissed: _dismissed,
    facts.CartAdded: _carted,
    facts.CartRemoved: _uncarted,
    facts.WishlistAdded: _wished,
    facts.WishlistRemoved: _unwished,
    facts.Purchased: _purchased,
    facts.Refunded: _refunded,
    facts.TraitsSet: _traits,
    facts.Identified: _traits,
    facts.ProfilingPaused: _paused,
    facts.MessageUnsubscribed: _unsubscribed,
    facts.CheckoutStarted: _checkout,
    facts.OccasionSaved: _occasion,
    facts.FeedbackGiven: _feedback,
    facts.OrderShipped: _progress,
    facts.OrderDelayed: _progress,
    facts.OrderDelivered: _progress,
    facts.ItemRated: _latest,
    facts.SupportContacted: _latest,
}
