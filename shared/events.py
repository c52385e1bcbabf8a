"""Canonical facts: what every service agrees has happened, in the past tense.

Ingest writes them to the topic `events`, profile folds them, training reads them. A fact is JSON,
a tagged union on `type`. Times are epoch milliseconds (UTC), money is integer minor units of
`currency`. Fields that ingest did not know are kept in `extra`.
"""

from typing import Final, TypeAlias

import msgspec

from shared.fact_types import (
    ArmAssigned,
    CartAdded,
    CartRemoved,
    CartViewed,
    CheckoutStarted,
    ConsentChanged,
    Currency,
    ErasureRequested,
    Fact,
    FeedbackGiven,
    Id,
    Identified,
    ItemFact,
    ItemRated,
    ItemViewed,
    Label,
    Line,
    ListViewed,
    MessageBounced,
    MessageClicked,
    MessageDecided,
    MessageFact,
    MessageOpened,
    MessageSent,
    MessageUnsubscribed,
    Money,
    OccasionSaved,
    OfferClicked,
    OfferDismissed,
    OfferFact,
    OfferShown,
    OrderDelayed,
    OrderDelivered,
    OrderFact,
    OrderShipped,
    PageViewed,
    ProfileAbsorbed,
    ProfilingPaused,
    Purchased,
    Quantity,
    Refunded,
    Searched,
    SegmentEntered,
    SegmentLeft,
    StageChanged,
    SupportContacted,
    TimerFired,
    Timestamp,
    TraitsSet,
    Verdict,
    WishlistAdded,
    WishlistRemoved,
)

__all__ = [
    "FACT_TYPES",
    "IMPORTED",
    "INPUT_TYPES",
    "AnyFact",
    "ArmAssigned",
    "CartAdded",
    "CartRemoved",
    "CartViewed",
    "CheckoutStarted",
    "ConsentChanged",
    "Currency",
    "ErasureRequested",
    "Fact",
    "FeedbackGiven",
    "Id",
    "Identified",
    "InputFact",
    "ItemFact",
    "ItemRated",
    "ItemViewed",
    "Label",
    "Line",
    "ListViewed",
    "MessageBounced",
    "MessageClicked",
    "MessageDecided",
    "MessageFact",
    "MessageOpened",
    "MessageSent",
    "MessageUnsubscribed",
    "Money",
    "OccasionSaved",
    "OfferClicked",
    "OfferDismissed",
    "OfferFact",
    "OfferShown",
    "OrderDelayed",
    "OrderDelivered",
    "OrderFact",
    "OrderShipped",
    "PageViewed",
    "ProfileAbsorbed",
    "ProfilingPaused",
    "Purchased",
    "Quantity",
    "Refunded",
    "Searched",
    "SegmentEntered",
    "SegmentLeft",
    "StageChanged",
    "SupportContacted",
    "SystemFact",
    "TimerFired",
    "Timestamp",
    "TraitsSet",
    "Verdict",
    "WishlistAdded",
    "WishlistRemoved",
    "anonymous_key",
    "customer_key",
    "decode",
    "encode",
    "fact_type",
    "identity_key",
    "is_imported",
]

InputFact: TypeAlias = (
    ItemViewed
    | ListViewed
    | Searched
    | CartAdded
    | CartRemoved
    | CartViewed
    | CheckoutStarted
    | Purchased
    | Refunded
    | OrderShipped
    | OrderDelivered
    | OrderDelayed
    | WishlistAdded
    | WishlistRemoved
    | ItemRated
    | OfferShown
    | OfferClicked
    | OfferDismissed
    | MessageSent
    | MessageOpened
    | MessageClicked
    | MessageBounced
    | MessageUnsubscribed
    | FeedbackGiven
    | SupportContacted
    | OccasionSaved
    | Identified
    | TraitsSet
    | ConsentChanged
    | ProfilingPaused
    | ErasureRequested
    | PageViewed
)
"""What a shop may send."""

SystemFact: TypeAlias = (
    MessageDecided
    | ProfileAbsorbed
    | TimerFired
    | ArmAssigned
    | SegmentEntered
    | SegmentLeft
    | StageChanged
)
"""What only Attune itself states; refused as input."""

AnyFact: TypeAlias = InputFact | SystemFact

FACT_TYPES: Final[dict[str, type[Fact]]] = {
    str(kind.__struct_config__.tag): kind for kind in (*InputFact.__args__, *SystemFact.__args__)
}
INPUT_TYPES: Final[frozenset[str]] = frozenset(
    str(kind.__struct_config__.tag) for kind in InputFact.__args__
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact)


def fact_type(fact: Fact) -> str:
    """The name on the wire, such as `item_viewed`."""
    return str(fact.__struct_config__.tag)


def encode(fact: Fact) -> bytes:
    """The fact as JSON, as it stands in `events`."""
    return _encoder.encode(fact)


def decode(data: bytes) -> AnyFact:
    """A fact read from `events`. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


def customer_key(customer: str) -> str:
    """The identity of a known customer; also the key of its facts in `events`."""
    return "c:" + customer


def anonymous_key(anonymous: str) -> str:
    """The identity of an anonymous visitor; never equal to a customer's."""
    return "a:" + anonymous


def identity_key(fact: Fact) -> str:
    """The identity a fact belongs to: the customer if it names one, else the visitor.

    An `identified` fact belongs to both; ingest writes it once under each key.
    """
    if fact.customer is not None:
        return customer_key(fact.customer)
    if fact.anonymous is not None:
        return anonymous_key(fact.anonymous)
    raise ValueError("a fact needs a customer or an anonymous id")


IMPORTED: Final = "import:"
"""How the source of an imported fact begins; the name of its mapping follows."""


def is_imported(fact: Fact) -> bool:
    """Facts of an import teach, and begin no moment of their own; birthdays and the like, which
    follow from the calendar, are still to come."""
    return fact.source.startswith(IMPORTED)
