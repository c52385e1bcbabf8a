"""The topic `catalogue` (compacted): what the shop sells, told to whoever needs stock and price.

The admin endpoints write SQL and then these; recommend and ingest read the topic from its
beginning and keep it in memory. Key: `item:<id>`, `offer:<id>` or `placement:<name>`; an empty
value deletes.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from shared.events import Currency, Id, Label, Money, Timestamp

Objective: TypeAlias = Literal["click", "conversion", "revenue", "margin"]
"""What a placement is to maximise."""
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
_Categories = Annotated[list[Label], Meta(max_length=100)]


class ItemChanged(Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="item_changed"):
    """An item as it stands now. Times are epoch ms; price is minor units of `currency`.

    stock: pieces at hand, None where it is not counted; repeatable: may be offered to who already
    bought it; countries: where it may be shown (two
    capital letters each), empty for everywhere; recommendable: False keeps
    postage, fees and the like out of offers; fields: any other attributes, by name. Four of them
    mean something: `seasons` (names of seasons or numbers of months: offered then, by the
    hemisphere of the shopper's country), `min_age` (years; offered only where a request's
    `context.age` says so many), `margin` or `cost` of a piece (minor units, for that objective).
    """

    item: Id
    title: Label = ""
    category: Label | None = None
    brand: Label | None = None
    price: Money | None = None
    currency: Currency | None = None
    stock: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    active: bool = True
    recommendable: bool = True
    repeatable: bool = False
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    countries: list[Label] = []
    fields: dict[str, Any] = {}
    changed_at: int = 0


class OfferChanged(Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="offer_changed"):
    """A promotion on some items, such as a percentage off, while it is valid."""

    offer: Id
    title: Label = ""
    items: list[Id] = []
    percent_off: Annotated[int, Meta(ge=0, le=100)] = 0
    active: bool = True
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None
    changed_at: int = 0


class Cap(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An item is shown to one customer at most `times` within `days`."""

    times: Annotated[int, Meta(ge=1, le=1_000)]
    days: Annotated[int, Meta(ge=1, le=90)]


class PlacementChanged(
    Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="placement_changed"
):
    """Where a storefront shows offers: what it is to maximise, and how many it shows by default.

    surprise: how far from the familiar, 0 to 1; explore_share: share of answers in which one offer,
    the fifth or the last of fewer, is there to be learned about (of an answer of one it is that
    one: 0 where that is not wanted); cap: how often an item is shown to one customer who does not
    click it; None leaves these to the service. only_categories: no others, where any is named;
    never_categories: none of these; most_of_category: at most so many items of one category.
    """

    placement: Id
    objective: Objective = "conversion"
    n: Annotated[int, Meta(ge=1, le=100)] = 10
    surprise: Share | None = None
    explore_share: Share | None = None
    cap: Cap | None = None
    only_categories: _Categories = []
    never_categories: _Categories = []
    most_of_category: Annotated[int, Meta(ge=1, le=100)] | None = None
    changed_at: int = 0


Change: TypeAlias = ItemChanged | OfferChanged | PlacementChanged

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Change] = msgspec.json.Decoder(Change)


def encode(change: Change) -> bytes:
    """The change as JSON, as it stands in `catalogue`."""
    return _encoder.encode(change)


def decode(data: bytes) -> Change:
    """A change from `catalogue`. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


def item_key(item: str) -> str:
    """The compaction key of an item."""
    return "item:" + item


def offer_key(offer: str) -> str:
    """The compaction key of an offer."""
    return "offer:" + offer


def placement_key(placement: str) -> str:
    """The compaction key of a placement."""
    return "placement:" + placement


def key_of(change: Change) -> str:
    """The compaction key under which a change is published."""
    match change:
        case ItemChanged():
            return item_key(change.item)
        case OfferChanged():
            return offer_key(change.offer)
        case PlacementChanged():
            return placement_key(change.placement)
