"""What a moment is judged by besides the customer: catalogue, time zone, what was learned. Pure.

Held in memory by whoever folds or decides, and handed in: no pure part asks for anything itself.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from services.profile.component import Component
from services.profile.prediction import Prediction
from shared.catalogue import ItemChanged

Predict: TypeAlias = Callable[[Component, int], Prediction | None]
RefillDays: TypeAlias = Callable[[str], float | None]


def no_prediction(component: Component, now: int) -> None:
    """Before anything was learned."""


def no_refill(item: str) -> None:
    """Before anything was learned."""


class Around(Struct, frozen=True, kw_only=True):
    """items: the catalogue as it stands; zone: the shop's, an IANA name; predict: what is expected
    of a customer at a time (epoch ms); refill_days: after how many days an item is used up."""

    items: Mapping[str, ItemChanged] = {}
    zone: str = "UTC"
    predict: Predict = no_prediction
    refill_days: RefillDays = no_refill


class ItemMoved(Struct, frozen=True):
    """An item changed; before: as it stood, None where it was not known."""

    item: ItemChanged
    before: ItemChanged | None
