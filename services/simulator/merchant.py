"""What the shop has: prices and stock as they change from day to day. Pure, seeded.

Below `neighbourhood`: shoppers buy only what is there, at the price of the moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from services.simulator.world import Item, World

REPRICED: Final = 0.05
"""Share of the items whose price changes each time the shop looks at them."""
SOLD_OUT: Final = 0.03
RESTOCKED: Final = 0.35
"""Share of those sold out that come back."""
DISCOUNTS: Final = (0.9, 0.85, 0.8, 0.7)


@dataclass(slots=True)
class _Place:
    item: Item
    usual: int


class Merchant:
    """The shop's shelves. `look` is what happens a few times a day."""

    def __init__(self, world: World) -> None:
        self._random = Random(f"merchant-{world.seed}")
        self._places = {item.id: _Place(item, item.price) for item in world.items}
        self._by_category = {
            name: tuple(item.id for item in items) for name, items in world.by_category.items()
        }

    @property
    def items(self) -> list[Item]:
        """All of them, as they stand."""
        return [place.item for place in self._places.values()]

    def item(self, name: str) -> Item | None:
        """One as it stands, None where the shop does not have it."""
        place = self._places.get(name)
        return None if place is None else place.item

    def shelf(self, category: str) -> Sequence[str]:
        """Ids of a category's items."""
        return self._by_category[category]

    def look(self) -> list[Item]:
        """Changes some prices and some stock; what has changed."""
        changed = []
        for place in self._places.values():
            item = self._restocked(place.item)
            if self._random.random() < REPRICED:
                price = place.usual
                if item.price == price:
                    price = max(100, int(price * self._random.choice(DISCOUNTS)))
                item = replace(item, price=price)
            if item is not place.item:
                place.item = item
                changed.append(item)
        return changed

    def _restocked(self, item: Item) -> Item:
        if item.stock:
            if self._random.random() < SOLD_OUT:
                return replace(item, stock=0)
        elif self._random.random() < RESTOCKED:
            return replace(item, stock=self._random.randint(20, 500))
        return item
