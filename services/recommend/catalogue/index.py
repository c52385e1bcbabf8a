"""The catalogue in memory: every recommend process answers from it, and SQL is never asked.

live.py feeds it from the topic; requests read it on the same event
loop, so each sees every change whole. Pure: time is an argument.

Rows: each item id gets the next row when it is first seen and keeps it for the life of the
process, through deletion and return, so arrays that others index by row stay right. A deleted
item's row is not `live`. Which record came last in the topic decides, as compaction does.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import numpy as np

from services.recommend.catalogue.columns import (
    ALWAYS,
    NONE,
    Codes,
    Columns,
    CountrySets,
    Groups,
    Mask,
    Rows,
)
from services.recommend.catalogue.fields import Fields
from services.recommend.catalogue.terms import margin_of, min_age_of, seasons_of
from shared.catalogue import Change, ItemChanged, OfferChanged, PlacementChanged, decode, key_of

ITEM: Final = "item:"
OFFER: Final = "offer:"
PLACEMENT: Final = "placement:"


class Catalogue:
    """Items by row, offers by item, placements by name.

    `columns`: arrays by row, of which the first `columns.size` are in use; `version` grows with
    every change, for whoever keeps something derived; `fields`: columns of any item field;
    `refused` counts unreadable records.
    """

    def __init__(self) -> None:
        self.columns = Columns()
        self.categories = Codes()
        self.brands = Codes()
        self.currencies = Codes()
        self.ids: list[str] = []
        self.version = 0
        self.refused = 0
        self._rows: dict[str, int] = {}
        self._items: dict[str, ItemChanged] = {}
        self.fields = Fields(self._items, self._rows)
        self._offers: dict[str, OfferChanged] = {}
        self._offers_by_item: dict[str, set[str]] = {}
        self._placements: dict[str, PlacementChanged] = {}
        self._country_sets = CountrySets()
        self._by_category = Groups()
        self._order: Rows | None = None

    def __len__(self) -> int:
        """How many items exist now."""
        return len(self._items)

    def __contains__(self, item: str) -> bool:
        return item in self._items

    # reading

    def item(self, item: str) -> ItemChanged | None:
        """The item as it stands now; not to be changed by the caller."""
        return self._items.get(item)

    def row(self, item: str) -> int | None:
        """The row of an item that exists."""
        return self._rows[item] if item in self._items else None

    def items(self) -> dict[str, ItemChanged]:
        """All items as they stand now, by id."""
        return dict(self._items)

    def rows(self, items: Iterable[str]) -> Rows:
        """Rows of those of the items that exist, in their order; int32."""
        known = self._items
        return np.array([self._rows[item] for item in items if item in known], np.int32)

    def order(self) -> Rows:
        """All live rows in catalogue order, which is by item id: the same in every process."""
        if self._order is None:
            self._order = np.array([self._rows[item] for item in sorted(self._items)], np.int32)
        return self._order

    def in_category(self, category: str) -> Rows:
        """Live rows of the category, ascending."""
        return self._by_category.rows(self.categories.find(category))

    def valid(self, rows: Rows, now_ms: int) -> Mask:
        """For each row, whether the moment lies in [valid_from, valid_to)."""
        columns = self.columns
        mask: Mask = (columns.valid_from[rows] <= now_ms) & (now_ms < columns.valid_to[rows])
        return mask

    def shown_in(self, rows: Rows, country: str | None) -> Mask:
        """For each row, whether it may be shown in the country; None asks for no country, so
        only items without a list of countries pass."""
        codes = self.columns.countries[rows]
        allowed = self._country_sets.allowed(country)
        mask: Mask = allowed[codes]
        return mask

    @property
    def has_offers(self) -> bool:
        """Whether any item has an offer, active or not."""
        return bool(self._offers_by_item)

    def offers_for(self, item: str, now_ms: int) -> list[OfferChanged]:
        """Active offers on the item at that moment, the largest percentage first, then by id."""
        names = self._offers_by_item.get(item)
        if not names:
            return []
        offers = [offer for offer in map(self._offers.__getitem__, names) if _holds(offer, now_ms)]
        return sorted(offers, key=lambda offer: (-offer.percent_off, offer.offer))

    def items_on_offer(self, offers: Iterable[str], now_ms: int) -> Iterator[str]:
        """Items of those of the offers that are active at that moment; of all, where none is
        named."""
        for name in offers or self._offers:
            offer = self._offers.get(name)
            if offer is not None and _holds(offer, now_ms):
                yield from offer.items

    def placement(self, name: str) -> PlacementChanged | None:
        """The placement, None where nobody administered it."""
        return self._placements.get(name)

    def changed_at(self) -> dict[str, int]:
        """Of everything held, by topic key, when it was changed: what `republish` compares."""
        held: Iterable[Change] = (
            *self._items.values(),
            *self._offers.values(),
            *self._placements.values(),
        )
        return {key_of(change): change.changed_at for change in held}

    # changing

    def apply(self, key: bytes | None, value: bytes | None) -> bool:
        """Take in one record of the topic; an empty value deletes.

        False, and counted in `refused`, where it cannot be read or its key names another thing
        than its value: one bad record stops nothing.
        """
        try:
            name = (key or b"").decode()
            change = decode(value) if value else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.refused += 1
            return False
        if change is None:
            self.remove(name)
        elif key_of(change) == name:
            self.put(change)
        else:
            self.refused += 1
            return False
        return True

    def put(self, change: Change) -> None:
        """Take in a change, whole."""
        self.version += 1
        match change:
            case ItemChanged():
                self._put_item(change)
            case OfferChanged():
                self._remove_offer(change.offer)
                self._offers[change.offer] = change
                for item in change.items:
                    self._offers_by_item.setdefault(item, set()).add(change.offer)
            case PlacementChanged():
                self._placements[change.placement] = change

    def remove(self, key: str) -> None:
        """Forget what the topic key names; nothing happens where it is not held."""
        self.version += 1
        if key.startswith(ITEM):
            self._remove_item(key.removeprefix(ITEM))
        elif key.startswith(OFFER):
            self._remove_offer(key.removeprefix(OFFER))
        elif key.startswith(PLACEMENT):
            self._placements.pop(key.removeprefix(PLACEMENT), None)

    def _put_item(self, change: ItemChanged) -> None:
        item = change.item
        row = self._rows.get(item)
        if row is None:
            row = self._rows[item] = self.columns.add()
            self.ids.append(item)
        if item not in self._items:
            self._order = None
            self.columns.category[row] = self.columns.brand[row] = NONE
        self._items[item] = change
        category, brand = self.categories.code(change.category), self.brands.code(change.brand)
        self._by_category.move(row, int(self.columns.category[row]), category)
        self._write(row, change, category, brand)
        self.fields.changed(row, change)

    def _write(self, row: int, change: ItemChanged, category: int, brand: int) -> None:
        columns, price = self.columns, change.price
        columns.live[row] = True
        columns.active[row] = change.active
        columns.recommendable[row] = change.recommendable
        columns.repeatable[row] = change.repeatable
        columns.in_stock[row] = change.stock is None or change.stock > 0
        columns.valid_from[row] = change.valid_from or 0
        columns.valid_to[row] = ALWAYS if change.valid_to is None else change.valid_to
        columns.price[row] = NONE if price is None else price
        columns.price_band[row] = NONE if price is None else price.bit_length()
        columns.category[row] = category
        columns.brand[row] = brand
        columns.currency[row] = self.currencies.code(change.currency)
        columns.countries[row] = self._country_sets.code(frozenset(change.countries))
        columns.seasons[row] = seasons_of(change)
        columns.min_age[row] = min_age_of(change)
        columns.margin[row] = margin_of(change)

    def _remove_item(self, item: str) -> None:
        if self._items.pop(item, None) is None:
            return
        row = self._rows[item]
        self._by_category.move(row, int(self.columns.category[row]), NONE)
        self.columns.live[row] = False
        self._order = None

    def _remove_offer(self, offer: str) -> None:
        before = self._offers.pop(offer, None)
        for item in before.items if before is not None else ():
            names = self._offers_by_item.get(item)
            if names is None:
                continue
            names.discard(offer)
            if not names:
                del self._offers_by_item[item]


def _holds(offer: OfferChanged, now_ms: int) -> bool:
    return (
        offer.active
        and (offer.valid_from is None or offer.valid_from <= now_ms)
        and (offer.valid_to is None or now_ms < offer.valid_to)
    )
