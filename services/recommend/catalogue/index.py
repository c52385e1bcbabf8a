"""The catalogue in memory: every recommend process answers from it, and SQL is never asked.

`follow` (live.py) hands it every record of the topic; requests read it on the same event loop, so
each sees every change whole. It holds what was last said of each key, as compaction does, and
passes each change on to its listeners: above all to the numpy columns that filters and ranking
use, `services.recommend.assortment.Assortment`. Pure: time is an argument.
"""

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from shared.catalogue import Change, ItemChanged, OfferChanged, PlacementChanged, decode, key_of

ITEM: Final = "item:"
OFFER: Final = "offer:"
PLACEMENT: Final = "placement:"


class Listener(Protocol):
    """Who keeps something derived of the catalogue. `now`: business epoch ms."""

    def put(self, item: ItemChanged, now: int) -> None:
        """An item came or changed."""

    def remove(self, item: str, now: int) -> None:
        """An item is gone."""

    def put_offer(self, offer: OfferChanged) -> None:
        """An offer came or changed."""

    def remove_offer(self, offer: str) -> None:
        """An offer is gone."""


class Catalogue:
    """What the shop sells, as of the last record taken in.

    `items`, `offers`, `placements`: by id, for reading only; `version` grows with every record;
    `refused` counts records that could not be read.
    """

    def __init__(self, *listeners: Listener) -> None:
        self.items: dict[str, ItemChanged] = {}
        self.offers: dict[str, OfferChanged] = {}
        self.placements: dict[str, PlacementChanged] = {}
        self.version = 0
        self.refused = 0
        self._listeners = listeners

    def apply(self, key: bytes | None, value: bytes | None, now: int) -> bool:
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
            self._remove(name, now)
        elif key_of(change) == name:
            self._put(change, now)
        else:
            self.refused += 1
            return False
        self.version += 1
        return True

    def changed_at(self) -> dict[str, int]:
        """When each thing held was changed, by topic key: what republishing compares with SQL."""
        held: Iterable[Change] = (
            *self.items.values(),
            *self.offers.values(),
            *self.placements.values(),
        )
        return {key_of(change): change.changed_at for change in held}

    def _put(self, change: Change, now: int) -> None:
        match change:
            case ItemChanged():
                self.items[change.item] = change
                for listener in self._listeners:
                    listener.put(change, now)
            case OfferChanged():
                self.offers[change.offer] = change
                for listener in self._listeners:
                    listener.put_offer(change)
            case PlacementChanged():
                self.placements[change.placement] = change

    def _remove(self, key: str, now: int) -> None:
        if key.startswith(ITEM):
            item = key.removeprefix(ITEM)
            if self.items.pop(item, None) is not None:
                for listener in self._listeners:
                    listener.remove(item, now)
        elif key.startswith(OFFER):
            offer = key.removeprefix(OFFER)
            if self.offers.pop(offer, None) is not None:
                for listener in self._listeners:
                    listener.remove_offer(offer)
        elif key.startswith(PLACEMENT):
            self.placements.pop(key.removeprefix(PLACEMENT), None)
