"""Variables of what the customer did and who they are: `profile.*`. Pure.

`contact_variables` has those of what was said to them and what is expected of them.

Money is minor units of the currency that most of the customer's revenue is in. Days and hours are
fractions; `_7d` and the like count whole days (UTC), today included.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

from services.profile.component import DAY_MS, Component
from services.profile.fold_kinds import CODES
from services.profile.scenarios.variable import Moment, Variable, count, flag, number, text, texts
from services.profile.view import affinity, cart_items
from shared import events as facts
from shared.catalogue import ItemChanged

HOUR_MS: Final = 3_600_000
YEAR_MS: Final = 31_557_600_000
OLDEST: Final = 130


def component(moment: Moment) -> Component:
    """What the customer's facts folded into."""
    return moment.profile.component


def days_since(moment: Moment, at: int) -> float | None:
    """Days from a time (epoch ms, 0 for never) to the moment."""
    return (moment.now - at) / DAY_MS if at else None


def available(item: ItemChanged | None, now: int) -> bool:
    """Whether an item can be bought, as far as the catalogue knows; an unknown one can."""
    if item is None:
        return True
    begun = item.valid_from is None or item.valid_from <= now
    over = item.valid_to is not None and item.valid_to <= now
    return item.active and item.stock != 0 and begun and not over


def _lately(kind: type[facts.Fact], days: int) -> Callable[[Moment], float]:
    """Counts facts of a kind on the latest days."""
    code = CODES[kind]

    def read(moment: Moment) -> float:
        oldest, total = moment.now // DAY_MS - days, 0
        # A plain loop: conditions on views ask this after each of them.
        for day, counts in moment.profile.component.days.items():
            if day > oldest:
                total += counts.get(code, 0)
        return total

    return read


def _most(amounts: dict[str, int]) -> int:
    return max(amounts.values(), default=0)


def _refunded(moment: Moment) -> float:
    own = component(moment)
    if not own.revenue:
        return _most(own.refunded)
    currency = min(own.revenue, key=lambda name: (-own.revenue[name], name))
    return own.refunded.get(currency, 0)


def _order_value(moment: Moment) -> float | None:
    own = component(moment)
    return _most(own.revenue) / own.orders if own.orders else None


def _pieces(moment: Moment) -> float:
    return sum(mark.quantity for mark in component(moment).cart.values())


def _cart_value(moment: Moment) -> float:
    known, total = moment.around.items, 0
    for name, mark in component(moment).cart.items():
        item = known.get(name)
        if item is not None and item.price is not None:
            total += mark.quantity * item.price
    return total


def _cart_in_stock(moment: Moment) -> bool:
    items = cart_items(component(moment))
    known = moment.around.items
    return bool(items) and all(available(known.get(item), moment.now) for item in items)


def _since_cart(moment: Moment) -> float | None:
    marks = [mark.at for mark in component(moment).cart.values() if mark.quantity]
    return (moment.now - max(marks)) / HOUR_MS if marks else None


def _wished(moment: Moment) -> list[str]:
    return sorted(item for item, mark in component(moment).wishes.items() if mark.value)


def _trait_text(*names: str) -> Callable[[Moment], str | None]:
    def read(moment: Moment) -> str | None:
        traits = component(moment).traits
        found = (traits[name].value for name in names if name in traits)
        return next((value for value in found if isinstance(value, str)), None)

    return read


def _cart(moment: Moment) -> list[str]:
    return cart_items(component(moment))


def _items_in_cart(moment: Moment) -> float:
    return len([mark for mark in component(moment).cart.values() if mark.quantity])


def _favourites(index: int) -> Callable[[Moment], list[str]]:
    return lambda moment: [value for value, _ in affinity(component(moment), index)]


def _over_days(name: str, meaning: str, kind: type[facts.Fact]) -> list[Variable]:
    return [
        count(f"profile.{name}_{days}d", f"{meaning} in the last {days} days", _lately(kind, days))
        for days in (1, 7, 30)
    ]


def _age(moment: Moment) -> float | None:
    """Whole years by the trait `birthday` (ISO 8601), else by `age` and when that was told."""
    traits = component(moment).traits
    birthday, told = traits.get("birthday"), traits.get("age")
    now = datetime.fromtimestamp(moment.now / 1000, UTC)
    if birthday is not None and isinstance(birthday.value, str):
        try:
            born = date.fromisoformat(birthday.value[:10])
        except ValueError:
            born = None
        if born is not None:
            years = now.year - born.year - ((now.month, now.day) < (born.month, born.day))
            return years if 0 <= years <= OLDEST else None
    if told is None or isinstance(told.value, str | bool) or not 0 <= told.value <= OLDEST:
        return None
    return float(told.value) + (moment.now - told.at) // YEAR_MS


VARIABLES: Final = (
    count("profile.orders", "orders so far", lambda m: component(m).orders),
    count("profile.revenue", "paid so far", lambda m: _most(component(m).revenue)),
    count("profile.refunded", "given back so far", _refunded),
    number("profile.average_order_value", "revenue an order", _order_value),
    number(
        "profile.days_since_order",
        "days since the last order",
        lambda m: days_since(m, component(m).last_order_at),
    ),
    number(
        "profile.days_since_first_order",
        "days since the first order",
        lambda m: days_since(m, component(m).first_order_at),
    ),
    number(
        "profile.days_since_seen",
        "days since the customer last did anything",
        lambda m: days_since(m, component(m).seen_at),
    ),
    number(
        "profile.days_since_first_seen",
        "days since the customer was first heard of",
        lambda m: days_since(m, component(m).first_at),
    ),
    count("profile.sessions", "visits so far", lambda m: component(m).sessions),
    *_over_days("views", "items viewed", facts.ItemViewed),
    *_over_days("searches", "searches", facts.Searched),
    *_over_days("carted", "items put into the cart", facts.CartAdded),
    count("profile.cart_items", "different items in the cart", _items_in_cart),
    count("profile.cart_pieces", "pieces in the cart", _pieces),
    count("profile.cart_value", "price of the cart, by the catalogue", _cart_value),
    flag(
        "profile.cart_in_stock",
        "the cart holds something, and all of it can be bought",
        _cart_in_stock,
    ),
    number("profile.hours_since_cart", "hours since the cart was last added to", _since_cart),
    texts("profile.cart", "items in the cart", _cart),
    count("profile.wishes", "items on the wish list", lambda m: len(_wished(m))),
    texts("profile.wished", "items on the wish list", _wished),
    count("profile.items_bought", "different items bought", lambda m: len(component(m).bought)),
    texts("profile.bought", "items bought, at most 200", lambda m: sorted(component(m).bought)),
    texts("profile.categories", "favourite categories, best first", _favourites(0)),
    texts("profile.brands", "favourite brands, best first", _favourites(1)),
    text("profile.country", "country, as last told", _trait_text("country")),
    text("profile.language", "trait `language` or `locale`", _trait_text("language", "locale")),
    number("profile.age", "age in years", _age),
)
