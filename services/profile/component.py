"""The mergeable part of a profile: what an identity's facts fold into, and how two are added.

Invariant: everything here is a sum, a minimum, a maximum, a last-writer-wins register or a
newest-N list, so `merge` is commutative and associative (sums over pruned buckets and the caps
named below aside, see docs/state.md). Nothing decays in place: decay is applied when read.

Times are epoch ms (UTC); days are `at // 86_400_000`, weeks `day // 7`.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct, field

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
from services.profile.shown import SHOWN_DAYS, Shown, forget_shown, note_shown

DAY_MS: Final = 86_400_000
DAYS_KEPT: Final = 31
WEEKS_KEPT: Final = 26
BOUGHT_KEPT: Final = 200
TRAITS_KEPT: Final = 50
CONSENTS_KEPT: Final = 50
OCCASIONS_KEPT: Final = 16
FEEDBACK_KEPT: Final = 8
ORDERS_KEPT: Final = 8
VALUES_KEPT: Final = 16
"""Affinity values a field keeps; beyond it the least recently touched is dropped."""


class Component(Struct, array_like=True):
    """Sums, registers and lists of one identity, or of a part of its life.

    totals: fact code → count; days: day → {fact code: count}; affinities: index into
    AFFINITY_FIELDS → value → week → weight; recent: newest first; cart: item → quantity register;
    wishes, dismissed: item → 1 or 0; bought: item → time last bought; revenue, refunded:
    currency → minor units; consents: `purpose|channel` → Consent; again: item → orders of it
    beside the first; since: item of `again` → time first bought, where that is known; occasions:
    by name; feedback: by kind; checkout: None once an order is not older; progress: order → what
    was heard of it last; latest: kind of fact (see `registers`) → its latest time;
    seen_at: latest event time of what the shopper did, not the shop or a tool.
    """

    first_at: int = 0
    last_at: int = 0
    events: int = 0
    sessions: int = 0
    totals: dict[int, int] = field(default_factory=dict)
    days: dict[int, dict[int, int]] = field(default_factory=dict)
    affinities: dict[int, dict[str, dict[int, int]]] = field(default_factory=dict)
    recent: list[Touch] = field(default_factory=list)
    cart: dict[str, CartMark] = field(default_factory=dict)
    wishes: dict[str, Mark] = field(default_factory=dict)
    dismissed: dict[str, Mark] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    first_order_at: int = 0
    last_order_at: int = 0
    revenue: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    traits: dict[str, Trait] = field(default_factory=dict)
    consents: dict[str, Consent] = field(default_factory=dict)
    paused: Mark = Mark(0, 0, 0)
    again: dict[str, int] = field(default_factory=dict)
    shown: Shown = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    occasions: dict[str, Occasion] = field(default_factory=dict)
    feedback: dict[str, Feedback] = field(default_factory=dict)
    checkout: Checkout | None = None
    progress: dict[str, Mark] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)
    seen_at: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Component)


def pack(component: Component) -> bytes:
    """The component as it travels in `profile_absorbed`."""
    return _encoder.encode(component)


def unpack(data: bytes) -> Component:
    """A packed component. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


def add(counts: dict[Any, int], key: Any, amount: int) -> None:
    """Adds to one count."""
    counts[key] = counts.get(key, 0) + amount


def earliest(one: int, other: int) -> int:
    """The smaller of two times, where 0 stands for none."""
    return min(one, other) if one and other else one or other


def write_bought(
    component: Component, item: str, at: int, again: int = 0, since: int | None = None
) -> None:
    """Adds an order of an item, and `again` further ones that are not later, the first `since`.

    Where it is not known since when one of both has bought it again, it stays unknown.
    """
    first = since if again else at
    standing = component.bought.get(item)
    if standing is not None:
        mine = component.since.get(item) if item in component.again else standing
        first = None if first is None or mine is None else min(first, mine)
        again, at = again + 1, max(at, standing)
    component.bought[item] = at
    if again:
        add(component.again, item, again)
        if first is None:
            component.since.pop(item, None)
        else:
            component.since[item] = first


