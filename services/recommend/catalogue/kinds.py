"""The kinds of thing that are administered: items, offers and placements, each by its id.

Pure. What differs between them is said here once; repository and endpoints treat all alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from services.recommend.catalogue.index import ITEM, OFFER, PLACEMENT
from shared.catalogue import (
    Cap,
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
    columns are the fields of `model`. nested: fields that are structs, which SQL keeps as JSON."""

    name: str
    plural: str
    prefix: str
    model: type[Change]
    key: Callable[[str], str]
    nested: Mapping[str, type[Struct]] = field(default_factory=dict)

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
        row = structs.asdict(change)
        for name in self.nested:
            row[name] = msgspec.to_builtins(row[name])
        return row

    def change(self, row: Any) -> Change:
        """The row as a change; it was validated when it was written."""
        values = dict(row._mapping)
        for name, kind in self.nested.items():
            values[name] = msgspec.convert(values[name], kind | None)
        return self.model(**values)


ITEMS: Final = Kind("item", "items", ITEM, ItemChanged, item_key)
OFFERS: Final = Kind("offer", "offers", OFFER, OfferChanged, offer_key)
PLACEMENTS: Final = Kind(
    "placement", "placements", PLACEMENT, PlacementChanged, placement_key, {"cap": Cap}
)
KINDS: Final = (ITEMS, OFFERS, PLACEMENTS)


def kind_of(change: Change) -> Kind:
    """The kind that a change is of."""
    return next(kind for kind in KINDS if isinstance(change, kind.model))
