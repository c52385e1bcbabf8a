"""The scenario `cart_abandoned`: a cart untouched for an hour. Pure.

The timer is derived from the state, so whether a moment is due is asked of the state again when
the timer fires: a purchase, an emptied cart or new activity since then silence it.
"""

from typing import Final, NamedTuple

from services.profile.component import Component
from services.profile.view import cart_items

SCENARIO: Final = "cart_abandoned"
CHANNEL: Final = "email"
DELAY_MS: Final = 60 * 60_000
LIFETIME_MS: Final = 24 * 60 * 60_000
PRIORITY: Final = 50


class Moment(NamedTuple):
    """A due moment: what lies in the cart (newest first) and the events that put it there."""

    due: int
    items: list[str]
    evidence: list[str]


def due_at(component: Component) -> int | None:
    """When the cart counts as abandoned, epoch ms; None with nothing in it."""
    if not any(mark.quantity for mark in component.cart.values()):
        return None
    return max(mark.at for mark in component.cart.values()) + DELAY_MS


def moment(component: Component, due: int) -> Moment:
    """The moment that came at `due`."""
    items = cart_items(component)
    return Moment(due, items, [component.cart[item].event_id for item in items])
