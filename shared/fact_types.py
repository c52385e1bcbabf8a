"""The types of the canonical facts, one small struct each. `shared/events.py` is how to use them.

Times are epoch milliseconds (UTC), money is integer minor units of `currency`.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Label: TypeAlias = Annotated[str, Meta(max_length=256)]
Money: TypeAlias = Annotated[int, Meta(ge=0, le=10**12)]
Currency: TypeAlias = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Quantity: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Timestamp: TypeAlias = Annotated[int, Meta(ge=0, le=4_102_444_800_000)]
"""Epoch milliseconds from 1970 up to the year 2100."""


class Fact(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every fact carries. `event_id` is unique per identity; the same id is the same fact.

    occurred_at: corrected for the client's clock skew; received_at: when the collector or the raw
    log took it. `cause`: the event or timer that made the system itself state this fact.
    """

    event_id: Id
    occurred_at: Timestamp
    received_at: Timestamp
    customer: Id | None = None
    anonymous: Id | None = None
    claimed_customer: Id | None = None
    source: Label = "native"
    cause: Label | None = None
    extra: dict[str, Any] = {}


class ItemFact(Fact, kw_only=True, omit_defaults=True):
    """A fact about one item. `price` is the unit price in minor units of `currency`."""

    item: Id
    category: Label | None = None
    brand: Label | None = None
    price: Money | None = None
    currency: Currency | None = None


class Line(Struct, kw_only=True, omit_defaults=True):
    """One line of an order or a cart. `price` is the unit price in minor units."""

    item: Id
    quantity: Quantity = 1
    price: Money | None = None
    category: Label | None = None
    brand: Label | None = None


class OrderFact(Fact, kw_only=True, omit_defaults=True):
    """A fact about an order, known by the shop's own order id."""

    order: Id


class ItemViewed(ItemFact, kw_only=True, omit_defaults=True, tag="item_viewed"): ...


class CartAdded(ItemFact, kw_only=True, omit_defaults=True, tag="cart_added"):
    quantity: Quantity = 1


class CartRemoved(ItemFact, kw_only=True, omit_defaults=True, tag="cart_removed"):
    quantity: Quantity = 1


class WishlistAdded(ItemFact, kw_only=True, omit_defaults=True, tag="wishlist_added"): ...


class WishlistRemoved(ItemFact, kw_only=True, omit_defaults=True, tag="wishlist_removed"): ...


class ItemRated(ItemFact, kw_only=True, omit_defaults=True, tag="item_rated"):
    rating: Annotated[float, Meta(ge=0, le=100)]


class ListViewed(Fact, kw_only=True, omit_defaults=True, tag="list_viewed"):
    list_id: Label | None = None
    category: Label | None = None
    items: Annotated[list[Id], Meta(max_length=500)] = []


class Searched(Fact, kw_only=True, omit_defaults=True, tag="searched"):
    query: Label


class CartViewed(Fact, kw_only=True, omit_defaults=True, tag="cart_viewed"):
    lines: list[Line] = []


class CheckoutStarted(Fact, kw_only=True, omit_defaults=True, tag="checkout_started"):
    order: Id | None = None
    lines: list[Line] = []
    total: Money | None = None
    currency: Currency | None = None


class Purchased(OrderFact, kw_only=True, omit_defaults=True, tag="purchased"):
    """An order as the shop booked it. `total` in minor units, as the shop states it."""

    lines: Annotated[list[Line], Meta(min_length=1)]
    total: Money
    currency: Currency
    country: Label | None = None


class Refunded(OrderFact, kw_only=True, omit_defaults=True, tag="refunded"):
    """Money given back for an order, whole or in part; `lines` may be empty."""

    lines: list[Line] = []
    total: Money
    currency: Currency


class OrderShipped(OrderFact, kw_only=True, omit_defaults=True, tag="order_shipped"): ...


class OrderDelivered(OrderFact, kw_only=True, omit_defaults=True, tag="order_delivered"): ...


class OrderDelayed(OrderFact, kw_only=True, omit_defaults=True, tag="order_delayed"): ...


class OfferFact(ItemFact, kw_only=True, omit_defaults=True):
    """What happened to an item that /v1/recommend offered in `decision_id`."""

    decision_id: Id | None = None
    placement: Label | None = None
    rank: Annotated[int, Meta(ge=0, le=10_000)] | None = None


class OfferShown(OfferFact, kw_only=True, omit_defaults=True, tag="offer_shown"): ...


class OfferClicked(OfferFact, kw_only=True, omit_defaults=True, tag="offer_clicked"): ...


