"""The view of a profile: what recommend reads of one shopper, in one call.

The profile service derives it from the state on each write; it lies packed (msgpack arrays in a
zstd frame) in field `v` of the identity's hash. Times are epoch milliseconds.
"""

from typing import Final

import msgspec
from msgspec import Struct

from shared.packed import pack, unpack

VIEW_VERSION: Final = 3
DAY_MS: Final = 86_400_000

VIEWED: Final = 1
CARTED: Final = 2
BOUGHT: Final = 3
WISHED: Final = 4
CLICKED: Final = 5
KIND_NAMES: Final = {
    VIEWED: "item_viewed",
    CARTED: "cart_added",
    BOUGHT: "purchased",
    WISHED: "wishlist_added",
    CLICKED: "offer_clicked",
}
KIND_WEIGHTS: Final = {VIEWED: 1, CARTED: 4, BOUGHT: 8, WISHED: 3, CLICKED: 2}
"""How much each kind of interest adds to affinities and item statistics."""

AFFINITY_FIELDS: Final = ("category", "brand", "price_band")


class Interest(Struct, array_like=True, frozen=True):
    """One of the shopper's own events on an item; `kind` is a key of KIND_NAMES."""

    at: int
    kind: int
    item: str


class Session(Struct, array_like=True):
    """The running session: it ends after 30 minutes idle. `items` oldest first, at most 16."""

    started: int = 0
    last: int = 0
    items: list[str] = []


class View(Struct, array_like=True):
    """What an offer is decided on.

    clock: greatest event time folded; events: facts folded so far, absorbed ones included;
    owner: set on an anonymous visitor that a customer has absorbed;
    recent: newest first, at most 12; cart: items in it, newest first;
    bought: newest first, at most 200; dismissed: "less like this";
    affinities: field of AFFINITY_FIELDS → [(value, weight in thousandths as of `clock`)], best
    first, at most 5; paused: profiling paused by the shopper, so offers use the request alone.

    bought_days: aligned with `bought`, days since it was last bought, as `days_ago` counts them
    back from `clock`; bought_times: in how many orders, empty where in one each; shown: (item,
    times, days since), latest first, at most 32: offered lately, and neither clicked nor bought on
    or after that day; country: as last told; born: year of birth. All of these are empty in a view
    of version 2. segments: names, sorted; stage: of the journey, "" while there is none. Both
    came later within version 3, whose earlier readers pass over them.
    """

    clock: int = 0
    events: int = 0
    owner: str | None = None
    session: Session = msgspec.field(default_factory=Session)
    recent: list[Interest] = []
    cart: list[str] = []
    bought: list[str] = []
    dismissed: list[str] = []
    affinities: dict[str, list[tuple[str, int]]] = {}
    orders: int = 0
    paused: bool = False
    bought_days: list[int] = []
    bought_times: list[int] = []
    shown: list[tuple[str, int, int]] = []
    country: str | None = None
    born: int | None = None
    segments: list[str] = []
    stage: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(View)
# Version 1 was not packed, and its number stood before the same fields.
_START_V1: Final = b"\x9c\x01"
_START: Final = b"\x9b"
_READABLE: Final = (2, VIEW_VERSION)
_FIELDS_V2: Final = 11


def encode_view(view: View) -> bytes:
    """The view as it lies in Redis."""
    return pack(VIEW_VERSION, _encoder.encode(view))


def decode_view(data: bytes) -> View:
    """The view from Redis, of this version or an older one.

    Raises NewerVersion, and ValueError or msgspec.MsgspecError where it is damaged.
    """
    if data[:2] == _START_V1:
        return _decoder.decode(_START + data[2:])
    return _decoder.decode(unpack(_READABLE, data))


def says(data: bytes, view: View) -> bool:
    """Whether a view from Redis says what this one does, as far as its version goes."""
    if data[:1] != VIEW_VERSION.to_bytes(1, "little"):
        view = View(*msgspec.structs.astuple(view)[:_FIELDS_V2])
    return decode_view(data) == view


def days_ago(clock: int, at: int) -> int:
    """How many midnights (UTC) lie between a time and the later `clock`, both epoch ms."""
    return clock // DAY_MS - at // DAY_MS


def price_band(price: int) -> str:
    """The octave a price in minor units lies in: band `n` holds 2^(n-1) up to 2^n - 1."""
    return str(price.bit_length())
