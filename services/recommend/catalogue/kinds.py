"""The kinds of thing that are administered: items, offers and placements, each by its id.

Pure. What differs between them is said here once; repository and endpoints treat all alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from services.recommend.catalogue.index import ITEM, OFFER, PLACEMENT
from shared.catalogue import (
    Change,
    ItemChanged,
    OfferChanged,
    PlacementChanged,
    item_key,
    offer_key,
    placement_key,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is also the field that holds the id; `plural` is also the name of its table, whose
    columns are the fields of `model`."""

    name: str
    plural: str
    prefix: str
    model: type[Change]
    key: Callable[[str], str]

    @property
    def settable(self) -> frozenset[str]:
        """Fields that a caller may give; `changed_at` is ours."""
        return frozenset(self.model.__struct_fields__) - {"changed_at"}

    def id_of(self, change: Change) -> str:
        """The id of a change of this kind."""
        found: str = getattr(change, self.name)
        return found

    def row(self, change: Change) -> dict[str, Any]:
        """The change as a row of the table."""
        return structs.asdict(change)

    def change(self, row: Any) -> Change:
        """The row as a change; it was validated when it was written."""
        return self.model(**row._mapping)


ITEMS: Final = Kind("item", "items", ITEM, ItemChanged, item_key)
OFFERS: Final = Kind("offer", "offers", OFFER, OfferChanged, offer_key)
PLACEMENTS: Final = Kind("placement", "placements", PLACEMENT, PlacementChanged, placement_key)
KINDS: Final = (ITEMS, OFFERS, PLACEMENTS)


def kind_of(change: Change) -> Kind:
    """The kind that a change is of."""
    return next(kind for kind in KINDS if isinstance(change, kind.model))