class OfferDismissed(OfferFact, kw_only=True, omit_defaults=True, tag="offer_dismissed"): ...


Verdict: TypeAlias = Literal["send", "hold", "suppress"]


class MessageDecided(Fact, kw_only=True, omit_defaults=True, tag="message_decided"):
    """The arbiter's verdict. `trigger` is the final CloudEvent's data, published when this folds.

    `due` is when the moment was to be decided, `moment_at` when what caused it (`cause`) happened;
    `retry_at` only for hold and suppress; attempt: 1 for the first verdict on a trigger, one more
    with each release from a hold; basis: in law, "" where it is not known; subject, item: what it
    is about; version: of the scenarios.
    """

    trigger_id: Id
    scenario: Id
    channel: Id
    verdict: Verdict
    reason: Label
    due: Timestamp | None = None
    moment_at: Timestamp | None = None
    retry_at: Timestamp | None = None
    expires_at: Timestamp | None = None
    attempt: Annotated[int, Meta(ge=1, le=1_000)] = 1
    purpose: Label = ""
    basis: Label = ""
    tags: Annotated[list[Label], Meta(max_length=16)] = []
    transactional: bool = False
    subject: Label = ""
    item: Label = ""
    version: Label = ""
    trigger: bytes = b""


class MessageFact(Fact, kw_only=True, omit_defaults=True):
    """What a marketing tool reports back about the message of trigger `message`."""

    message: Id
    channel: Label | None = None


class MessageSent(MessageFact, kw_only=True, omit_defaults=True, tag="message_sent"): ...


class MessageOpened(MessageFact, kw_only=True, omit_defaults=True, tag="message_opened"): ...


class MessageClicked(MessageFact, kw_only=True, omit_defaults=True, tag="message_clicked"): ...


class MessageBounced(MessageFact, kw_only=True, omit_defaults=True, tag="message_bounced"): ...


class MessageUnsubscribed(
    MessageFact, kw_only=True, omit_defaults=True, tag="message_unsubscribed"
): ...


class FeedbackGiven(Fact, kw_only=True, omit_defaults=True, tag="feedback_given"):
    kind: Literal["nps", "csat", "ces"]
    score: Annotated[float, Meta(ge=0, le=100)]


class SupportContacted(Fact, kw_only=True, omit_defaults=True, tag="support_contacted"):
    topic: Label | None = None


class OccasionSaved(Fact, kw_only=True, omit_defaults=True, tag="occasion_saved"):
    """A day of the year the shopper asked to be remembered: a birthday, a relative's day."""

    name: Label
    month: Annotated[int, Meta(ge=1, le=12)]
    day: Annotated[int, Meta(ge=1, le=31)]
    relation: Label | None = None


class Identified(Fact, kw_only=True, omit_defaults=True, tag="identified"):
    """A verified login: `anonymous` is `customer`. Ingest writes it under both keys."""

    traits: dict[str, Any] = {}


class ProfileAbsorbed(Fact, kw_only=True, omit_defaults=True, tag="profile_absorbed"):
    """What an anonymous visitor did, handed to its owner. Keyed by the customer.

    `through` names the position that caused it, `after` the offset of the handing over before it
    from this visitor to this customer; `component` is the packed mergeable state.
    """

    through: Label
    after: int | None = None
    component: bytes


class TraitsSet(Fact, kw_only=True, omit_defaults=True, tag="traits_set"):
    traits: dict[str, Any]


class ConsentChanged(Fact, kw_only=True, omit_defaults=True, tag="consent_changed"):
    purpose: Id
    granted: bool
    channel: Id | None = None


class ProfilingPaused(Fact, kw_only=True, omit_defaults=True, tag="profiling_paused"):
    paused: bool = True


class ErasureRequested(Fact, kw_only=True, omit_defaults=True, tag="erasure_requested"): ...


class PageViewed(Fact, kw_only=True, omit_defaults=True, tag="page_viewed"):
    name: Label | None = None
    path: Annotated[str, Meta(max_length=2048)] | None = None


class TimerFired(Fact, kw_only=True, omit_defaults=True, tag="timer_fired"):
    timer: Id
    due: Timestamp


class ArmAssigned(Fact, kw_only=True, omit_defaults=True, tag="arm_assigned"):
    experiment: Id
    arm: Id


class SegmentEntered(Fact, kw_only=True, omit_defaults=True, tag="segment_entered"):
    segment: Id


class SegmentLeft(Fact, kw_only=True, omit_defaults=True, tag="segment_left"):
    segment: Id


class StageChanged(Fact, kw_only=True, omit_defaults=True, tag="stage_changed"):
    stage: Id
    previous: Id | None = None
