"""What a file tells about items, for the catalogue: names and prices as it said them last. Pure.

An item that the shop administers already is left alone: an export is older than the catalogue.
"""

from typing import Final

from services.ingest.imports.row import Fields, Taken
from shared.catalogue import ItemChanged

_LONGEST_LABEL: Final = 256
_ATTRIBUTES: Final = ("title", "category", "brand")


class SeenItems:
    """Collects items of the rows that become facts, so of real products only."""

    def __init__(self, currency: str | None) -> None:
        self._currency = currency
        self._items: dict[str, Fields] = {}

    def notice(self, taken: Taken) -> None:
        """Later rows win; a refund's price is the price of another day and does not count."""
        item = taken.fields.get("item")
        if item is None:
            return
        known = self._items.setdefault(str(item), {})
        for name in _ATTRIBUTES:
            value = taken.fields.get(name)
            if value is not None:
                known[name] = str(value)[:_LONGEST_LABEL]
        price = taken.fields.get("price")
        if isinstance(price, int) and price > 0 and (taken.kind != "refunded" or not known):
            known["price"] = price

    def ids(self) -> list[str]:
        """The items seen so far."""
        return list(self._items)

    def changes(self, known: frozenset[str], changed_at: int) -> list[ItemChanged]:
        """The items that are not among `known`. changed_at: epoch ms."""
        return [
            self._change(item, fields, changed_at)
            for item, fields in self._items.items()
            if item not in known and len(item) <= 128
        ]

    def _change(self, item: str, fields: Fields, changed_at: int) -> ItemChanged:
        price = fields.get("price")
        return ItemChanged(
            item=item,
            title=str(fields.get("title", "")),
            category=_text(fields, "category"),
            brand=_text(fields, "brand"),
            price=price if isinstance(price, int) else None,
            currency=self._currency if price is not None else None,
            changed_at=changed_at,
        )


def _text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return None if value is None else str(value)
