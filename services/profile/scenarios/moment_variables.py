"""Variables of what happened and of the item it is about: `event.*`, `order.*`, `item.*`. Pure."""

import math
from collections.abc import Callable
from typing import Final

from msgspec.structs import fields

from services.profile.component import DAY_MS
from services.profile.scenarios.book import Scalar
from services.profile.scenarios.profile_variables import available, component, days_since
from services.profile.scenarios.variable import (
    UNKNOWN,
    Kind,
    Moment,
    Variable,
    count,
    flag,
    number,
    text,
)
from shared.catalogue import ItemChanged
from shared.events import FACT_TYPES
from shared.profile import VIEWED

_FIELDS: Final[tuple[tuple[str, Kind, str], ...]] = (
    ("item", "text", "the item"),
    ("category", "text", "its category, or the list's"),
    ("brand", "text", "its brand"),
    ("price", "number", "its price a piece"),
    ("currency", "text", "the currency, such as EUR"),
    ("quantity", "number", "pieces"),
    ("total", "number", "the order's or the refund's total"),
    ("order", "text", "the order's id"),
    ("country", "text", "where the order goes"),
    ("query", "text", "what was searched for"),
    ("rating", "number", "the rating"),
    ("kind", "text", "nps, csat or ces"),
    ("score", "number", "the score given"),
    ("topic", "text", "what support was asked about"),
    ("name", "text", "the page's or the occasion's name"),
    ("path", "text", "the page's path"),
    ("list_id", "text", "the list viewed"),
    ("relation", "text", "whose occasion it is"),
    ("month", "number", "the occasion's month"),
    ("day", "number", "the occasion's day"),
    ("placement", "text", "where the offer was shown"),
    ("rank", "number", "its place there, from 0"),
    ("message", "text", "the message's id"),
    ("channel", "text", "the channel"),
    ("purpose", "text", "what consent was given or denied for"),
    ("granted", "flag", "whether it was given"),
    ("paused", "flag", "whether profiling was paused"),
    ("segment", "text", "the segment entered or left"),
    ("stage", "text", "the stage entered"),
    ("previous", "text", "the stage before"),
)
_DOMAINS: Final = {"segment": "segments", "stage": "stages", "previous": "stages", "kind": "kinds"}
_MISSING: Final[dict[Kind, Scalar]] = {"number": UNKNOWN, "text": "", "flag": False}
_HAS: Final = {
    name: frozenset(field.name for field in fields(kind)) for name, kind in FACT_TYPES.items()
}


def _having(field: str) -> frozenset[str]:
    return frozenset(name for name, names in _HAS.items() if field in names)


def _attribute(field: str) -> Callable[[Moment], Scalar]:
    return lambda moment: getattr(moment.fact, field, None)


def _lines(field: str) -> Callable[[Moment], list[str]]:
    def read(moment: Moment) -> list[str]:
        found = [getattr(line, field) for line in getattr(moment.fact, "lines", ())]
        return sorted({value for value in found if value is not None})

    return read


def _pieces(moment: Moment) -> float:
    return float(sum(line.quantity for line in getattr(moment.fact, "lines", ())))


EVENT: Final = (
    *(
        Variable(
            f"event.{name}",
            kind,
            meaning,
            _attribute(name),
            _MISSING[kind],
            _DOMAINS.get(name, ""),
            _having(name),
        )
        for name, kind, meaning in _FIELDS
    ),
    *(
        Variable(f"event.{plural}", "texts", meaning, _lines(name), [], "", _having("lines"))
        for plural, name, meaning in (
            ("items", "item", "the items of the order or cart"),
            ("categories", "category", "their categories"),
            ("brands", "brand", "their brands"),
        )
    ),
    Variable("event.pieces", "number", "pieces in all", _pieces, 0.0, "", _having("lines")),
)


def _item_number(field: str) -> Callable[[Moment], float | None]:
    return lambda moment: getattr(moment.item, field, None)


def _item_text(field: str) -> Callable[[Moment], str | None]:
    return lambda moment: getattr(moment.item, field, None)


def _stock(moment: Moment) -> float:
    item = moment.item
    if item is None:
        return 0.0
    return math.inf if item.stock is None else item.stock


def _available(moment: Moment) -> bool:
    return moment.item is not None and available(moment.item, moment.now)


def _drop(moment: Moment) -> float:
    """How much the price lies below the one before, 0 where it does not."""
    now, before = _item_number("price")(moment), moment.previous_price
    return max(0.0, before - now) if before and now is not None else 0.0


def _drop_percent(moment: Moment) -> float:
    before = moment.previous_price
    return 100.0 * _drop(moment) / before if before else 0.0


def _back_in_stock(moment: Moment) -> bool:
    return moment.previous_stock == 0 and _available(moment)


def _about(read: Callable[[Moment, ItemChanged], bool]) -> Callable[[Moment], bool]:
    return lambda moment: moment.item is not None and read(moment, moment.item)


def _in_cart(moment: Moment, item: ItemChanged) -> bool:
    mark = component(moment).cart.get(item.item)
    return mark is not None and mark.quantity > 0


def _wished(moment: Moment, item: ItemChanged) -> bool:
    mark = component(moment).wishes.get(item.item)
    return mark is not None and mark.value > 0


def _dismissed(moment: Moment, item: ItemChanged) -> bool:
    mark = component(moment).dismissed.get(item.item)
    return mark is not None and mark.value > 0


def _since_viewed(moment: Moment) -> float | None:
    item = moment.item
    touches = component(moment).recent
    found = (t.at for t in touches if item is not None and t.item == item.item and t.kind == VIEWED)
    return days_since(moment, next(found, 0))


def _since_bought(moment: Moment) -> float | None:
    item = moment.item
    return None if item is None else days_since(moment, component(moment).bought.get(item.item, 0))


def _times_bought(moment: Moment) -> float:
    own, item = component(moment), moment.item
    if item is None or item.item not in own.bought:
        return 0.0
    return 1.0 + own.again.get(item.item, 0)


ITEM: Final = (
    text("item.id", "the item", _item_text("item")),
    text("item.title", "its title", _item_text("title")),
    text("item.category", "its category", _item_text("category")),
    text("item.brand", "its brand", _item_text("brand")),
    number("item.price", "its price now", _item_number("price")),
    count("item.stock", "pieces at hand now, endless where they are not counted", _stock),
    flag("item.available", "it can be bought now", _available),
    number(
        "item.days_since_changed",
        "days since the catalogue last changed it",
        lambda m: None if m.item is None else (m.now - m.item.changed_at) / DAY_MS,
    ),
    flag("item.in_cart", "it lies in the customer's cart", _about(_in_cart)),
    flag("item.wished", "it is on the customer's wish list", _about(_wished)),
    flag("item.dismissed", "the customer wants less like it", _about(_dismissed)),
    number("item.days_since_viewed", "days since the customer looked at it", _since_viewed),
    number("item.days_since_bought", "days since the customer bought it", _since_bought),
    count("item.times_bought", "orders of the customer with it", _times_bought),
)
CHANGE: Final = (
    number("item.previous_price", "its price before the change", lambda m: m.previous_price),
    number("item.previous_stock", "pieces before the change", lambda m: m.previous_stock),
    count("item.drop", "how much lower its price is now", _drop),
    count("item.drop_percent", "the same in percent", _drop_percent),
    flag("item.back_in_stock", "it was sold out before, and can be bought now", _back_in_stock),
)
"""Of scenarios on `item_changed` only."""
