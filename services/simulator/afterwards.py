"""What happens between visits: goods come back, messages are read, shoppers lose patience. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

from services.simulator.actions import Event, Outcome, Pause, Script, event
from services.simulator.clock import DAY_MS, HOUR_MS
from services.simulator.shopper import Order, Shopper
from services.simulator.world import CURRENCY, World

RETURNS: Final = 0.08
"""Chance that an order comes back."""
CLICKS_WHEN_OPENED: Final = 0.6


def return_after(shopper: Shopper) -> int | None:
    """Business milliseconds until a fresh order is returned, or None where it is kept."""
    if shopper.random.random() >= RETURNS:
        return None
    return int(shopper.random.uniform(4 * HOUR_MS, 2 * DAY_MS))


def refund(world: World, shopper: Shopper, order: Order, now: int) -> Script:
    """The shop gives back the money for one line of an order, to whoever placed it."""
    item = shopper.random.choice(sorted(order.lines))
    price, quantity = world.by_id[item].price, order.lines[item]
    refunded = event(
        "refunded",
        shopper,
        now,
        order=order.id,
        lines=[{"item": item, "quantity": quantity, "price": price}],
        total=price * quantity,
        currency=CURRENCY,
    )
    refunded.body["anonymous"] = order.anonymous
    if order.customer is None:
        refunded.body.pop("customer", None)
    else:
        refunded.body["customer"] = order.customer
    yield refunded
    return Outcome()


def message(world: World, shopper: Shopper, trigger: str, now: int) -> Script:
    """A marketing message reaches the shopper, who may open it, come back for it, or be annoyed.

    `trigger` is the id that the trigger carried; the marketing tool reports what becomes of it.
    """
    effects, random = world.effects, shopper.random

    def report(kind: str, at: int) -> dict[str, Any]:
        body = event(kind, shopper, at, message=trigger, channel="email").body
        body.pop("anonymous", None)
        return body | {"customer": shopper.traits.customer}

    outcome = Outcome()
    now = (yield Event(report("message_sent", now))).now
    shopper.patience *= effects.message_annoys
    if random.random() < effects.unsubscribe:
        shopper.unsubscribed = True
        now = (yield Pause(random.uniform(2, 20))).now
        yield Event(report("message_unsubscribed", now))
        return outcome
    if random.random() >= shopper.traits.opens_mail:
        return outcome
    now = (yield Pause(random.uniform(2, 60))).now
    now = (yield Event(report("message_opened", now))).now
    if random.random() < CLICKS_WHEN_OPENED:
        now = (yield Pause(random.uniform(0.5, 3))).now
        yield Event(report("message_clicked", now))
        outcome.comes_back = random.random() < effects.message_return
    return outcome


def busy_at(now: int) -> float:
    """How busy the shop is at a time of day, 0 to 1: quiet nights, long evenings."""
    hour = datetime.fromtimestamp(now / 1000, UTC).hour
    if 1 <= hour < 7:
        return 0.5
    return 1.0 if 17 <= hour < 23 else 0.8
