"""Version 4 of how a profile lies in Redis: what `store` packs and unpacks. Pure.

Invariant: what is unpacked equals what was packed, and packing that again gives the same bytes.
What the view says already (names, recent touches, counts) the state does not repeat, nor the ties
that are part of a digest in the event-id window, so a state is read together with the view and the
window of the same write. Times are distances back from the view's clock, None for none; counts by
day and week are one table of half bytes. docs/adr/0009 says why. Version 2 lacks what comes last.
"""

from itertools import accumulate, islice
from operator import sub
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from services.profile.columns import Column, pack_column, unpack_column
from services.profile.component import DAY_MS, Component
from services.profile.contact import Contact, contact_of
from services.profile.contact_format import PackedContact, pack_contact, trimmed, unpack_contact
from services.profile.counts_format import pack_counts, pack_shown, unpack_counts, unpack_shown
from services.profile.registers import (
    CartMark,
    Checkout,
    Consent,
    Feedback,
    Mark,
    Occasion,
    Touch,
    Trait,
)
from services.profile.state import STATE_VERSION, Profile
from services.profile.state_v1 import START_V1, read_profile_v1, read_window_v1
from services.profile.view import project
from services.profile.window import Window
from shared.packed import pack, unpack
from shared.profile import View, decode_view, encode_view


class _State(Struct, array_like=True):
    """The state beside its view; the order of fields is the format.

    days: how many there are; values: index into AFFINITY_FIELDS → how many; halves, wide: the table
    of `pack_counts`; names: all values, field by field; older: the touches that the
    view does not show; places: in the window, of the ties of the view's touches and then of the
    older ones, 0 for those of `ties`; bought: times in the view's order, each as its distance from
    the one before; cart: of the view's items, when added, by
    which event, how many; emptied: the cart's tombstones; hidden: an owned
    visitor's touches that are not its trail, or an unowned one's trail; shown: by place in the
    view, of those that it does not say all of; clicked: those that it does not show, with the day;
    since: of what was bought again, in the view's order, one more than the time from the first
    purchase to the last, 0 where that is not known. What is empty at the end is left out.
    """

    first_at: int | None
    last_at: int | None
    sessions: int
    totals: dict[int, int]
    days: int
    values: dict[int, int]
    names: list[str]
    halves: bytes
    wide: Column
    older: list[tuple[int, int, str]]
    places: Column
    ties: Column
    hidden: list[Touch]
    bought: Column
    cart: list[tuple[int, str, int]]
    emptied: dict[str, CartMark]
    wishes: dict[str, Mark]
    dismissed: dict[str, Mark]
    first_order_at: int | None
    last_order_at: int | None
    revenue: dict[str, int]
    refunded: dict[str, int]
    traits: dict[str, Trait]
    consents: dict[str, Consent]
    paused: Mark
    active_at: int | None = None
    absorbed: dict[str, int] = {}
    decided: dict[str, tuple[int, int]] = {}
    sends: list[int] = []
    overflowed: bool = False
    handed: dict[str, int] = {}
    shown: dict[int, dict[int, int]] = {}
    clicked: dict[str, int] = {}
    contact: PackedContact | None = None
    since: Column = b""
    checkout: Checkout | None = None
    progress: dict[str, Mark] = {}
    occasions: dict[str, Occasion] = {}
    feedback: dict[str, Feedback] = {}
    latest: dict[int, int] = {}
    unseen: int | None = None


_READABLE: Final = (2, 3, STATE_VERSION)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class Packed(NamedTuple):
    """A profile as it lies in Redis: three fields of one write."""

    view: bytes
    state: bytes
    window: bytes


def pack_profile(profile: Profile, window: Window) -> Packed:
    """The view, the state and the window, in this version."""
    view = project(profile)
    state = _encoder.encode(_flat(profile, view, window))
    return Packed(encode_view(view), pack(STATE_VERSION, state), window.pack())


def unpack_profile(packed: Packed) -> tuple[Profile, Window]:
    """The state and the window of one write, of this version or an older one.

    Raises NewerVersion, and ValueError or msgspec.MsgspecError where they are damaged.
    """
    if packed.state[:2] == START_V1:
        return read_profile_v1(packed.state), read_window_v1(packed.window)
    state = _decoder.decode(unpack(_READABLE, packed.state))
    window = Window.unpack(packed.window)
    return _profile(state, decode_view(packed.view), window), window