def settle_bought(component: Component) -> None:
    """Drops the items bought longest ago beyond BOUGHT_KEPT, and what purchases have overtaken."""
    bought, shown = component.bought, component.shown
    excess = len(bought) - BOUGHT_KEPT
    if excess > 0:
        for item in sorted(bought, key=lambda item: (bought[item], item))[:excess]:
            del bought[item]
            component.again.pop(item, None)
            component.since.pop(item, None)
    settle_cart(component)
    for item in [item for item in shown if item in bought]:
        forget_shown(shown, item, bought[item] // DAY_MS)


def settle_cart(component: Component) -> None:
    """Drops the cart registers that a purchase of the same item has overtaken."""
    bought = component.bought
    for item in [item for item, mark in component.cart.items() if mark.at <= bought.get(item, 0)]:
        del component.cart[item]


def newest_values(values: dict[str, dict[int, int]]) -> None:
    """Drops the affinity values touched longest ago beyond VALUES_KEPT."""
    while len(values) > VALUES_KEPT:
        del values[min([(max(weeks), value) for value, weeks in values.items()])[1]]


def advance(component: Component, at: int) -> None:
    """Moves the clock to `at` if that is later, and drops the buckets that fall out."""
    before = component.last_at
    component.first_at = earliest(component.first_at, at)
    if at <= before:
        return
    component.last_at = at
    day = at // DAY_MS
    if day == before // DAY_MS:
        return
    oldest_day = day - DAYS_KEPT
    for old in [old for old in component.days if old <= oldest_day]:
        del component.days[old]
    for item in list(component.shown):
        forget_shown(component.shown, item, day - SHOWN_DAYS)
    oldest_week = day // 7 - WEEKS_KEPT
    if day // 7 == before // DAY_MS // 7:
        return
    for index, values in list(component.affinities.items()):
        for value in list(values):
            weeks = values[value]
            for old in [old for old in weeks if old <= oldest_week]:
                del weeks[old]
            if not weeks:
                del values[value]
        # As if the old had come late: nothing is left of it, not even an empty place.
        if not values:
            del component.affinities[index]


def merge(into: Component, other: Component) -> None:
    """Adds `other` to `into`, in place. Cost: the size of `other`."""
    if other.first_at:
        advance(into, other.first_at)
        advance(into, other.last_at)
    into.events += other.events
    into.sessions += other.sessions
    for code, count in other.totals.items():
        add(into.totals, code, count)
    _merge_buckets(into, other)
    for touch in other.recent:
        insert_touch(into.recent, touch)
    _merge_registers(into, other)
    for item, at in other.bought.items():
        write_bought(into, item, at, other.again.get(item, 0), other.since.get(item))
    settle_bought(into)
    for item, days in other.shown.items():
        for day, times in days.items():
            write_shown(into, item, day, times)
    _merge_orders(into, other)
    write_checkout(into, other.checkout)
    for key, consent in other.consents.items():
        write_consent(into, key, consent)
    into.paused = max(into.paused, other.paused)


def write_checkout(component: Component, checkout: Checkout | None) -> None:
    """Keeps the latest checkout, and none that an order has followed."""
    standing = component.checkout
    if checkout is not None and (
        standing is None or (standing.at, standing.event_id) < (checkout.at, checkout.event_id)
    ):
        component.checkout = standing = checkout
    if standing is not None and standing.at <= component.last_order_at:
        component.checkout = None


def write_consent(component: Component, key: str, other: Consent) -> None:
    """Keeps the latest of each kind; beyond CONSENTS_KEPT what was never denied goes first."""
    consents = component.consents
    one = consents.get(key, Consent())
    consents[key] = Consent(
        max(one.granted, other.granted),
        max(one.denied, other.denied),
        max(one.anonymous_granted, other.anonymous_granted),
    )
    while len(consents) > CONSENTS_KEPT:
        del consents[min(consents, key=lambda key: (consents[key].denied, consents[key], key))]


def write_shown(component: Component, item: str, day: int, times: int) -> None:
    """Adds offers of an item shown on a day, or with 0 times a click; see `shown`."""
    past = component.last_at // DAY_MS - SHOWN_DAYS
    at = component.bought.get(item)
    if at is not None:
        past = max(past, at // DAY_MS)
    note_shown(component.shown, item, day, times, past)


def _merge_buckets(into: Component, other: Component) -> None:
    today = into.last_at // DAY_MS
    for day, counts in other.days.items():
        if day > today - DAYS_KEPT:
            standing = into.days.setdefault(day, {})
            for code, count in counts.items():
                add(standing, code, count)
    for index, values in other.affinities.items():
        for value, weeks in values.items():
            for week, weight in weeks.items():
                if week > today // 7 - WEEKS_KEPT:
                    mine = into.affinities.setdefault(index, {})
                    add(mine.setdefault(value, {}), week, weight)
        newest_values(into.affinities.get(index, {}))


def _merge_registers(into: Component, other: Component) -> None:
    for item, cart in other.cart.items():
        write_mark(into.cart, item, cart)
    for item, wish in other.wishes.items():
        write_mark(into.wishes, item, wish)
    for item, dismissal in other.dismissed.items():
        write_mark(into.dismissed, item, dismissal)
    for order, heard in other.progress.items():
        write_mark(into.progress, order, heard, ORDERS_KEPT)
    for name, trait in other.traits.items():
        write_latest(into.traits, name, trait, TRAITS_KEPT)
    for name, occasion in other.occasions.items():
        write_latest(into.occasions, name, occasion, OCCASIONS_KEPT)
    for kind, feedback in other.feedback.items():
        write_latest(into.feedback, kind, feedback, FEEDBACK_KEPT)
    for code, at in other.latest.items():
        into.latest[code] = max(into.latest.get(code, 0), at)
    into.seen_at = max(into.seen_at, other.seen_at)


def _merge_orders(into: Component, other: Component) -> None:
    into.orders += other.orders
    into.first_order_at = earliest(into.first_order_at, other.first_order_at)
    into.last_order_at = max(into.last_order_at, other.last_order_at)
    for currency, amount in other.revenue.items():
        add(into.revenue, currency, amount)
    for currency, amount in other.refunded.items():
        add(into.refunded, currency, amount)
