"""Which items a moment is about, and whether they can be bought now. Pure."""

from typing import Final

from services.profile.component import Component
from services.profile.moments.around import Around
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import OnFact, OnItem, OnTimer, Scenario
from services.profile.view import cart_items
from shared.catalogue import ItemChanged

_CARTS: Final = frozenset(["cart_added", "cart_viewed", "checkout_started"])
_INTERESTS: Final = frozenset(["item_viewed", "wishlist_added", "offer_clicked", "offer_dismissed"])


def about_cart(scenario: Scenario) -> bool:
    """Whether its moments are about all that lies in the cart."""
    return isinstance(scenario.on, OnFact) and scenario.on.fact in _CARTS


def about_interest(scenario: Scenario) -> bool:
    """Whether an item that a customer took an interest in is what it is about: then it is told
    only of what can be bought and was not (an order that is late is told in any case)."""
    if isinstance(scenario.on, OnFact):
        return scenario.on.fact in _INTERESTS
    return isinstance(scenario.on, OnItem)


def items_of(
    scenario: Scenario, moment: Waiting, component: Component, around: Around, now: int
) -> list[str]:
    """The items to speak of, the first the foremost: of a cart those that can be bought."""
    if about_cart(scenario):
        return [item for item in cart_items(component) if for_sale(around.items.get(item), now)]
    return [moment.item] if moment.item else []


def for_sale(item: ItemChanged | None, now: int) -> bool:
    """Whether it can be bought at `now` (epoch ms), as far as the catalogue knows it."""
    if item is None:
        return True
    return (
        item.active
        and (item.stock is None or item.stock > 0)
        and (item.valid_from is None or item.valid_from <= now)
        and (item.valid_to is None or now < item.valid_to)
    )


def needs_stock(scenario: Scenario, moment: Waiting) -> bool:
    """Whether its one item must be for sale."""
    return bool(moment.item) and (about_interest(scenario) or isinstance(scenario.on, OnTimer))


def bought_since(
    scenario: Scenario, moment: Waiting, component: Component, item: ItemChanged | None
) -> bool:
    """Whether what the interest was in has been bought: since then, or ever where one is enough."""
    at = component.bought.get(moment.item)
    if at is None or not about_interest(scenario):
        return False
    return at >= moment.at or (item is not None and not item.repeatable)
