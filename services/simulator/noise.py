"""What goes wrong on the way from a real shop: events sent twice, events that make no sense. Pure.

It makes dead letters and duplicates appear in the balance of every run.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

RESENT: Final = 0.015
"""Share of requests that a client sends again, though they had arrived."""
BROKEN: Final = 0.008
"""Share of events beside which a malformed one is sent."""

Body = dict[str, Any]


def resends(random: Random) -> bool:
    """Whether a client sends its last request a second time."""
    return random.random() < RESENT


def broken_beside(event: Body, random: Random) -> Body | None:
    """A malformed event that a buggy page sends beside a good one, or None."""
    if random.random() >= BROKEN:
        return None
    broken = {
        "type": "item_viewed",
        "event_id": f"broken-{random.getrandbits(64):016x}",
        "occurred_at": event["occurred_at"],
        "anonymous": event.get("anonymous", "device-unknown"),
        "item": "item-0001",
    }
    random.choice(_WAYS)(broken)
    return broken


def _no_item(event: Body) -> None:
    del event["item"]


def _no_identity(event: Body) -> None:
    del event["anonymous"]


def _unknown_type(event: Body) -> None:
    event["type"] = "item_pondered"


def _negative_price(event: Body) -> None:
    event |= {"price": -499, "currency": "EUR"}


def _wrong_currency(event: Body) -> None:
    event |= {"price": 499, "currency": "euro"}


def _far_future(event: Body) -> None:
    event["occurred_at"] = 253_402_300_799_000  # the last second of the year 9999


_WAYS: Final[tuple[Callable[[Body], None], ...]] = (
    _no_item,
    _no_identity,
    _unknown_type,
    _negative_price,
    _wrong_currency,
    _far_future,
)