def _flat(profile: Profile, view: View, window: Window) -> tuple[Any, ...]:
    """What `_State` holds, in its order."""
    component, clock = profile.component, view.clock
    owned = profile.owner is not None
    touches = profile.trail if owned else component.recent
    bought = [component.bought[item] for item in view.bought]
    cart = [component.cart[item] for item in view.cart]
    return trimmed(
        _distance(clock, component.first_at),
        _distance(clock, component.last_at),
        component.sessions,
        component.totals,
        len(component.days),
        *pack_counts(component),
        *_pack_touches(touches, view, window),
        component.recent if owned else profile.trail,
        pack_column(list(map(sub, [clock, *bought], bought))),
        [(clock - mark.at, mark.event_id, mark.quantity) for mark in cart],
        {item: mark for item, mark in component.cart.items() if not mark.quantity},
        component.wishes,
        component.dismissed,
        _distance(clock, component.first_order_at),
        _distance(clock, component.last_order_at),
        component.revenue,
        component.refunded,
        component.traits,
        component.consents,
        component.paused,
        _distance(clock, profile.active_at),
        profile.absorbed,
        {},
        [],
        profile.overflowed,
        profile.handed,
        *pack_shown(component.shown, view),
        pack_contact(profile.contact, view) or None,
        *_pack_later(component, view),
    )


def _pack_touches(
    touches: list[Touch], view: View, window: Window
) -> tuple[list[tuple[int, int, str]], Column, Column]:
    ties = [touch.tie for touch in touches]
    places = window.places(ties)
    return (
        [(view.clock - touch.at, touch.kind, touch.item) for touch in touches[len(view.recent) :]],
        pack_column(places),
        pack_column([tie for tie, place in zip(ties, places, strict=True) if not place]),
    )


def _pack_later(component: Component, view: View) -> tuple[Any, ...]:
    """The fields from `since` on."""
    bought, since = component.bought, component.since
    lasted = [
        bought[item] - since[item] + 1 if item in since else 0
        for item, times in zip(view.bought, view.bought_times, strict=False)
        if times > 1
    ]
    return (
        pack_column(lasted),
        component.checkout,
        component.progress,
        component.occasions,
        component.feedback,
        component.latest,
        component.last_at - component.seen_at or None,
    )


def _distance(clock: int, at: int) -> int | None:
    return clock - at if at else None


def _profile(state: _State, view: View, window: Window) -> Profile:
    touches, recent, trail = _touches(state, view, window), state.hidden, state.hidden
    if view.owner is None:
        recent = touches
    else:
        trail = touches
    return Profile(
        component=_component(state, view, recent),
        owner=view.owner,
        trail=trail,
        active_at=_time(view.clock, state.active_at),
        absorbed=state.absorbed,
        contact=_contact(state, view),
        overflowed=state.overflowed,
        handed=state.handed,
    )


def _contact(state: _State, view: View) -> Contact:
    if state.contact is not None:
        return unpack_contact(state.contact, view)
    return contact_of({name: due for name, (due, _) in state.decided.items()}, state.sends)


def _component(state: _State, view: View, recent: list[Touch]) -> Component:
    clock = view.clock
    last_at = _time(clock, state.last_at)
    bought, again, since = _bought(state, view)
    days, affinities = unpack_counts(state, last_at // DAY_MS)
    return Component(
        first_at=_time(clock, state.first_at),
        last_at=last_at,
        events=view.events,
        sessions=state.sessions,
        totals=state.totals,
        days=days,
        affinities=affinities,
        recent=recent,
        cart=_cart(state, view),
        wishes=state.wishes,
        dismissed=state.dismissed,
        bought=bought,
        orders=view.orders,
        first_order_at=_time(clock, state.first_order_at),
        last_order_at=_time(clock, state.last_order_at),
        revenue=state.revenue,
        refunded=state.refunded,
        traits=state.traits,
        consents=state.consents,
        paused=state.paused,
        again=again,
        shown=unpack_shown(state, view, last_at // DAY_MS),
        since=since,
        occasions=state.occasions,
        feedback=state.feedback,
        checkout=state.checkout,
        progress=state.progress,
        latest=state.latest,
        seen_at=last_at - (state.unseen or 0),
    )


def _bought(state: _State, view: View) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """When each item was bought last, how often again, and since when."""
    times = accumulate(unpack_column(state.bought, len(view.bought)), sub, initial=view.clock)
    bought = dict(zip(view.bought, islice(times, 1, None), strict=True))
    orders = zip(view.bought, view.bought_times, strict=False)
    again = {item: count - 1 for item, count in orders if count > 1}
    lasted = zip(again, unpack_column(state.since, len(again)), strict=False)
    return bought, again, {item: bought[item] + 1 - span for item, span in lasted if span}


def _time(clock: int, distance: int | None) -> int:
    return 0 if distance is None else clock - distance


def _touches(state: _State, view: View, window: Window) -> list[Touch]:
    shown = [(touch.at, touch.kind, touch.item) for touch in view.recent]
    older = [(view.clock - age, kind, item) for age, kind, item in state.older]
    touches = shown + older
    places = unpack_column(state.places, len(touches))
    ties = iter(unpack_column(state.ties, sum(not place for place in places)))
    found = [window.tie(place) if place else next(ties) for place in places]
    return [
        Touch(at, tie, kind, item) for (at, kind, item), tie in zip(touches, found, strict=True)
    ]


def _cart(state: _State, view: View) -> dict[str, CartMark]:
    cart = {
        item: CartMark(view.clock - age, event_id, quantity)
        for item, (age, event_id, quantity) in zip(view.cart, state.cart, strict=True)
    }
    return cart | state.emptied
