"""What the shoppers of a run do, and which messages must follow. Pure; randomness is an argument.

Invariant: what must follow from a script holds however its events are delayed or repeated, as long
as those of one key keep their order in their raw topic.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
ABANDONED_AFTER: Final = HOUR
"""What a marketer was told: a cart untouched for an hour is abandoned, a wish as well."""
AT_ODDS: Final = 2_000
"""So far apart are two moments of one customer of which the budget lets only one pass at a time."""
DEVICES_SHARED_BY: Final = 3
ITEMS: Final = 300
LATE_ITEMS: Final = "late-"
"""How items of late events begin: nothing else happens to them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a shopper. at: ms relative to the start of the run, mostly before it.

    late: it happened days before it is sent.
    """

    kind: str
    at: int
    customer: str | None = None
    anonymous: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """The decisions that a customer's carts come to, by due time (ms relative to the start).

    must: exactly one each; may: at most one each, since it depends on what arrives first; verdict
    and reason: of the first of `must`, where they do not depend on that either; sent: of `must`,
    those that come to a message in the end, however long they are held.
    """

    must: frozenset[int] = frozenset()
    may: frozenset[int] = frozenset()
    verdict: tuple[str, str] | None = None
    sent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Script:
    """What one shopper does, in this order, and what must follow."""

    customer: str
    steps: list[Step]
    expectation: Expectation = Expectation()


ROLES: Final = (
    ("plain", 42),
    ("abandons", 12),
    ("held", 6),
    ("delayed", 4),
    ("visitor", 10),
    ("forwarded", 6),
    ("denied", 6),
    ("emptied", 5),
    ("bought", 4),
    ("twice", 5),
)
"""Role → how many in a hundred shoppers have it."""


def write_script(number: int, random: Random, due_within: int) -> Script:
    """The script of shopper `number`; carts left behind come due by `due_within` ms."""
    customer = f"c{number}"
    role = random.choices([name for name, _ in ROLES], [share for _, share in ROLES])[0]
    steps = _browse(number, random, shared=role == "plain")
    if role == "plain":
        return Script(customer, steps)
    cart, expectation = _cart(role, customer, f"a{number}-0", random, due_within)
    return Script(customer, _woven(steps, cart, random), expectation)


def _woven(steps: list[Step], cart: list[Step], random: Random) -> list[Step]:
    """The cart's steps at places among the others, in their order."""
    places = sorted(random.randrange(len(steps) + 1) for _ in cart)
    woven = list(steps)
    for offset, (place, step) in enumerate(zip(places, cart, strict=True)):
        woven.insert(place + offset, step)
    return woven


