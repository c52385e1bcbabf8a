"""How much a shopper likes an item, and what that leads to. Pure; the ground truth of the world."""

import math
from random import Random
from typing import Final

from services.simulator.shopper import Traits
from services.simulator.world import CATEGORIES, Item, World, season_of

OWN_CATEGORY: Final = 0.8
"""Chance that a visit starts in a category drawn by taste rather than anywhere."""
SHELF: Final = 8
"""Items that a list page shows."""


def match(traits: Traits, item: Item, month: int) -> float:
    """How well an item fits a shopper in a month, 0 to 1: category, then brand and price."""
    liked = traits.categories[item.category]
    relative = item.price / CATEGORIES[item.category] / traits.budget
    price = math.exp(-traits.price_sensitivity * math.log(relative) ** 2)
    fit = liked * (0.55 + 0.25 * traits.brands.get(item.brand, 0.0) + 0.2 * price)
    if item.season is None:
        return fit
    return fit * (traits.seasons[item.season] if item.season == season_of(month) else 0.5)


def chance_to_click(liking: float) -> float:
    """Chance that a shopper who looks at an offer clicks it."""
    return min(1.0, 1.1 * liking * math.sqrt(liking))


def chance_to_cart(liking: float) -> float:
    """Chance that a shopper puts an item seen on its own page into the cart."""
    return 0.6 * liking**4


def choose_category(traits: Traits, random: Random) -> str:
    """Where a visit starts: mostly what the shopper likes, sometimes anything."""
    names = list(CATEGORIES)
    if random.random() < OWN_CATEGORY:
        return random.choices(names, [traits.categories[name] for name in names])[0]
    return random.choice(names)


def shelf(world: World, traits: Traits, category: str, random: Random) -> list[Item]:
    """The items on a list page, in the shop's arbitrary order."""
    sold = [item for item in world.by_category[category] if item.sold_in(traits.country)]
    return random.sample(sold, min(SHELF, len(sold)))


def pick(traits: Traits, items: list[Item], count: int, month: int, random: Random) -> list[Item]:
    """The items of a list page that the shopper opens: the better liked, the likelier."""
    left = list(items)
    picked: list[Item] = []
    while left and len(picked) < count:
        weights = [0.15 + match(traits, item, month) for item in left]
        picked.append(left.pop(random.choices(range(len(left)), weights)[0]))
    return picked
