"""What of each fact training looks at: the kinds that teach, and only their fields that do.

Read by the builder of the history. Pure.
"""

from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from shared.profile import CARTED, CLICKED, VIEWED, WISHED


class Touch(Struct, tag_field="type"):
    """Interest in one item."""

    item: str
    occurred_at: int


class Viewed(Touch, tag="item_viewed"): ...


class Carted(Touch, tag="cart_added"): ...


class Wished(Touch, tag="wishlist_added"): ...


class Offered(Touch, tag_field="type"):
    """What became of an offer."""

    decision_id: str | None = None


class Shown(Offered, tag="offer_shown"): ...


class Clicked(Offered, tag="offer_clicked"): ...


class OrderLine(Struct):
    """price: minor units a piece."""

    item: str
    quantity: int = 1
    price: int | None = None


class Ordered(Struct, tag_field="type", tag="purchased"):
    """An order, as far as it teaches. total: minor units of currency."""

    order: str
    occurred_at: int
    lines: list[OrderLine]
    total: int = 0
    currency: str = ""
    country: str | None = None


Teaching: TypeAlias = Viewed | Carted | Wished | Shown | Clicked | Ordered
KINDS: Final[dict[type, int]] = {Viewed: VIEWED, Carted: CARTED, Wished: WISHED, Clicked: CLICKED}
_decoder: msgspec.json.Decoder[Teaching] = msgspec.json.Decoder(Teaching)
_TAUGHT: Final = tuple(
    b'{"type":"%s"' % name
    for name in (
        b"item_viewed",
        b"cart_added",
        b"wishlist_added",
        b"offer_shown",
        b"offer_clicked",
        b"purchased",
    )
)


def teaching(value: bytes | None) -> Teaching | None:
    """What a record teaches, None for all other facts. The encoder puts `type` first."""
    if not value or not value.startswith(_TAUGHT):
        return None
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return None
