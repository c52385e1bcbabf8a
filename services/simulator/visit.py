"""A visit to the shop: browse, look at the offers, fill the cart, perhaps log in and buy.

Pure: yields actions, draws only from the shopper's own randomness, reads the time from replies.
Whether offers matter is the world's choice: where its attention is 0 they are shown, but nothing
that the shopper does depends on them.
"""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, Final

from services.simulator import taste
from services.simulator.actions import Action, Ask, Event, Offers, Outcome, Pause, Reply, Script
from services.simulator.actions import event as make_event
from services.simulator.shopper import Order, Shopper
from services.simulator.world import CURRENCY, Item, World

CHECKS_OUT: Final = 0.6
"""Chance that a visit with a cart ends at the checkout; else the cart is carried along."""
CHECKS_OUT_REMINDED: Final = 0.85
LOGS_IN_TO_BUY: Final = 0.85
NEW_DEVICE: Final = 0.05
WISHES: Final = 0.05
DISMISSES: Final = 0.03
SEARCHES: Final = 0.25
CHANGES_MIND: Final = 0.1

Part = Generator[Action, Reply, None]


def visit(world: World, shopper: Shopper, now: int, *, reminded: bool = False) -> Script:
    """One visit from `now` on; `reminded`: a message brought the shopper back."""
    return _Visit(world, shopper, now, reminded).script()


class _Visit:
    """The running visit: where its clock stands, and what came of it so far."""

    def __init__(self, world: World, shopper: Shopper, now: int, reminded: bool) -> None:
        self.world = world
        self.shopper = shopper
        self.random = shopper.random
        self.now = now
        self.month = datetime.fromtimestamp(now / 1000, UTC).month
        self.reminded = reminded
        self.outcome = Outcome()

    def script(self) -> Script:
        yield from self._arrive()
        item = yield from self._browse()
        yield from self._look_at_offers(item)
        yield from self._decide_on_cart()
        return self.outcome

    def _send(self, action: Event) -> Part:
        self.now = (yield action).now

    def _tell(self, kind: str, **fields: Any) -> Part:
        yield from self._send(make_event(kind, self.shopper, self.now, **fields))

    def _think(self, minutes: float) -> Part:
        self.now = (yield Pause(minutes * self.random.uniform(0.5, 1.5))).now

    def _arrive(self) -> Part:
        shopper = self.shopper
        if self.random.random() < NEW_DEVICE:
            shopper.device = f"device-{self.random.getrandbits(64):016x}"
            shopper.logged_in = False
        wanted = self.reminded or self.random.random() < shopper.traits.logs_in
        if wanted and not shopper.logged_in:
            yield from self._log_in()
        elif not wanted:
            shopper.logged_in = False

    def _log_in(self) -> Part:
        shopper = self.shopper
        shopper.logged_in = True
        yield from self._tell("identified", traits={"country": shopper.traits.country})
        if not shopper.met:
            shopper.met = True
            granted = shopper.traits.mail_consent
            yield from self._tell(
                "consent_changed", purpose="marketing", channel="email", granted=granted
            )

    def _browse(self) -> Generator[Action, Reply, Item | None]:
        traits, random = self.shopper.traits, self.random
        category = taste.choose_category(traits, random)
        listed = taste.shelf(self.world, traits, category, random)
        if random.random() < SEARCHES:
            yield from self._tell("searched", query=category)
        else:
            ids = [item.id for item in listed]
            yield from self._tell("list_viewed", list_id=category, category=category, items=ids)
        count = random.choice((1, 1, 1, 2))
        item = None
        for item in taste.pick(traits, listed, count, self.month, random):
            yield from self._think(1.0)
            yield from self._open(item)
        yield from self._think(2.0)
        return item

    def _open(self, item: Item) -> Part:
        """View an item's page; the better liked, the likelier it goes into the cart."""
        yield from self._tell("item_viewed", **_described(item))
        liking = taste.match(self.shopper.traits, item, self.month)
        if item.id in self.shopper.bought or item.id in self.shopper.cart:
            return
        if self.random.random() < taste.chance_to_cart(liking):
            yield from self._think(0.5)
            self.shopper.cart[item.id] = quantity = self.random.choice((1, 1, 1, 2))
            yield from self._tell("cart_added", **_described(item), quantity=quantity)
        elif self.random.random() < WISHES * liking:
            yield from self._tell("wishlist_added", **_described(item))

    def _look_at_offers(self, item: Item | None) -> Part:
        shopper = self.shopper
        reply = yield Ask(
            placement="item" if item else "home",
            identity=shopper.identity(),
            country=shopper.traits.country,
            item=item.id if item else None,
        )
        self.now = reply.now
        if reply.offers is None or not reply.offers.items:
            return
        self.outcome.arm = reply.offers.arm
        for rank, offered in enumerate(reply.offers.items, start=1):
            yield from self._tell("offer_shown", **_offered(reply.offers, offered, rank))
        if self.random.random() < self.world.effects.attention:
            yield from self._react(reply.offers)

    def _react(self, offers: Offers) -> Part:
        for rank, offered in enumerate(offers.items, start=1):
            item = self.world.by_id.get(offered)
            if item is None:
                continue
            liking = taste.match(self.shopper.traits, item, self.month)
            if self.random.random() < taste.chance_to_click(liking):
                yield from self._think(0.7)
                yield from self._tell("offer_clicked", **_offered(offers, offered, rank))
                yield from self._open(item)
            elif self.random.random() < DISMISSES * (1 - liking):
                yield from self._tell("offer_dismissed", **_offered(offers, offered, rank))

    def _decide_on_cart(self) -> Part:
        shopper = self.shopper
        if not shopper.cart:
            return
        yield from self._think(1.0)
        yield from self._tell("cart_viewed", lines=_lines(self.world, shopper.cart))
        chance = CHECKS_OUT_REMINDED if self.reminded else CHECKS_OUT
        if self.random.random() < chance:
            yield from self._buy()
        elif self.random.random() < CHANGES_MIND:
            item, quantity = shopper.cart.popitem()
            described = _described(self.world.by_id[item])
            yield from self._tell("cart_removed", **described, quantity=quantity)

    def _buy(self) -> Part:
        shopper = self.shopper
        yield from self._think(1.0)
        if not shopper.logged_in and self.random.random() < LOGS_IN_TO_BUY:
            yield from self._log_in()
        lines = dict(shopper.cart)
        total = sum(self.world.by_id[item].price * count for item, count in lines.items())
        known = shopper.traits.customer if shopper.logged_in else None
        order = Order(f"order-{shopper.new_id()}", lines, total, known, shopper.device)
        listed = _lines(self.world, lines)
        money = {"total": total, "currency": CURRENCY}
        yield from self._tell("checkout_started", order=order.id, lines=listed, **money)
        yield from self._think(1.5)
        country = shopper.traits.country
        yield from self._tell("purchased", order=order.id, lines=listed, country=country, **money)
        shopper.cart.clear()
        shopper.bought.update(lines)
        shopper.orders += 1
        self.outcome.orders.append(order)


def _described(item: Item) -> dict[str, Any]:
    return {
        "item": item.id,
        "category": item.category,
        "brand": item.brand,
        "price": item.price,
        "currency": CURRENCY,
    }


def _offered(offers: Offers, item: str, rank: int) -> dict[str, Any]:
    return {"item": item, "decision_id": offers.decision_id, "rank": rank}


def _lines(world: World, cart: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"item": item, "quantity": quantity, "price": world.by_id[item].price}
        for item, quantity in cart.items()
    ]
