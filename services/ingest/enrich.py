"""What the catalogue knows of an item, put into facts that do not say it themselves.

Pure. `shared/catalogue_tail.py` feeds it from the topic `catalogue`. What an event states is never
changed: the shop may have sold at another price, or under another category, than stands there now.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from shared import catalogue
from shared.events import AnyFact, ItemFact

if TYPE_CHECKING:
    from shared.bus import Record

_ITEM: Final = catalogue.item_key("")
"""How the keys of items begin; offers and placements have others."""


class ItemDetails(NamedTuple):
    """The part of an item that facts carry. Price in minor units of `currency`."""

    category: str | None
    brand: str | None
    price: int | None
    currency: str | None


class KnownItems:
    """The catalogue as far as it is known here, newest state by item id."""

    def __init__(self) -> None:
        self._items: dict[str, ItemDetails] = {}

    def __len__(self) -> int:
        return len(self._items)

    def begin(self, incarnation: str) -> None:
        """The topic of that id is read from its beginning."""
        self._items.clear()

    def take(self, records: "Iterable[Record]") -> None:
        """The next records of `catalogue`."""
        for record in records:
            self.apply(record.key, record.value)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """One record of `catalogue`; an empty value under an item's key forgets the item.

        Records that do not decode are passed over: the item's facts then stay as they came.
        """
        if not value:
            name = (key or b"").decode(errors="replace")
            if name.startswith(_ITEM):
                self._items.pop(name.removeprefix(_ITEM), None)
            return
        try:
            change = catalogue.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if isinstance(change, catalogue.ItemChanged):
            self._items[change.item] = ItemDetails(
                change.category, change.brand, change.price, change.currency
            )

    def enrich(self, fact: AnyFact) -> None:
        """Fills category, brand and price with its currency, in place, where they are missing."""
        if not self._items:
            return
        if isinstance(fact, ItemFact):
            self._fill_item(fact)
            return
        for line in getattr(fact, "lines", ()):
            details = self._items.get(line.item)
            if details is not None:
                line.category = line.category or details.category
                line.brand = line.brand or details.brand

    def _fill_item(self, fact: ItemFact) -> None:
        details = self._items.get(fact.item)
        if details is None:
            return
        fact.category = fact.category or details.category
        fact.brand = fact.brand or details.brand
        # A currency alone says the event's price would be in it; only both together are a price.
        if fact.price is None and fact.currency in (None, details.currency):
            fact.price = details.price
            fact.currency = details.currency if details.price is not None else fact.currency