def _cart(
    role: str, customer: str, device: str, random: Random, due_within: int
) -> tuple[list[Step], Expectation]:
    """A cart left behind, in one of the ways that carts are."""
    at = random.randrange(-HOUR // 2, due_within) - ABANDONED_AFTER
    due = at + ABANDONED_AFTER
    item = {"item": f"cart-{random.randrange(20)}", "price": 1999, "currency": "EUR"}
    add = Step("cart_added", at, customer, fields=item)
    login = Step("identified", at - 1, customer, device, {"traits": {"tier": "gold"}})
    by_visitor = Step("cart_added", at, None, device, item)
    sent = Expectation(frozenset({due}), verdict=("send", "allowed"), sent=frozenset({due}))
    if role == "abandons":
        return [add], sent
    if role == "held":
        # Late enough for both to be known before: then they come due one after the other.
        at = random.randrange(due_within // 2, due_within) - ABANDONED_AFTER
        due, add = at + ABANDONED_AFTER, replace(add, at=at)
        wish = Step("wishlist_added", at + AT_ODDS, customer, fields={"item": "wish-1"})
        both = frozenset({due, due + AT_ODDS})
        return [add, wish], Expectation(both, sent=both)
    if role == "delayed":
        # Told at once: there is nothing to wait for.
        told = -random.randrange(MINUTE, HOUR // 2)
        late = Step("order_delayed", told, customer, fields={"order": f"o-{customer}"})
        known = frozenset({told})
        return [late], Expectation(known, verdict=("send", "allowed"), sent=known)
    if role == "visitor":
        return [by_visitor, login], sent
    if role == "forwarded":
        return [login, by_visitor], sent
    if role == "denied":
        denial = {"purpose": "marketing", "granted": False, "channel": "email"}
        denied = Step("consent_changed", at - HOUR, customer, fields=denial)
        return [denied, add], Expectation(frozenset({due}), verdict=("suppress", "consent"))
    if role == "emptied":
        # Sent out of order: the cart was emptied before profile hears that it was filled.
        return [Step("cart_removed", at + 5_000, customer, fields=item), add], Expectation()
    if role == "bought":
        order = _order(random, customer, {"item": item["item"]})
        return [add, Step("purchased", at + 9_000, customer, fields=order)], Expectation(
            may=frozenset({due})
        )
    before = Step("cart_added", at - MINUTE, customer, fields={"item": "cart-21"})
    both = Expectation(frozenset({due}), may=frozenset({due - MINUTE}))
    return [before, add], both


def _browse(number: int, random: Random, *, shared: bool) -> list[Step]:
    """Some sessions: browsing unknown, logging in, browsing on, logging out, browsing on."""
    customer = f"c{number}"
    own = [f"a{number}-{device}" for device in range(random.randrange(1, 4))]
    steps: list[Step] = []
    for _ in range(random.randrange(2, 5)):
        at = random.randrange(-20 * MINUTE, -MINUTE)
        device = random.choice(own)
        if shared and random.random() < 0.25:
            device = f"shared-{number // DEVICES_SHARED_BY}"
        steps += [_act(random, at, shared, anonymous=device) for _ in range(random.randrange(6))]
        if random.random() < 0.8:
            steps.append(Step("identified", at, customer, device, {"traits": {"city": "Ulm"}}))
        steps += [_act(random, at, shared, customer=customer) for _ in range(random.randrange(12))]
        # After logging out; what is done here is the last owner's.
        steps += [_act(random, at, shared, anonymous=device) for _ in range(random.randrange(4))]
    steps.append(Step("traits_set", -MINUTE, customer, fields={"traits": {"number": number}}))
    return steps


KINDS: Final = (
    ("item_viewed", 50),
    ("searched", 8),
    ("list_viewed", 8),
    ("page_viewed", 8),
    ("wishlist_added", 4),
    ("wishlist_removed", 2),
    ("offer_shown", 4),
    ("offer_clicked", 3),
    ("checkout_started", 2),
    ("purchased", 5),
    ("refunded", 1),
    ("cart_added", 4),
    ("cart_removed", 1),
)


def _act(
    random: Random,
    at: int,
    carts: bool,
    *,
    customer: str | None = None,
    anonymous: str | None = None,
) -> Step:
    kind = random.choices([name for name, _ in KINDS], [share for _, share in KINDS])[0]
    at += random.randrange(MINUTE)
    if kind.startswith("cart_") and not carts:
        kind = "item_viewed"
    if kind in {"purchased", "refunded"} and (anonymous or "").startswith("shared"):
        # Another raw topic has another order, and whose it is follows the order of logins.
        kind = "item_viewed"
    item = {"item": f"i{random.randrange(ITEMS)}", "price": 990, "currency": "EUR"}
    item |= {"category": f"k{random.randrange(9)}", "brand": f"b{random.randrange(9)}"}
    return Step(kind, at, customer, anonymous, _fields(kind, item, random, customer or anonymous))


def _fields(kind: str, item: dict[str, Any], random: Random, who: str | None) -> dict[str, Any]:
    match kind:
        case "searched":
            return {"query": f"words {random.randrange(50)}"}
        case "list_viewed":
            return {"list_id": "l1", "category": item["category"], "items": [item["item"]]}
        case "page_viewed":
            return {"name": "home", "path": "/"}
        case "purchased" | "refunded":
            return _order(random, who, {"item": item["item"], "quantity": random.randrange(1, 4)})
        case "checkout_started":
            return {"lines": [{"item": item["item"]}]}
        case _:
            return item


def _order(random: Random, who: str | None, line: dict[str, Any]) -> dict[str, Any]:
    # Totals of many digits: two orders of a shopper are hardly ever alike.
    total = random.randrange(100, 10_000_000)
    order = f"o-{who}-{random.randrange(10**9)}"
    return {"order": order, "lines": [line], "total": total, "currency": "EUR"}
