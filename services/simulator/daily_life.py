"""What a customer does in the shop and what the shop does afterwards, as events. Pure, seeded.

A visit is written down whole: events with the business ms after its beginning at which they
happen. Visits of one's own accord draw from the person's own dice, visits that a message brings
from the message's, so that messages add to what would have happened and change nothing of it.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from services.simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from services.simulator.merchant import Merchant
from services.simulator.people import Person
from services.simulator.world import CURRENCY, Item

Body = dict[str, Any]
Timed = tuple[int, Body]

SEES_OFFERS: Final = 0.5
FILLS_CART: Final = 0.4
STARTS_CHECKOUT: Final = 0.7
WISHES: Final = 0.12
TAKES_BACK: Final = 0.1
DELAYED: Final = 0.08
ANSWERS: Final = 0.25
RETURNS_AND_BUYS: Final = 0.35
CHANGES_MIND: Final = 0.01
"""Chance in a visit to grant or deny messages on a channel."""
OCCASIONS: Final = ("wedding day", "mother", "best friend")


@dataclass(slots=True)
class Basket:
    """What a person has in the shop: the cart, and wishes; bought: items already had."""

    cart: dict[str, int] = field(default_factory=dict)
    wished: list[str] = field(default_factory=list)
    bought: set[str] = field(default_factory=set)
    orders: int = 0


@dataclass(slots=True)
class Script:
    """Events in the order they happen; each id follows from the prefix and its place."""

    person: Person
    prefix: str
    who: dict[str, str]
    events: list[Timed] = field(default_factory=list)
    at: int = 0

    def say(self, kind: str, pause: int = 0, /, **fields: Any) -> None:
        """One more event, that long after the one before."""
        self.at += pause
        name = f"{self.prefix}-{len(self.events)}"
        self.events.append((self.at, {"type": kind, "event_id": name, **self.who, **fields}))


def introduce(person: Person, random: Random) -> Script:
    """What the shop knows from the start: who it is, where, what is refused."""
    script = Script(person, f"{person.id}-hello", {"customer": person.id})
    month, day = person.birthday
    traits: dict[str, Any] = {"birthday": f"{1950 + random.randrange(55)}-{month:02d}-{day:02d}"}
    if person.zone is not None:
        traits["timezone"] = person.zone
    script.say("traits_set", traits=traits)
    for channel in sorted(person.denies):
        script.say("consent_changed", purpose="marketing", channel=channel, granted=False)
    if random.random() < 0.3:
        name = random.choice(OCCASIONS)
        script.say(
            "occasion_saved",
            name=name,
            month=random.randint(1, 12),
            day=random.randint(1, 28),
            relation=name,
        )
    return script


def visit(
    script: Script,
    basket: Basket,
    merchant: Merchant,
    random: Random,
    reminded_of: tuple[str, ...] | None = None,
) -> int:
    """A visit; changes the basket. Returns what was paid, minor units (0: nothing bought)."""
    seen: list[Item] = []
    if random.random() < SEES_OFFERS and (offered := _looks_at(script.person, merchant, random)):
        script.say("offer_shown", 1_000, item=offered.id, placement="home", rank=0)
    for _ in range(random.randint(1, 5)):
        item = _looks_at(script.person, merchant, random)
        if item is not None:
            seen.append(item)
            script.say("item_viewed", random.randint(20_000, 4 * MINUTE_MS), **_described(item))
    buys = script.person.buys
    if reminded_of is not None:
        seen += [item for name in reminded_of[:2] if (item := merchant.item(name)) is not None]
        buys = RETURNS_AND_BUYS
    wanted = [item for item in seen if item.stock and item.id not in basket.cart]
    if wanted and random.random() < WISHES:
        wished = random.choice(wanted)
        basket.wished.append(wished.id)
        script.say("wishlist_added", 10_000, **_described(wished))
    if wanted and random.random() < FILLS_CART:
        chosen = wanted[-1] if reminded_of else random.choice(wanted)
        basket.cart[chosen.id] = 1
        script.say("cart_added", 20_000, quantity=1, **_described(chosen))
    _changes_mind(script, basket, random)
    if not basket.cart or random.random() >= STARTS_CHECKOUT:
        return 0
    lines = _lines(basket, merchant)
    total = sum(line["price"] * line["quantity"] for line in lines)
    if not lines:
        return 0
    script.say("checkout_started", MINUTE_MS, lines=lines, total=total, currency=CURRENCY)
    if random.random() >= buys:
        return 0
    return _pays(script, basket, lines, total, random)


def _looks_at(person: Person, merchant: Merchant, random: Random) -> Item | None:
    [category] = random.choices(list(person.likes), list(person.likes.values()))
    shelf = merchant.shelf(category)
    return merchant.item(shelf[int(len(shelf) * random.random() ** 2)])


def _changes_mind(script: Script, basket: Basket, random: Random) -> None:
    if basket.cart and random.random() < TAKES_BACK:
        [item, *_] = basket.cart
        quantity = basket.cart.pop(item)
        script.say("cart_removed", 15_000, item=item, quantity=quantity)
    if random.random() < CHANGES_MIND:
        channel = random.choice(("email", "push", None))
        granted = random.random() < 0.5
        choice = {"purpose": "marketing", "granted": granted}
        script.say("consent_changed", 5_000, **choice, **({"channel": channel} if channel else {}))


def _lines(basket: Basket, merchant: Merchant) -> list[dict[str, Any]]:
    found = ((merchant.item(name), count) for name, count in basket.cart.items())
    return [
        {"item": item.id, "quantity": count, "price": item.price, "category": item.category}
        for item, count in found
        if item is not None and item.stock
    ]


def _pays(
    script: Script, basket: Basket, lines: list[dict[str, Any]], total: int, random: Random
) -> int:
    basket.orders += 1
    order = f"{script.prefix}-order"
    script.say("purchased", 2 * MINUTE_MS, order=order, lines=lines, total=total, currency=CURRENCY)
    for line in lines:
        basket.cart.pop(line["item"], None)
        basket.bought.add(line["item"])
    paid = script.at
    script.say("order_shipped", random.randint(DAY_MS // 2, DAY_MS), order=order)
    if random.random() < DELAYED:
        script.say("order_delayed", DAY_MS, order=order)
    script.say("order_delivered", random.randint(DAY_MS, 3 * DAY_MS), order=order)
    if random.random() < ANSWERS:
        kind, most = random.choice((("nps", 10), ("csat", 5), ("ces", 7)))
        score = min(most, max(0, round(random.gauss(0.75, 0.25) * most)))
        script.say("feedback_given", 8 * HOUR_MS, kind=kind, score=score)
    if random.random() < ANSWERS:
        item = lines[0]["item"]
        script.say("item_rated", DAY_MS, item=item, rating=random.randint(1, 5))
    script.at = paid
    return total


def _described(item: Item) -> dict[str, Any]:
    return {
        "item": item.id,
        "category": item.category,
        "brand": item.brand,
        "price": item.price,
        "currency": CURRENCY,
    }
